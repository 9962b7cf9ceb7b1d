//! What is asked for, what is chosen, and what comes out, opened again by a reader of its own.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::sync::atomic::{AtomicU8, Ordering};

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::cipher::{AES_128, AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::key_wrap::{self, KeyEncryptionKey, KeyWrap};
use const_oid::ObjectIdentifier;
use der::asn1::{Any, OctetString, SetOfVec};
use der::{Decode, Encode};
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::attr::Attribute;

use super::*;
use crate::keys::KeyKind;
use crate::pki::certificate::Certificate;
use crate::pki::extensions::{self, KeyUsages};
use crate::pki::signed::BuildError;
use crate::pki::testing::{TestCa, TestKey, attribute, oid};

const SECRET_ID: &str = "1.2.840.113549.1.9.16.2.37";
const PUBLIC_ID: &str = "1.2.840.113549.1.9.16.2.54";
const CAPABILITIES: &str = "1.2.840.113549.1.9.15";
const AES128_CBC: &str = "2.16.840.1.101.3.4.1.2";
const AES192_CBC: &str = "2.16.840.1.101.3.4.1.22";
const AES256_CBC: &str = "2.16.840.1.101.3.4.1.42";
const AES256_GCM: &str = "2.16.840.1.101.3.4.1.46";
const AES128_WRAP: &str = "2.16.840.1.101.3.4.1.5";
const AES192_WRAP: &str = "2.16.840.1.101.3.4.1.25";
const AES256_WRAP: &str = "2.16.840.1.101.3.4.1.45";
const DH_SHA1: &str = "1.3.133.16.840.63.0.2";
const DH_SHA256: &str = "1.3.132.1.11.1";
const DH_SHA384: &str = "1.3.132.1.11.2";
const OAEP: &str = "1.2.840.113549.1.1.7";
const RSA_PKCS1: &str = "1.2.840.113549.1.1.1";

/// RSAES-OAEP-params for SHA-256 (RFC 4055 section 4.1), with NULL after each hash, without, and with SHA-1 in the mask.
#[rustfmt::skip]
const OAEP_SHA256: [u8; 49] = [
    0x30, 0x2f,
    0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
];
#[rustfmt::skip]
const OAEP_SHA256_ABSENT: [u8; 45] = [
    0x30, 0x2b,
    0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
    0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
];
#[rustfmt::skip]
const OAEP_MASK_SHA1: [u8; 45] = [
    0x30, 0x2b,
    0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0xa1, 0x18, 0x30, 0x16, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
    0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00,
];

/// Counts: never the same octet twice running, and the same ones each time.
#[derive(Debug, Default)]
struct Counting(AtomicU8);

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.fetch_add(0x11, Ordering::Relaxed));
    }
}

#[derive(Debug)]
struct Stuck(u8);

impl Random for Stuck {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

fn no_transport(_: &PublicKey, _: &[u8]) -> Result<Vec<u8>, String> {
    panic!("no RSA key is concerned")
}

fn capability(kind: &str, parameters: Option<&[u8]>) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| {
        out.extend(oid(kind));
        out.extend_from_slice(parameters.unwrap_or_default());
    })
}

fn list(capabilities: &[Vec<u8>]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| out.extend(capabilities.concat()))
}

fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv::nested(tlv::OCTET_STRING, |out| out.extend_from_slice(bytes))
}

fn asked(attributes: &[Vec<u8>]) -> Result<Option<Asked>, AskedError> {
    let attributes: Vec<Attribute> = attributes.iter().map(|der| Attribute::from_der(der).unwrap()).collect();
    Asked::from_attributes(&attributes)
}

fn capabilities(all: &[Vec<u8>]) -> Capabilities {
    let asked = asked(&[attribute(SECRET_ID, &[octets(b"k")]), attribute(CAPABILITIES, &[list(all)])]);
    asked.unwrap().unwrap().capabilities
}

fn names(oids: &[&str]) -> Capabilities {
    capabilities(&oids.iter().map(|kind| capability(kind, None)).collect::<Vec<_>>())
}

