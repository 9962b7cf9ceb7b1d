//! The device side: an EST client that enrols and renews, as a device would. Shares only `pki` with the server.

mod client;
mod enrol;
mod home;
mod renewal;
mod request;

pub use crate::http::{Identity, Trust, TrustError};
pub use client::{AgentError, Connection, EstClient};
pub use enrol::{Waits, enroll_patiently};
pub use home::{Enrolled, Home, HomeError, Locked, read_identity};
pub use renewal::{Advice, Schedule};
pub use request::{DeviceKey, RequestError};
