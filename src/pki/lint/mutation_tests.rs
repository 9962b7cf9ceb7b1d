//! A good certificate, written field by field and spoilt in one of them: each rule of the profile catches its own.
//!
//! Whatever of this pkilint 0.13 calls an error or a warning is caught here too. The other way round it asks for more than
//! RFC 5280 does in one thing: that URIs and host names have a public domain, which a URN and `localhost` have not.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::{Issuer, lint_issued};
use crate::pki::testing::{TestCa, TestKey, oid, spki};
use crate::pki::tlv::{self, nested, put};

const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
const RSA_SHA256: &[u8] = b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";

const CN: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";
const COUNTRY: &str = "2.5.4.6";
const SKI: &str = "2.5.29.14";
const KU: &str = "2.5.29.15";
const SAN: &str = "2.5.29.17";
const BC: &str = "2.5.29.19";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const CRLDP: &str = "2.5.29.31";
const POLICIES: &str = "2.5.29.32";
const AKI: &str = "2.5.29.35";
const EKU: &str = "2.5.29.37";
const FRESHEST_CRL: &str = "2.5.29.46";
const NO_REV_AVAIL: &str = "2.5.29.56";
const AIA: &str = "1.3.6.1.5.5.7.1.1";

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;

/// A certificate before it is signed; each field is the whole element, ready to be spoilt.
#[derive(Clone)]
struct Raw {
    version: Vec<u8>,
    serial: Vec<u8>,
    inner_algorithm: Vec<u8>,
    outer_algorithm: Vec<u8>,
    issuer: Vec<u8>,
    not_before: Vec<u8>,
    not_after: Vec<u8>,
    subject: Vec<u8>,
    spki: Vec<u8>,
    /// Between the key and the extensions.
    unique_ids: Vec<u8>,
    extensions: Vec<RawExtension>,
    /// What is signed is the certificate before this is done to it.
    after_signing: fn(&mut Vec<u8>),
}

#[derive(Clone)]
struct RawExtension {
    kind: String,
    critical: Vec<u8>,
    value: Vec<u8>,
}

impl Raw {
    /// What a device gets.
    fn good(ca: &TestCa, key: &TestKey) -> Self {
        let extensions = ca.leaf(key).extensions.into_iter().map(|extension| RawExtension {
            kind: extension.extn_id.to_string(),
            critical: if extension.critical { tlv::BOOLEAN_TRUE.to_vec() } else { Vec::new() },
            value: extension.extn_value.as_bytes().to_vec(),
        });
        Self {
            version: vec![0xa0, 3, 2, 1, 2],
            serial: element(2, &[0x11; 16]),
            inner_algorithm: ECDSA_SHA256.to_vec(),
            outer_algorithm: ECDSA_SHA256.to_vec(),
            issuer: ca.certificate.subject_der().to_vec(),
            not_before: element(0x17, b"260201000000Z"),
            not_after: element(0x17, b"270201000000Z"),
            subject: name(&[(SERIAL_NUMBER, PRINTABLE, b"BR000001"), (CN, UTF8, b"pump-1")]),
            spki: key.spki(),
            unique_ids: Vec::new(),
            extensions: extensions.collect(),
            after_signing: |_| {},
        }
    }

    fn sign(&self, ca: &TestCa) -> Vec<u8> {
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(RawExtension::encoded).collect();
        let message = nested(tlv::SEQUENCE, |out| {
            for field in [&self.version, &self.serial, &self.inner_algorithm, &self.issuer] {
                out.extend_from_slice(field);
            }
            put(out, tlv::SEQUENCE, &[&self.not_before[..], &self.not_after].concat());
            out.extend_from_slice(&self.subject);
            out.extend_from_slice(&self.spki);
            out.extend_from_slice(&self.unique_ids);
            if !extensions.is_empty() {
                tlv::nest(out, 0xa3, |out| put(out, tlv::SEQUENCE, &extensions.concat()));
            }
        });
        let mut der = nested(tlv::SEQUENCE, |out| {
            out.extend_from_slice(&message);
            out.extend_from_slice(&self.outer_algorithm);
            tlv::put_bits(out, &ca.key.sign(&message));
        });
        (self.after_signing)(&mut der);
        der
    }