/// E52, E53: which key, by which name, and what the client can do, in its order.
#[test]
fn the_wish_for_an_encrypted_key_is_read() {
    let able =
        attribute(CAPABILITIES, &[list(&[capability(AES128_CBC, None), capability(OAEP, Some(&[0x30, 0]))])]);
    assert_eq!(asked(&[]), Ok(None));
    assert_eq!(asked(std::slice::from_ref(&able)), Ok(None), "capabilities alone ask for nothing");
    assert_eq!(asked(&[attribute("1.2.3", &[vec![5, 0]])]), Ok(None));

    let secret = asked(&[attribute(SECRET_ID, &[octets(b"fleet-7")]), able.clone()]).unwrap().unwrap();
    assert_eq!(secret.key, DecryptKey::Secret(b"fleet-7".to_vec()));
    let public = asked(&[able, attribute(PUBLIC_ID, &[octets(&[9; 20])])]).unwrap().unwrap();
    assert_eq!(public.key, DecryptKey::Public(vec![9; 20]));
    let [first, second] = &public.capabilities.0[..] else { panic!("{public:?}") };
    assert_eq!((first.algorithm.to_string().as_str(), &first.parameters), (AES128_CBC, &None));
    assert_eq!(
        (second.algorithm.to_string().as_str(), second.parameters.as_deref()),
        (OAEP, Some(&[0x30, 0][..]))
    );
}

/// E52: a wish that cannot be understood ends the request.
#[test]
fn a_wish_that_is_not_clear_is_refused() {
    let able = || attribute(CAPABILITIES, &[list(&[capability(AES256_WRAP, None)])]);
    let secret = || attribute(SECRET_ID, &[octets(b"fleet-7")]);
    let bad = |error: &AskedError| matches!(error, AskedError::BadCapabilities(_));
    type Case<'a> = (&'a str, Vec<Vec<u8>>, &'a dyn Fn(&AskedError) -> bool);
    let cases: Vec<Case<'_>> = vec![
        ("both", vec![secret(), attribute(PUBLIC_ID, &[octets(b"x")]), able()], &|e| {
            *e == AskedError::TwoKeys
        }),
        ("no capabilities", vec![secret()], &|e| *e == AskedError::NoCapabilities),
        ("empty", vec![attribute(SECRET_ID, &[octets(b"")]), able()], &|e| matches!(e, AskedError::BadId(_))),
        ("long", vec![attribute(SECRET_ID, &[octets(&[1; 129])]), able()], &|e| {
            matches!(e, AskedError::BadId(_))
        }),
        ("text", vec![attribute(SECRET_ID, &[vec![0x0c, 1, 97]]), able()], &|e| {
            matches!(e, AskedError::BadId(_))
        }),
        ("two values", vec![attribute(PUBLIC_ID, &[octets(b"a"), octets(b"b")]), able()], &|e| {
            *e == AskedError::NotSingle("AsymmetricDecryptKeyIdentifier")
        }),
        ("twice", vec![secret(), secret(), able()], &|e| *e == AskedError::Twice("DecryptKeyIdentifier")),
        ("capabilities twice", vec![secret(), able(), able()], &|e| {
            *e == AskedError::Twice("SMIMECapabilities")
        }),
        ("no list", vec![secret(), attribute(CAPABILITIES, &[vec![5, 0]])], &bad),
        ("bare OID", vec![secret(), attribute(CAPABILITIES, &[list(&[oid(AES256_WRAP)])])], &bad),
        (
            "two parameters",
            vec![secret(), attribute(CAPABILITIES, &[list(&[capability(OAEP, Some(&[5, 0, 5, 0]))])])],
            &bad,
        ),
        (
            "too many",
            vec![secret(), attribute(CAPABILITIES, &[list(&vec![capability(AES256_WRAP, None); 65])])],
            &bad,
        ),
    ];
    for (name, attributes, expected) in cases {
        let error = asked(&attributes).expect_err(name);
        assert!(expected(&error), "{name}: {error}");
    }
}

