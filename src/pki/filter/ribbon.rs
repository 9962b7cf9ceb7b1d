//! Ribbons: a sparse system of linear equations over GF(2), one for each serial number, and the bits that solve it
//! (Dillinger, Hübschle-Schneider, Sanders, Walzer: "Fast Succinct Retrieval and Approximate Membership using Ribbon").
//!
//! Every equation has 128 coefficients in a row, the first of them 1; where they begin and what they are comes from a
//! hash. So elimination never moves far from the diagonal, takes time and memory in proportion to the number of
//! equations, and leaves bits that cost hardly more than one each.

use crate::ids::{Digest, Serial};

/// Coefficients of an equation.
pub(super) const WIDTH: u32 = 128;

/// What keeps the hashes of one filter apart from those of all others.
pub(super) type Salt = [u8; 16];

/// Which hashes: those of one level of one filter, at one attempt to solve it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashing {
    pub(super) salt: Salt,
    /// 1 or 2.
    pub(super) level: u8,
    pub(super) attempt: u8,
}

/// The sum, modulo 2, of the unknowns that the coefficients name: bit n stands for unknown `start + n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Equation {
    start: u32,
    coefficients: u128,
}

impl Hashing {
    fn digest(&self, what: &[u8]) -> [u8; 32] {
        // The longest is 34 octets, one block of SHA-256.
        let mut input = [0; 34];
        input[..16].copy_from_slice(&self.salt);
        input[16] = self.level;
        input[17] = self.attempt;
        input[18..18 + what.len()].copy_from_slice(what);
        *Digest::of(&input[..18 + what.len()]).as_bytes()
    }

    /// The equation of a serial number among `unknowns`, which are [`WIDTH`] at least.
    pub(super) fn equation(&self, serial: &Serial, unknowns: u32) -> Equation {
        let digest = self.digest(serial.as_bytes());
        let (start, rest) = digest.split_at(4);
        let scale = u64::from(u32::from_be_bytes([start[0], start[1], start[2], start[3]]));
        let starts = u64::from(unknowns.saturating_sub(WIDTH)) + 1;
        let mut coefficients = [0; 16];
        coefficients.copy_from_slice(&rest[..16]);
        Equation {
            // Both factors have 32 bits, and the upper half of their product is smaller than either.
            start: u32::try_from((scale * starts) >> 32).unwrap_or(0),
            coefficients: u128::from_le_bytes(coefficients) | 1,
        }
    }

    /// Bits for unknowns that no equation decides: the same for everybody who builds this filter.
    fn free_bits(&self, column: u8, block: u32) -> [u8; 32] {
        let [a, b, c, d] = block.to_be_bytes();
        self.digest(&[column, a, b, c, d])
    }
}

/// The bits of one column, the lowest bit of the first octet first.
pub(super) fn octets(unknowns: u32) -> usize {
    // 2^29 at most, which every platform of ours can index.
    unknowns.div_ceil(8) as usize
}

impl Equation {
    /// The left side, for the unknowns as they stand in `column`. Bits beyond its end count as 0.
    pub(super) fn of(self, column: &[u8]) -> bool {
        let at = (self.start / 8) as usize;
        let shift = self.start % 8;
        let mut window = [0; 16];
        let here = column.get(at..).unwrap_or_default();
        let whole = here.len().min(16);
        window[..whole].copy_from_slice(&here[..whole]);
        let mut bits = u128::from_le_bytes(window) >> shift;
        if shift > 0
            && let Some(last) = here.get(16)
        {
            bits |= u128::from(*last) << (WIDTH - shift);
        }
        (bits & self.coefficients).count_ones() % 2 == 1
    }
}

/// Equations in echelon form: the one in row n begins with unknown n.
pub(super) struct Band {
    /// 0: no equation begins here.
    rows: Vec<u128>,
    /// The right sides, which are the same in every column but for the last level.
    ones: Vec<bool>,
}

impl Band {
    pub(super) fn new(unknowns: u32) -> Self {
        Self { rows: vec![0; unknowns as usize], ones: vec![false; unknowns as usize] }
    }