    fn algorithms(&mut self, algorithm: &[u8]) {
        self.inner_algorithm = algorithm.to_vec();
        self.outer_algorithm = algorithm.to_vec();
    }

    fn without(&mut self, kind: &str) {
        self.extensions.retain(|extension| extension.kind != kind);
    }

    fn with(&mut self, kind: &str, critical: bool, value: &[u8]) {
        self.without(kind);
        let critical = if critical { tlv::BOOLEAN_TRUE.to_vec() } else { Vec::new() };
        self.extensions.push(RawExtension { kind: kind.to_owned(), critical, value: value.to_vec() });
    }

    fn extension(&self, kind: &str) -> &RawExtension {
        self.extensions.iter().find(|extension| extension.kind == kind).unwrap()
    }

    fn critical(&mut self, kind: &str, critical: bool) {
        let value = self.extension(kind).value.clone();
        self.with(kind, critical, &value);
    }

    /// A SAN of these encoded GeneralNames.
    fn names(&mut self, names: &[Vec<u8>]) {
        self.with(SAN, false, &sequence(names));
    }

    fn purposes(&mut self, purposes: &[&str]) {
        self.with(EKU, false, &sequence(&purposes.iter().map(|purpose| oid(purpose)).collect::<Vec<_>>()));
    }

    /// A policy with this qualifier.
    fn qualified(&mut self, qualifier: &str, value: &[u8]) {
        let qualifiers = sequence(&[sequence(&[oid(qualifier), value.to_vec()])]);
        self.with(POLICIES, false, &sequence(&[sequence(&[oid("1.3.6.1.4.1.32473.2"), qualifiers])]));
    }
}

impl RawExtension {
    fn encoded(&self) -> Vec<u8> {
        sequence(&[oid(&self.kind), self.critical.clone(), element(4, &self.value)])
    }
}

fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    nested(tag, |out| out.extend_from_slice(value))
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

fn pair(kind: &str, tag: u8, value: &[u8]) -> Vec<u8> {
    sequence(&[oid(kind), element(tag, value)])
}

/// A Name with one attribute in each RDN.
fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let rdns: Vec<_> =
        attributes.iter().map(|(kind, tag, value)| element(0x31, &pair(kind, *tag, value))).collect();
    sequence(&rdns)
}

fn uri(text: &str) -> Vec<u8> {
    element(0x86, text.as_bytes())
}

fn dns(text: &str) -> Vec<u8> {
    element(0x82, text.as_bytes())
}

fn other_name(kind: &str, value: &[u8]) -> Vec<u8> {
    element(0xa0, &[oid(kind), element(0xa0, value)].concat())
}

/// A DistributionPoint of these parts.
fn point(parts: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[sequence(parts)])
}

fn full_name(names: &[Vec<u8>]) -> Vec<u8> {
    element(0xa0, &element(0xa0, &names.concat()))
}

fn access(method: &str, location: &[u8]) -> Vec<u8> {
    sequence(&[oid(method), location.to_vec()])
}

const OCSP: &str = "1.3.6.1.5.5.7.48.1";
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";
const HARDWARE: &str = "1.3.6.1.5.5.7.8.4";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

type Spoil = fn(&mut Raw);