fn chosen(recipient: Recipient<'_>, capabilities: &Capabilities) -> Result<(Cipher, Management), Unfit> {
    Envelope::address(recipient, capabilities).map(|envelope| (envelope.cipher, envelope.management))
}

/// E53: the algorithms are the client's, in its order, or none.
#[test]
fn algorithms_are_chosen_from_the_clients_list() {
    use choice::{Kdf, Wrap};
    let short = Recipient::Secret { id: b"k", secret: &[1; 16] };
    let long = Recipient::Secret { id: b"k", secret: &[1; 32] };
    let both = names(&[AES128_CBC, AES256_CBC, AES256_WRAP, AES128_WRAP]);
    assert_eq!(chosen(short, &both), Ok((Cipher::Aes128Cbc, Management::Secret(Wrap::Aes128))));
    assert_eq!(chosen(long, &both), Ok((Cipher::Aes128Cbc, Management::Secret(Wrap::Aes256))));
    assert_eq!(chosen(long, &names(&[AES192_CBC, AES256_CBC, AES256_WRAP])).unwrap().0, Cipher::Aes256Cbc);
    assert_eq!(chosen(short, &names(&[AES128_WRAP])).unwrap().0, Cipher::Aes128Cbc, "left to the server");
    assert_eq!(chosen(long, &names(&[AES256_WRAP])).unwrap().0, Cipher::Aes256Cbc, "left to the server");
    let refused = |recipient, capabilities: &Capabilities| chosen(recipient, capabilities).unwrap_err();
    assert_eq!(refused(long, &names(&[AES256_GCM, AES256_WRAP])), Unfit::NoCipher);
    assert!(matches!(refused(long, &names(&[AES256_CBC, AES128_WRAP])), Unfit::NoKeyManagement { .. }));
    assert!(matches!(refused(long, &Capabilities::default()), Unfit::NoKeyManagement { .. }));
    let odd = Recipient::Secret { id: b"k", secret: &[1; 24] };
    assert_eq!(refused(odd, &names(&[AES192_WRAP])), Unfit::SecretLength(24));

    let p384 = TestKey::p384().public();
    let ec = Recipient::Key { id: b"k", key: &p384 };
    let wrap = |kind: &str| capability(kind, None);
    let scheme = |kind: &str, wrapped: &str| capability(kind, Some(&wrap(wrapped)));
    let sha256 = Management::Agreement(Kdf::Sha256, Wrap::Aes128);
    let choose = |all: &[Vec<u8>]| chosen(ec, &capabilities(all)).map(|(_, management)| management);
    assert_eq!(choose(&[scheme(DH_SHA1, AES128_WRAP), scheme(DH_SHA256, AES128_WRAP)]), Ok(sha256));
    assert_eq!(choose(&[scheme(DH_SHA256, AES192_WRAP), scheme(DH_SHA256, AES128_WRAP)]), Ok(sha256));
    let with_null = capability(AES128_WRAP, Some(&[5, 0]));
    assert_eq!(choose(&[capability(DH_SHA256, Some(&with_null))]), Ok(sha256), "as Bouncy Castle writes it");
    assert_eq!(choose(&[wrap(DH_SHA256), wrap(AES128_WRAP)]), Ok(sha256), "the wrap stands by itself");
    assert_eq!(
        choose(&[scheme(DH_SHA256, AES128_WRAP), scheme(DH_SHA384, AES256_WRAP)]),
        Ok(sha256),
        "its order"
    );
    assert_eq!(
        choose(&[wrap(AES192_WRAP), wrap(AES256_WRAP)]),
        Ok(Management::Agreement(Kdf::Sha384, Wrap::Aes256)),
        "no scheme named: that of the curve"
    );
    for all in [
        &[scheme(DH_SHA1, AES128_WRAP), wrap(AES128_WRAP)][..],
        &[wrap(DH_SHA256)],
        &[wrap(AES192_WRAP)],
        &[capability(DH_SHA256, Some(&capability(AES128_WRAP, Some(&[4, 0]))))],
        &[capability(DH_SHA256, Some(&[5, 0]))],
        &[capability(OAEP, None)],
    ] {
        assert!(matches!(choose(all), Err(Unfit::NoKeyManagement { .. })), "{all:?}");
    }

    let rsa = TestKey::rsa().public();
    let rsa = Recipient::Key { id: b"k", key: &rsa };
    for parameters in [None, Some(&OAEP_SHA256[..]), Some(&OAEP_SHA256_ABSENT[..])] {
        let named = capabilities(&[capability(OAEP, parameters)]);
        assert_eq!(chosen(rsa, &named), Ok((Cipher::Aes256Cbc, Management::Transport)), "{parameters:?}");
    }
    // SHA-1 by default, SHA-1 in the mask, and the padding that has leaked keys since 1998.
    for named in [
        capability(OAEP, Some(&[0x30, 0])),
        capability(OAEP, Some(&OAEP_MASK_SHA1)),
        capability(RSA_PKCS1, None),
    ] {
        let error = chosen(rsa, &capabilities(&[named, wrap(AES256_WRAP)])).unwrap_err();
        assert!(matches!(error, Unfit::NoKeyManagement { .. }), "{error}");
    }
    let ed = TestKey::ed25519().public();
    let ed = Recipient::Key { id: b"k", key: &ed };
    assert_eq!(refused(ed, &both), Unfit::SignsOnly(PublicKeyKind::Ed25519));
}

