//! HTTP/1.1 and TLS as a client: what the agent, the webhooks and the command line send their requests by.

mod client;
mod trust;

pub use client::{Client, HttpError};
pub use trust::{Identity, Trust, TrustError};
