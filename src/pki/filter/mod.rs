//! Revocation filters: the status of every certificate of a CA in little more than a bit for each, for gateways that cannot
//! ask anybody. `docs/FILTER.md` is the format.
//!
//! A filter is exact for the certificates that it covers: all that were on record, whose serial number is not from after
//! [`Facts::covered_to`], and that had not expired at thisUpdate. It is two ribbons, one behind the other. The first lets
//! every certificate of the smaller set (that is the revoked ones, as a rule) pass, and of the others one in 2^rank; the
//! second tells those that pass apart. Nothing else is stored, so whoever asks about a certificate that is not covered
//! would get an arbitrary answer: [`RevocationFilter`] says "not covered" instead, and OCSP knows.
//!
//! [`FilterTemplate`] builds one, [`SignedFilter`] and [`open`] put it into CMS and take it out again.

mod build;
mod form;
mod ribbon;
mod signed;

use crate::clock::Timestamp;
use crate::ids::{Digest, EventNumber, Serial};
use crate::pki::certificate::{Certificate, own_serial};

pub use build::{FilterError, FilterTemplate, See};
pub use signed::{NotSigned, SignedFilter, open};

use ribbon::{Hashing, Salt};

/// What a filter says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// SHA-256 of the SubjectPublicKeyInfo of the CA.
    pub ca_key: Digest,
    /// Larger in every later filter of this CA.
    pub number: u64,
    /// To the second, as `next_update`.
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    /// Certificates whose serial number begins with a later moment are not covered.
    pub covered_to: Timestamp,
    /// Every event below this number is in it.
    pub events: EventNumber,
    /// How many certificates it covers.
    pub covered: u64,
    /// How many of them are revoked or on hold.
    pub revoked: u64,
}

/// The bytes are not a filter of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAFilter {
    #[error("it does not begin as a revocation filter does")]
    Magic,
    #[error("its version is {0}, and this program knows version 1: get a newer program")]
    Version(u8),
    #[error("it has {has} octets where its head speaks of {should}")]
    Length { has: usize, should: u64 },
    #[error("its head contradicts itself: {0}")]
    Contradiction(&'static str),
}

/// A filter that can be asked. Where it came from is another question: see [`open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationFilter {
    facts: Facts,
    salt: Salt,
    /// At which attempt the second level could be solved.
    attempt: u8,
    /// Unknowns in each column of the first level, and in the second.
    unknowns: [u32; 2],
    /// The first level.
    columns: Vec<Vec<u8>>,
    /// The second level; empty when all covered certificates have the same status.
    last: Vec<u8>,
}

/// What a filter knows of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Good,
    /// Or on hold.
    Revoked,
    /// Ask OCSP.
    NotCovered(NotCovered),
}

/// Why a filter does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    #[error("it was not issued by this CA")]
    OtherIssuer,
    #[error("its serial number is none of this authority")]
    ForeignSerial,
    #[error("it was issued after what the filter covers")]
    IssuedLater,
    #[error("the filter covers no certificate at all")]
    Nothing,
    #[error("it had expired when the filter was made")]
    Expired,
}

impl RevocationFilter {
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The share of serial numbers that would be called revoked if they were looked up although they are not covered;
    /// for covered ones there is no error.
    pub fn revoked_by_chance(&self) -> f64 {
        let facts = &self.facts;
        if self.last.is_empty() {
            return if facts.revoked == 0 { 0.0 } else { 1.0 };
        }
        // The rank is 32 at most.
        let in_set = 0.5_f64.powi(i32::try_from(self.columns.len()).unwrap_or(0) + 1);
        if facts.revoked_are_the_set() { in_set } else { 1.0 - in_set }
    }

    /// The status of the certificate that this CA issued under this serial number, big-endian as in its INTEGER. Whether
    /// it had expired, a number alone does not tell.
    pub fn of_serial(&self, serial: &[u8]) -> Answer {
        let Some(serial) = own_serial(serial) else {
            return Answer::NotCovered(NotCovered::ForeignSerial);
        };
        if serial.time() > self.facts.covered_to {
            return Answer::NotCovered(NotCovered::IssuedLater);
        }
        if self.facts.covered == 0 {
            return Answer::NotCovered(NotCovered::Nothing);
        }
        if self.look_up(&serial) { Answer::Revoked } else { Answer::Good }
    }

    /// The status of a certificate. Its issuer must be `ca` by name and by signature.
    pub fn of_certificate(&self, certificate: &Certificate, ca: &Certificate) -> Answer {
        let issued = certificate.issuer_der() == ca.subject_der()
            && ca.public_key().is_ok_and(|key| {
                key.digest() == self.facts.ca_key && certificate.verify_signed_by(&key).is_ok()
            });
        if !issued {
            return Answer::NotCovered(NotCovered::OtherIssuer);
        }
        if certificate.not_after() < self.facts.this_update {
            return Answer::NotCovered(NotCovered::Expired);
        }
        self.of_serial(certificate.serial_bytes())
    }

    fn look_up(&self, serial: &Serial) -> bool {
        if self.last.is_empty() {
            return self.facts.revoked > 0;
        }
        let first = Hashing { salt: self.salt, level: 1, attempt: 0 };
        let second = Hashing { level: 2, attempt: self.attempt, ..first };
        let in_set = passes(&first, self.unknowns[0], &self.columns, serial)
            && second.equation(serial, self.unknowns[1]).of(&self.last);
        in_set == self.facts.revoked_are_the_set()
    }
}

impl Facts {
    /// The smaller set is the one that is stored.
    fn revoked_are_the_set(&self) -> bool {
        self.revoked <= self.covered - self.revoked
    }
}

/// All sums of the first level are 0; without a column, all pass.
fn passes(hashing: &Hashing, unknowns: u32, columns: &[Vec<u8>], serial: &Serial) -> bool {
    if columns.is_empty() {
        return true;
    }
    let equation = hashing.equation(serial, unknowns);
    !columns.iter().any(|column| equation.of(column))
}

#[cfg(test)]
mod tests;
