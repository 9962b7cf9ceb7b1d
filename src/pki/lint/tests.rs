//! Good certificates pass, and each spoilt one is caught by its rule.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use der::asn1::OctetString;
use x509_cert::ext::Extension;

use super::*;
use crate::clock::Timestamp;
use crate::ids::Serial;
use crate::pki::certificate::CertificateTemplate;
use crate::pki::extensions::{self as build, KeyUsages};
use crate::pki::name::{NameAttribute, build_name, dns, uri};
use crate::pki::testing::{TestCa, TestKey, day, issue};

const SAN: &str = "2.5.29.17";
const BC: &str = "2.5.29.19";
const KU: &str = "2.5.29.15";
const EKU: &str = "2.5.29.37";
const SKI: &str = "2.5.29.14";
const AKI: &str = "2.5.29.35";
const CRLDP: &str = "2.5.29.31";
const AIA: &str = "1.3.6.1.5.5.7.1.1";
const POLICIES: &str = "2.5.29.32";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const NO_REV_AVAIL: &str = "2.5.29.56";
const NO_CHECK: &str = "1.3.6.1.5.5.7.48.1.5";

fn raw(oid: &str, critical: bool, value: &[u8]) -> Extension {
    Extension { extn_id: oid.parse().unwrap(), critical, extn_value: OctetString::new(value).unwrap() }
}

fn without(template: &mut CertificateTemplate, oid: &str) {
    template.extensions.retain(|extension| extension.extn_id.to_string() != oid);
}

fn with(template: &mut CertificateTemplate, extension: Extension) {
    without(template, &extension.extn_id.to_string());
    template.extensions.push(extension);
}

fn rules(findings: &[Finding]) -> Vec<&'static str> {
    let mut rules: Vec<_> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// A CA below the root.
fn sub_ca(ca: &TestCa, key: &TestKey) -> CertificateTemplate {
    let mut template = ca.leaf(key);
    template.subject = build_name(&[(NameAttribute::CommonName, "Devices")]).unwrap();
    without(&mut template, SAN);
    without(&mut template, EKU);
    with(&mut template, build::basic_constraints_ca(Some(0)));
    with(&mut template, build::key_usage(KeyUsages::KeyCertSign | KeyUsages::CRLSign).unwrap());
    template
}

#[test]
fn good_certificates_pass() {
    let ca = TestCa::root();
    let root = ca.certificate.der();
    assert_eq!(lint_certificate(root, Some(root)), []);
    for key in [TestKey::p256(), TestKey::p384(), TestKey::p521(), TestKey::ed25519(), TestKey::rsa()] {
        assert_eq!(lint_certificate(&ca.issue(ca.leaf(&key)), Some(root)), []);
    }
    let (sub_key, leaf_key) = (TestKey::p384(), TestKey::p256());
    let sub = ca.issue(sub_ca(&ca, &sub_key));
    assert_eq!(lint_certificate(&sub, Some(root)), []);
    let mut leaf = ca.leaf(&leaf_key);
    leaf.issuer = sub_ca(&ca, &sub_key).subject;
    leaf.signer = crate::keys::KeyKind::P384;
    with(&mut leaf, build::authority_key_id(sub_key.public().key_id()));
    assert_eq!(lint_certificate(&issue(leaf, &sub_key), Some(&sub)), []);

    let mut signer = ca.leaf(&leaf_key);
    with(&mut signer, build::extended_key_usage(&["1.3.6.1.5.5.7.3.9".parse().unwrap()], false).unwrap());
    with(&mut signer, build::ocsp_no_check());
    assert_eq!(lint_certificate(&ca.issue(signer), Some(root)), []);

    let mut brief = ca.leaf(&leaf_key);
    without(&mut brief, CRLDP);
    without(&mut brief, AIA);
    with(&mut brief, build::no_revocation_available());
    brief.subject = build_name(&[]).unwrap();
    with(&mut brief, build::subject_alt_name(&[dns("pump-1.example.test").unwrap()], true).unwrap());
    assert_eq!(lint_certificate(&ca.issue(brief), Some(root)), []);
}

type Spoil = fn(&mut CertificateTemplate);

