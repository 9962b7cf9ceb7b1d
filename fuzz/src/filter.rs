//! Revocation filters: their octets, what they answer, and the CMS around them.

use vitae::ids::Serial;
use vitae::pki::filter::{Answer, NotCovered, RevocationFilter, open};
use vitae::pki::key::PublicKey;

use super::by_hand;

/// What stands before the columns.
const HEAD: usize = 124;

/// The input as a filter, and as a signed one: was it read as the first?
pub fn check(data: &[u8]) -> bool {
    let key = PublicKey::from_spki_der(&by_hand::public_key(3)).expect("it is a key");
    // Nobody signs with this key here.
    assert!(open(data, &key).is_err());
    let Ok(filter) = RevocationFilter::from_bytes(data) else { return false };
    assert_eq!(filter.to_bytes(), data, "there is one way to write a filter");
    let facts = filter.facts();
    assert!(facts.revoked <= facts.covered && facts.this_update < facts.next_update);
    // The size is what the head says, by another arithmetic.
    let number =
        |at: usize| usize::try_from(u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]));
    let (first, second) = (number(12).expect("32 bits"), number(16).expect("32 bits"));
    assert_eq!(data.len(), HEAD + usize::from(data[9]) * first.div_ceil(8) + second.div_ceil(8));
    for n in 0..64 {
        let mut serial = [n; 16];
        // Some are numbered before what is covered, some after.
        serial[..2].copy_from_slice(&[0, n % 3]);
        let answer = filter.of_serial(&serial);
        let later = Serial::from_bytes(serial).time() > facts.covered_to;
        assert_eq!(later, answer == Answer::NotCovered(NotCovered::IssuedLater));
        assert_eq!(answer, filter.of_serial(&serial));
        if facts.revoked == 0 {
            assert_ne!(answer, Answer::Revoked);
        }
        assert_eq!(filter.of_serial(&serial[1..]), Answer::NotCovered(NotCovered::ForeignSerial));
    }
    true
}
