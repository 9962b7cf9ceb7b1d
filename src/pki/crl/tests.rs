//! Lists read by other parsers, written the same by other encoders.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use const_oid::db::rfc5280;
use der::{Decode, Encode};
use proptest::prelude::*;
use webpki::{BorrowedCertRevocationList, CertRevocationList};
use x509_cert::crl::CertificateList;

use super::*;
use crate::clock::{SystemRandom, Timestamp};
use crate::ids::{Reason, Serial, Standing};
use crate::pki::testing::{TestCa, day};

fn template(ca: &TestCa) -> CrlTemplate {
    CrlTemplate {
        issuer: ca.certificate.subject().clone(),
        this_update: day("2026-11-23T10:00:00Z"),
        next_update: day("2026-11-24T10:00:00Z"),
        number: 0x80,
        authority_key_id: ca.certificate.public_key().unwrap().key_id(),
        signer: ca.kind,
        scope: None,
        base: None,
        freshest: None,
    }
}

const URL: &str = "http://status.example.test/crl/operational/3.crl";
const DELTA_URL: &str = "http://status.example.test/crl/operational/3-delta.crl";

fn shard(ca: &TestCa) -> CrlTemplate {
    let scope = Scope { names: vec![URL.to_owned()], users_only: true };
    CrlTemplate { scope: Some(scope), freshest: Some(DELTA_URL.to_owned()), ..template(ca) }
}

fn delta(ca: &TestCa) -> CrlTemplate {
    CrlTemplate { base: Some(0x7f), freshest: None, ..shard(ca) }
}

fn signed(ca: &TestCa, template: &CrlTemplate, entries: &[CrlEntry]) -> Vec<u8> {
    let to_be_signed = template.to_be_signed(entries).unwrap();
    let signature = ca.key.sign(to_be_signed.bytes());
    to_be_signed.assemble(&signature).unwrap()
}

fn entry(since: Timestamp, reason: Reason, invalid_since: Option<Timestamp>) -> CrlEntry {
    let serial = Serial::generate(since, &SystemRandom);
    CrlEntry { serial, since, standing: Standing::Revoked { reason, invalid_since } }
}

fn entries(count: usize) -> Vec<CrlEntry> {
    let start = day("2026-01-01");
    (0..count)
        .map(|n| {
            let at = start + Duration::from_secs(u64::try_from(n).unwrap() * 60);
            entry(at, Reason::ALL[n % Reason::ALL.len()], (n % 5 == 0).then_some(start))
        })
        .collect()
}

/// C01, C02, C03, C04, C17: read by two other parsers, written the same by another encoder.
#[test]
fn other_implementations_agree() {
    let ca = TestCa::root();
    for count in [0, 1, 40, 2000] {
        let listed = entries(count);
        let der = signed(&ca, &template(&ca), &listed);
        let other = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
        assert_eq!(other.to_der().unwrap(), der);
        let tbs = other.tbs_cert_list;
        assert_eq!(tbs.version, x509_cert::Version::V2);
        assert_eq!(tbs.issuer.to_der().unwrap(), ca.certificate.subject_der());
        assert_eq!(tbs.revoked_certificates.is_none(), count == 0);
        assert_eq!(tbs.crl_extensions.unwrap().len(), 2);

        let webpki = BorrowedCertRevocationList::from_der(&der).unwrap();
        let webpki = CertRevocationList::from(webpki);
        for entry in &listed {
            let found = webpki.find_serial(entry.serial.as_bytes()).unwrap().unwrap();
            let Standing::Revoked { reason, invalid_since } = entry.standing else { unreachable!() };
            let code = found.reason_code.map_or(0, |reason| reason as u8);
            assert_eq!(code, reason.code());
            assert_eq!(found.revocation_date.as_secs(), entry.since.secs());
            assert_eq!(found.invalidity_date.map(|d| d.as_secs()), invalid_since.map(|d| d.secs()));
        }
        verify_signed_by(&der, &ca.certificate.public_key().unwrap()).unwrap();
    }
}

/// C03: dates of entries and of the list take their other form from 2050 on, also where lengths are reckoned.
#[test]
fn entries_of_every_length_are_der() {
    let ca = TestCa::root();
    for since in [day("1970-01-01"), day("2049-12-31T23:59:59Z"), day("2050-01-01"), Timestamp::FOREVER] {
        for first in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut bytes = [0xa5; 16];
            bytes[0] = first;
            let serial = Serial::from_bytes(bytes);
            let standings = [None, Some(since)]
                .into_iter()
                .flat_map(|invalid_since| {
                    Reason::ALL.map(|reason| Standing::Revoked { reason, invalid_since })
                })
                .chain([Standing::Released]);
            for standing in standings {
                let der = signed(&ca, &delta(&ca), &[CrlEntry { serial, since, standing }]);
                let other = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(&der).unwrap();
                assert_eq!(other.to_der().unwrap(), der, "{since} {first:x} {standing:?}");
            }
        }
    }
}

