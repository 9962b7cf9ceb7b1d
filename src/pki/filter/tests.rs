//! A filter against the certificates it was made from, and against whoever changes it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::clock::SystemRandom;
use crate::keys::KeyKind;
use crate::pki::testing::{TestCa, TestKey};

const NOW: Timestamp = Timestamp::EPOCH;

fn now() -> Timestamp {
    NOW + Duration::from_secs(1_800_000_000)
}

fn template(ca_key: Digest) -> FilterTemplate {
    FilterTemplate {
        ca_key,
        number: 7,
        this_update: now(),
        next_update: now() + Duration::from_secs(3600),
        covered_to: now() - Duration::from_secs(300),
        events: EventNumber(99),
    }
}

/// Certificates by serial number: are they revoked?
type Known = BTreeMap<Serial, bool>;

fn known(good: usize, revoked: usize) -> Known {
    let at = now() - Duration::from_secs(86_400);
    (0..good + revoked).map(|n| (Serial::generate(at, &SystemRandom), n < revoked)).collect()
}

fn build(known: &Known) -> RevocationFilter {
    build_for(known, Digest::of(b"a key"))
}

fn build_for(known: &Known, ca_key: Digest) -> RevocationFilter {
    let source = |see: See<'_>| {
        known.iter().for_each(|(serial, revoked)| see(serial, *revoked));
        Ok::<(), Infallible>(())
    };
    template(ca_key).build(source).unwrap()
}

fn assert_exact(filter: &RevocationFilter, known: &Known) {
    for (serial, revoked) in known {
        let answer = if *revoked { Answer::Revoked } else { Answer::Good };
        assert_eq!(filter.of_serial(serial.as_bytes()), answer, "{serial}");
    }
}

/// Exact for all it covers, whatever share is revoked: none, few, half, most, all.
#[test]
fn no_covered_certificate_is_answered_wrongly() {
    for (good, revoked) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
        (5000, 0),
        (0, 5000),
        (5000, 1),
        (1, 5000),
        (9900, 100),
        (2500, 2500),
        (500, 4500),
        (30_000, 300),
    ] {
        let known = known(good, revoked);
        let filter = build(&known);
        assert_eq!((filter.facts.covered, filter.facts.revoked), ((good + revoked) as u64, revoked as u64));
        assert_exact(&filter, &known);
        let read = RevocationFilter::from_bytes(&filter.to_bytes()).unwrap();
        assert_eq!(read, filter);
    }
}

/// 1 % revoked takes a tenth of a bit for each certificate; so does 1 % good.
#[test]
fn it_is_small() {
    for (good, revoked) in [(99_000, 1000), (1000, 99_000)] {
        let length = build(&known(good, revoked)).to_bytes().len();
        assert!((1000..1400).contains(&length), "{length} octets");
    }
    assert_eq!(build(&known(100_000, 0)).to_bytes().len(), form::HEAD);
}

/// The stated bound: among numbers that it does not cover, so many are called revoked and no more.
#[test]
fn what_is_not_covered_is_called_revoked_as_often_as_is_said() {
    for (good, revoked) in [(20_000, 200), (200, 20_000), (1000, 1000)] {
        let filter = build(&known(good, revoked));
        let strangers = known(40_000, 0);
        let called = strangers.keys().filter(|serial| filter.look_up(serial)).count();
        let said = filter.revoked_by_chance() * 40_000.0;
        // Six standard deviations.
        let slack = 6.0 * (said * (1.0 - filter.revoked_by_chance())).sqrt();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let called = called as f64;
        assert!((called - said).abs() < slack, "{called} of 40000, said {said}");
    }
    let all_good = build(&known(100, 0));
    assert!(all_good.revoked_by_chance() == 0.0);
}

#[test]
fn what_it_does_not_cover_it_does_not_answer() {
    let filter = build(&known(100, 3));
    let bound = filter.facts.covered_to;
    let later = Serial::generate(bound + Duration::from_millis(1), &SystemRandom);
    assert_eq!(filter.of_serial(later.as_bytes()), Answer::NotCovered(NotCovered::IssuedLater));
    let just = Serial::generate(bound, &SystemRandom);
    assert!(!matches!(filter.of_serial(just.as_bytes()), Answer::NotCovered(_)));
    for foreign in [&[][..], &[1], &[0x7f; 15], &[0xff; 16], &[0; 17], &[1; 20]] {
        assert_eq!(filter.of_serial(foreign), Answer::NotCovered(NotCovered::ForeignSerial));
    }
    assert_eq!(build(&Known::new()).of_serial(&[1; 16]), Answer::NotCovered(NotCovered::Nothing));
}

#[test]
fn the_same_certificates_give_the_same_octets_and_another_number_gives_others() {
    let known = known(3000, 40);
    assert_eq!(build(&known).to_bytes(), build(&known).to_bytes());
    let source = |see: See<'_>| {
        known.iter().rev().for_each(|(serial, revoked)| see(serial, *revoked));
        Ok::<(), Infallible>(())
    };
    let next = FilterTemplate { number: 8, ..template(Digest::of(b"a key")) }.build(source).unwrap();
    assert_ne!(next.columns, build(&known).columns);
    assert_exact(&next, &known);
}

