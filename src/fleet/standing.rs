//! What is said of a certificate to anybody who asks: the part of its row that OCSP answers from.

use serde::{Deserialize, Serialize};

use super::rows::{self, At, CERTIFICATE, Status};
use crate::clock::Timestamp;
use crate::ids::{CaName, Serial};
use crate::store::{StoreError, View};

/// Read out of the row of [`CERTIFICATE`], whose other fields are passed over; in a copy for a responder it is the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub ca: CaName,
    pub not_after: Timestamp,
    pub status: Status,
    pub status_since: At,
}

/// `None`: no certificate with this serial number was issued.
pub fn standing(view: &dyn View, serial: &Serial) -> Result<Option<Standing>, StoreError> {
    rows::get(view, CERTIFICATE, serial.as_bytes())
}
