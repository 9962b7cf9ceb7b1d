//! Kills the server at any moment under load: whatever a client was told is still true afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use vitae::agent::{AgentError, DeviceKey};
use vitae::clock::{Random, SystemRandom};
use vitae::ids::{Digest, Serial};
use vitae::pki::certificate::Certificate;
use vitae::pki::crl;
use vitae::pki::ocsp::ParsedStatus;

use crate::process::{Admin, Credential, House, poll};

const ROUNDS: usize = 3;
const CLIENTS: usize = 6;

/// What clients were told.
#[derive(Default)]
struct Told {
    /// Serial to digest of the certificate and the CA that signed it.
    received: BTreeMap<Serial, (Digest, &'static str)>,
    /// Digest of a token to the certificate it was spent on.
    spent: BTreeMap<Digest, Serial>,
    /// Asked to be revoked, told or not.
    maybe_revoked: BTreeSet<Serial>,
    revoked: BTreeSet<Serial>,
    /// The highest number that was heard of for each CA, and each list that was seen.
    crl_number: BTreeMap<String, u64>,
    crls: BTreeMap<(String, u64), Digest>,
}

impl Told {
    fn certificate(&mut self, der: &[u8], ca: &'static str) -> Serial {
        let serial = Certificate::from_der(der).unwrap().serial().unwrap();
        assert_eq!(self.received.insert(serial, (Digest::of(der), ca)), None, "serial {serial} came twice");
        serial
    }

    fn crl_number(&mut self, path: &str, number: u64) {
        let known = self.crl_number.entry(path.to_owned()).or_default();
        *known = (*known).max(number);
    }

    /// A list as it was served.
    fn crl(&mut self, path: &str, der: &[u8]) -> u64 {
        let number = crl::parse(der).unwrap().number.unwrap();
        let digest = Digest::of(der);
        let known = *self.crls.entry((path.to_owned(), number)).or_insert(digest);
        assert_eq!(known, digest, "the number {number} of {path} was used twice");
        number
    }
}

/// The load, and whether its trouble is of our own making.
struct Load {
    house: House,
    told: Mutex<Told>,
    killed: AtomicBool,
    next: AtomicU64,
}

impl Load {
    /// Enrols one device after the other until the server is gone.
    async fn client(&self) {
        loop {
            if let Err(why) = self.one_device().await {
                assert!(self.killed.load(Ordering::SeqCst), "a client failed while the server was up: {why}");
                return;
            }
        }
    }

    async fn one_device(&self) -> Result<(), String> {
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let serial = format!("ME{n:06}");
        let mut admin = Admin::connect(self.house.data()).await?;
        let operational = if n.is_multiple_of(2) {
            let device = admin.register(&serial, "deployment").await?;
            self.by_token(&mut admin, &device, &serial, "ldev", "operational").await?
        } else {
            let device = admin.register(&serial, "manufacturing").await?;
            let birth = self.by_token(&mut admin, &device, &serial, "idev", "birth").await?;
            admin.move_to(&device, "deployment", None).await?;
            admin.move_to(&device, "deployment", Some("SUH")).await?;
            self.by_birth(&birth, &serial).await?
        };
        let renewed = self.renew(&operational).await?;
        if n.is_multiple_of(3) {
            self.revoke(&mut admin, operational.serial()).await?;
        }
        // The first use of the second certificate ends the first one.
        self.told.lock().unwrap().maybe_revoked.insert(operational.serial());
        self.renew(&renewed).await?;
        self.told.lock().unwrap().revoked.insert(operational.serial());
        Ok(())
    }

    async fn by_token(
        &self,
        admin: &mut Admin,
        device: &str,
        serial: &str,
        profile: &str,
        ca: &'static str,
    ) -> Result<Credential, String> {
        let token = admin.token(device, profile).await?;
        let key = DeviceKey::generate().unwrap();
        let request = key.request(Some(serial)).unwrap();
        let mut connection = self.house.est(None).connect().await.map_err(broke)?;
        let der = connection.enroll(Some(profile), &request, Some((device, &token))).await.map_err(broke)?;
        let mut told = self.told.lock().unwrap();
        let issued = told.certificate(&der, ca);
        told.spent.insert(Digest::of(token.as_bytes()), issued);
        Ok(Credential::new(key, &der))
    }