/// RFC 7030 section 4.4.1.2: the certificate must let its key receive keys, or set it no limit.
#[test]
fn a_certificate_can_forbid_its_key_to_receive_keys() {
    let ca = TestCa::root();
    let with = |key: &TestKey, usages: Option<KeyUsages>| {
        let mut template = ca.leaf(key);
        template.extensions.retain(|extension| extension.extn_id.to_string() != "2.5.29.15");
        template.extensions.extend(usages.map(|usages| extensions::key_usage(usages).unwrap()));
        permits_receiving(&Certificate::from_der(&ca.issue(template)).unwrap(), &key.public())
    };
    let (ec, rsa) = (TestKey::p256(), TestKey::rsa());
    assert_eq!(with(&ec, None), Ok(()));
    assert_eq!(with(&ec, Some(KeyUsages::KeyAgreement)), Ok(()));
    assert_eq!(with(&ec, Some(KeyUsages::DigitalSignature)), Err(Unfit::KeyUsage("keyAgreement")));
    assert_eq!(with(&ec, Some(KeyUsages::KeyEncipherment)), Err(Unfit::KeyUsage("keyAgreement")));
    assert_eq!(with(&rsa, None), Ok(()));
    assert_eq!(with(&rsa, Some(KeyUsages::KeyEncipherment)), Ok(()));
    assert_eq!(with(&rsa, Some(KeyUsages::KeyAgreement)), Err(Unfit::KeyUsage("keyEncipherment")));
    assert_eq!(with(&TestKey::ed25519(), None), Err(Unfit::SignsOnly(PublicKeyKind::Ed25519)));
}

/// The elements of a constructed element, whatever its tag.
fn inside(element: &Any) -> Vec<Any> {
    let sequence = tlv::nested(tlv::SEQUENCE, |out| out.extend_from_slice(element.value()));
    Vec::<Any>::from_der(&sequence).unwrap()
}

/// An envelope taken apart by another parser: the RecipientInfo, and a way to the content.
struct Opened {
    info: Any,
    cipher: ObjectIdentifier,
    iv: [u8; 16],
    encrypted: Vec<u8>,
}

