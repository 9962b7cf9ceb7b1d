//! The record that outlives this program: how an event becomes bytes, and the Merkle tree over those bytes.
//!
//! Pure: nothing here reads, writes or asks for the time.

pub mod entry;
pub mod tree;