    /// Adds an equation; `false` when it contradicts those before. One whose right side is 0 among others of that kind
    /// never does.
    pub(super) fn add(&mut self, equation: Equation, mut right: bool) -> bool {
        let Equation { start, mut coefficients } = equation;
        let mut at = start as usize;
        loop {
            // An equation never reaches beyond the last unknown: it did not at first, and rows it meets do not either.
            let row = &mut self.rows[at];
            if *row == 0 {
                *row = coefficients;
                self.ones[at] = right;
                return true;
            }
            coefficients ^= *row;
            right ^= self.ones[at];
            if coefficients == 0 {
                return !right;
            }
            let zeros = coefficients.trailing_zeros();
            coefficients >>= zeros;
            at += zeros as usize;
        }
    }

    /// One solution, from the last unknown to the first.
    pub(super) fn solve(&self, hashing: &Hashing, column: u8) -> Vec<u8> {
        let mut solution = vec![0; self.rows.len().div_ceil(8)];
        let mut window: u128 = 0;
        let (mut block, mut free) = (u32::MAX, [0; 32]);
        for at in (0..self.rows.len()).rev() {
            window <<= 1;
            let row = self.rows[at];
            let bit = if row == 0 {
                // 256 of them come from one hash.
                let wanted = u32::try_from(at / 256).unwrap_or(0);
                if block != wanted {
                    (block, free) = (wanted, hashing.free_bits(column, wanted));
                }
                free[at / 8 % 32] >> (at % 8) & 1 == 1
            } else {
                ((row & window).count_ones() % 2 == 1) ^ self.ones[at]
            };
            window |= u128::from(bit);
            solution[at / 8] |= u8::from(bit) << (at % 8);
        }
        solution
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemRandom, Timestamp};

    fn serials(count: usize) -> Vec<Serial> {
        (0..count).map(|_| Serial::generate(Timestamp::from_secs(1_800_000_000), &SystemRandom)).collect()
    }

    #[test]
    fn a_solution_satisfies_every_equation_that_was_taken() {
        for (count, unknowns) in [(1, 128), (60, 128), (128, 200), (1000, 1200), (20_000, 21_500)] {
            let hashing = Hashing { salt: [7; 16], level: 2, attempt: 0 };
            let mut band = Band::new(unknowns);
            let mut taken = Vec::new();
            for (n, serial) in serials(count).iter().enumerate() {
                let equation = hashing.equation(serial, unknowns);
                assert!(equation.start + WIDTH <= unknowns, "it stays inside");
                if band.add(equation, n % 3 == 0) {
                    taken.push((equation, n % 3 == 0));
                }
            }
            assert!(taken.len() * 10 >= count * 9, "{} of {count}", taken.len());
            let column = band.solve(&hashing, 0);
            assert_eq!(column.len(), octets(unknowns));
            assert!(taken.iter().all(|(equation, right)| equation.of(&column) == *right));
        }
    }

    /// However many there are: 0 on all right sides has a solution, and not the empty one alone.
    #[test]
    fn equations_that_are_all_zero_never_contradict() {
        let hashing = Hashing { salt: [1; 16], level: 1, attempt: 0 };
        let serials = serials(5000);
        let mut band = Band::new(5400);
        assert!(serials.iter().all(|serial| band.add(hashing.equation(serial, 5400), false)));
        let columns = [band.solve(&hashing, 0), band.solve(&hashing, 1)];
        assert_ne!(columns[0], columns[1]);
        for column in columns {
            assert!(serials.iter().all(|serial| !hashing.equation(serial, 5400).of(&column)));
            assert!(column.iter().any(|octet| *octet != 0));
        }
    }

    #[test]
    fn the_sum_is_that_of_single_bits() {
        let column: Vec<u8> = (0..40u8).map(|n| n.wrapping_mul(73) ^ 0x5a).collect();
        let bit = |n: u32| column.get((n / 8) as usize).is_some_and(|octet| octet >> (n % 8) & 1 == 1);
        for start in 0..320 {
            let coefficients = (u128::from(start) << 90 | 0xdead_beef_0bad_cafe << 31) | 1;
            let slow = (0..WIDTH).filter(|n| coefficients >> n & 1 == 1 && bit(start + n)).count() % 2 == 1;
            assert_eq!(Equation { start, coefficients }.of(&column), slow, "{start}");
        }
    }
}
