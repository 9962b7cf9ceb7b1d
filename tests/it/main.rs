//! The integration tests: real sockets, real TLS, a clock that the test moves; and the real program, killed.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod admin_api;
mod approval;
mod approval_credential;
mod approval_operator;
mod binding;
mod cacerts;
mod clones;
mod corpora;
mod crl;
mod csr_names;
mod csr_refused;
mod est_encoding;
mod est_transport;
mod fuzz_smoke;
mod guards;
mod http_strict;
mod key_envelope;
mod keys;
mod lineages;
mod moves;
mod ocsp_answers;
mod ocsp_http;
mod patience;
mod races;
mod renewal;
mod renewal_losses;
mod renewal_overlap;
mod shipped;
mod stage;
mod store_failure;
mod support;
mod who_certificate;
mod who_maker;
mod who_token;

mod agent;
mod cli;
mod crash;
mod floors;
mod history;
mod process;
mod record;
mod serve;
mod tls_failures;