    async fn by_birth(&self, birth: &Credential, serial: &str) -> Result<Credential, String> {
        let key = DeviceKey::generate().unwrap();
        let request = key.request(Some(serial)).unwrap();
        let mut connection = self.house.est(Some(&birth.identity())).connect().await.map_err(broke)?;
        let der = connection.enroll(None, &request, None).await.map_err(broke)?;
        self.told.lock().unwrap().certificate(&der, "operational");
        Ok(Credential::new(key, &der))
    }

    async fn renew(&self, current: &Credential) -> Result<Credential, String> {
        let key = DeviceKey::generate().unwrap();
        let request = key.renewal(&current.certificate).unwrap();
        let mut connection = self.house.est(Some(&current.identity())).connect().await.map_err(broke)?;
        let der = connection.reenroll(None, &request).await.map_err(broke)?;
        self.told.lock().unwrap().certificate(&der, "operational");
        Ok(Credential::new(key, &der))
    }

    async fn revoke(&self, admin: &mut Admin, serial: Serial) -> Result<(), String> {
        self.told.lock().unwrap().maybe_revoked.insert(serial);
        let body = json!({ "serials": [serial], "reason": "superseded" });
        let done = admin.post("/api/v1/revocations", &body).await?;
        let mut told = self.told.lock().unwrap();
        told.revoked.insert(serial);
        let lists = done["lists"].as_array().unwrap();
        assert!(!lists.is_empty(), "a revocation is listed before it is answered");
        for list in lists {
            let path = format!("/crl/{}/{}.crl", list["ca"].as_str().unwrap(), list["shard"]);
            told.crl_number(&path, list["number"].as_u64().unwrap());
        }
        Ok(())
    }

    /// Runs clients against a server and kills it in the midst of it.
    async fn until_killed(self: &Arc<Self>, delay: Duration) {
        let server = self.house.serve();
        self.killed.store(false, Ordering::SeqCst);
        let before = self.told.lock().unwrap().received.len();
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let load = Arc::clone(self);
            clients.spawn(async move { load.client().await });
        }
        let load = Arc::clone(self);
        let killer = tokio::task::spawn_blocking(move || {
            let begun = poll(Duration::from_secs(10), || {
                (load.told.lock().unwrap().received.len() > before).then_some(())
            });
            assert!(begun.is_some(), "nothing is enrolled: {}", server.log());
            // Not to wait for anything: the moment of death is what this test varies.
            std::thread::sleep(delay);
            for path in (0..8).map(|shard| format!("/crl/operational/{shard}.crl")) {
                if let Some((200, list)) = load.house.get(&path) {
                    load.told.lock().unwrap().crl(&path, &list);
                }
            }
            load.killed.store(true, Ordering::SeqCst);
            server.kill();
        });
        killer.await.unwrap();
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    }

