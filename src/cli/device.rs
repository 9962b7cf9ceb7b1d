//! `vitae device`: register, list, show, move, history.

use super::Failure;
use super::arguments::{DeviceCommand, DeviceList, Global, Move, Register};
use super::client::{Admin, escape};
use super::output::{self, or_dash};
use crate::admin::{MoveBody, NewDeviceBody};
use crate::authority::{HistoryLine, Moved};
use crate::fleet::Device;

pub(super) async fn run(global: &Global, command: DeviceCommand) -> Result<(), Failure> {
    let mut admin = Admin::connect(global).await?;
    match command {
        DeviceCommand::Register(new) => register(global, &mut admin, new).await,
        DeviceCommand::List(filter) => list(global, &mut admin, filter).await,
        DeviceCommand::Show { device } => {
            let device: Device = admin.get(&format!("/api/v1/devices/{device}")).await?;
            if global.json { output::json(&device) } else { show(&device) }
        }
        DeviceCommand::Move(to) => move_to(global, &mut admin, to).await,
        DeviceCommand::History { device, as_of } => {
            let query = as_of.map(|at| format!("?as_of={}", escape(&at.to_string()))).unwrap_or_default();
            let lines: Vec<HistoryLine> =
                admin.get(&format!("/api/v1/devices/{device}/history{query}")).await?;
            if global.json { output::json(&lines) } else { history(&lines) }
        }
    }
}

async fn register(global: &Global, admin: &mut Admin, new: Register) -> Result<(), Failure> {
    let body = NewDeviceBody {
        maker: new.maker,
        model: new.model,
        serial: new.serial,
        udi_di: new.udi_di,
        site: new.site,
        lot: new.lot,
        owner: new.owner,
        stage: new.stage,
    };
    let device: Device = admin.post("/api/v1/devices", &body).await?;
    if global.json { output::json(&device) } else { output::line(&device.id) }
}

async fn list(global: &Global, admin: &mut Admin, list: DeviceList) -> Result<(), Failure> {
    let filter = [
        ("stage", list.stage.map(|stage| stage.to_string())),
        ("model", list.model),
        ("after", list.page.after),
    ];
    let devices: Vec<Device> = admin.list("/api/v1/devices", &filter, list.page.limit).await?;
    if global.json {
        return output::json(&devices);
    }
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            vec![
                device.id.to_string(),
                device.stage.to_string(),
                device.stage_since.time.to_string(),
                or_dash(device.owner.as_ref()),
                device.issued.to_string(),
            ]
        })
        .collect();
    output::table(&["DEVICE", "STAGE", "SINCE", "OWNER", "CERTIFICATES"], &rows)
}

fn show(device: &Device) -> Result<(), Failure> {
    let marks: Vec<&str> = device.marks.iter().map(String::as_str).collect();
    for (name, value) in [
        ("device", device.id.to_string()),
        ("maker", device.maker.to_string()),
        ("model", device.model.clone()),
        ("serial", device.serial.clone()),
        ("udi-di", or_dash(device.udi_di.as_ref())),
        ("site", or_dash(device.site.as_ref())),
        ("lot", or_dash(device.lot.as_ref())),
        ("owner", or_dash(device.owner.as_ref())),
        (
            "stage",
            format!(
                "{} since {} (event {})",
                device.stage, device.stage_since.time, device.stage_since.event
            ),
        ),
        ("marks", marks.join(", ")),
        ("registered", format!("{} (event {})", device.registered.time, device.registered.event)),
        ("certificates", device.issued.to_string()),
    ] {
        output::line(format!("{name:14}{value}"))?;
    }
    for (profile, first) in &device.first_enrolment {
        let (time, event) = (first.at.time, first.at.event);
        let by = first.enrolled_by.as_ref().map(|ra| format!(", by {ra}")).unwrap_or_default();
        output::line(format!(
            "first {profile:8}{} at stage {}{by}, {time} (event {event})",
            first.serial, first.stage
        ))?;
    }
    Ok(())
}

async fn move_to(global: &Global, admin: &mut Admin, to: Move) -> Result<(), Failure> {
    let body = MoveBody { stage: to.stage, reason: to.reason, evidence: to.evidence, owner: to.owner };
    let moved: Moved = admin.post(&format!("/api/v1/devices/{}/move", to.device), &body).await?;
    if global.json {
        return output::json(&moved);
    }
    output::line(format!(
        "{} moved from {} to {} ({}, event {})",
        moved.device.id, moved.from, moved.device.stage, moved.transition, moved.event
    ))?;
    for (what, serials) in
        [("revoked", &moved.revoked), ("on hold", &moved.held), ("released", &moved.released)]
    {
        for serial in serials {
            output::line(format!("  {what}: {serial}"))?;
        }
    }
    Ok(())
}

pub(super) fn history(lines: &[HistoryLine]) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![line.event.to_string(), line.time.to_string(), line.actor.clone(), line.what.clone()]
        })
        .collect();
    output::table(&["EVENT", "TIME", "WHO", "WHAT"], &rows)
}
