//! The end of a job: the lists are published, the effect is looked at through the public door, and what was seen is signed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Authority;
use super::caller::{Operator, permit};
use super::door::PublicDoor;
use super::error::Failed;
use super::own::EVIDENCE;
use super::publish::PublishedCrl;
use super::query::entry_at;
use super::revoke_where::{JobRefused, Selection, blocking};
use crate::clock::Timestamp;
use crate::config::NameAttribute;
use crate::fleet::revoke_job::{self, JobStep, SAMPLES, Sample};
use crate::fleet::rows::{self, Status};
use crate::fleet::{Der, Fact, JobEvent, JobRow};
use crate::ids::{Digest, EventNumber, JobId, Serial, ShardId};
use crate::keys::Signer;
use crate::pki::certificate::Certificate;
use crate::pki::ocsp::{self, HashAlg, ParsedResponse, ParsedStatus};
use crate::pki::signed_data::{self, SignedData};
use crate::pki::{crl, ocsp::BasicResponse};

/// What the document calls itself: a later form has another name.
const FORM: &str = "vitae-proof-of-effect-1";

/// A proof, as the admin door gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofView {
    pub job: JobId,
    /// What is signed, to be read.
    pub document: Value,
    /// CMS SignedData around the document (RFC 5652), DER in base64.
    pub cms: String,
}

/// What was seen of one certificate.
struct Seen {
    sample: Sample,
    ocsp: Value,
}

impl Authority {
    /// The proof of a job that has ended.
    pub fn revocation_proof(
        &self,
        operator: &Operator,
        job: &JobId,
    ) -> Result<ProofView, Failed<JobRefused>> {
        permit(operator, "certificate.read")?;
        let snapshot = self.snapshot()?;
        let row = revoke_job::job(&*snapshot, job)?.ok_or(Failed::Refused(JobRefused::Unknown(*job)))?;
        let none = |why| Failed::Refused(JobRefused::NoProof(*job, why));
        if row.dropped.is_some() {
            return Err(none("it was dropped before it began"));
        }
        let ended = row.ended.ok_or_else(|| none("it has not ended yet"))?;
        let Fact::RevocationJob(event) = entry_at(&*snapshot, ended.event)?.event.fact else {
            return Err(own_fault("the event of a proof holds none"));
        };
        let JobEvent { step: JobStep::Ended { proof: Der(cms), .. }, .. } = *event else {
            return Err(own_fault("the event of a proof holds none"));
        };
        let document = signed_data::content_in(&cms).map_err(own_fault)?;
        let document = serde_json::from_slice(&document).map_err(own_fault)?;
        Ok(ProofView { job: *job, document, cms: STANDARD.encode(cms) })
    }

    /// Everything is revoked: shows it to the world, looks at it from there, signs what was seen, and ends the job.
    pub(super) async fn prove(&self, row: JobRow, door: &dyn PublicDoor) -> Result<(), Failed<JobRefused>> {
        let (samples, chosen) = self.samples(&row)?;
        // OCSP first: it follows the record at once, while lists take their time.
        let mut seen = Vec::new();
        for sample in samples {
            let ocsp = self.ask_ocsp(&row, &sample, door).await;
            seen.push(Seen { sample, ocsp });
        }
        let mut lists = Vec::new();
        let mut listed: BTreeMap<Serial, Value> = BTreeMap::new();
        if let Some(advanced) = row.advanced {
            for (list, published) in self.publish_lists(&row, advanced.event).await? {
                lists.push(self.ask_list(&row, &list, &published, &seen, door, &mut listed).await);
            }
        }
        let left = self.still_matching(&row).await?;
        let samples: Vec<Value> = seen
            .into_iter()
            .map(|Seen { sample, ocsp }| {
                let crl = listed.remove(&sample.serial).unwrap_or(Value::Null);
                json!({
                    "serial": sample.serial, "ca": sample.ca, "shard": sample.shard, "profile": sample.profile,
                    "ocsp": ocsp, "crl": crl,
                })
            })
            .collect();
        let head = self.head_of(&row)?;
        let done = row.advanced.map(|at| {
            json!({
                "time": at.time, "event": at.event, "after_ms": after(&row, at.time),
            })
        });
        let document = json!({
            "form": FORM,
            "job": row.job,
            "decision": {
                "selector": row.selector, "reason": row.reason, "invalid_since": row.invalid_since,
                "by": row.by.to_string(), "time": row.asked.time, "event": row.asked.event,
                "confirmed": row.count,
            },
            "done": { "revoked": row.revoked, "skipped": row.skipped, "last": done },
            "still_matching": left,
            "record": head,
            "door": door.address(),
            "lists": lists,
            "sampling": chosen,
            "samples": samples,
        });
        let proof = self.signed_document(&row, &document).await?;
        self.end_job(&row, JobStep::Ended { left, proof: Der(proof) }).await?;
        tracing::info!(job = %row.job, revoked = row.revoked, skipped = row.skipped, "a job of revocation has ended");
        Ok(())
    }