#[test]
fn spoilt_end_entities_are_caught() {
    let ca = TestCa::root();
    let cases: &[(&str, &str, Spoil)] = &[
        ("serial zero", "P01", |t| t.serial = Serial::from_bytes([0; 16])),
        ("serial with a high bit", "", |t| t.serial = Serial::from_bytes([0xff; 16])),
        ("serial short", "P01", |t| {
            t.serial = Serial::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9])
        }),
        ("issuer spelt otherwise", "P03", |t| {
            t.issuer = build_name(&[(NameAttribute::CommonName, "Root")]).unwrap();
        }),
        ("outlives its issuer", "P05", |t| t.not_after = Timestamp::FOREVER),
        ("older than its issuer", "P05", |t| t.not_before = day("2025-12-31")),
        ("empty subject", "P06", |t| t.subject = build_name(&[]).unwrap()),
        ("empty SAN", "P07", |t| with(t, raw(SAN, false, &[0x30, 0]))),
        ("wildcard", "P07", |t| with(t, raw(SAN, false, b"\x30\x05\x82\x03*.a"))),
        ("empty DNS name", "P07", |t| with(t, raw(SAN, false, b"\x30\x02\x82\x00"))),
        ("DNS name of a space", "P07", |t| with(t, raw(SAN, false, b"\x30\x03\x82\x01 "))),
        ("IP of 5 octets", "P07", |t| with(t, raw(SAN, false, b"\x30\x07\x87\x05abcde"))),
        ("relative URI", "P07", |t| with(t, raw(SAN, false, b"\x30\x04\x86\x02/a"))),
        ("URI without host", "P07", |t| with(t, raw(SAN, false, b"\x30\x0a\x86\x08http:///"))),
        ("e-mail without host", "P07", |t| with(t, raw(SAN, false, b"\x30\x04\x81\x02a@"))),
        ("hardwareModuleName of text", "P09", |t| {
            with(
                t,
                raw(SAN, false, b"\x30\x11\xa0\x0f\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x04\xa0\x03\x0c\x01a"),
            );
        }),
        ("no AKI", "P11", |t| without(t, AKI)),
        ("another AKI", "P11", |t| with(t, build::authority_key_id([1; 20]))),
        ("empty AKI", "P11", |t| with(t, raw(AKI, false, &[0x30, 0]))),
        ("critical SKI", "P11", |t| with(t, raw(SKI, true, &[4, 1, 1]))),
        ("cA FALSE written out", "P12", |t| with(t, raw(BC, true, &[0x30, 3, 1, 1, 0]))),
        ("path length of no CA", "P12", |t| with(t, raw(BC, true, &[0x30, 3, 2, 1, 0]))),
        ("KU not critical", "P13", |t| with(t, raw(KU, false, &[3, 2, 7, 0x80]))),
        ("KU empty", "P13", |t| with(t, raw(KU, true, &[3, 1, 0]))),
        ("KU all zero", "P13", |t| with(t, raw(KU, true, &[3, 2, 7, 0]))),
        ("KU with trailing zeros", "P13", |t| with(t, raw(KU, true, &[3, 2, 0, 0x80]))),
        ("KU with a zero octet", "P13", |t| with(t, raw(KU, true, &[3, 3, 7, 0x80, 0]))),
        ("keyCertSign in no CA", "P13", |t| with(t, build::key_usage(KeyUsages::KeyCertSign).unwrap())),
        ("EC enciphers", "P13", |t| with(t, build::key_usage(KeyUsages::KeyEncipherment).unwrap())),
        ("no EKU, no hardware name (B11)", "P14", |t| {
            without(t, EKU);
            with(t, build::subject_alt_name(&[uri("urn:dev:ops:x").unwrap()], false).unwrap());
        }),
        ("EKU empty (B16)", "P14", |t| with(t, raw(EKU, false, &[0x30, 0]))),
        ("anyExtendedKeyUsage", "P14", |t| {
            with(t, build::extended_key_usage(&["2.5.29.37.0".parse().unwrap()], false).unwrap());
        }),
        ("CRLDP critical", "P15", |t| {
            let mut extension = build::crl_distribution_point("http://h.test/").unwrap();
            extension.critical = true;
            with(t, extension);
        }),
        ("CRLDP by ldap", "P15", |t| {
            with(t, raw(CRLDP, false, b"\x30\x0f\x30\x0d\xa0\x0b\xa0\x09\x86\x07ldap://"));
        }),
        ("CRLDP without a name", "P15", |t| with(t, raw(CRLDP, false, &[0x30, 2, 0x30, 0]))),
        ("AIA empty", "P15", |t| with(t, raw(AIA, false, &[0x30, 0]))),
        ("AIA critical", "P15", |t| {
            let mut extension = build::authority_info_access(Some("http://h.test/"), None).unwrap();
            extension.critical = true;
            with(t, extension);
        }),
        ("policy twice", "P16", |t| {
            with(t, raw(POLICIES, false, &[0x30, 12, 0x30, 4, 6, 2, 0x2a, 3, 0x30, 4, 6, 2, 0x2a, 3]));
        }),
        ("nameConstraints in no CA", "P16", |t| {
            with(t, raw(NAME_CONSTRAINTS, true, b"\x30\x07\xa0\x05\x30\x03\x82\x01a"));
        }),
        ("noRevAvail and CRLDP", "P17", |t| with(t, build::no_revocation_available())),
        ("noRevAvail critical", "P17", |t| {
            without(t, CRLDP);
            without(t, AIA);
            with(t, raw(NO_REV_AVAIL, true, &[5, 0]));
        }),
        ("nocheck without OCSPSigning", "O23", |t| with(t, build::ocsp_no_check())),
        ("nocheck not NULL", "P23", |t| with(t, raw(NO_CHECK, false, &[4, 0]))),
        ("SAN not DER", "P23", |t| with(t, raw(SAN, false, &[0x30, 0x81, 3, 0x82, 1, 97]))),
        ("policies not DER", "P23", |t| with(t, raw(POLICIES, false, b"?"))),
    ];
    for (name, rule, spoil) in cases {
        let mut template = ca.leaf(&TestKey::p256());
        spoil(&mut template);
        let found = lint_certificate(&ca.issue(template), Some(ca.certificate.der()));
        if rule.is_empty() {
            assert_eq!(found, [], "{name}");
        } else {
            assert!(rules(&found).contains(rule), "{name}: {found:?}");
        }
    }
}