impl Opened {
    fn new(der: &[u8]) -> Self {
        let content_info = inside(&Any::from_der(der).unwrap());
        assert_eq!(content_info[0].to_der().unwrap(), oid("1.2.840.113549.1.7.3"));
        let enveloped = inside(&inside(&content_info[1])[0]);
        assert_eq!(enveloped[0].decode_as::<u8>().unwrap(), 2);
        let [info] = &inside(&enveloped[1])[..] else { panic!("not one recipient") };
        let content = inside(&enveloped[2]);
        assert_eq!(content[0].to_der().unwrap(), oid("1.2.840.113549.1.7.2"), "SignedData is inside");
        let algorithm = inside(&content[1]);
        Self {
            info: info.clone(),
            cipher: algorithm[0].decode_as().unwrap(),
            iv: algorithm[1].value().try_into().unwrap(),
            encrypted: content[2].value().to_vec(),
        }
    }

    fn content(&self, key: &[u8]) -> Vec<u8> {
        let (algorithm, expected) =
            if key.len() == 16 { (&AES_128, AES128_CBC) } else { (&AES_256, AES256_CBC) };
        assert_eq!(self.cipher.to_string(), expected);
        let key = UnboundCipherKey::new(algorithm, key).unwrap();
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
        let mut in_out = self.encrypted.clone();
        key.decrypt(&mut in_out, DecryptionContext::Iv128(FixedLength::from(self.iv))).unwrap().to_vec()
    }
}

fn unwrap(secret: &[u8], wrapped: &[u8]) -> Vec<u8> {
    let cipher = if secret.len() == 16 { &key_wrap::AES_128 } else { &key_wrap::AES_256 };
    let mut out = vec![0; wrapped.len()];
    KeyEncryptionKey::new(cipher, secret).unwrap().unwrap(wrapped, &mut out).unwrap().to_vec()
}

/// E53: kekri, version 4, the identifier of the request. Secret, key and wrapped key are those of RFC 3394 section 4.1.
#[test]
fn a_shared_secret_opens_the_envelope() {
    let secret: Vec<u8> = (0..16).collect();
    let recipient = Recipient::Secret { id: b"fleet-7", secret: &secret };
    let envelope = Envelope::address(recipient, &names(&[AES128_CBC, AES128_WRAP])).unwrap();
    let der = envelope.seal(b"signed", &Counting::default(), &no_transport).unwrap();
    let opened = Opened::new(&der);
    #[rustfmt::skip]
    let expected = [
        &[0xa2, 0x35, 0x02, 0x01, 0x04, 0x30, 0x09, 0x04, 0x07][..], b"fleet-7",
        &[0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x05, 0x04, 0x18],
        &[0x1f, 0xa6, 0x8b, 0x0a, 0x81, 0x12, 0xb4, 0x47, 0xae, 0xf3, 0x4b, 0xd8],
        &[0xfb, 0x5a, 0x7b, 0x82, 0x9d, 0x3e, 0x86, 0x23, 0x71, 0xd2, 0xcf, 0xe5],
    ]
    .concat();
    assert_eq!(crate::ids::hex(&opened.info.to_der().unwrap()), crate::ids::hex(&expected));
    let key: Vec<u8> = (0..16).map(|n| n * 0x11).collect();
    assert_eq!(opened.content(&key), b"signed");
    assert_eq!(envelope.seal(b"signed", &Counting::default(), &no_transport).unwrap(), der, "pure");
    assert_ne!(envelope.seal(b"signed", &crate::clock::SystemRandom, &no_transport).unwrap(), der);
}

