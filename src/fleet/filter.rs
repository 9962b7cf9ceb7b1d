//! What the record knows of revocation filters: the last of each CA, and the certificates that the next one covers.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::event::Fact;
use super::rows::{At, CERTIFICATE, CERTIFICATE_BY_EXPIRY, CertificateRow, FILTER, Status, get, parse, put};
use crate::clock::Timestamp;
use crate::ids::{CaName, Digest, EventNumber, Serial};
use crate::store::{Range, Rows, StoreError, View};

/// The filter that a CA published last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterRow {
    pub ca: CaName,
    pub number: u64,
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub covered_to: Timestamp,
    pub events: EventNumber,
    pub covered: u64,
    pub revoked: u64,
    pub digest: Digest,
    pub published: At,
}

/// Writes down what was published.
pub(super) fn published(rows: &mut dyn Rows, at: At, fact: &Fact) -> Result<(), StoreError> {
    let Fact::FilterPublished {
        ca,
        number,
        this_update,
        next_update,
        covered_to,
        events,
        covered,
        revoked,
        digest,
    } = fact
    else {
        return Ok(());
    };
    let row = FilterRow {
        ca: ca.clone(),
        number: *number,
        this_update: *this_update,
        next_update: *next_update,
        covered_to: *covered_to,
        events: *events,
        covered: *covered,
        revoked: *revoked,
        digest: *digest,
        published: at,
    };
    put(rows, FILTER, ca.as_str().as_bytes(), &row)
}

pub fn last_filter(view: &dyn View, ca: &CaName) -> Result<Option<FilterRow>, StoreError> {
    get(view, FILTER, ca.as_str().as_bytes())
}

/// Shows the serial number of every certificate of a CA that had not expired at `from` and whose number is from
/// `covered_to` or before, and whether it is revoked or on hold, until `each` breaks.
///
/// By the index of ends: what has expired, which is most of an old record, is not even looked at.
pub fn for_each_live(
    view: &dyn View,
    ca: &CaName,
    from: Timestamp,
    covered_to: Timestamp,
    each: &mut dyn FnMut(&Serial, bool) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let first = from.whole_second().millis().to_be_bytes();
    let mut trouble = None;
    let range = Range { from: &first, to: None, backwards: false };
    view.scan(CERTIFICATE_BY_EXPIRY, range, &mut |key, _| {
        let found = live(view, ca, covered_to, key);
        match found {
            Ok(None) => ControlFlow::Continue(()),
            Ok(Some((serial, revoked))) => each(&serial, revoked),
            Err(error) => {
                trouble = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    trouble.map_or(Ok(()), Err)
}

fn live(
    view: &dyn View,
    ca: &CaName,
    covered_to: Timestamp,
    key: &[u8],
) -> Result<Option<(Serial, bool)>, StoreError> {
    let corrupt =
        |reason: &str| StoreError::Corrupt { table: CERTIFICATE_BY_EXPIRY.0, reason: reason.to_owned() };
    let serial = key.get(8..).and_then(|serial| <[u8; 16]>::try_from(serial).ok());
    let serial = Serial::from_bytes(serial.ok_or_else(|| corrupt("a key has the wrong form"))?);
    if serial.time() > covered_to {
        return Ok(None);
    }
    let row = view.get(CERTIFICATE, serial.as_bytes())?;
    let row: Standing<'_> = match &row {
        Some(row) => parse_standing(row)?,
        None => return Err(corrupt("it names a certificate that is not there")),
    };
    Ok((row.ca == ca.as_str()).then_some((serial, row.status != Status::Good)))
}

/// The little of a [`CertificateRow`] that counts here: to read it whole takes three times as long.
#[derive(Deserialize)]
struct Standing<'a> {
    ca: &'a str,
    status: Status,
}

fn parse_standing(bytes: &[u8]) -> Result<Standing<'_>, StoreError> {
    // The name of a CA has nothing in it that JSON writes in another way.
    serde_json::from_slice(bytes).or_else(|_| {
        // The error of the whole row says more.
        let row: CertificateRow = parse(CERTIFICATE, bytes)?;
        let reason = format!("the row of {} has an unknown form", row.serial);
        Err(StoreError::Corrupt { table: CERTIFICATE.0, reason })
    })
}
