//! Lists in the hands of others: openssl, GnuTLS, rustls-webpki (C25, B30).

use std::path::Path;
use std::process::Command;

use der::Encode;
use der::asn1::{Ia5String, OctetString};
use tempfile::TempDir;
use vitae::clock::Clock;
use vitae::ids::Reason;
use vitae::keys::Signer;
use vitae::keys::software::SoftwareKey;
use vitae::pki::certificate::{Certificate, CertificateTemplate};
use vitae::pki::extensions::extended_key_usage;
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, RevocationOptionsBuilder,
};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlDistributionPoints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

use crate::support::wire::{Ask, Card};
use crate::support::{HOUR, House, Policy};

/// A folder in which stock tools work.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.path().join(name), bytes).unwrap();
    }

    fn append(&self, name: &str, from: &[&str]) {
        let all = from.iter().map(|from| std::fs::read_to_string(self.0.path().join(from)).unwrap());
        self.put(name, all.collect::<String>().as_bytes());
    }

    /// Whether the tool is content, and all that it said. Arguments have no blanks.
    fn run(&self, line: &str) -> (bool, String) {
        let mut words = line.split(' ');
        let run = Command::new(words.next().unwrap()).args(words).current_dir(self.0.path()).output();
        let run = run.expect("the tool is installed");
        let said = [run.stdout, run.stderr].concat();
        (run.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn good(&self, line: &str) -> String {
        let (good, said) = self.run(line);
        assert!(good, "{line}: {said}");
        said
    }

    fn refused(&self, line: &str, why: &str) {
        let (good, said) = self.run(line);
        assert!(!good && said.contains(why), "{line}: {said}");
    }

    async fn fetch(&self, house: &House, url: &str, name: &str) {
        let path = url.splitn(4, '/').nth(3).unwrap();
        let reply = house.status_door(&Ask::get(&format!("/{path}"))).await;
        assert_eq!(reply.status, 200, "{url}");
        self.put(&format!("{name}.der"), &reply.body);
        self.good(&format!("openssl crl -inform DER -in {name}.der -out {name}"));
    }

    fn certificate(&self, der: &[u8], name: &str) {
        self.put(&format!("{name}.der"), der);
        self.good(&format!("openssl x509 -inform DER -in {name}.der -out {name}"));
    }
}

/// What the certificate says, not what we know.
fn url(certificate: &Certificate) -> String {
    let [url] = <[String; 1]>::try_from(certificate.crl_urls()).unwrap();
    url
}

/// C25, C14, C15: with the lists that the certificates name, and no other, `openssl verify -crl_check_all` says who is good and
/// who is revoked; with the list of another shard it says that it has none.
#[tokio::test]
async fn openssl_verifies_with_the_shard_that_a_certificate_names() {
    let house = House::open().await;
    let desk = Desk::new();
    let (_, good) = house.working("BR000000").await;
    let (mut other, mut number) = (house.working("BR000001").await.1, 1);
    while url(&other.certificate()) == url(&good.certificate()) {
        number += 1;
        other = house.working(&format!("BR00000{number}")).await.1;
    }
    house.revoke(other.serial(), Reason::KeyCompromise).await;
    let (root, ca) = (house.ca_certificate("root"), house.ca_certificate("operational"));
    for (certificate, name) in [
        (&root, "root.pem"),
        (&ca, "ca.pem"),
        (&good.certificate(), "good.pem"),
        (&other.certificate(), "other.pem"),
    ] {
        desk.certificate(certificate.der(), name);
    }
    desk.fetch(&house, &url(&root), "root.crl").await;
    desk.fetch(&house, &url(&ca), "ca.crl").await;
    desk.fetch(&house, &url(&good.certificate()), "good.crl").await;
    desk.fetch(&house, &url(&other.certificate()), "other.crl").await;
    for list in ["root", "good", "other"] {
        let issuer = if list == "root" { "root.pem" } else { "ca.pem" };
        let said = desk.good(&format!("openssl crl -in {list}.crl -noout -CAfile {issuer} -verify"));
        assert!(said.contains("verify OK"), "{said}");
        // GnuTLS reads the critical scope and the list behind it.
        let said =
            desk.good(&format!("certtool --verify-crl --load-ca-certificate {issuer} --infile {list}.crl"));
        assert!(said.contains("Verified"), "{said}");
    }
    desk.append("each.crl", &["root.crl", "ca.crl", "good.crl", "other.crl"]);
    desk.append("lacking.crl", &["root.crl", "ca.crl", "other.crl"]);
    let verify = "openssl verify -trusted root.pem -untrusted ca.pem -crl_check_all";
    for extended in ["", " -extended_crl"] {
        desk.good(&format!("{verify}{extended} -CRLfile each.crl good.pem"));
        desk.refused(&format!("{verify}{extended} -CRLfile each.crl other.pem"), "certificate revoked");
        // The list of another shard is no list of this certificate (C14).
        desk.refused(&format!("{verify}{extended} -CRLfile lacking.crl good.pem"), "scope");
    }
}

/// C25, C07 to C10: a client that has kept yesterday's list and fetches today's delta sees what was revoked and what was
/// released since.
#[tokio::test]
async fn openssl_applies_a_delta_to_a_list_that_was_kept() {
    let house = House::with(|policy: &Policy| {
        policy.replace("hierarchy.toml", "crl-shards = 8", "crl-shards = 1");
    })
    .await;
    let desk = Desk::new();
    let mut cards: Vec<(_, Card)> = Vec::new();
    for number in 0..3 {
        cards.push(house.working(&format!("BR00000{number}")).await);
        desk.certificate(cards[number].1.certificate().der(), &format!("{number}.pem"));
    }
    house.go(&cards[1].0, "clinical-use").await;
    house.go(&cards[1].0, "quarantine").await;
    let (root, ca) = (house.ca_certificate("root"), house.ca_certificate("operational"));
    desk.certificate(root.der(), "root.pem");
    desk.certificate(ca.der(), "ca.pem");
    desk.fetch(&house, &url(&ca), "ca.crl").await;
    let list = url(&cards[0].1.certificate());
    desk.fetch(&house, &list, "kept.crl").await;

    house.clock.advance(HOUR);
    house.revoke(cards[0].1.serial(), Reason::KeyCompromise).await;
    house.go(&cards[1].0, "clinical-use").await;
    desk.fetch(&house, &list.replace(".crl", "-delta.crl"), "delta.crl").await;
    let said = desk.good("openssl crl -in delta.crl -noout -text");
    assert!(
        said.contains("X509v3 Delta CRL Indicator: critical") && said.contains("Remove From CRL"),
        "{said}"
    );
    assert!(!said.contains("Issuing Distribution Point"), "the only list names no scope: {said}");

    let at = house.clock.now().secs();
    let verify = format!("openssl verify -trusted root.pem -untrusted ca.pem -crl_check -attime {at}");
    desk.append("old.crl", &["ca.crl", "kept.crl"]);
    desk.append("new.crl", &["ca.crl", "kept.crl", "delta.crl"]);
    desk.good(&format!("{verify} -CRLfile old.crl 0.pem"));
    desk.refused(&format!("{verify} -CRLfile old.crl 1.pem"), "certificate revoked");
    let verify = format!("{verify} -extended_crl -use_deltas -CRLfile new.crl");
    desk.refused(&format!("{verify} 0.pem"), "certificate revoked");
    desk.good(&format!("{verify} 1.pem"));
    desk.good(&format!("{verify} 2.pem"));
}

/// B30, C15: the webpki that is built in finds the list of a certificate's only shard, of one of several distribution points,
/// and takes no list of another shard for it. RUSTSEC-2026-0049 took the first point alone.
#[tokio::test]
async fn webpki_matches_every_distribution_point() {
    let house = House::open().await;
    let (_, card) = house.working("BR000001").await;
    house.revoke(card.serial(), Reason::KeyCompromise).await;
    let shard = card.serial().shard(8);
    let own = house.shard("operational", shard).await.der;
    let another = house.shard("operational", (shard + 1) % 8).await.der;
    let issuer = house.ca_certificate("operational");
    let verdict = |certificate: &[u8], list: &[u8]| {
        let list = CertRevocationList::from(BorrowedCertRevocationList::from_der(list).unwrap());
        let lists = [&list];
        let revocation = RevocationOptionsBuilder::new(&lists).unwrap().build();
        let der = certificate.into();
        let anchor = issuer.der().into();
        let anchors = [webpki::anchor_from_trusted_cert(&anchor).unwrap()];
        let time = rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            house.clock.now().secs(),
        ));
        EndEntityCert::try_from(&der)
            .unwrap()
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &[],
                time,
                KeyUsage::client_auth(),
                Some(revocation),
                None,
            )
            .map(drop)
    };
    assert_eq!(verdict(&card.chain[0], &own), Err(webpki::Error::CertRevoked));
    assert_eq!(verdict(&card.chain[0], &another), Err(webpki::Error::UnknownRevocationStatus));
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let at = lock.find("name = \"rustls-webpki\"\nversion = \"0.103.").expect("the pinned line of versions");
    let patch: u32 = lock[at..].split('"').nth(3).unwrap().rsplit('.').next().unwrap().parse().unwrap();
    assert!(patch >= 13, "RUSTSEC-2026-0104 is in 0.103.{patch}");

    // The same certificate with three points, ours last: signed by the same CA, as another program might have issued it.
    let (base, urls) = (house.authority.config().server().status_url(), card.certificate().crl_urls());
    let points =
        ["http://other.example.test/a.crl", &format!("{base}/crl/operational/no.crl"), urls[0].as_str()];
    let several = several_points(&house, &card, &points).await;
    assert_eq!(verdict(&several, &own), Err(webpki::Error::CertRevoked), "the third point counts");
    assert_eq!(verdict(&several, &another), Err(webpki::Error::UnknownRevocationStatus));
}