/// E53: kari with an ephemeral key, for every curve; derived by another hash implementation.
#[test]
fn the_holder_of_an_ec_key_opens_the_envelope() {
    let curves = [
        (&ECDH_P256, AES128_WRAP, AES128_CBC, 16, DH_SHA256),
        (&ECDH_P384, AES256_WRAP, AES256_CBC, 32, DH_SHA384),
        (&ECDH_P521, AES256_WRAP, AES256_CBC, 32, "1.3.132.1.11.3"),
    ];
    for (algorithm, wrap, cipher, length, scheme) in curves {
        let private = PrivateKey::generate(algorithm).unwrap();
        let spki = private.compute_public_key().unwrap();
        let public = PublicKey::from_spki_der(AsDer::as_der(&spki).unwrap().as_ref()).unwrap();
        let recipient = Recipient::Key { id: &[9; 20], key: &public };
        let envelope = Envelope::address(recipient, &names(&[cipher, wrap])).unwrap();
        let der = envelope.seal(b"signed", &crate::clock::SystemRandom, &no_transport).unwrap();
        let opened = Opened::new(&der);

        assert_eq!(opened.info.to_der().unwrap()[0], 0xa1);
        let info = inside(&opened.info);
        assert_eq!(info[0].decode_as::<u8>().unwrap(), 3);
        let originator = inside(&inside(&info[1])[0]);
        assert_eq!(inside(&originator[0]).len(), 1, "the curve is the recipient's");
        let point = &originator[1].value()[1..];
        let agreement_algorithm = inside(&info[2]);
        assert_eq!(agreement_algorithm[0].to_der().unwrap(), oid(scheme));
        assert_eq!(agreement_algorithm[1].to_der().unwrap(), capability(wrap, None));
        let [recipient_key] = &inside(&info[3])[..] else { panic!("not one key") };
        let recipient_key = inside(recipient_key);
        assert_eq!(inside(&recipient_key[0])[0].decode_as::<OctetString>().unwrap().as_bytes(), [9; 20]);

        let shared_info = [
            tlv::nested(tlv::SEQUENCE, |out| out.extend(oid(wrap))),
            tlv::nested(0xa2, |out| {
                out.extend(octets(&[0, 0, u8::from(length == 32), if length == 32 { 0 } else { 128 }]))
            }),
        ];
        let shared_info = list(&shared_info);
        let peer = UnparsedPublicKey::new(algorithm, point);
        let secret = agreement::agree(&private, peer, (), |shared| {
            let input = [shared, &[0, 0, 0, 1], &shared_info].concat();
            Ok(match scheme {
                DH_SHA256 => Sha256::digest(&input).to_vec(),
                DH_SHA384 => Sha384::digest(&input).to_vec(),
                _ => Sha512::digest(&input).to_vec(),
            })
        })
        .unwrap();
        let key = unwrap(&secret[..length], recipient_key[1].value());
        assert_eq!(opened.content(&key), b"signed", "{scheme}");
    }
}

/// E53: ktri of version 2; the transport is given the content key and its words are passed on.
#[test]
fn the_holder_of_an_rsa_key_is_given_the_content_key() {
    let public = TestKey::rsa().public();
    let recipient = Recipient::Key { id: &[9; 20], key: &public };
    let envelope = Envelope::address(recipient, &names(&[OAEP, AES128_CBC])).unwrap();
    let reversed = |key: &PublicKey, secret: &[u8]| {
        assert_eq!(*key, public);
        Ok(secret.iter().rev().copied().collect())
    };
    let opened = Opened::new(&envelope.seal(b"signed", &Counting::default(), &reversed).unwrap());
    let info = inside(&opened.info);
    assert_eq!(info[0].decode_as::<u8>().unwrap(), 2);
    assert_eq!(info[1].to_der().unwrap(), [&[0x80, 20][..], &[9; 20]].concat());
    assert_eq!(info[2].value(), [oid(OAEP), OAEP_SHA256.to_vec()].concat());
    let mut key = info[3].value().to_vec();
    key.reverse();
    assert_eq!(opened.content(&key), b"signed");
    let refused = envelope.seal(b"signed", &Counting::default(), &|_, _| Err("no".to_owned()));
    assert_eq!(refused, Err(SealError::Transport("no".to_owned())));
}

/// A number out of range is drawn again, and a source that gives nothing else is found out.
#[test]
fn broken_randomness_makes_no_ephemeral_key() {
    let (p256, p384, p521) = (TestKey::p256().public(), TestKey::p384().public(), TestKey::p521().public());
    for (key, stuck) in [(&p256, 0), (&p256, 0xff), (&p384, 0), (&p384, 0xff), (&p521, 0), (&p521, 0xff)] {
        let envelope = Envelope::address(Recipient::Key { id: b"k", key }, &names(&[AES256_WRAP])).unwrap();
        let refused = envelope.seal(b"signed", &Stuck(stuck), &no_transport);
        assert_eq!(refused, Err(SealError::Ephemeral(key.kind())), "{stuck}");
    }
}