#[test]
fn spoilt_cas_are_caught() {
    let ca = TestCa::root();
    let cases: &[(&str, &str, Spoil)] = &[
        ("no name", "P06", |t| t.subject = build_name(&[]).unwrap()),
        ("no SKI", "P11", |t| without(t, SKI)),
        ("BC not critical", "P12", |t| with(t, raw(BC, false, &[0x30, 3, 1, 1, 0xff]))),
        ("no KU", "P13", |t| without(t, KU)),
        ("no keyCertSign", "P13", |t| with(t, build::key_usage(KeyUsages::CRLSign).unwrap())),
        ("OCSPSigning", "O22", |t| {
            with(t, build::extended_key_usage(&["1.3.6.1.5.5.7.3.9".parse().unwrap()], false).unwrap());
        }),
        ("nameConstraints not critical", "P16", |t| {
            with(t, raw(NAME_CONSTRAINTS, false, b"\x30\x07\xa0\x05\x30\x03\x82\x01a"));
        }),
        ("nameConstraints empty", "P16", |t| with(t, raw(NAME_CONSTRAINTS, true, &[0x30, 0]))),
        ("noRevAvail", "P17", |t| with(t, build::no_revocation_available())),
    ];
    for (name, rule, spoil) in cases {
        let mut template = sub_ca(&ca, &TestKey::p256());
        spoil(&mut template);
        let found = lint_certificate(&ca.issue(template), Some(ca.certificate.der()));
        assert!(rules(&found).contains(rule), "{name}: {found:?}");
    }
}

#[test]
fn a_wrong_issuer_is_caught() {
    let (ca, stranger, device) = (TestCa::root(), TestCa::root(), TestKey::p256());
    let leaf = ca.issue(ca.leaf(&device));
    assert_eq!(rules(&lint_certificate(&leaf, Some(stranger.certificate.der()))), ["P02", "P11"]);
    assert_eq!(rules(&lint_certificate(&leaf, Some(b"junk"))), ["P03"]);
    assert_eq!(lint_certificate(&leaf, None), []);

    // Issued by an end entity.
    let mut below = ca.leaf(&TestKey::p256());
    below.issuer = ca.leaf(&device).subject;
    with(&mut below, build::authority_key_id(device.public().key_id()));
    assert_eq!(rules(&lint_certificate(&issue(below, &device), Some(&leaf))), ["P12", "P13"]);

    // A CA below one that may have none.
    let sub_key = TestKey::p256();
    let sub_template = sub_ca(&ca, &sub_key);
    let mut below = sub_ca(&ca, &TestKey::p256());
    below.issuer = sub_template.subject.clone();
    below.subject = build_name(&[(NameAttribute::CommonName, "Below")]).unwrap();
    with(&mut below, build::authority_key_id(sub_key.public().key_id()));
    let sub = ca.issue(sub_template);
    assert_eq!(rules(&lint_certificate(&issue(below, &sub_key), Some(&sub))), ["P12"]);

    // The CA's own key in a device's certificate.
    let same_key = ca.issue(ca.leaf(&ca.key));
    assert_eq!(rules(&lint_certificate(&same_key, Some(ca.certificate.der()))), ["P22"]);
}