    /// Holds the record against what clients were told. `asked` are those whose status OCSP was asked for before.
    fn hold_to_word(&self, asked: &mut BTreeSet<Serial>) {
        let house = &self.house;
        let mut told = self.told.lock().unwrap();
        let list = house.json(&["cert", "list"]);
        let list = list.as_array().unwrap();
        let rows: BTreeMap<Serial, &Value> =
            list.iter().map(|row| (row["serial"].as_str().unwrap().parse().unwrap(), row)).collect();
        assert_eq!(rows.len(), list.len(), "a serial number was given twice");
        for (serial, (digest, ca)) in &told.received {
            let row = rows.get(serial).unwrap_or_else(|| panic!("certificate {serial} is lost"));
            assert_eq!(row["fingerprint"], json!(digest), "{serial}");
            let allowed: &[&str] = match (told.revoked.contains(serial), told.maybe_revoked.contains(serial))
            {
                (true, _) => &["revoked"],
                (false, true) => &["good", "revoked"],
                (false, false) => &["good"],
            };
            let status = row["status"].as_str().unwrap();
            assert!(allowed.contains(&status), "{serial} is {status}, not {allowed:?}");
            if asked.insert(*serial) {
                let answer = house.ocsp(&house.ca(ca), *serial);
                let right = match answer {
                    ParsedStatus::Good => status == "good",
                    ParsedStatus::Revoked { reason: Some(4), .. } => status == "revoked",
                    _ => false,
                };
                assert!(right, "OCSP says {answer:?} of {serial}, which is {status}");
            }
        }
        let tokens = house.json(&["token", "list"]);
        let tokens: BTreeMap<&str, &Value> =
            tokens.as_array().unwrap().iter().map(|row| (row["token"].as_str().unwrap(), row)).collect();
        for (token, serial) in &told.spent {
            let row = tokens[token.to_string().as_str()];
            assert_eq!((&row["status"], &row["serial"]), (&json!("spent"), &json!(serial)));
        }
        let mut listed: BTreeMap<String, BTreeSet<Serial>> = BTreeMap::new();
        for list in house.json(&["crl", "list"]).as_array().unwrap() {
            let ca = list["ca"].as_str().unwrap();
            let kind = if list["base"].is_null() { "" } else { "-delta" };
            let path = format!("/crl/{ca}/{}{kind}.crl", list["shard"]);
            let (status, der) = house.get(&path).unwrap();
            assert_eq!(status, 200);
            crl::verify_signed_by(&der, &house.ca(ca).public_key().unwrap()).unwrap();
            let number = told.crl(&path, &der);
            let heard = told.crl_number.get(&path).copied().unwrap_or(0);
            assert!(number >= heard, "{path} went back from {heard} to {number}");
            told.crl_number(&path, number);
            let listed = listed.entry(ca.to_owned()).or_default();
            if list["base"].is_null() {
                crl::parse_each(&der, |entry| listed.extend(entry.own_serial())).unwrap();
            }
        }
        for (ca, listed) in listed {
            let revoked = |it: &(&Serial, &&Value)| it.1["issuer"] == *ca && it.1["status"] == "revoked";
            let expected: BTreeSet<Serial> = rows.iter().filter(revoked).map(|(serial, _)| *serial).collect();
            assert_eq!(listed, expected, "the CRLs of {ca}");
        }
    }
}

/// A server that dies breaks connections; what it answers while it lives is never a refusal.
fn broke(error: AgentError) -> String {
    assert!(!matches!(error, AgentError::Refused { .. }), "{error}");
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_clients_were_told_survives_kill_9() {
    let load = Arc::new(Load {
        house: House::ready(),
        told: Mutex::default(),
        killed: AtomicBool::new(false),
        next: AtomicU64::new(0),
    });
    let mut asked = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut random = [0; 2];
        SystemRandom.fill(&mut random);
        let delay = Duration::from_millis(100 + u64::from(u16::from_be_bytes(random)) % 300);
        load.until_killed(delay).await;
        let got = load.told.lock().unwrap().received.len();
        println!("round {round}: killed {delay:?} into the load, {got} certificates so far");
        // Both the check and the server must be able to come first after a crash.
        if round != 1 {
            load.house.check_is_sound();
        }
        let (load, mut seen) = (Arc::clone(&load), std::mem::take(&mut asked));
        asked = tokio::task::spawn_blocking(move || {
            let server = load.house.serve();
            load.hold_to_word(&mut seen);
            server.stop();
            load.house.check_is_sound();
            seen
        })
        .await
        .unwrap();
    }
    let told = load.told.lock().unwrap();
    assert!(told.received.len() > 20, "only {} certificates", told.received.len());
    assert!(told.spent.len() > 5 && told.crl_number.len() > 8);
}