/// E53: the attributes that are signed, as another parser reads them, and the hash by another implementation.
#[test]
fn the_signature_covers_the_package() {
    let ca = TestCa::root();
    let pkcs8 = [0x30, 3, 2, 1, 0];
    let package = KeyPackage::new(&pkcs8, &ca.certificate, &[], KeyKind::P256).unwrap();
    let signed = SetOfVec::<Attribute>::from_der(package.bytes()).unwrap();
    let [kind, hash] = signed.as_slice() else { panic!("{signed:?}") };
    assert_eq!(kind.oid.to_string(), "1.2.840.113549.1.9.3");
    assert_eq!(kind.values.get(0).unwrap().to_der().unwrap(), oid("2.16.840.1.101.2.1.2.78.5"));
    assert_eq!(hash.oid.to_string(), "1.2.840.113549.1.9.4");
    let content = [&[0x30, 5][..], &pkcs8].concat();
    assert_eq!(hash.values.get(0).unwrap().value(), Sha256::digest(&content).as_slice());

    let attributes = package.bytes().to_vec();
    let signature = ca.key.sign(&attributes);
    let der = package.assemble(&signature).unwrap();
    let signed_data = inside(&Any::from_der(&der).unwrap());
    assert_eq!(signed_data[0].decode_as::<u8>().unwrap(), 3);
    let encapsulated = inside(&signed_data[2]);
    assert_eq!(inside(&encapsulated[1])[0].decode_as::<OctetString>().unwrap().as_bytes(), content);
    assert_eq!(inside(&signed_data[3])[0].to_der().unwrap(), ca.certificate.der());
    let info = inside(&inside(&signed_data[4])[0]);
    let sid = inside(&info[1]);
    assert_eq!(sid[0].to_der().unwrap(), ca.certificate.issuer_der());
    assert_eq!(sid[1].value(), ca.certificate.serial_bytes());
    assert_eq!(info[3].to_der().unwrap()[1..], attributes[1..]);
    assert_eq!(info[5].decode_as::<OctetString>().unwrap().as_bytes(), signature);
}

#[test]
fn a_package_is_made_of_whole_objects_and_a_der_signature() {
    let ca = TestCa::root();
    for bad in [&[][..], &[0x30], &[0x30, 0, 0], &[0x04, 0]] {
        let refused = KeyPackage::new(bad, &ca.certificate, &[], KeyKind::P256).map(|_| ());
        assert!(matches!(refused, Err(BuildError::Encode { .. })), "{bad:?}");
        let others = [bad];
        let refused = KeyPackage::new(&[0x30, 0], &ca.certificate, &others, KeyKind::P384).map(|_| ());
        assert!(matches!(refused, Err(BuildError::Encode { .. })), "{bad:?}");
    }
    let package = KeyPackage::new(&[0x30, 0], &ca.certificate, &[], KeyKind::P256).unwrap();
    assert_eq!(package.assemble(&[7; 64]), Err(BuildError::NotASignature));
}

proptest! {
    #[test]
    fn no_capabilities_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
        let value = Any::new(der::Tag::Sequence, bytes).unwrap().to_der().unwrap();
        let _ = asked(&[attribute(SECRET_ID, &[octets(b"k")]), attribute(CAPABILITIES, &[value])]);
    }

    #[test]
    fn content_of_every_length_is_opened(content in proptest::collection::vec(any::<u8>(), 0..100)) {
        let envelope = Envelope::address(Recipient::Secret { id: b"k", secret: &[3; 32] }, &names(&[AES256_WRAP])).unwrap();
        let opened = Opened::new(&envelope.seal(&content, &crate::clock::SystemRandom, &no_transport).unwrap());
        let wrapped = inside(&opened.info).pop().unwrap();
        prop_assert_eq!(opened.content(&unwrap(&[3; 32], wrapped.value())), content);
    }
}