    /// What is looked at: all, when they are few; else the first of every CA, shard and profile, and the last.
    fn samples(&self, row: &JobRow) -> Result<(Vec<Sample>, String), Failed<JobRefused>> {
        if row.revoked > SAMPLES as u64 {
            let mut samples = row.samples.clone();
            samples.extend(row.last.clone().filter(|last| !row.samples.contains(last)));
            let text = format!(
                "{} of {}: the first one of each CA, shard and profile, and the last one",
                samples.len(),
                row.revoked
            );
            return Ok((samples, text));
        }
        let snapshot = self.snapshot()?;
        let mut samples = Vec::new();
        for part in 0..row.parts {
            for serial in revoke_job::part(&*snapshot, &row.job, part)? {
                let Some(certificate) = rows::certificate(&*snapshot, &serial)? else { continue };
                // What was skipped is not this job's doing.
                if certificate.status != Status::Good && certificate.status_since.event > row.asked.event {
                    samples.push(Sample {
                        serial,
                        ca: certificate.ca,
                        shard: certificate.shard,
                        profile: certificate.profile,
                    });
                }
            }
        }
        samples.truncate(SAMPLES);
        Ok((samples, "all".to_owned()))
    }

    /// The lists of the job, each with the event in it. Those that cannot be built yet are waited for: the job is taken up again.
    async fn publish_lists(
        &self,
        row: &JobRow,
        event: EventNumber,
    ) -> Result<Vec<(ShardId, Arc<PublishedCrl>)>, Failed<JobRefused>> {
        self.publish_covering(&row.lists, event).await;
        let published = |list: &ShardId| {
            let published = self.ca(&list.ca).and_then(|ca| ca.list(list.shard));
            let published = published.filter(|published| published.covers > event);
            let published =
                published.ok_or_else(|| own_fault(format!("the CRL {list} cannot be published yet")))?;
            Ok((list.clone(), published))
        };
        row.lists.iter().map(published).collect()
    }

    async fn ask_ocsp(&self, row: &JobRow, sample: &Sample, door: &dyn PublicDoor) -> Value {
        match self.ocsp_answer(sample, door).await {
            Ok((der, basic, status)) => {
                let seen = self.clock.now();
                let (at, reason) = match status {
                    ParsedStatus::Revoked { at, reason } => (Some(at), reason),
                    ParsedStatus::Good | ParsedStatus::Unknown => (None, None),
                };
                let word = match status {
                    ParsedStatus::Revoked { .. } => "revoked",
                    ParsedStatus::Good => "good",
                    ParsedStatus::Unknown => "unknown",
                };
                json!({
                    "status": word, "revoked_at": at, "reason": reason, "produced_at": basic.produced_at,
                    "seen": seen, "after_ms": after(row, seen), "response": STANDARD.encode(der),
                })
            }
            Err(trouble) => {
                tracing::warn!(job = %row.job, serial = %sample.serial, trouble, "the effect on OCSP was not seen");
                json!({ "trouble": trouble })
            }
        }
    }

    /// Asks as any client does, without a nonce: an answer that somebody kept would be seen.
    async fn ocsp_answer(
        &self,
        sample: &Sample,
        door: &dyn PublicDoor,
    ) -> Result<(Vec<u8>, BasicResponse, ParsedStatus), String> {
        let ca = self.ca(&sample.ca).ok_or("the CA is not here any more")?;
        let issuer = Certificate::from_der(ca.certificate()).map_err(|error| error.to_string())?;
        let key = ca.public_key();
        let request =
            ocsp::request(issuer.subject_der(), key, sample.serial.as_bytes(), HashAlg::Sha256, None)
                .map_err(|error| error.to_string())?;
        let der = door.ocsp(request).await?;
        let ParsedResponse::Basic(basic) = ocsp::parse_response(&der).map_err(|error| error.to_string())?
        else {
            return Err("the answer is an error".to_owned());
        };
        basic.verify(&issuer, self.clock.now()).map_err(|error| error.to_string())?;
        let single = basic.singles.iter().find(|single| single.cert_id.own_serial() == Some(sample.serial));
        let status = single.ok_or("the answer is about something else")?.status;
        Ok((der, *basic, status))
    }