/// A copy of a certificate with other distribution points, signed with the CA's own key.
async fn several_points(house: &House, card: &Card, urls: &[&str]) -> Vec<u8> {
    let key = SoftwareKey::load(&house.dir().join("keys/ca-operational.key")).unwrap();
    let (issuer, old) = (house.ca_certificate("operational"), card.certificate());
    let point = |url: &&str| DistributionPoint {
        distribution_point: Some(DistributionPointName::FullName(vec![
            GeneralName::UniformResourceIdentifier(Ia5String::new(url).unwrap()),
        ])),
        reasons: None,
        crl_issuer: None,
    };
    let points = CrlDistributionPoints(urls.iter().map(point).collect());
    let points = Extension {
        extn_id: const_oid::db::rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS,
        critical: false,
        extn_value: OctetString::new(points.to_der().unwrap()).unwrap(),
    };
    let template = CertificateTemplate {
        serial: card.serial(),
        issuer: issuer.subject().clone(),
        subject: old.subject().clone(),
        not_before: old.not_before(),
        not_after: old.not_after(),
        public_key: old.public_key().unwrap(),
        signer: key.kind(),
        extensions: vec![
            points,
            extended_key_usage(&[const_oid::db::rfc5280::ID_KP_CLIENT_AUTH], false).unwrap(),
        ],
    };
    let unsigned = template.to_be_signed().unwrap();
    let signature = key.sign(unsigned.bytes()).await.unwrap();
    let der = unsigned.assemble(&signature).unwrap();
    assert_eq!(Certificate::from_der(&der).unwrap().crl_urls(), urls);
    der
}