/// Changes below the template: bytes are put in after building, then signed again.
#[test]
fn spoilt_bytes_are_caught() {
    let ca = TestCa::root();
    let good = ca.leaf(&TestKey::p256()).to_be_signed().unwrap().bytes().to_vec();
    let rebuilt = |from: &[u8], to: &[u8], outer: &[u8]| {
        assert_eq!(from.len(), to.len());
        let at = good.windows(from.len()).position(|window| window == from).unwrap();
        let mut tbs = good.clone();
        tbs[at..at + to.len()].copy_from_slice(to);
        crate::pki::tlv::nested(0x30, |out| {
            out.extend_from_slice(&tbs);
            out.extend_from_slice(outer);
            crate::pki::tlv::put_bits(out, &ca.key.sign(&tbs));
        })
    };
    let ecdsa = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let sha384 = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
    let mut with_null = vec![0x30, 0x0c];
    with_null.extend(&ecdsa[2..]);
    with_null.extend([5, 0]);
    let lint = |der: Vec<u8>| rules(&lint_certificate(&der, Some(ca.certificate.der())));
    assert_eq!(lint(rebuilt(&ecdsa, &ecdsa, &ecdsa)), Vec::<&str>::new());
    assert_eq!(lint(rebuilt(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", &ecdsa)), ["P01"], "version 2");
    assert_eq!(lint(rebuilt(&ecdsa, &sha384, &ecdsa)), ["P02"], "inner differs");
    assert_eq!(lint(rebuilt(&ecdsa, &ecdsa, &with_null)), ["P02"], "NULL parameters");
    assert_eq!(
        lint(rebuilt(b"\x17\x0d260201000000Z", b"\x17\x0d260201000000+", &ecdsa)),
        ["P23"],
        "a time without Z does not even parse"
    );
    let mut unsigned = ca.certificate.der().to_vec();
    *unsigned.last_mut().unwrap() ^= 1;
    assert!(lint(unsigned).contains(&"P02"), "signature");
    assert_eq!(
        rules(&lint_certificate(&[ca.certificate.der(), &[0]].concat(), None)),
        ["P23"],
        "trailing byte"
    );
    assert_eq!(rules(&lint_certificate(&[], None)), ["P23"]);

    let mut general = ca.leaf(&TestKey::p256());
    general.not_after = day("2051-01-01");
    let tbs = general.to_be_signed().unwrap().bytes().to_vec();
    let at = tbs.windows(6).position(|window| window == b"\x18\x0f2051").unwrap();
    let mut early = tbs.clone();
    early[at + 2..at + 6].copy_from_slice(b"2031");
    let der = crate::pki::tlv::nested(0x30, |out| {
        out.extend_from_slice(&early);
        out.extend_from_slice(&ecdsa);
        crate::pki::tlv::put_bits(out, &ca.key.sign(&early));
    });
    assert!(lint(der).contains(&"P04"), "GeneralizedTime before 2050");
}

#[test]
fn duplicate_extensions_and_odd_subjects_are_caught() {
    let ca = TestCa::root();
    // The builder refuses both, so the bytes are written by hand.
    let mut template = ca.leaf(&TestKey::p256());
    with(&mut template, build::subject_alt_name(&[uri("urn:a:b").unwrap()], false).unwrap());
    with(&mut template, raw("1.2.3.4", false, b""));
    with(&mut template, raw("1.2.3.5", false, b""));
    let mut tbs = template.to_be_signed().unwrap().bytes().to_vec();
    let at = tbs.windows(5).position(|window| window == b"\x06\x03\x2a\x03\x05").unwrap();
    tbs[at + 4] = 4;
    let cn = tbs.windows(8).position(|window| window == b"\x0c\x06pump-1").unwrap();
    tbs[cn] = 0x14;
    let der = crate::pki::tlv::nested(0x30, |out| {
        out.extend_from_slice(&tbs);
        out.extend_from_slice(&[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
        crate::pki::tlv::put_bits(out, &ca.key.sign(&tbs));
    });
    assert_eq!(rules(&lint_certificate(&der, Some(ca.certificate.der()))), ["P03", "P16"]);
}
