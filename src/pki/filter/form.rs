//! The octets of a filter: a head of fixed fields, then the columns. There is one way only to write a filter.

use super::ribbon::{WIDTH, octets};
use super::{Facts, NotAFilter, RevocationFilter};
use crate::clock::Timestamp;
use crate::ids::{Digest, EventNumber};

const MAGIC: &[u8; 8] = b"VITAE-RF";
const VERSION: u8 = 1;
pub(super) const HEAD: usize = 124;
/// More columns would tell apart more certificates than there can be.
pub(super) const HIGHEST_RANK: u8 = 32;

impl RevocationFilter {
    pub fn to_bytes(&self) -> Vec<u8> {
        let facts = &self.facts;
        let body: usize = self.columns.iter().chain([&self.last]).map(Vec::len).sum();
        let mut out = Vec::with_capacity(HEAD + body);
        out.extend_from_slice(MAGIC);
        // The rank is HIGHEST_RANK at most.
        let rank = u8::try_from(self.columns.len()).unwrap_or(HIGHEST_RANK);
        out.extend_from_slice(&[VERSION, rank, self.attempt, 0]);
        for unknowns in self.unknowns {
            out.extend_from_slice(&unknowns.to_be_bytes());
        }
        for number in [
            facts.number,
            facts.this_update.secs(),
            facts.next_update.secs(),
            facts.covered_to.millis().unsigned_abs(),
            facts.events.0,
            facts.covered,
            facts.revoked,
        ] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(facts.ca_key.as_bytes());
        out.extend_from_slice(&self.salt);
        for column in self.columns.iter().chain([&self.last]) {
            out.extend_from_slice(column);
        }
        out
    }

    /// Reads what [`Self::to_bytes`] writes and nothing else. Takes time and memory in proportion to its input.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAFilter> {
        let mut reader = Reader(bytes);
        if reader.take(8) != Some(MAGIC) {
            return Err(NotAFilter::Magic);
        }
        let short = NotAFilter::Length { has: bytes.len(), should: HEAD as u64 };
        let head = |reader: &mut Reader<'_>| {
            let [version, rank, attempt, spare] = reader.array()?;
            let unknowns = [u32::from_be_bytes(reader.array()?), u32::from_be_bytes(reader.array()?)];
            let mut numbers = [0; 7];
            for number in &mut numbers {
                *number = u64::from_be_bytes(reader.array()?);
            }
            Some(((version, rank, attempt, spare), unknowns, numbers, reader.array()?, reader.array()?))
        };
        // The version comes first: another one may have another length.
        match reader.0.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(NotAFilter::Version(*other)),
            None => return Err(short),
        }
        let ((_, rank, attempt, spare), unknowns, numbers, ca_key, salt) = head(&mut reader).ok_or(short)?;
        let [number, this_update, next_update, covered_to, events, covered, revoked] = numbers;
        let wrong = |what| Err(NotAFilter::Contradiction(what));
        if revoked > covered {
            return wrong("more certificates are revoked than there are");
        }
        let [first, second] = unknowns;
        let stored = revoked.min(covered - revoked);
        if spare != 0 || rank > HIGHEST_RANK {
            return wrong("a field has a value that nobody writes");
        }
        if (first == 0) != (rank == 0) || (first != 0 && first < WIDTH) {
            return wrong("the first level has an impossible size");
        }
        if (second == 0) != (stored == 0) || (second != 0 && second < WIDTH) || (second == 0 && rank != 0) {
            return wrong("the second level has an impossible size");
        }
        let (Some(this_update), Some(next_update), Some(covered_to)) =
            (seconds(this_update), seconds(next_update), millis(covered_to))
        else {
            return wrong("a time lies behind the year 9999");
        };
        if next_update <= this_update || covered_to > this_update + std::time::Duration::from_secs(1) {
            return wrong("its times are in the wrong order");
        }
        let should = HEAD as u64 + u64::from(rank) * octets(first) as u64 + octets(second) as u64;
        let length = NotAFilter::Length { has: bytes.len(), should };
        let mut column = |unknowns| reader.take(octets(unknowns)).map(<[u8]>::to_vec);
        let columns: Option<Vec<_>> = (0..rank).map(|_| column(first)).collect();
        let (Some(columns), Some(last)) = (columns, column(second)) else { return Err(length) };
        if !reader.0.is_empty() {
            return Err(length);
        }
        let clean = |column: &Vec<u8>, unknowns: u32| {
            unknowns.is_multiple_of(8) || column.last().is_none_or(|octet| octet >> (unknowns % 8) == 0)
        };
        if !columns.iter().all(|column| clean(column, first)) || !clean(&last, second) {
            return wrong("bits behind the end of a column are set");
        }
        let facts = Facts {
            ca_key: Digest::from_bytes(ca_key),
            number,
            this_update,
            next_update,
            covered_to,
            events: EventNumber(events),
            covered,
            revoked,
        };
        Ok(Self { facts, salt, attempt, unknowns, columns, last })
    }
}

/// Exactly these seconds since 1970.
fn seconds(secs: u64) -> Option<Timestamp> {
    Some(Timestamp::from_secs(secs)).filter(|time| time.secs() == secs)
}

fn millis(millis: u64) -> Option<Timestamp> {
    let millis = i64::try_from(millis).ok()?;
    Some(Timestamp::from_millis(millis)).filter(|time| time.millis() == millis)
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
