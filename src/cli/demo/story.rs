//! The story, chapter by chapter. Each checks what it tells; the first thing that is not as told ends it.

use std::sync::Arc;
use std::time::Instant;

use super::cast::Cast;
use super::fleet::{self, Credential, Unit};
use super::stage::{Pace, everyone};
use super::status::StatusDoor;
use super::{House, commands};
use crate::admin::{MoveBody, NewDeviceBody, NewIdentityBody, RevocationBody};
use crate::agent::{AgentError, DeviceKey, Trust};
use crate::authority::{LogReport, Moved, Revocation, Trace};
use crate::cli::arguments::Demo;
use crate::cli::client::nothing;
use crate::cli::{Failure, cert, output};
use crate::fleet::{Device, Identity as MachineIdentity};
use crate::ids::Reason;
use crate::pki::pem;

/// Tells it from the first device to the commands for the audience.
pub(super) async fn tell(house: &House, demo: &Demo) -> Result<(), Failure> {
    let chain = std::fs::read_to_string(house.dir.join("ca/chain.pem"))?;
    let house = House {
        dir: house.dir.clone(),
        config: house.config.clone(),
        addresses: house.addresses,
        global: house.global.clone(),
    };
    let cast = Arc::new(Cast { trust: Trust::from_pem(&chain)?, house });
    let mut units = fleet::load(&cast.house.config, demo.devices as usize)?;
    let mut paces: Vec<(&str, Pace)> = Vec::new();

    paces.push(("registered", register(&cast, &mut units).await?));
    paces.push(("birth certificates", birth(&cast, &mut units).await?));
    paces.push(("shipped and claimed", ship(&cast, &mut units).await?));
    paces.push(("enrolled", enrol(&cast, &mut units).await?));
    paces.push(("in clinical use, renewed", renew(&cast, &mut units).await?));
    cut_off_update_path(&cast, units.len()).await?;
    retire(&cast, &units).await?;
    trace(&cast, &units).await?;
    verify(&cast).await?;

    output::line("\nRates (one connection for each enrolment, all on this machine):")?;
    for (what, pace) in &paces {
        output::line(format!(
            "  {what:26} {:5} in {:6.2?}  {:7.0}/s",
            pace.count,
            pace.took,
            pace.per_second()
        ))?;
    }
    if demo.once {
        // What the commands would ask is about to end.
        return output::line("\nTo try it yourself: the same without --once serves on and prints commands.");
    }
    commands::print(&cast, &units).await
}

async fn register(cast: &Arc<Cast>, units: &mut Vec<Unit>) -> Result<Pace, Failure> {
    let act = Arc::clone(cast);
    let pace = everyone("registering the fleet", units, move |mut unit| {
        let cast = Arc::clone(&act);
        async move {
            let body = NewDeviceBody {
                maker: Some(unit.maker.clone()),
                model: unit.model.clone(),
                serial: unit.serial.clone(),
                udi_di: Some(unit.udi_di.clone()),
                site: Some(unit.site.clone()),
                lot: Some(unit.lot.clone()).filter(|lot| !lot.is_empty()),
                ..NewDeviceBody::default()
            };
            let device: Device = cast.admin().await?.post("/api/v1/devices", &body).await?;
            unit.id = Some(device.id);
            Ok(unit)
        }
    })
    .await?;
    chapter(2, &format!("{} devices of the demo fleet registered, at stage manufacturing", pace.count))?;
    Ok(pace)
}

async fn birth(cast: &Arc<Cast>, units: &mut Vec<Unit>) -> Result<Pace, Failure> {
    let act = Arc::clone(cast);
    let pace = everyone("birth certificates", units, move |mut unit| {
        let cast = Arc::clone(&act);
        async move {
            let id = unit.id()?;
            let token = cast.token(id, "idev", 600).await?;
            let key = DeviceKey::generate()?;
            let mut connection = cast.est(None)?.connect().await?;
            let request = key.request_on(&connection, Some(&unit.serial))?;
            let der = connection.enroll(Some("idev"), &request, Some((id.as_str(), &token))).await?;
            unit.birth = Some(Credential::new(key, &der)?);
            Ok(unit)
        }
    })
    .await?;
    chapter(3, "The factory line gave each its birth certificate (EST label idev, one-time token)")?;
    Ok(pace)
}