    async fn ask_list(
        &self,
        row: &JobRow,
        list: &ShardId,
        published: &PublishedCrl,
        seen: &[Seen],
        door: &dyn PublicDoor,
        listed: &mut BTreeMap<Serial, Value>,
    ) -> Value {
        let mine: BTreeSet<Serial> = seen
            .iter()
            .filter(|it| it.sample.ca == list.ca && it.sample.shard == list.shard)
            .map(|it| it.sample.serial)
            .collect();
        let fetched = match self.list_at(list, &mine, door).await {
            Ok((summary, found, digest, bytes)) => {
                let now = self.clock.now();
                for serial in &mine {
                    let entry = json!({
                        "number": summary.number, "listed": found.contains(serial), "after_ms": after(row, now),
                    });
                    listed.insert(*serial, entry);
                }
                json!({
                    "number": summary.number, "this_update": summary.this_update, "sha256": digest, "bytes": bytes,
                    "seen": now, "after_ms": after(row, now),
                })
            }
            Err(trouble) => {
                tracing::warn!(job = %row.job, ca = %list.ca, shard = list.shard, trouble, "the effect on a CRL was not seen");
                json!({ "trouble": trouble })
            }
        };
        json!({
            "ca": list.ca, "shard": list.shard, "number": published.number, "this_update": published.this_update,
            "next_update": published.next_update, "entries": published.entries, "sha256": published.digest,
            "fetched": fetched,
        })
    }

    /// The list as the door gives it, with those of `wanted` that are on it.
    async fn list_at(
        &self,
        list: &ShardId,
        wanted: &BTreeSet<Serial>,
        door: &dyn PublicDoor,
    ) -> Result<(crl::CrlSummary, BTreeSet<Serial>, Digest, u64), String> {
        let der = door.crl(&list.ca, list.shard).await?;
        let key = self.ca(&list.ca).ok_or("the CA is not here any more")?.public_key().clone();
        let wanted = wanted.clone();
        let read = tokio::task::spawn_blocking(move || {
            crl::verify_signed_by(&der, &key).map_err(|error| error.to_string())?;
            let mut found = BTreeSet::new();
            let summary = crl::parse_each(&der, |entry| {
                found.extend(entry.own_serial().filter(|serial| wanted.contains(serial)));
            });
            let summary = summary.map_err(|error| error.to_string())?;
            Ok::<_, String>((summary, found, Digest::of(&der), der.len() as u64))
        });
        read.await.map_err(|error| error.to_string())?
    }

    /// What matches by now: issued or released since the list was made.
    async fn still_matching(&self, row: &JobRow) -> Result<u64, Failed<JobRefused>> {
        // A selector of another version that this one cannot read any more matches nothing.
        let Ok(selection) = Selection::of_job(row) else { return Ok(0) };
        let (snapshot, now) = (self.snapshot()?, self.clock.now());
        Ok(blocking(move || selection.count(&*snapshot, now)).await??)
    }

    fn head_of(&self, row: &JobRow) -> Result<Value, Failed<JobRefused>> {
        let snapshot = self.snapshot()?;
        let tree = super::projection::frontier(&*snapshot)?;
        Ok(json!({
            "events": tree.size(), "root": tree.root(), "first": row.asked.event,
        }))
    }

    /// By a key of its own, which is gone afterwards: see `profiles/evidence.toml`.
    async fn signed_document(&self, row: &JobRow, document: &Value) -> Result<Vec<u8>, Failed<JobRefused>> {
        let bytes = serde_json::to_vec_pretty(document).map_err(own_fault)?;
        let subject = vec![(NameAttribute::CommonName, format!("Vitae evidence of job {}", row.job))];
        let own = self.issue_for_one_signature(EVIDENCE, subject).await.map_err(own_fault)?;
        let certificate = Certificate::from_der(&own.certificate).map_err(own_fault)?;
        let mut above = Vec::new();
        let mut at = self.ca(&own.row.ca);
        while let Some(ca) = at {
            // A root is what whoever checks has already.
            let Some(issuer) = ca.settings().issuer() else { break };
            above.push(ca.certificate());
            at = self.ca(issuer);
        }
        let data = SignedData::new(&bytes, &certificate, &above, own.key.kind(), self.clock.now());
        let data = data.map_err(own_fault)?;
        let signature = own.key.sign(data.bytes()).await?;
        data.assemble(&signature).map_err(own_fault)
    }
}

/// Milliseconds from the decision.
fn after(row: &JobRow, then: Timestamp) -> u64 {
    u64::try_from(then.since(row.asked.time).as_millis()).unwrap_or(u64::MAX)
}

fn own_fault(error: impl std::fmt::Display) -> Failed<JobRefused> {
    Failed::Unavailable(error.to_string())
}
