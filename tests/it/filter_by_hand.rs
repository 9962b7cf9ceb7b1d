//! A second reading of revocation filters, bit by bit and by `docs/FILTER.md` alone: what somebody would write in C.

use sha2::{Digest, Sha256};
use vitae::clock::{SystemRandom, Timestamp};
use vitae::ids::{self, EventNumber, Serial};
use vitae::pki::filter::{Answer, FilterTemplate};

struct ByHand<'a> {
    bytes: &'a [u8],
}

impl ByHand<'_> {
    fn number(&self, at: usize, octets: usize) -> u64 {
        self.bytes[at..at + octets].iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
    }

    fn size(&self, at: usize) -> usize {
        usize::try_from(self.number(at, 4)).unwrap()
    }

    /// The sum modulo 2, of a column that begins at `column`.
    fn sum(&self, column: usize, m: usize, level: u8, attempt: u8, serial: &[u8]) -> u8 {
        let d = Sha256::new()
            .chain_update(&self.bytes[108..124])
            .chain_update([level, attempt])
            .chain_update(serial)
            .finalize();
        let first = d[..4].iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
        let start = usize::try_from(first * (m as u64 - 127) / (1 << 32)).unwrap();
        let bit = |octets: &[u8], n: usize| octets[n / 8] >> (n % 8) & 1;
        let mut a = d[4..20].to_vec();
        a[0] |= 1;
        let column = &self.bytes[column..];
        (0..128).map(|n| bit(&a, n) & bit(column, start + n)).fold(0, |sum, term| sum ^ term)
    }

    fn is_revoked(&self, serial: &[u8]) -> bool {
        let (rank, attempt) = (usize::from(self.bytes[9]), self.bytes[10]);
        let (m1, m2) = (self.size(12), self.size(16));
        let (covered, revoked) = (self.number(60, 8), self.number(68, 8));
        if m2 == 0 {
            return revoked > 0;
        }
        let column = |n: usize| 124 + n * m1.div_ceil(8);
        let in_set = (0..rank).all(|n| self.sum(column(n), m1, 1, 0, serial) == 0)
            && self.sum(column(rank), m2, 2, attempt, serial) == 1;
        in_set == (2 * revoked <= covered)
    }
}

/// Both readings agree, on what is covered and on what is not.
#[test]
fn the_document_is_enough_to_read_a_filter() {
    let at = Timestamp::from_secs(1_800_000_000);
    for (covered, revoked) in
        [(1, 0), (1, 1), (2000, 0), (2000, 1), (2000, 30), (2000, 1000), (2000, 1990), (40, 40)]
    {
        let serials: Vec<Serial> = (0..covered).map(|_| Serial::generate(at, &SystemRandom)).collect();
        let template = FilterTemplate {
            ca_key: ids::Digest::of(b"a key"),
            number: 3,
            this_update: at,
            next_update: at + std::time::Duration::from_secs(60),
            covered_to: at,
            events: EventNumber(1),
        };
        let built = template.build(|see| {
            serials.iter().enumerate().for_each(|(n, serial)| see(serial, n < revoked));
            Ok::<(), String>(())
        });
        let filter = built.unwrap();
        let bytes = filter.to_bytes();
        let by_hand = ByHand { bytes: &bytes };
        for (n, serial) in serials.iter().enumerate() {
            assert_eq!(by_hand.is_revoked(serial.as_bytes()), n < revoked, "{revoked} of {covered}");
        }
        for _ in 0..500 {
            let stranger = Serial::generate(at, &SystemRandom);
            let ours = filter.of_serial(stranger.as_bytes()) == Answer::Revoked;
            assert_eq!(by_hand.is_revoked(stranger.as_bytes()), ours);
        }
    }
}
