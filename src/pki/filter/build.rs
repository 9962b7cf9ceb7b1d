//! Builds a filter from the certificates that it is to cover.

use super::ribbon::{Band, Hashing, Salt, WIDTH};
use super::{Facts, RevocationFilter, form, passes};
use crate::clock::Timestamp;
use crate::ids::{Digest, EventNumber, Serial};

/// Unknowns of one level: 2^30, which is about a thousand million certificates.
const MOST: u64 = 1 << 30;
/// A second level of a million equations is solved at the first attempt nine times in ten.
const ATTEMPTS: u8 = 64;

/// Why there is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError<E> {
    /// The certificates could not be read.
    #[error("{0}")]
    Source(E),
    #[error(
        "there are more certificates than one filter can hold: give the CA's certificates a shorter life"
    )]
    TooMany,
    #[error("the certificates changed while they were read, or one appears with two statuses")]
    Unsteady,
}

/// What a filter says of itself, before the certificates are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterTemplate {
    /// SHA-256 of the SubjectPublicKeyInfo of the CA.
    pub ca_key: Digest,
    pub number: u64,
    /// Cut to the second, as `next_update`.
    pub this_update: Timestamp,
    pub next_update: Timestamp,
    pub covered_to: Timestamp,
    pub events: EventNumber,
}

/// Takes a serial number, and whether its certificate is revoked or on hold.
pub type See<'a> = &'a mut dyn FnMut(&Serial, bool);

impl FilterTemplate {
    /// Builds the filter. `certificates` shows every certificate that is to be covered, in any order, and is called two or
    /// three times; each time it must show the same. The same certificates give the same octets.
    ///
    /// Memory: about 100 octets for each certificate of the smaller set (revoked or not), none for the others.
    pub fn build<E>(
        self,
        mut certificates: impl FnMut(See<'_>) -> Result<(), E>,
    ) -> Result<RevocationFilter, FilterError<E>> {
        let (mut covered, mut set) = (0u64, Vec::new());
        certificates(&mut |serial, revoked| {
            covered += 1;
            if revoked {
                set.push(*serial);
            }
        })
        .map_err(FilterError::Source)?;
        let revoked = set.len() as u64;
        let facts = Facts {
            ca_key: self.ca_key,
            number: self.number,
            this_update: self.this_update.whole_second(),
            next_update: self.next_update.whole_second(),
            covered_to: self.covered_to,
            events: self.events,
            covered,
            revoked,
        };
        let set_is_revoked = facts.revoked_are_the_set();
        if !set_is_revoked {
            set = Vec::new();
            certificates(&mut |serial, revoked| {
                if !revoked {
                    set.push(*serial);
                }
            })
            .map_err(FilterError::Source)?;
        }
        let salt = facts.salt();
        let mut filter = RevocationFilter {
            facts,
            salt,
            attempt: 0,
            unknowns: [0; 2],
            columns: Vec::new(),
            last: Vec::new(),
        };
        if set.is_empty() {
            return Ok(filter);
        }
        filter.solve_first(&set, covered)?;
        // The set passes by construction; of the others, those that pass by chance are wanted.
        let (first, mut others) = (filter.hashing(1), Vec::new());
        certificates(&mut |serial, revoked| {
            if revoked != set_is_revoked && passes(&first, filter.unknowns[0], &filter.columns, serial) {
                others.push(*serial);
            }
        })
        .map_err(FilterError::Source)?;
        filter.solve_second(&set, &others)?;
        Ok(filter)
    }
}

impl Facts {
    /// Nobody but the CA chooses serial numbers, and their random part comes after this could be known: so it need not be a
    /// secret, and the same record gives the same filter.
    fn salt(&self) -> Salt {
        let input = [self.ca_key.as_bytes().as_slice(), &self.number.to_be_bytes()].concat();
        let mut salt = [0; 16];
        salt.copy_from_slice(&Digest::of(&input).as_bytes()[..16]);
        salt
    }
}

impl RevocationFilter {
    fn hashing(&self, level: u8) -> Hashing {
        Hashing { salt: self.salt, level, attempt: if level == 1 { 0 } else { self.attempt } }
    }

    fn solve_first<E>(&mut self, set: &[Serial], covered: u64) -> Result<(), FilterError<E>> {
        let in_set = set.len() as u64;
        let rank = best_rank(in_set, covered.saturating_sub(in_set));
        if rank == 0 {
            return Ok(());
        }
        let unknowns = unknowns(in_set, 0)?;
        let hashing = self.hashing(1);
        let mut band = Band::new(unknowns);
        for serial in set {
            // Right sides that are all 0 contradict nothing.
            band.add(hashing.equation(serial, unknowns), false);
        }
        self.unknowns[0] = unknowns;
        self.columns = (0..rank).map(|column| band.solve(&hashing, column)).collect();
        Ok(())
    }

    fn solve_second<E>(&mut self, set: &[Serial], others: &[Serial]) -> Result<(), FilterError<E>> {
        for attempt in 0..ATTEMPTS {
            self.attempt = attempt;
            let unknowns = unknowns((set.len() + others.len()) as u64, attempt)?;
            let hashing = self.hashing(2);
            let mut band = Band::new(unknowns);
            let mut all = set.iter().map(|serial| (serial, true)).chain(others.iter().map(|it| (it, false)));
            if all.all(|(serial, right)| band.add(hashing.equation(serial, unknowns), right)) {
                self.unknowns[1] = unknowns;
                self.last = band.solve(&hashing, 0);
                return Ok(());
            }
        }
        Err(FilterError::Unsteady)
    }
}

/// A twentieth more than there are equations, and another fiftieth with each attempt that failed.
fn unknowns<E>(equations: u64, attempt: u8) -> Result<u32, FilterError<E>> {
    let more = equations / 20 + equations / 50 * u64::from(attempt);
    let unknowns = equations + more + u64::from(WIDTH);
    u32::try_from(unknowns).ok().filter(|_| unknowns <= MOST).ok_or(FilterError::TooMany)
}

/// The number of columns with which both levels together are smallest.
fn best_rank(in_set: u64, others: u64) -> u8 {
    let bits = |rank: u8| in_set * u64::from(rank) + in_set + (others >> rank);
    (0..=form::HIGHEST_RANK).min_by_key(|rank| bits(*rank)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Near the lower bound of what any exact filter takes: log2 of the ways to choose the revoked ones.
    #[test]
    fn the_rank_follows_the_share_of_the_smaller_set() {
        for (in_set, others, rank) in [
            (1, 0, 0),
            (500, 500, 0),
            (100, 900, 3),
            (10_000, 990_000, 6),
            (1, 1_000_000, 19),
            (1, 1 << 40, 32),
        ] {
            assert_eq!(best_rank(in_set, others), rank, "{in_set} of {others} more");
        }
    }
}
