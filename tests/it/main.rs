//! The integration tests: a real authority, real sockets, real TLS, a clock that the test moves.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod est_encoding;
mod est_transport;
mod support;
