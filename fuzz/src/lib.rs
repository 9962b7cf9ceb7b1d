//! What must hold of every input, a module for each fuzz target. `scripts/fuzz` runs them.
//!
//! A target breaks by panicking. It says more than that nothing panics: what was accepted is what an independent
//! reading accepts, and comes out again as it went in. [`by_hand`] is that independent reading, and [`house`] a real
//! authority for the targets that knock at a door.

pub mod basic;
mod by_hand;
pub mod certificate;
pub mod cms;
pub mod csr;
pub mod csr_attributes;
pub mod est_body;
pub mod est_door;
pub mod filter;
mod house;
pub mod ocsp_door;
pub mod ocsp_request;
pub mod selector;