/// A source that fails, or shows other certificates than before, gives an error and never a filter that lies.
#[test]
fn a_source_that_is_not_steady_is_an_error() {
    let failing = template(Digest::of(b"a key")).build(|_| Err("the disk is gone"));
    assert_eq!(failing, Err(FilterError::Source("the disk is gone")));
    let serial = Serial::generate(now(), &SystemRandom);
    let both = template(Digest::of(b"a key")).build(|see| {
        see(&serial, true);
        see(&serial, false);
        Ok::<(), Infallible>(())
    });
    assert_eq!(both, Err(FilterError::Unsteady));
}

/// There is one way to write a filter: whatever else is changed in its head or its size is refused, and nothing panics.
#[test]
fn a_head_that_contradicts_itself_is_refused() {
    let bytes = build(&known(3000, 40)).to_bytes();
    for length in 0..bytes.len() {
        assert!(RevocationFilter::from_bytes(&bytes[..length]).is_err(), "{length}");
    }
    assert!(RevocationFilter::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    let with = |at: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + value.len()].copy_from_slice(value);
        RevocationFilter::from_bytes(&changed)
    };
    assert_eq!(with(0, b"X"), Err(NotAFilter::Magic));
    assert_eq!(with(8, &[2]), Err(NotAFilter::Version(2)));
    let huge = [0xff; 8];
    for (at, value) in [
        (9, &[0][..]),
        (9, &[33]),
        (9, &[255]),
        (11, &[1]),
        (12, &huge[..4]),
        (12, &[0; 4]),
        (12, &127u32.to_be_bytes()),
        (16, &huge[..4]),
        (16, &[0; 4]),
        (28, &huge),
        (36, &huge),
        (36, &[0; 8]),
        (44, &huge),
        (60, &[0; 8]),
        (68, &huge),
        (68, &[0; 8]),
    ] {
        assert!(with(at, value).is_err(), "{value:?} at {at}");
    }
}

/// Every bit of a signed filter counts, for both kinds of CA keys.
#[test]
fn a_changed_or_foreign_signature_is_refused() {
    for (key, kind) in [(TestKey::p256(), KeyKind::P256), (TestKey::p384(), KeyKind::P384)] {
        let public = key.public();
        let filter = build_for(&known(500, 5), public.digest());
        let unsigned = SignedFilter::new(&filter, public.key_id(), kind);
        let der = unsigned.assemble(&key.sign(unsigned.bytes())).unwrap();
        assert_eq!(open(&der, &public).as_ref(), Ok(&filter));
        for other in [TestKey::p256(), TestKey::p384()] {
            assert_eq!(open(&der, &other.public()), Err(NotSigned::Signature));
        }
        assert!(matches!(open(&der, &TestKey::ed25519().public()), Err(NotSigned::Key(_))));
        for length in 0..der.len() {
            assert!(open(&der[..length], &public).is_err());
        }
        assert!(open(&[&der[..], &[0]].concat(), &public).is_err());
        for bit in 0..der.len() * 8 {
            let mut changed = der.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed, &public).is_err(), "bit {bit}");
        }
        // Signed by this CA, for another one's certificates: no CA does that, so somebody was deceived.
        let stray = SignedFilter::new(&build(&known(5, 1)), public.key_id(), kind);
        let der = stray.assemble(&key.sign(stray.bytes())).unwrap();
        assert_eq!(open(&der, &public), Err(NotSigned::OtherCa));
    }
}

/// By certificate, the issuer and the end count too.
#[test]
fn a_certificate_of_another_issuer_is_not_covered() {
    let (ca, other) = (TestCa::root(), TestCa::root());
    let key = ca.certificate.public_key().unwrap();
    let filter = build_for(&known(10, 1), key.digest());
    // Two roots of the same name: the signature tells them apart.
    assert_eq!(ca.certificate.subject_der(), other.certificate.subject_der());
    assert_eq!(
        filter.of_certificate(&other.certificate, &ca.certificate),
        Answer::NotCovered(NotCovered::OtherIssuer)
    );
    assert_ne!(
        filter.of_certificate(&ca.certificate, &ca.certificate),
        Answer::NotCovered(NotCovered::OtherIssuer)
    );
    assert_eq!(
        filter.of_certificate(&other.certificate, &other.certificate),
        Answer::NotCovered(NotCovered::OtherIssuer),
        "a filter for one CA is none for another"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_share_is_exact(good in 0usize..1500, revoked in 0usize..1500) {
        let known = known(good, revoked);
        let read = RevocationFilter::from_bytes(&build(&known).to_bytes()).unwrap();
        assert_exact(&read, &known);
    }

    #[test]
    fn any_octets_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), head in any::<bool>()) {
        if head {
            let good = build(&known(60, 7)).to_bytes();
            let length = bytes.len().min(20);
            bytes.splice(..length, good[..20].iter().copied());
        }
        if let Ok(filter) = RevocationFilter::from_bytes(&bytes) {
            prop_assert_eq!(&filter.to_bytes(), &bytes);
            filter.look_up(&Serial::from_bytes([9; 16]));
        }
        let key = TestKey::p256().public();
        prop_assert!(open(&bytes, &key).is_err());
    }
}
