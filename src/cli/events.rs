//! `vitae events`: the record as it grows, one line an event; and the webhooks that it is told to.

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, Subcommand};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;

use super::arguments::Global;
use super::client::{Admin, Opened, escape};
use super::sse::Reader;
use super::{Failure, output};
use crate::authority::{CloudEvent, HookView, hook_secret};
use crate::clock::SystemRandom;
use crate::ids::{CaName, EventNumber, HolderId, HookName};

/// When the server has gone away, it is looked for this often.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Events {
    #[command(subcommand)]
    command: Option<EventsCommand>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, Args)]
struct Asked {
    /// Go on with what comes, also over restarts of the server, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// The number of the first event: what was seen last, plus 1 [default: 0; with --follow: the next one to come]
    #[arg(long, value_name = "NUMBER")]
    from: Option<u64>,
    /// Only events of this type, such as certificate-revoked; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    kinds: Vec<String>,
    /// Only what is about this device or identity
    #[arg(long, value_name = "ID")]
    holder: Option<HolderId>,
    /// Only what is about this CA or its certificates
    #[arg(long)]
    ca: Option<CaName>,
}

#[derive(Debug, Subcommand)]
enum EventsCommand {
    /// How far each webhook has been told, and what went wrong
    Hooks,
    /// Print the secret that the requests to a webhook are signed with, made if there is none yet: for its receiver
    Secret {
        /// Its name in webhooks.toml
        name: HookName,
    },
}

pub(super) async fn run(global: &Global, events: Events) -> Result<(), Failure> {
    match events.command {
        None => follow(global, &events.asked).await,
        Some(EventsCommand::Hooks) => hooks(global).await,
        Some(EventsCommand::Secret { name }) => {
            let secret = hook_secret(global.dir(), &name, &SystemRandom)?;
            if global.json {
                return output::json(&serde_json::json!({ "name": name, "secret": *secret }));
            }
            output::line(secret.as_str())
        }
    }
}

async fn hooks(global: &Global) -> Result<(), Failure> {
    let hooks: Vec<HookView> = Admin::connect(global).await?.get("/api/v1/events/hooks").await?;
    if global.json {
        return output::json(&hooks);
    }
    let rows: Vec<Vec<String>> = hooks
        .into_iter()
        .map(|hook| {
            vec![
                hook.name.to_string(),
                hook.url,
                output::or_dash(hook.next.map(|next| next.0)),
                output::or_dash(hook.behind),
                hook.delivered.to_string(),
                hook.failed.to_string(),
                hook.failing.map_or_else(
                    || "ok".to_owned(),
                    |failing| format!("failing ({} times): {}", failing.in_a_row, failing.reason),
                ),
            ]
        })
        .collect();
    output::table(&["NAME", "URL", "NEXT", "BEHIND", "DELIVERED", "FAILED", "STATE"], &rows)
}

/// How a stream ended.
enum End {
    /// The server has ended it, or is gone.
    Broken,
    /// Nobody reads what is printed.
    NoReader,
}

async fn follow(global: &Global, asked: &Asked) -> Result<(), Failure> {
    let mut path = format!("/api/v1/events?follow={}", asked.follow);
    if let Some(from) = asked.from.or((!asked.follow).then_some(0)) {
        path.push_str(&format!("&from={from}"));
    }
    if !asked.kinds.is_empty() {
        path.push_str(&format!("&type={}", escape(&asked.kinds.join(","))));
    }
    for (name, value) in [
        ("holder", asked.holder.as_ref().map(HolderId::as_str)),
        ("ca", asked.ca.as_ref().map(CaName::as_str)),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escape(value)));
        }
    }
    let mut last = None;
    // Somebody who asks of a server that is not there is told so; one that goes away later is waited for.
    let mut stream = open(global, &path, last).await.map_err(|lost| lost.why)?;
    loop {
        match print(global, stream, &mut last).await? {
            End::NoReader => return Ok(()),
            End::Broken if !asked.follow => return Ok(()),
            End::Broken => {}
        }
        eprintln!("vitae: the stream of events has ended; looking for the server");
        stream = loop {
            tokio::time::sleep(AGAIN).await;
            match open(global, &path, last).await {
                Ok(stream) => break stream,
                Err(lost) if lost.for_good => return Err(lost.why),
                Err(_) => {}
            }
        };
    }
}

struct Lost {
    why: Failure,
    /// The server has said no, and will again.
    for_good: bool,
}

async fn open(global: &Global, path: &str, last: Option<EventNumber>) -> Result<Incoming, Lost> {
    let passing = |why| Lost { why, for_good: false };
    let mut admin = Admin::connect(global).await.map_err(passing)?;
    match admin.open(path, last).await.map_err(passing)? {
        Opened::Stream(stream) => Ok(stream),
        Opened::Refused(status, why) => {
            Err(Lost { why, for_good: status != StatusCode::SERVICE_UNAVAILABLE })
        }
    }
}

async fn print(
    global: &Global,
    mut stream: Incoming,
    last: &mut Option<EventNumber>,
) -> Result<End, Failure> {
    let mut reader = Reader::default();
    while let Some(Ok(frame)) = stream.frame().await {
        let Ok(piece) = frame.into_data() else { continue };
        for message in reader.read(&piece)? {
            if let Some(data) = message.data {
                let line = if global.json { data } else { line(&serde_json::from_str(&data)?) };
                match writeln!(io::stdout(), "{line}") {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::NoReader),
                    printed => printed?,
                }
            }
            *last = message.id.and_then(|id| id.parse().ok()).map(EventNumber).or(*last);
        }
    }
    Ok(End::Broken)
}

/// For people; scripts take --json.
fn line(event: &CloudEvent) -> String {
    let kind = event.kind.rsplit('.').next().unwrap_or_default();
    let mut line = format!("{} {} {kind}", event.id, event.time);
    if let Some(subject) = &event.subject {
        line.push_str(&format!(" {subject}"));
    }
    for name in ["holder", "profile", "reason", "cause", "from", "to", "stage", "code", "number"] {
        match event.data.get(name) {
            Some(serde_json::Value::String(text)) if event.subject.as_deref() != Some(text) => {
                line.push_str(&format!(" {name}={text}"));
            }
            Some(value @ serde_json::Value::Number(_)) => line.push_str(&format!(" {name}={value}")),
            _ => {}
        }
    }
    line
}
