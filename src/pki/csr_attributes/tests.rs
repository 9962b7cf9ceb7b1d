//! The bytes of the RFCs, another parser's view of ours, and what a client does with them.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use der::asn1::{Any, AnyRef, BitString, SetOfVec};
use der::{Decode, Encode, Tag, Tagged};
use proptest::prelude::*;
use x509_cert::attr::Attribute;

use super::*;
use crate::pki::body::decode_base64;
use crate::pki::csr::VerifiedCsr;
use crate::pki::extensions::{KeyUsages, extended_key_usage, key_usage, subject_alt_name};
use crate::pki::name::{dns, ip};
use crate::pki::testing::{RawCsr, TestKey, attribute, oid, raw_extension};
use crate::pki::tlv;

const CHALLENGE: &str = "1.2.840.113549.1.9.7";
const EXTENSION_REQUEST: &str = "1.2.840.113549.1.9.14";
const TEMPLATE: &str = "1.2.840.113549.1.9.16.2.61";
const OPEN_EXTENSIONS: &str = "1.2.840.113549.1.9.16.2.62";
const EC: &str = "1.2.840.10045.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";
const P256: &str = "1.2.840.10045.3.1.7";
const SAN: &str = "2.5.29.17";
const KEY_USAGE: &str = "2.5.29.15";
const EKU: &str = "2.5.29.37";
const COMMON_NAME: &str = "2.5.4.3";
const SERIAL_NUMBER: &str = "2.5.4.5";
const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";

fn id(text: &str) -> ObjectIdentifier {
    text.parse().unwrap()
}

fn read(base64: &str) -> CsrAttributes {
    CsrAttributes::from_der(&decode_base64(base64.as_bytes()).unwrap()).unwrap()
}

fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| out.extend(parts.concat()))
}

/// What the shipped profile of a device would say: names to fill in, purposes given.
fn of_a_device() -> CsrAttributes {
    CsrAttributes {
        subject: vec![
            SubjectPart::to_fill_in(id(COMMON_NAME)),
            SubjectPart { kind: id(SERIAL_NUMBER), value: Some("BR000001".to_owned()) },
        ],
        extensions: vec![
            key_usage(KeyUsages::DigitalSignature).unwrap().into(),
            extended_key_usage(&[id("1.3.6.1.5.5.7.3.2")], false).unwrap().into(),
            ExtensionWanted::to_fill_in(id(SAN)),
        ],
        challenge_password: true,
        ..CsrAttributes::for_key(PublicKeyKind::P256)
    }
}

/// The elements of an encoded list, each on its own, by another parser.
fn elements(der: &[u8]) -> Vec<Any> {
    Vec::<Any>::from_der(der).unwrap()
}

fn attributes_of(der: &[u8]) -> Vec<Attribute> {
    let sequences = elements(der).into_iter().filter(|element| element.tag() == Tag::Sequence);
    sequences.map(|element| element.decode_as().unwrap()).collect()
}

fn template_of(der: &[u8]) -> Vec<u8> {
    let template = attributes_of(der).into_iter().find(|attribute| attribute.oid == id(TEMPLATE)).unwrap();
    let [value] = template.values.as_slice() else { panic!("{:?}", template.values) };
    value.to_der().unwrap()
}

/// E54: nothing to say is an empty SEQUENCE.
#[test]
fn nothing_to_say_is_an_empty_list() {
    assert!(CsrAttributes::default().is_empty());
    assert_eq!(CsrAttributes::default().to_der(), [0x30, 0x00]);
    assert_eq!(CsrAttributes::from_der(&[0x30, 0x00]).unwrap(), CsrAttributes::default());
    assert!(!CsrAttributes::for_key(PublicKeyKind::P256).is_empty());
}

