//! Encrypted private keys, opened by the stock tool: `openssl cms` (RFC 7030 section 4.4.2).

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use vitae::clock::SystemRandom;
use vitae::keys::software::SoftwareKey;
use vitae::keys::{KeyKind, Signer, transport};
use vitae::pki::certificate::Certificate;
use vitae::pki::csr::Requested;
use vitae::pki::envelope::{Asked, Envelope, KeyPackage, Recipient, permits_receiving};
use vitae::pki::key::PublicKey;

use crate::support::csr::{Csr, attribute, key};
use crate::support::der::{NULL, octets, oid, seq, tlv};

pub(crate) const SECRET_ID: &str = "1.2.840.113549.1.9.16.2.37";
pub(crate) const PUBLIC_ID: &str = "1.2.840.113549.1.9.16.2.54";
pub(crate) const CAPABILITIES: &str = "1.2.840.113549.1.9.15";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
pub(crate) const AES128_CBC: &str = "2.16.840.1.101.3.4.1.2";
pub(crate) const AES256_CBC: &str = "2.16.840.1.101.3.4.1.42";
pub(crate) const AES128_WRAP: &str = "2.16.840.1.101.3.4.1.5";
pub(crate) const AES256_WRAP: &str = "2.16.840.1.101.3.4.1.45";

/// A folder in which `openssl` works.
pub(crate) struct Workshop(TempDir);

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap()
    }

    /// Runs `openssl`, whose arguments have no spaces; gives what it wrote to its error output.
    pub(crate) fn run(&self, arguments: &str) -> Result<String, String> {
        let run = Command::new("openssl").args(arguments.split(' ')).current_dir(self.path()).output();
        let run = run.expect("openssl is installed");
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        if run.status.success() { Ok(said) } else { Err(said) }
    }

    /// A key and a certificate of its own, as `NAME.key` and `NAME.pem`.
    fn holder(&self, name: &str, algorithm: &str, key_usage: &str) -> Certificate {
        self.run(&format!(
            "req -x509 -newkey {algorithm} -nodes -keyout {name}.key -out {name}.pem -subj /CN={name} \
             -days 30 -addext keyUsage={key_usage}"
        ))
        .unwrap();
        self.run(&format!("x509 -in {name}.pem -outform DER -out {name}.der")).unwrap();
        Certificate::from_der(&self.read(&format!("{name}.der"))).unwrap()
    }
}

/// What a request for a key says of its protection, read as the server reads it.
fn asked(kind: &str, id: &[u8], capabilities: &[Vec<u8>]) -> Asked {
    let key = key();
    let mut csr = Csr::of(&key);
    csr.attributes.push(attribute(kind, &[octets(id)]));
    csr.attributes.push(attribute(CAPABILITIES, &[tlv(0x30, &capabilities.concat())]));
    let requested = Requested::from_csr_der(&csr.sign(&key)).unwrap();
    Asked::from_attributes(requested.attributes()).unwrap().unwrap()
}

pub(crate) fn able(kind: &str) -> Vec<u8> {
    seq(&[&oid(kind)])
}

fn rsa(key: &PublicKey, secret: &[u8]) -> Result<Vec<u8>, String> {
    transport::rsa_oaep_sha256(key.spki_der(), secret).map_err(|error| error.to_string())
}

/// The PKCS#8 of a fresh key, in `made.key`.
fn made(shop: &Workshop) -> Vec<u8> {
    shop.run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -outform DER -out made.pem").unwrap();
    shop.run("pkcs8 -topk8 -nocrypt -inform DER -in made.pem -outform DER -out made.der").unwrap();
    shop.read("made.der")
}

/// Signs `pkcs8` as the server does. The signer's certificate is in `signer.pem`.
async fn signed(shop: &Workshop, kind: KeyKind, pkcs8: &[u8]) -> Vec<u8> {
    let signer = SoftwareKey::generate(kind).unwrap();
    shop.write("signer.key", signer.to_pkcs8_pem().unwrap().as_bytes());
    shop.run("req -x509 -key signer.key -out signer.pem -subj /CN=signer -days 30").unwrap();
    shop.run("x509 -in signer.pem -outform DER -out signer.der").unwrap();
    let certificate = Certificate::from_der(&shop.read("signer.der")).unwrap();
    let package = KeyPackage::new(pkcs8, &certificate, &[], kind).unwrap();
    let signature = signer.sign(package.bytes()).await.unwrap();
    package.assemble(&signature).unwrap().to_vec()
}

/// Opens `sealed` with these arguments, has the signature verified, and gives the private key inside.
pub(crate) fn opened(shop: &Workshop, sealed: &[u8], arguments: &str) -> Vec<u8> {
    shop.write("sealed.der", sealed);
    shop.run(&format!("cms -decrypt -inform DER -in sealed.der -binary -out signed.der {arguments}"))
        .unwrap();
    // SignedData stands bare in an envelope, and the tool reads only what has its type in front.
    let content_info = seq(&[&oid(SIGNED_DATA), &tlv(0xa0, &shop.read("signed.der"))]);
    shop.write("package.cms", &content_info);
    let verify =
        "cms -verify -inform DER -in package.cms -CAfile signer.pem -purpose any -binary -out package.der";
    assert!(shop.run(verify).unwrap().contains("successful"));
    let package = shop.read("package.der");
    let pkcs8 = package[package.len() - inner_length(&package)..].to_vec();
    shop.write("got.der", &pkcs8);
    shop.run("pkey -inform DER -in got.der -noout -check").unwrap();
    pkcs8
}

