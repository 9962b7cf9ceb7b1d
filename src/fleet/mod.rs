//! What the fleet is and what may happen to it: pure rules over rows, no I/O, no clock.
//!
//! `decide` functions read a picture and may refuse; they have no effect. [`apply`] folds the events they give
//! into the tables and may not refuse.

pub mod apply;
pub mod approval;
pub mod enrol;
pub mod event;
pub mod filter;
mod kind;
pub mod listing;
pub mod movement;
pub mod names;
pub mod refusal;
pub mod register;
pub mod release;
pub mod revoke;
pub mod revoke_job;
pub mod rows;
pub mod selector;
pub mod standing;
pub mod token;
pub mod window;

pub use approval::{ApprovalRow, Verdict};
pub use event::{Actor, Cause, Der, Event, Fact, Issuance, Proof, Succession};
pub use listing::CrlRow;
pub use revoke_job::{JobEvent, JobRow, JobStep};
pub use rows::{At, CertificateRow, Device, Enrolment, Identity, KeyRow, Status, TokenRow};