async fn ship(cast: &Arc<Cast>, units: &mut Vec<Unit>) -> Result<Pace, Failure> {
    let act = Arc::clone(cast);
    let pace = everyone("shipping and claiming", units, move |unit| {
        let cast = Arc::clone(&act);
        async move {
            cast.move_to(&unit, "deployment", None).await?;
            cast.move_to(&unit, "deployment", Some(&unit.site)).await?;
            Ok(unit)
        }
    })
    .await?;
    chapter(4, "Shipped, received, claimed by the four hospitals")?;
    Ok(pace)
}

async fn enrol(cast: &Arc<Cast>, units: &mut Vec<Unit>) -> Result<Pace, Failure> {
    let act = Arc::clone(cast);
    let pace = everyone("enrolling over EST", units, move |mut unit| {
        let cast = Arc::clone(&act);
        async move {
            let key = DeviceKey::generate()?;
            let mut connection = cast.est(Some(&unit.birth()?.identity()))?.connect().await?;
            let request = key.request_on(&connection, Some(&unit.serial))?;
            let der = connection.enroll(None, &request, None).await?;
            unit.operational = Some(Credential::new(key, &der)?);
            Ok(unit)
        }
    })
    .await?;
    chapter(5, "Every device enrolled itself over EST, by mTLS with its birth certificate")?;
    Ok(pace)
}

async fn renew(cast: &Arc<Cast>, units: &mut Vec<Unit>) -> Result<Pace, Failure> {
    // Two of three go to patients; the others wait in the store room.
    let keep = units.len().div_ceil(3);
    let mut released = units.split_off(keep);
    let act = Arc::clone(cast);
    let pace = everyone("going to work, renewing", &mut released, move |mut unit| {
        let cast = Arc::clone(&act);
        async move {
            cast.move_to(&unit, "clinical-use", None).await?;
            let current = unit.operational()?;
            let key = DeviceKey::generate()?;
            let mut connection = cast.est(Some(&current.identity()))?.connect().await?;
            let request = key.renewal_on(&connection, &current.certificate)?;
            let der = connection.reenroll(None, &request).await?;
            unit.operational = Some(Credential::new(key, &der)?);
            Ok(unit)
        }
    })
    .await?;
    units.append(&mut released);
    chapter(
        6,
        &format!("{} went to clinical use and renewed their certificates with a new key", pace.count),
    )?;
    Ok(pace)
}

async fn cut_off_update_path(cast: &Cast, devices: usize) -> Result<(), Failure> {
    let name = "P3-upd-2026-2";
    let body = NewIdentityBody {
        kind: "signer".to_owned(),
        name: name.to_owned(),
        maker: Some("brannoc".parse()?),
        owner: "release manager of Brannoc Infusion".to_owned(),
        purpose: "signs firmware of the P3 pump".to_owned(),
    };
    let signer: MachineIdentity = cast.admin().await?.post("/api/v1/identities", &body).await?;
    let token = cast.token(&signer.id, "update", 600).await?;
    let key = DeviceKey::generate()?;
    let mut connection = cast.est(None)?.connect().await?;
    let der =
        connection.enroll(Some("update"), &key.request(None)?, Some((signer.id.as_str(), &token))).await?;
    let credential = Credential::new(key, &der)?;
    let serial = credential.serial()?;
    let path = cast.house.dir.join("update-signer.pem");
    std::fs::write(&path, pem::encode("CERTIFICATE", &der))?;

    let door = StatusDoor::new(&cast.house.dir, cast.house.addresses.status, "update")?;
    let (before, (number_before, _, listed_before)) = (door.ocsp(serial).await?, door.crl(serial).await?);
    let begun = Instant::now();
    let body = RevocationBody { serials: vec![serial], reason: Reason::KeyCompromise, invalid_since: None };
    let done: Revocation = cast.admin().await?.post("/api/v1/revocations", &body).await?;
    let after = door.ocsp(serial).await?;
    let ocsp_took = begun.elapsed();
    let (number_after, entries, listed_after) = door.crl(serial).await?;
    let crl_took = begun.elapsed();
    let good = cast.certificates(&[("profile", "ldev".to_owned()), ("status", "good".to_owned())]).await?;
    let touched =
        cast.certificates(&[("profile", "ldev".to_owned()), ("status", "revoked".to_owned())]).await?;

    chapter(
        7,
        &format!(
            "The firmware signer {name} is compromised: certificate {serial} revoked (event {})",
            done.event
        ),
    )?;
    output::line(format!("    OCSP  before: {before}; after: {after}; {ocsp_took:.1?} from the decision"))?;
    output::line(format!(
        "    CRL   before: number {number_before}, not listed; after: number {number_after}, {entries} listed; {crl_took:.1?}"
    ))?;
    output::line(format!(
        "    Devices touched: {}; {} device certificates stay good",
        touched.len(),
        good.len()
    ))?;
    check(
        before == "good" && after.starts_with("revoked") && after.contains("key-compromise"),
        "OCSP turns from good to revoked",
    )?;
    check(
        !listed_before && listed_after && number_after > number_before,
        "the CRL lists the revoked signer",
    )?;
    check(touched.is_empty() && good.len() >= devices, "no device is touched")
}

