//! Vitae: a certificate authority that knows the stage of life of every device it serves.
//!
//! # The house
//!
//! A pure core decides, a thin shell acts, and one narrow bridge uses a key. A module may use only
//! what stands on a floor below its own, or in its own row; `tests/it/floors.rs` reads the imports and
//! holds this table.
//!
//! | floor | module | what it is | must never |
//! |---|---|---|---|
//! | 6 | `main.rs`, [`cli`] | one file a command; the only place that may end the process | hold a business rule |
//! | 5 | [`server`] | listeners, TLS, connection and size limits, graceful stop, wiring | know a protocol |
//! | 4 | [`est`] | EST door: parse, call `authority`, encode | touch `store` or `keys` |
//! | 4 | [`status`] | OCSP, CRL and AIA door, its cache | decide who is revoked |
//! | 4 | [`admin`] | REST API door | touch `store` or `keys` |
//! | 4 | [`agent`] | the device side: an EST client that enrols and renews itself | share code with `est` beyond `pki` |
//! | 4 | [`hooks`] | webhooks: posts what the record tells to who asked for it | touch `store` or `keys`, decide what is told |
//! | 3 | [`http`] | HTTP/1.1 and TLS as a client, for the agent, the webhooks and the command line | know what it carries |
//! | 3 | [`authority`] | the service that ACTS, one file a verb; the only caller of `keys` and of `store.commit` | know HTTP |
//! | 2 | [`fleet`] | PURE: devices, lifecycle, tokens, certificates; `decide` and `apply` | do I/O, read a clock, be async |
//! | 2 | [`pki`] | PURE: bytes to types and back; `lint` shares no code with the builders | do I/O, read a clock |
//! | 2 | [`ledger`] | PURE: the entry format and the Merkle tree | do I/O |
//! | 1 | [`store`] | snapshots to read, one `commit` to write | hold a policy |
//! | 1 | [`keys`] | `Signer`: software keys | know what it signs for |
//! | 1 | [`config`] | raw serde structs to validated types with private fields | have defaults in two places |
//! | 0 | [`clock`], [`ids`], [`rate`], [`telemetry`] | time and randomness as parameters; typed ids; token buckets; all metric names | |

pub mod admin;
pub mod agent;
pub mod authority;
pub mod cli;
pub mod clock;
pub mod config;
pub mod est;
pub mod fleet;
pub mod hooks;
pub mod http;
pub mod ids;
pub mod keys;
pub mod ledger;
pub mod pki;
pub mod rate;
pub mod server;
pub mod status;
pub mod store;
pub mod telemetry;