/// E55, RFC 9908 section 5.4: a challenge password, an RSA key of 4096 bits, SHA-256.
#[test]
fn the_rsa_example_of_the_rfc_is_read_and_written() {
    const EXAMPLE: &str = "MCkGCSqGSIb3DQEJBzARBgkqhkiG9w0BAQExBAICEAAGCSqGSIb3DQEBCw==";
    let wanted = CsrAttributes {
        challenge_password: true,
        ..CsrAttributes::for_key(PublicKeyKind::Rsa { bits: 4096 })
    };
    assert_eq!(read(EXAMPLE), wanted);
    // The template comes after the list of the example, and changes nothing in it.
    let example = elements(&decode_base64(EXAMPLE.as_bytes()).unwrap());
    let ours = elements(&wanted.to_der());
    assert_eq!(ours[..3], example);
    assert_eq!(ours.len(), 4);
}

/// RFC 9908 section 5.3: a subjectAltName with its value, beside an EC key.
#[test]
fn the_extension_example_of_the_rfc_is_read() {
    let specific = read(
        "MGcGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMDwG\nCSqGSIb3DQEJDjEvMC0wKwYDVR0RBCQwIqAgBggrBgEFBQcI\n\
         CqAUFhJwb3RhdG9AZXhhbXBsZS5jb20GCCqGSM49BAMD\n",
    );
    assert_eq!(specific.key, Some(PublicKeyKind::P384.into()));
    assert_eq!(specific.signature, Some(id("1.2.840.10045.4.3.3")));
    assert!(specific.challenge_password);
    let [name] = &specific.extensions[..] else { panic!("{specific:?}") };
    assert_eq!((name.kind, name.critical), (id(SAN), false));
    assert!(name.value.as_ref().unwrap().ends_with(b"potato@example.com"));
}

/// E56, E59: the example of RFC 7030 section 4.5.2 is wrong, and servers send it: its bare OID asks for nothing.
#[test]
fn the_wrong_example_of_rfc_7030_is_no_obstacle() {
    let wanted = CsrAttributes { challenge_password: true, ..CsrAttributes::for_key(PublicKeyKind::P384) };
    assert_eq!(
        read("MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==",),
        wanted
    );
    assert_eq!(
        read("MD0GCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBIGCSqGSIb3DQEJDjEFBgNVBAUGCCqGSM49BAMD"),
        wanted,
        "a subject attribute as an extension"
    );
}