async fn retire(cast: &Cast, units: &[Unit]) -> Result<(), Failure> {
    let pump = units
        .iter()
        .rev()
        .find(|unit| unit.model == "P3")
        .ok_or_else(|| Failure::Refused("no P3 in the fleet".to_owned()))?;
    let id = pump.id()?;
    let body = MoveBody {
        stage: "retired".parse()?,
        reason: Some("end of its service life".to_owned()),
        evidence: Some("wipe protocol of the workshop".to_owned()),
        owner: None,
    };
    let moved: Moved = cast.admin().await?.post(&format!("/api/v1/devices/{id}/move"), &body).await?;
    chapter(
        8,
        &format!(
            "{id} is retired ({}, event {}): {} certificates revoked in the same commit",
            moved.transition,
            moved.event,
            moved.revoked.len()
        ),
    )?;
    let left = cast.certificates(&[("device", id.to_string()), ("status", "good".to_owned())]).await?;
    let left: Vec<_> = left
        .iter()
        .filter(|view| view.profile.as_ref().is_none_or(|profile| profile.as_str() != "idev"))
        .collect();
    check(
        !moved.revoked.is_empty() && left.is_empty(),
        "a retired device holds no good certificate but its birth certificate",
    )?;

    let door = StatusDoor::new(&cast.house.dir, cast.house.addresses.status, "operational")?;
    let status = door.ocsp(pump.operational()?.serial()?).await?;
    output::line(format!("    OCSP for its certificate: {status}"))?;
    check(status.starts_with("revoked"), "OCSP says revoked")?;
    let key = DeviceKey::generate()?;
    let mut connection = cast.est(Some(&pump.birth()?.identity()))?.connect().await?;
    let refused = connection.enroll(None, &key.request(Some(&pump.serial))?, None).await;
    told_refused(refused, "its next enrolment, with the birth certificate", "retired")?;
    let current = pump.operational()?;
    let mut connection = cast.est(Some(&current.identity()))?.connect().await?;
    let refused = connection.reenroll(None, &key.renewal(&current.certificate)?).await;
    told_refused(refused, "its next renewal, with the old certificate", "revoked")
}

fn told_refused(answer: Result<Vec<u8>, AgentError>, what: &str, why: &str) -> Result<(), Failure> {
    match answer {
        Err(AgentError::Refused { status: 403, text }) if text.contains(why) => {
            output::line(format!("    {what}: 403, {text}"))
        }
        Err(other) => Err(Failure::Refused(format!("{what} was refused otherwise than told: {other}"))),
        Ok(_) => Err(Failure::Refused(format!("{what} was answered with a certificate"))),
    }
}

async fn trace(cast: &Cast, units: &[Unit]) -> Result<(), Failure> {
    // One that was renewed and is still at work.
    let unit = units.iter().rev().find(|unit| unit.model != "P3").or(units.last());
    let unit = unit.ok_or_else(|| Failure::Refused("the fleet is empty".to_owned()))?;
    let serial = unit.operational()?.serial()?;
    let trace: Trace = cast.admin().await?.get(&format!("/api/v1/certificates/{serial}/trace")).await?;
    chapter(9, &format!("Where does certificate {serial} come from? (vitae cert trace)"))?;
    cert::show_trace(&trace)?;
    check(
        trace.replaces.is_some() && trace.device.is_some(),
        "the trace leads to the device and to the first enrolment",
    )
}

async fn verify(cast: &Cast) -> Result<(), Failure> {
    let report: LogReport = cast.admin().await?.post("/api/v1/log/verify", &nothing()).await?;
    chapter(
        10,
        &format!(
            "The record agrees with itself: {} events, root {}",
            report.computed.size, report.computed.root
        ),
    )?;
    check(report.is_sound(), "tree and tables follow from the events")
}

fn chapter(number: u32, text: &str) -> Result<(), Failure> {
    output::line(format!("{number:2}. {text}"))
}

fn check(holds: bool, what: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Refused(format!("the story is not as told: {what}"))) }
}