/// C07, C09, C12, C13, C14, C16, B27, B28: what a shard and its delta carry, and nothing else, to the byte.
#[test]
fn a_shard_and_its_delta_name_their_scope() {
    let ca = TestCa::root();
    let url: Vec<u8> = [&[0x86, 48][..], URL.as_bytes()].concat();
    let names: Vec<u8> = [&[0xa0, 52, 0xa0, 50][..], &url].concat();
    let idp: Vec<u8> = [&[0x30, 57][..], &names, &[0x81, 1, 0xff]].concat();
    let plain: Vec<u8> = [&[0x30, 54][..], &names].concat();
    let point = crate::pki::extensions::crl_distribution_point(URL).unwrap();
    let in_certificate = point.extn_value.as_bytes();
    assert!(
        in_certificate.ends_with(&names),
        "the name of the scope is that of the certificate, byte for byte"
    );

    let value = |der: &[u8], oid| {
        let list = CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der).unwrap();
        let extensions = list.tbs_cert_list.crl_extensions.unwrap();
        extensions
            .iter()
            .find(|it| it.extn_id == oid)
            .map(|it| (it.critical, it.extn_value.as_bytes().to_vec()))
    };
    let (complete, delta_list) = (signed(&ca, &shard(&ca), &[]), signed(&ca, &delta(&ca), &entries(2)));
    for der in [&complete, &delta_list] {
        assert_eq!(value(der, rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT), Some((true, idp.clone())));
        BorrowedCertRevocationList::from_der(&complete).unwrap();
    }
    let mut both = shard(&ca);
    both.scope.as_mut().unwrap().users_only = false;
    let written = value(&signed(&ca, &both, &[]), rfc5280::ID_CE_ISSUING_DISTRIBUTION_POINT);
    assert_eq!(written, Some((true, plain)), "a flag that is FALSE is not written (B28)");

    assert_eq!(value(&complete, rfc5280::ID_CE_DELTA_CRL_INDICATOR), None);
    let (critical, freshest) = value(&complete, rfc5280::ID_CE_FRESHEST_CRL).unwrap();
    assert!(!critical);
    assert!(freshest.ends_with(DELTA_URL.as_bytes()));
    assert_eq!(value(&delta_list, rfc5280::ID_CE_DELTA_CRL_INDICATOR), Some((true, vec![2, 1, 0x7f])));
    assert_eq!(value(&delta_list, rfc5280::ID_CE_FRESHEST_CRL), None);

    let (read, read_delta) = (parse(&complete).unwrap(), parse(&delta_list).unwrap());
    assert_eq!(read.scope, shard(&ca).scope);
    assert_eq!((read.base, read.freshest), (None, vec![DELTA_URL.to_owned()]));
    assert_eq!((read_delta.scope, read_delta.base), (read.scope, Some(0x7f)));
}

/// C12, B27: a release is said with removeFromCRL and no other reason.
#[test]
fn a_release_is_remove_from_crl() {
    let ca = TestCa::root();
    let since = day("2026-11-20");
    let serial = Serial::generate(since, &SystemRandom);
    let der = signed(&ca, &delta(&ca), &[CrlEntry { serial, since, standing: Standing::Released }]);
    let mut seen = Vec::new();
    parse_each(&der, |entry| seen.push(entry)).unwrap();
    assert_eq!((seen[0].own_serial(), seen[0].revoked_at, seen[0].reason), (Some(serial), since, Some(8)));
}

#[test]
fn a_summary_says_what_the_template_said() {
    let ca = TestCa::root();
    let listed = entries(3);
    let said = template(&ca);
    let der = signed(&ca, &said, &listed);
    let mut seen = Vec::new();
    let summary = parse_each(&der, |entry| seen.push(entry)).unwrap();
    assert_eq!(summary.issuer, said.issuer);
    assert_eq!((summary.this_update, summary.next_update), (said.this_update, Some(said.next_update)));
    assert_eq!((summary.number, summary.entries), (Some(0x80), 3));
    assert_eq!(summary.authority_key_id.unwrap(), said.authority_key_id);
    assert_eq!((summary.scope, summary.base, summary.freshest), (None, None, Vec::new()));
    for (seen, listed) in seen.iter().zip(&listed) {
        let Standing::Revoked { reason, .. } = listed.standing else { unreachable!() };
        assert_eq!((seen.own_serial(), seen.revoked_at), (Some(listed.serial), listed.since));
        assert_eq!(seen.reason, (reason.code() != 0).then_some(reason.code()));
    }
}

/// In parts and at once, the same octets: at every size at which a length takes one octet more.
#[test]
fn the_parts_are_the_whole() {
    let ca = TestCa::root();
    for count in [0, 1, 2, 3, 4, 5, 6, 1500, 1700] {
        let listed = entries(count);
        let whole = shard(&ca).to_be_signed(&listed).unwrap();
        let mut list = Vec::new();
        listed.iter().for_each(|entry| put_entry(&mut list, entry));
        let frame = shard(&ca).frame(list.len() as u64).unwrap();
        let message = [frame.before(), &list, frame.after()].concat();
        assert_eq!(message, whole.bytes());
        let signature = ca.key.sign(&message);
        let (begin, end) = frame.seal(&signature).unwrap();
        assert_eq!([begin, message, end].concat(), whole.assemble(&signature).unwrap());
    }
}

#[test]
fn what_makes_no_list_is_refused() {
    let ca = TestCa::root();
    let mut reversed = template(&ca);
    reversed.next_update = day("2026-11-01");
    assert!(matches!(reversed.to_be_signed(&[]), Err(BuildError::TimesReversed { .. })));
    let mut empty = shard(&ca);
    empty.scope.as_mut().unwrap().names.clear();
    assert!(matches!(empty.to_be_signed(&[]), Err(BuildError::Empty(_))), "never an empty scope (C14)");
    assert!(shard(&ca).frame(0).unwrap().seal(&[7; 64]).is_err());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            let ca = TestCa::root();
            signed(&ca, &shard(&ca), &entries(5))
        });
        let mut der = GOOD.clone();
        let at = at.index(der.len());
        der[at] = byte;
        let _ = parse(&der);
    }
}