const CASES: &[(&str, &str, Spoil)] = &[
    ("P01", "version 1 with extensions", |c| c.version = vec![]),
    ("P01", "version 2", |c| c.version = vec![0xa0, 3, 2, 1, 1]),
    ("P01", "serial zero", |c| c.serial = vec![2, 1, 0]),
    ("P01", "serial negative", |c| c.serial = element(2, &[0x91; 16])),
    ("P01", "serial of 21 octets", |c| c.serial = element(2, &[0x11; 21])),
    ("P01", "serial of 7 octets", |c| c.serial = element(2, &[0x11; 7])),
    ("P01", "a unique identifier", |c| c.unique_ids = vec![0x82, 2, 0, 1]),
    ("P02", "inner algorithm another", |c| c.inner_algorithm[11] = 3),
    ("P02", "ECDSA with NULL", |c| {
        c.algorithms(&sequence(&[ECDSA_SHA256[2..].to_vec(), vec![5, 0]]));
    }),
    ("P02", "RSA without NULL", |c| c.algorithms(RSA_SHA256)),
    ("P02", "ECDSA with SHA-1", |c| c.algorithms(b"\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")),
    ("P02", "signature of other bytes", |c| c.after_signing = |der| der[20] ^= 1),
    ("P03", "issuer in another string type", |c| {
        let at = c.issuer.windows(6).position(|window| window == b"\x0c\x04Root").unwrap();
        c.issuer[at] = PRINTABLE;
    }),
    ("P03", "subject in TeletexString", |c| c.subject = name(&[(CN, 0x14, b"pump-1")])),
    ("P03", "subject in BMPString", |c| c.subject = name(&[(CN, 0x1e, b"\0p\0u")])),
    ("P03", "subject in IA5String", |c| c.subject = name(&[(CN, 0x16, b"pump-1")])),
    ("P03", "e-mail in the subject", |c| {
        c.subject = name(&[("1.2.840.113549.1.9.1", 0x16, b"pump@example.test")]);
    }),
    ("P03", "empty attribute", |c| c.subject = name(&[(CN, UTF8, b"")])),
    ("P03", "common name of 65 characters", |c| c.subject = name(&[(CN, UTF8, &[b'x'; 65])])),
    ("P03", "organization of 65 characters", |c| c.subject = name(&[("2.5.4.10", UTF8, &[b'x'; 65])])),
    ("P03", "serialNumber of 65 characters", |c| {
        c.subject = name(&[(SERIAL_NUMBER, PRINTABLE, &[b'1'; 65])]);
    }),
    ("P03", "serialNumber in UTF8String", |c| c.subject = name(&[(SERIAL_NUMBER, UTF8, b"BR000001")])),
    ("P03", "country of three letters", |c| c.subject = name(&[(COUNTRY, PRINTABLE, b"DEU")])),
    ("P03", "country in UTF8String", |c| c.subject = name(&[(COUNTRY, UTF8, b"DE")])),
    ("P03", "an asterisk in a PrintableString", |c| c.subject = name(&[(CN, PRINTABLE, b"pump*")])),
    ("P03", "a NUL in the common name", |c| c.subject = name(&[(CN, UTF8, b"pump-1\0")])),
    ("P03", "two attributes of one kind in an RDN", |c| {
        c.subject = sequence(&[element(0x31, &[pair(CN, UTF8, b"a"), pair(CN, UTF8, b"b")].concat())]);
    }),
    ("P23", "P04, UTCTime without seconds", |c| c.not_after = element(0x17, b"2702010000Z")),
    ("P23", "P04, UTCTime with an offset", |c| c.not_after = element(0x17, b"270201000000+0000")),
    ("P04", "GeneralizedTime before 2050", |c| c.not_after = element(0x18, b"20270201000000Z")),
    ("P23", "P04, a fraction of a second", |c| c.not_after = element(0x18, b"20510201000000.5Z")),
    ("P05", "ends after its issuer", |c| c.not_after = element(0x18, b"99991231235959Z")),
    ("P05", "begins before its issuer", |c| c.not_before = element(0x17, b"251231235959Z")),
    ("P05", "ends before it begins", |c| c.not_after = element(0x17, b"260131235959Z")),
    ("P06", "empty subject and SAN not critical", |c| c.subject = vec![0x30, 0]),
    ("P06", "empty subject and no SAN", |c| {
        c.subject = vec![0x30, 0];
        c.without(SAN);
    }),
    ("P06", "SAN critical beside a subject", |c| c.critical(SAN, true)),
    ("P07", "empty SAN", |c| c.names(&[])),
    ("P07", "DNS name empty", |c| c.names(&[dns("")])),
    ("P07", "DNS name of a blank", |c| c.names(&[dns(" ")])),
    ("P07", "DNS name with a dot behind", |c| c.names(&[dns("pump.example.test.")])),
    ("P07", "DNS name with an underscore", |c| c.names(&[dns("pump_1.example.test")])),
    ("P07", "DNS name with a NUL", |c| c.names(&[dns("pump.example.test\0")])),
    ("P07", "DNS name with a wildcard", |c| c.names(&[dns("*.example.test")])),
    ("P07", "DNS name that is an address", |c| c.names(&[dns("192.0.2.7")])),
    ("P07", "DNS name with a label of 64", |c| c.names(&[dns(&format!("{}.test", "x".repeat(64)))])),
    ("P07", "IP address of 5 octets", |c| c.names(&[element(0x87, &[192, 0, 2, 7, 24])])),
    ("P07", "IP address and mask", |c| c.names(&[element(0x87, &[192, 0, 2, 0, 255, 255, 255, 0])])),
    ("P07", "URI without scheme", |c| c.names(&[uri("//pump.example.test/")])),
    ("P07", "URI without host", |c| c.names(&[uri("https:///a")])),
    ("P07", "URI with a blank", |c| c.names(&[uri("urn:dev:a b")])),
    ("P07", "URI empty", |c| c.names(&[uri("")])),
    ("P07", "e-mail address without host", |c| c.names(&[element(0x81, b"pump@")])),
    ("P07", "e-mail address with two hosts", |c| c.names(&[element(0x81, b"a@b@example.test")])),
    ("P07", "directory name empty", |c| c.names(&[element(0xa4, &[0x30, 0])])),
    ("P09", "hardwareModuleName of text", |c| c.names(&[other_name(HARDWARE, &element(UTF8, b"x"))])),
    ("P09", "hardwareModuleName without serial number", |c| {
        c.names(&[other_name(HARDWARE, &sequence(&[oid("1.2.3")]))]);
    }),
    ("P09", "hardwareModuleName with an empty serial number", |c| {
        c.names(&[other_name(HARDWARE, &sequence(&[oid("1.2.3"), vec![4, 0]]))]);
    }),
    ("P09", "a user principal name", |c| {
        c.names(&[other_name("1.3.6.1.4.1.311.20.2.3", &element(UTF8, b"root@example.test"))]);
    }),
    ("P10", "hardware without serialNumber in the subject", |c| {
        c.subject = name(&[(CN, UTF8, b"pump-1")]);
        c.without(EKU);
    }),
    ("P11", "no AKI", |c| c.without(AKI)),
    ("P11", "AKI of another key", |c| c.with(AKI, false, &sequence(&[element(0x80, &[7; 20])]))),
    ("P11", "AKI by issuer and serial", |c| {
        let directory = element(0xa1, &element(0xa4, &c.issuer));
        c.with(AKI, false, &sequence(&[directory, element(0x82, &[1])]));
    }),
    ("P11", "AKI with the issuer beside the key", |c| {
        let own = c.extension(AKI).value[2..].to_vec();
        let directory = element(0xa1, &element(0xa4, &c.issuer));
        c.with(AKI, false, &sequence(&[own, directory]));
    }),
    ("P11", "AKI critical", |c| c.critical(AKI, true)),
    ("P11", "SKI critical", |c| c.critical(SKI, true)),
    ("P11", "SKI empty", |c| c.with(SKI, false, &[4, 0])),
    ("P11", "no SKI", |c| c.without(SKI)),
    ("P12", "path length in no CA", |c| c.with(BC, true, &[0x30, 3, 2, 1, 0])),
    ("P12", "cA FALSE written out", |c| c.with(BC, true, &[0x30, 3, 1, 1, 0])),
    ("P12", "a CA with basicConstraints not critical", |c| {
        c.with(BC, false, &[0x30, 3, 1, 1, 0xff]);
        c.with(KU, true, &[3, 2, 1, 6]);
    }),
    ("P13", "P12, a CA without keyCertSign that has a path length", |c| {
        c.with(BC, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0]);
    }),
    ("P13", "keyUsage not critical", |c| c.critical(KU, false)),
    ("P13", "keyUsage without a bit", |c| c.with(KU, true, &[3, 1, 0])),
    ("P13", "keyUsage with zeros behind", |c| c.with(KU, true, &[3, 2, 0, 0x80])),
    ("P13", "keyUsage of ten bits", |c| c.with(KU, true, &[3, 3, 6, 0x80, 0x40])),
    ("P13", "keyCertSign in no CA", |c| c.with(KU, true, &[3, 2, 2, 4])),
    ("P13", "an EC key that enciphers", |c| c.with(KU, true, &[3, 2, 5, 0x20])),
    ("P13", "encipherOnly without keyAgreement", |c| c.with(KU, true, &[3, 2, 0, 0x81])),
    ("P14", "no purposes", |c| {
        c.without(EKU);
        c.names(&[uri("urn:dev:a")]);
    }),
    ("P14", "purposes empty", |c| c.purposes(&[])),
    ("P14", "any purpose", |c| c.purposes(&[CLIENT_AUTH, "2.5.29.37.0"])),
    ("P14", "a purpose twice", |c| c.purposes(&[CLIENT_AUTH, CLIENT_AUTH])),
    ("P15", "CRLDP critical", |c| c.critical(CRLDP, true)),
    ("P15", "CRLDP empty", |c| c.with(CRLDP, false, &sequence(&[]))),
    ("P15", "CRLDP of reasons alone", |c| c.with(CRLDP, false, &point(&[vec![0x81, 2, 1, 6]]))),
    ("P15", "CRLDP for some reasons", |c| {
        c.with(CRLDP, false, &point(&[full_name(&[uri("http://h.test/a.crl")]), vec![0x81, 2, 1, 6]]));
    }),
    ("P15", "CRLDP by https", |c| {
        c.with(CRLDP, false, &point(&[full_name(&[uri("https://h.test/a.crl")])]));
    }),
    ("P15", "CRLDP of another issuer", |c| {
        let issuer = element(0xa2, &element(0xa4, &c.issuer));
        c.with(CRLDP, false, &point(&[full_name(&[uri("http://h.test/a.crl")]), issuer]));
    }),
    ("P15", "CRLDP relative to the issuer", |c| {
        c.with(CRLDP, false, &point(&[element(0xa0, &element(0xa1, &pair(CN, UTF8, b"crl")))]));
    }),
    ("P15", "AIA critical", |c| c.critical(AIA, true)),
    ("P15", "AIA empty", |c| c.with(AIA, false, &sequence(&[]))),
    ("P15", "AIA by ldap", |c| {
        c.with(AIA, false, &sequence(&[access(CA_ISSUERS, &uri("ldap://h.test/"))]));
    }),
    ("P15", "AIA that is no URI", |c| c.with(AIA, false, &sequence(&[access(OCSP, &dns("h.test"))]))),
    ("P15", "AIA of another method", |c| {
        c.with(AIA, false, &sequence(&[access("1.2.3.4", &uri("http://h.test/"))]));
    }),
    ("P16", "an extension twice", |c| {
        let again = c.extensions[0].clone();
        c.extensions.push(again);
    }),
    // What a request might ask for and nobody grants (B06).
    ("P16", "issuerAltName", |c| c.with("2.5.29.18", false, &sequence(&[uri("http://h.test/")]))),
    ("P16", "subjectDirectoryAttributes", |c| c.with("2.5.29.9", false, &sequence(&[]))),
    ("P16", "policyMappings", |c| {
        c.with("2.5.29.33", true, &sequence(&[sequence(&[oid("1.2.3"), oid("1.2.4")])]));
    }),
    ("P16", "policyConstraints", |c| c.with("2.5.29.36", true, &sequence(&[vec![0x80, 1, 0]]))),
    ("P16", "inhibitAnyPolicy", |c| c.with("2.5.29.54", true, &[2, 1, 0])),
    ("P16", "subjectInfoAccess", |c| {
        let access = access("1.3.6.1.5.5.7.48.5", &uri("http://h.test/"));
        c.with("1.3.6.1.5.5.7.1.11", false, &sequence(&[access]));
    }),
    ("P16", "an extension that nobody knows", |c| c.with("1.2.3.4", true, tlv::NULL)),
    ("P16", "policies empty", |c| c.with(POLICIES, false, &sequence(&[]))),
    ("P16", "a policy twice", |c| {
        let policy = sequence(&[oid("1.3.6.1.4.1.32473.2")]);
        c.with(POLICIES, false, &sequence(&[policy.clone(), policy]));
    }),
    ("P16", "a notice of 201 characters", |c| {
        c.qualified("1.3.6.1.5.5.7.2.2", &sequence(&[element(UTF8, &[b'x'; 201])]));
    }),
    ("P16", "a notice in IA5String", |c| {
        c.qualified("1.3.6.1.5.5.7.2.2", &sequence(&[element(0x16, b"notice")]));
    }),
    ("P16", "an unknown qualifier", |c| c.qualified("1.2.3.4", &[5, 0])),
    ("P16", "nameConstraints in no CA", |c| {
        c.with(NAME_CONSTRAINTS, true, &sequence(&[element(0xa0, &sequence(&[dns("a.test")]))]));
    }),
    ("P17", "noRevAvail and CRLDP", |c| {
        c.without(AIA);
        c.with(NO_REV_AVAIL, false, tlv::NULL);
    }),
    ("P17", "noRevAvail and OCSP", |c| {
        c.without(CRLDP);
        c.with(NO_REV_AVAIL, false, tlv::NULL);
    }),
    ("P17", "noRevAvail and freshestCRL", |c| {
        c.without(AIA);
        c.without(CRLDP);
        c.with(FRESHEST_CRL, false, &point(&[full_name(&[uri("http://h.test/a.crl")])]));
        c.with(NO_REV_AVAIL, false, tlv::NULL);
    }),
    ("P17", "noRevAvail critical", |c| {
        c.without(AIA);
        c.without(CRLDP);
        c.with(NO_REV_AVAIL, true, tlv::NULL);
    }),
    ("P18", "SmtpUTF8Mailbox", |c| {
        c.names(&[other_name("1.3.6.1.5.5.7.8.9", &element(UTF8, "pümp@example.test".as_bytes()))]);
    }),
    ("P22", "EC key with explicit parameters", |c| {
        let explicit = sequence(&[vec![2, 1, 1], sequence(&[oid("1.2.840.10045.1.1"), vec![2, 1, 7]])]);
        c.spki = spki("1.2.840.10045.2.1", Some(&explicit), &[4; 65]);
    }),
    ("P22", "EC key on another curve", |c| {
        c.spki = spki("1.2.840.10045.2.1", Some(&oid("1.3.132.0.10")), &[4; 65]);
    }),
    ("P22", "EC key compressed", |c| {
        c.spki = spki("1.2.840.10045.2.1", Some(&oid("1.2.840.10045.3.1.7")), &[2; 33]);
    }),
    ("P22", "RSA key without NULL", |c| c.spki = spki("1.2.840.113549.1.1.1", None, &[0x30, 0])),
    ("P22", "key of an unknown algorithm", |c| c.spki = spki("1.2.3.4", None, &[4; 65])),
    ("P23", "serial with a zero in front", |c| c.serial = element(2, &[&[0][..], &[0x11; 15]].concat())),
    ("P23", "criticality FALSE written out", |c| c.extensions[0].critical = vec![1, 1, 0]),
    ("P23", "an octet behind", |c| c.after_signing = |der| der.push(0)),
];

/// P01, P02, P03, P04, P05, P06, P07, P09, P10, P11, P12, P13, P14, P15, P16, P17, P18, P22, P23: one certificate is spoilt
/// in one way after another, and each rule finds its own.
#[test]
fn each_rule_catches_its_own() {
    let (ca, key) = (TestCa::root(), TestKey::p256());
    let issuer = Issuer::read(ca.certificate.der());
    let good = Raw::good(&ca, &key);
    assert_eq!(lint_issued(&good.sign(&ca), &issuer), []);
    let mut missed = Vec::new();
    for (rule, case, spoil) in CASES {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        let found = lint_issued(&spoilt.sign(&ca), &issuer);
        if !found.iter().any(|finding| finding.rule == *rule) {
            missed.push(format!("{rule} {case}: {found:?}"));
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}