/// The length of what is inside the outermost element.
fn inner_length(der: &[u8]) -> usize {
    match der[1] {
        short @ 0..=0x7f => short.into(),
        0x81 => der[2].into(),
        _ => usize::from(der[2]) << 8 | usize::from(der[3]),
    }
}

/// E53: kari, with a key on every curve, by the scheme that the client names or by its curve's own.
#[tokio::test]
async fn openssl_opens_an_envelope_for_an_ec_key() {
    let shop = Workshop::new();
    let pkcs8 = made(&shop);
    let signed = signed(&shop, KeyKind::P256, &pkcs8).await;
    let scheme = |number: u8, wrap| seq(&[&oid(&format!("1.3.132.1.11.{number}")), &able(wrap)]);
    let cases = [
        ("P-256", vec![able(AES128_CBC), scheme(1, AES128_WRAP)]),
        ("P-256", vec![able(AES256_CBC), able(AES256_WRAP)]),
        ("P-384", vec![able(AES256_CBC), scheme(2, AES256_WRAP)]),
        ("P-384", vec![able(AES128_WRAP)]),
        ("P-521", vec![scheme(3, AES256_WRAP), able(AES128_CBC)]),
    ];
    for (curve, capabilities) in cases {
        let algorithm = format!("ec -pkeyopt ec_paramgen_curve:{curve}");
        let certificate = shop.holder("holder", &algorithm, "keyAgreement");
        let public = certificate.public_key().unwrap();
        permits_receiving(&certificate, &public).unwrap();
        let asked = asked(PUBLIC_ID, &certificate.subject_key_id().unwrap(), &capabilities);
        let recipient = Recipient::Key { id: asked.key.id(), key: &public };
        let envelope = Envelope::address(recipient, &asked.capabilities).unwrap();
        let sealed = envelope.seal(&signed, &SystemRandom, &rsa).unwrap();
        let got = opened(&shop, &sealed, "-recip holder.pem -inkey holder.key");
        assert_eq!(got, pkcs8, "{curve} {capabilities:?}");
    }
}

/// E53: ktri with RSAES-OAEP and SHA-256.
#[tokio::test]
async fn openssl_opens_an_envelope_for_an_rsa_key() {
    let shop = Workshop::new();
    let pkcs8 = made(&shop);
    let signed = signed(&shop, KeyKind::P384, &pkcs8).await;
    let sha256 = seq(&[&oid("2.16.840.1.101.3.4.2.1"), NULL]);
    let mask = seq(&[&oid("1.2.840.113549.1.1.8"), &sha256]);
    let oaep = seq(&[&oid("1.2.840.113549.1.1.7"), &seq(&[&tlv(0xa0, &sha256), &tlv(0xa1, &mask)])]);
    for (bits, cipher) in [(2048, AES128_CBC), (3072, AES256_CBC)] {
        let certificate = shop.holder("holder", &format!("rsa:{bits}"), "keyEncipherment");
        let public = certificate.public_key().unwrap();
        permits_receiving(&certificate, &public).unwrap();
        let key_id = certificate.subject_key_id().unwrap();
        let asked = asked(PUBLIC_ID, &key_id, &[able(cipher), oaep.clone()]);
        let recipient = Recipient::Key { id: asked.key.id(), key: &public };
        let envelope = Envelope::address(recipient, &asked.capabilities).unwrap();
        let sealed = envelope.seal(&signed, &SystemRandom, &rsa).unwrap();
        assert_eq!(opened(&shop, &sealed, "-recip holder.pem -inkey holder.key"), pkcs8, "{bits}");
    }
}

/// E53: kekri with the identifier of the request; and nobody opens it with another secret.
#[tokio::test]
async fn openssl_opens_an_envelope_for_a_shared_secret() {
    let shop = Workshop::new();
    let pkcs8 = made(&shop);
    let signed = signed(&shop, KeyKind::P256, &pkcs8).await;
    for (wrap, cipher, secret) in [
        (AES128_WRAP, AES256_CBC, &[0x42; 16][..]),
        (AES256_WRAP, AES128_CBC, &[0x42; 32]),
        (AES256_WRAP, AES256_CBC, &[0x42; 32]),
    ] {
        let asked = asked(SECRET_ID, b"fleet-7", &[able(wrap), able(cipher)]);
        let recipient = Recipient::Secret { id: asked.key.id(), secret };
        let envelope = Envelope::address(recipient, &asked.capabilities).unwrap();
        let sealed = envelope.seal(&signed, &SystemRandom, &rsa).unwrap();
        let arguments = |octet: &str| {
            let id = "666c6565742d37";
            format!("-secretkey {} -secretkeyid {id}", octet.repeat(secret.len()))
        };
        assert_eq!(opened(&shop, &sealed, &arguments("42")), pkcs8, "{wrap} {cipher}");
        let other = shop.run(&format!("cms -decrypt -inform DER -in sealed.der {}", arguments("43")));
        assert!(other.is_err(), "another secret must not open it");
    }
}