/// E57: the example of RFC 9908 section 3.4, written down here from its dump.
#[test]
fn the_template_of_the_rfc_is_written_byte_for_byte() {
    let mut address = ip("192.0.2.1").unwrap();
    if let crate::pki::name::GeneralName::IpAddress(octets) = &mut address {
        *octets = der::asn1::OctetString::new([]).unwrap();
    }
    let names = [dns("www.myServer.com").unwrap(), address];
    let unit = |text: &str| SubjectPart { kind: id(ORGANIZATIONAL_UNIT), value: Some(text.to_owned()) };
    let wanted = CsrAttributes {
        key: Some(PublicKeyKind::P256.into()),
        subject: vec![SubjectPart::to_fill_in(id(COMMON_NAME)), unit("myDept"), unit("myGroup")],
        extensions: vec![
            subject_alt_name(&names, false).unwrap().into(),
            key_usage(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement).unwrap().into(),
            ExtensionWanted::to_fill_in(id(EKU)),
        ],
        ..CsrAttributes::default()
    };
    #[rustfmt::skip]
    let example = [
        &[0x30, 0x81, 0x93, 0x02, 0x01, 0x00][..],
        // subject
        &[0x30, 0x2c],
        &[0x31, 0x07, 0x30, 0x05, 0x06, 0x03, 0x55, 0x04, 0x03],
        &[0x31, 0x0f, 0x30, 0x0d, 0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c, 0x06], b"myDept",
        &[0x31, 0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x04, 0x0b, 0x0c, 0x07], b"myGroup",
        // subjectPKInfo
        &[0xa0, 0x15, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        // attributes
        &[0xa1, 0x49, 0x30, 0x47, 0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x3e],
        &[0x31, 0x38, 0x30, 0x36],
        &[0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x11, 0x04, 0x16, 0x30, 0x14, 0x82, 0x10], b"www.myServer.com",
        &[0x87, 0x00],
        &[0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x03, 0x88],
        &[0x30, 0x05, 0x06, 0x03, 0x55, 0x1d, 0x25],
    ]
    .concat();
    assert_eq!(crate::ids::hex(&template_of(&wanted.to_der())), crate::ids::hex(&example));
    assert_eq!(CsrAttributes::from_der(&wanted.to_der()).unwrap(), wanted);
}

/// E29, E55, E56, E58: the list as another parser sees it, beside the template.
#[test]
fn the_list_says_everything_that_has_a_value_once() {
    let der = of_a_device().to_der();
    let oids: Vec<String> = elements(&der)
        .iter()
        .filter(|element| element.tag() == Tag::ObjectIdentifier)
        .map(|element| element.decode_as::<ObjectIdentifier>().unwrap().to_string())
        .collect();
    assert_eq!(oids, [CHALLENGE, COMMON_NAME, SERIAL_NUMBER, "1.2.840.10045.4.3.2"]);

    let attributes = attributes_of(&der);
    let kinds: Vec<String> = attributes.iter().map(|attribute| attribute.oid.to_string()).collect();
    assert_eq!(kinds, [EC, EXTENSION_REQUEST, TEMPLATE], "each once");
    assert_eq!(attributes[0].values.get(0).unwrap().decode_as::<ObjectIdentifier>().unwrap(), id(P256));
    assert_eq!(attributes[1].values.len(), 1);
    let extensions: Vec<Extension> = attributes[1].values.get(0).unwrap().decode_as().unwrap();
    let kinds: Vec<String> = extensions.iter().map(|extension| extension.extn_id.to_string()).collect();
    assert_eq!(kinds, [KEY_USAGE, EKU], "the names, which are to be filled in, would be copied empty");
    assert!(extensions[0].critical && !extensions[1].critical);
}

/// E57: not both kinds of extension request, and the one with values when every value is given.
#[test]
fn the_template_asks_for_extensions_in_one_form() {
    let inner = |wanted: &CsrAttributes| {
        let template = template_of(&wanted.to_der());
        let parts = elements(&template);
        assert_eq!(parts[0].decode_as::<u8>().unwrap(), 0);
        let attributes = parts.last().unwrap();
        assert_eq!(attributes.tag(), crate::pki::read::context(1));
        let set = tlv::nested(tlv::SET, |out| out.extend(attributes.value()));
        SetOfVec::<Attribute>::from_der(&set).unwrap()
    };
    let mut wanted = of_a_device();
    let open = inner(&wanted);
    assert_eq!((open.len(), open.get(0).unwrap().oid), (1, id(OPEN_EXTENSIONS)));
    wanted.extensions.pop();
    let given = inner(&wanted);
    assert_eq!((given.len(), given.get(0).unwrap().oid), (1, id(EXTENSION_REQUEST)));
    assert_eq!(given.get(0).unwrap().values.get(0).unwrap().decode_as::<Vec<Extension>>().unwrap().len(), 2);
    wanted.extensions.clear();
    assert!(inner(&wanted).is_empty(), "the field is there, though it is empty");
    wanted.subject.clear();
    wanted.key = None;
    assert_eq!(attributes_of(&wanted.to_der()).len(), 0, "no template without anything to say in it");
}

/// E57: RSA sizes by a dummy modulus, no public key otherwise.
#[test]
fn key_sizes_are_said_by_a_dummy_modulus() {
    for bits in [2048, 2049, 3071, 3072, 4096] {
        let der = CsrAttributes::for_key(PublicKeyKind::Rsa { bits }).to_der();
        let template = template_of(&der);
        let info = elements(&template)[1].clone();
        let parts = elements(&seq(&[info.value().to_vec()]));
        let algorithm: Vec<Any> = parts[0].decode_as().unwrap();
        assert_eq!(algorithm[0].decode_as::<ObjectIdentifier>().unwrap(), id(RSA));
        assert_eq!(AnyRef::from(&algorithm[1]), AnyRef::NULL);
        let key: Vec<der::asn1::Uint> =
            Vec::from_der(parts[1].decode_as::<BitString>().unwrap().raw_bytes()).unwrap();
        let modulus = key[0].as_bytes();
        assert_eq!(modulus.len() * 8 - modulus[0].leading_zeros() as usize, bits as usize);
        assert_eq!(key[1].as_bytes(), [1, 0, 1]);
        assert_eq!(CsrAttributes::from_der(&der).unwrap().key, Some(KeyWanted::Rsa { bits: Some(bits) }));
    }
    for kind in [PublicKeyKind::P256, PublicKeyKind::P384, PublicKeyKind::P521, PublicKeyKind::Ed25519] {
        let template = template_of(&CsrAttributes::for_key(kind).to_der());
        let info = elements(&template)[1].clone();
        assert_eq!(elements(&seq(&[info.value().to_vec()])).len(), 1, "{kind}");
    }
}

/// E55: values may be absent.
#[test]
fn a_key_can_be_left_half_open() {
    let anything = [
        KeyWanted::Ec { curve: None },
        KeyWanted::Rsa { bits: None },
        KeyWanted::Other(id("2.16.840.1.101.3.4.3.18")),
    ];
    for key in anything {
        let wanted = CsrAttributes { key: Some(key), ..CsrAttributes::default() };
        assert_eq!(CsrAttributes::from_der(&wanted.to_der()).unwrap(), wanted);
        assert!(attributes_of(&wanted.to_der())[0].values.is_empty());
    }
    assert!(anything[0].is(PublicKeyKind::P521) && !anything[0].is(PublicKeyKind::Ed25519));
    assert!(anything[1].is(PublicKeyKind::Rsa { bits: 3072 }) && !anything[1].is(PublicKeyKind::P256));
    let exact = KeyWanted::from(PublicKeyKind::P256);
    assert!(exact.is(PublicKeyKind::P256) && !exact.is(PublicKeyKind::P384));
    assert!(!KeyWanted::from(PublicKeyKind::Rsa { bits: 2048 }).is(PublicKeyKind::Rsa { bits: 3072 }));
}

/// RFC 9908 section 4: whoever reads the template reads nothing else, but for what a template cannot say (E29).
#[test]
fn a_template_counts_instead_of_the_list() {
    let template = template_of(&CsrAttributes::for_key(PublicKeyKind::P384).to_der());
    let der = seq(&[
        oid(CHALLENGE),
        attribute(EC, &[oid(P256)]),
        oid("1.2.840.10045.4.3.2"),
        oid(COMMON_NAME),
        attribute(TEMPLATE, &[template]),
    ]);
    let expected = CsrAttributes {
        key: Some(PublicKeyKind::P384.into()),
        challenge_password: true,
        ..CsrAttributes::default()
    };
    assert_eq!(CsrAttributes::from_der(&der).unwrap(), expected);
}

/// E59: what is not known is passed over.
#[test]
fn unknown_wishes_are_passed_over() {
    let der = seq(&[
        oid("1.2.3.4"),
        oid("1.3.6.1.1.1.1.22"),
        attribute("1.2.3.5", &[vec![5, 0], vec![4, 1, 7]]),
        attribute("1.2.840.113549.1.9.16.2.63", &[seq(&[oid("1.2.3")])]),
        attribute(EC, &[oid("1.3.36.3.3.2.8.1.1.7")]),
    ]);
    let expected = CsrAttributes {
        key: Some(KeyWanted::Ec { curve: Some(id("1.3.36.3.3.2.8.1.1.7")) }),
        ..CsrAttributes::default()
    };
    assert_eq!(CsrAttributes::from_der(&der).unwrap(), expected);
}

#[test]
fn malformed_and_contradictory_wishes_are_refused() {
    let template = |parts: &[Vec<u8>]| seq(&[attribute(TEMPLATE, &[seq(parts)])]);
    let (version, none) = (vec![2, 1, 0], vec![0xa1, 0]);
    let list = |extensions: &[Vec<u8>]| seq(extensions);
    let eku = raw_extension(EKU, &[0x30, 0]);
    let inner =
        |attributes: &[Vec<u8>]| tlv::nested(tlv::constructed(1), |out| out.extend(attributes.concat()));
    let contradictory: [(&str, Vec<u8>); 8] = [
        (
            "E56: two values",
            seq(&[attribute(
                EXTENSION_REQUEST,
                &[list(std::slice::from_ref(&eku)), list(&[raw_extension(SAN, &[0x30, 0])])],
            )]),
        ),
        (
            "E56: two attributes",
            seq(&vec![attribute(EXTENSION_REQUEST, &[list(std::slice::from_ref(&eku))]); 2]),
        ),
        ("E56: repeated extnID", seq(&[attribute(EXTENSION_REQUEST, &[list(&[eku.clone(), eku.clone()])])])),
        ("E57: version 1", template(&[vec![2, 1, 1], none.clone()])),
        (
            "E57: both forms",
            template(&[
                version.clone(),
                inner(&[
                    attribute(EXTENSION_REQUEST, &[list(std::slice::from_ref(&eku))]),
                    attribute(OPEN_EXTENSIONS, &[list(&[seq(&[oid(SAN)])])]),
                ]),
            ]),
        ),
        (
            "E57: one form twice",
            template(&[
                version.clone(),
                inner(&vec![attribute(OPEN_EXTENSIONS, &[list(&[seq(&[oid(SAN)])])]); 2]),
            ]),
        ),
        ("two templates", seq(&vec![attribute(TEMPLATE, &[seq(&[version.clone(), none.clone()])]); 2])),
        ("template without a value", seq(&[attribute(TEMPLATE, &[])])),
    ];
    for (name, der) in contradictory {
        let error = CsrAttributes::from_der(&der).expect_err(name);
        assert!(matches!(error, CsrAttributesError::Contradictory(_)), "{name}: {error}");
    }
    let empty_rdn = seq(&[vec![0x31, 0]]);
    let two_in_one = seq(&[tlv::nested(tlv::SET, |out| {
        out.extend([seq(&[oid(COMMON_NAME)]), seq(&[oid(SERIAL_NUMBER)])].concat());
    })]);
    let no_text = seq(&[tlv::nested(tlv::SET, |out| out.extend(seq(&[oid(COMMON_NAME), vec![4, 1, 7]])))]);
    let malformed = [
        ("empty", vec![]),
        ("not a list", vec![0x31, 0]),
        ("trailing", vec![0x30, 0, 0]),
        ("neither OID nor Attribute", seq(&[vec![2, 1, 0]])),
        ("too many", seq(&vec![oid("1.2.3"); 65])),
        ("too many extensions", {
            let many: Vec<_> = (0..65).map(|n| raw_extension(&format!("1.2.3.{n}"), &[])).collect();
            seq(&[attribute(EXTENSION_REQUEST, &[list(&many)])])
        }),
        ("a curve that is no OID", seq(&[attribute(EC, &[vec![5, 0]])])),
        ("a negative size", seq(&[attribute(RSA, &[vec![2, 1, 0xff]])])),
        ("an extension without a value", seq(&[attribute(EXTENSION_REQUEST, &[list(&[seq(&[oid(SAN)])])])])),
        ("no extension", seq(&[attribute(EXTENSION_REQUEST, &[list(&[])])])),
        ("E57: no attributes field", template(std::slice::from_ref(&version))),
        ("template with an OID for an attribute", template(&[version.clone(), inner(&[oid(CHALLENGE)])])),
        ("empty RDN", template(&[version.clone(), empty_rdn, none.clone()])),
        ("RDN of two attributes", template(&[version.clone(), two_in_one, none.clone()])),
        ("name of octets", template(&[version, no_text, none])),
    ];
    for (name, der) in malformed {
        let error = CsrAttributes::from_der(&der).expect_err(name);
        assert!(matches!(error, CsrAttributesError::Malformed(_)), "{name}: {error}");
    }
    assert_eq!(CsrAttributes::from_der(&vec![0x30; 64 * 1024 + 1]), Err(CsrAttributesError::TooLarge));
}

/// A challenge password inside a template, as some servers put it, is understood too.
#[test]
fn a_template_can_name_the_challenge_password() {
    let inner = tlv::nested(tlv::constructed(1), |out| {
        out.extend(attribute(CHALLENGE, &[vec![0x0c, 0]]));
        out.extend(attribute("1.2.3.4", &[vec![5, 0]]));
    });
    let der = seq(&[attribute(TEMPLATE, &[seq(&[vec![2, 1, 0], inner])])]);
    let expected = CsrAttributes { challenge_password: true, ..CsrAttributes::default() };
    assert_eq!(CsrAttributes::from_der(&der).unwrap(), expected);
}

/// The request of a client that does what it was told is one that our own reader takes.
#[test]
fn who_obeys_has_a_request_that_is_read() {
    let wanted = CsrAttributes::from_der(&of_a_device().to_der()).unwrap();
    let key = TestKey::p256();
    assert!(wanted.key.unwrap().is(key.public().kind()));
    let name = tlv::nested(tlv::SEQUENCE, |name| {
        for part in &wanted.subject {
            let value = part.value.clone().unwrap_or_else(|| "P3-BR000001".to_owned());
            tlv::nest(name, tlv::SET, |rdn| {
                tlv::nest(rdn, tlv::SEQUENCE, |pair| {
                    pair.extend(oid(&part.kind.to_string()));
                    tlv::put(pair, tlv::UTF8_STRING, value.as_bytes());
                });
            });
        }
    });
    let own_names = subject_alt_name(&[dns("pump-1.example.test").unwrap()], false).unwrap();
    let extensions: Vec<Extension> = wanted
        .extensions
        .iter()
        .map(|extension| Extension {
            extn_id: extension.kind,
            critical: extension.critical,
            extn_value: match &extension.value {
                Some(value) => der::asn1::OctetString::new(value.clone()).unwrap(),
                None => own_names.extn_value.clone(),
            },
        })
        .collect();
    let mut raw = RawCsr::new(&key);
    raw.subject = name;
    raw.attributes = vec![
        attribute(EXTENSION_REQUEST, &[extensions.to_der().unwrap()]),
        attribute(CHALLENGE, &[b"\x0c\x06dGVzdA".to_vec()]),
    ];
    let csr = VerifiedCsr::from_der(&raw.sign(&key)).unwrap();
    assert_eq!(csr.requested().subject().to_string(), "SERIALNUMBER=BR000001,CN=P3-BR000001");
    assert_eq!(csr.requested().extended_key_usages(), [id("1.3.6.1.5.5.7.3.2")]);
    assert_eq!(csr.requested().subject_alt_names().unwrap(), [dns("pump-1.example.test").unwrap()]);
    assert!(csr.requested().challenge_password().is_some());
}

fn oids() -> impl Strategy<Value = ObjectIdentifier> {
    (0u32..5000).prop_map(|last| id(&format!("1.3.6.1.4.1.32473.{last}")))
}

fn wishes() -> impl Strategy<Value = CsrAttributes> {
    let key = prop_oneof![
        proptest::option::of(oids()).prop_map(|curve| KeyWanted::Ec { curve }),
        proptest::option::of(1u32..20_000).prop_map(|bits| KeyWanted::Rsa { bits }),
    ];
    let part = (0u32..100, proptest::option::of("[A-Za-z0-9 é:*]{0,40}"))
        .prop_map(|(kind, value)| SubjectPart { kind: id(&format!("2.5.4.{kind}")), value });
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
    let extension = (any::<bool>(), value);
    (
        key,
        proptest::collection::vec(part, 0..5),
        proptest::collection::btree_map(0u32..100, extension, 0..6),
        any::<bool>(),
    )
        .prop_map(|(key, subject, extensions, challenge_password)| CsrAttributes {
            key: Some(key),
            signature: None,
            subject,
            extensions: extensions
                .into_iter()
                .map(|(kind, (critical, value))| ExtensionWanted {
                    kind: id(&format!("2.5.29.{kind}")),
                    critical,
                    value,
                })
                .collect(),
            challenge_password,
        })
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let _ = CsrAttributes::from_der(&bytes);
    }

    #[test]
    fn no_change_panics(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut der = of_a_device().to_der();
        let at = at.index(der.len());
        der[at] = byte;
        let _ = CsrAttributes::from_der(&der);
    }

    #[test]
    fn what_is_written_is_read(wanted in wishes()) {
        prop_assert_eq!(CsrAttributes::from_der(&wanted.to_der()).unwrap(), wanted);
    }
}
