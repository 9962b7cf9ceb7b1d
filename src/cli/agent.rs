//! `vitae agent`: on the device. Enrols once, renews in time, for years.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::arguments::{AgentCommand, AgentEnrol, AgentServer, LogLevel};
use super::serve::{log_to_stderr, stop_signal};
use super::{Failure, arguments, output};
use crate::agent::{
    AgentError, DeviceKey, Enrolled, EstClient, Home, Identity, Schedule, Trust, Waits, enroll_patiently,
    read_identity,
};
use crate::clock::{Clock, SystemClock, SystemRandom};
use crate::pki::certificate::Certificate;

/// A failed renewal is tried again after this, then ever more slowly.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

pub(super) async fn run(global: &arguments::Global, command: AgentCommand) -> Result<(), Failure> {
    match command {
        AgentCommand::Enrol(enrol) => enrol_once(&enrol).await,
        AgentCommand::Renew { server, if_due: false } => renew(&server).await,
        AgentCommand::Renew { server, if_due: true } => renew_if_due(&server).await,
        AgentCommand::Run(server) => {
            log_to_stderr(global, LogLevel::Info);
            keep_renewed(&server).await
        }
    }
}

async fn enrol_once(enrol: &AgentEnrol) -> Result<(), Failure> {
    let home = Home::at(&enrol.server.home)?;
    let identity =
        enrol.birth.as_ref().map(|path| read_identity(path)).transpose()?.map(|birth| birth.identity);
    let token = match (&enrol.device, &enrol.token) {
        (Some(device), Some(token)) => Some((device.as_str(), token.as_str())),
        (None, Some(token)) => Some(("", token.as_str())),
        (_, None) if identity.is_some() => None,
        (_, None) => {
            return Err(Failure::Usage("give --birth FILE, or --token TOKEN with --device ID".to_owned()));
        }
    };
    let _locked = home.lock()?;
    let was_asked_for = home.has_next_key();
    let client = client(&enrol.server, identity.as_ref())?;
    let mut connection = client.connect().await?;
    let wishes = connection.csr_attributes(enrol.server.label.as_deref()).await?;
    connection.can_obey(&wishes)?;
    drop(connection);
    let mut key = home.next_key(&wishes)?;
    let certificate = match enrol_with(&client, enrol, &key, token).await {
        // What was asked for with it was answered unheard, and has ended since: only a new key leads on.
        Err(AgentError::Refused { status: 409, text }) if was_asked_for => {
            let aside = home.put_next_key_aside()?;
            eprintln!(
                "vitae: {text}; the key of the request before is put aside as {}, asking with a new one",
                aside.display()
            );
            key = home.next_key(&wishes)?;
            enrol_with(&client, enrol, &key, token).await?
        }
        answer => answer?,
    };
    home.take_into_use(&key, &certificate)?;
    show_once(&enrol.server, &home).await;
    said(&home, &Certificate::from_der(&certificate)?)
}

async fn enrol_with(
    client: &EstClient,
    enrol: &AgentEnrol,
    key: &DeviceKey,
    token: Option<(&str, &str)>,
) -> Result<Vec<u8>, AgentError> {
    let label = enrol.server.label.as_deref();
    enroll_patiently(client, label, (key, enrol.serial.as_deref()), token, |waits| {
        let (what, pause) = match waits {
            Waits::Approval { text, retry_after } => (text.to_owned(), retry_after),
            Waits::Trouble { error, retry_after } => (error.to_string(), retry_after),
        };
        // Whoever ends it here can go on with the same command later: the key is kept.
        eprintln!("vitae: {what}; asking again in {} s", pause.as_secs());
    })
    .await
}

async fn renew(server: &AgentServer) -> Result<(), Failure> {
    let home = Home::at(&server.home)?;
    let _locked = home.lock()?;
    let current = enrolled(server)?;
    let mut connection = client(server, Some(&current.identity))?.connect().await?;
    let wishes = connection.csr_attributes(server.label.as_deref()).await?;
    connection.can_obey(&wishes)?;
    let key = home.next_key(&wishes)?;
    let request = key.renewal_on(&connection, &current.certificate)?;
    let certificate = connection.reenroll(server.label.as_deref(), &request).await?;
    home.take_into_use(&key, &certificate)?;
    show_once(server, &home).await;
    said(&home, &Certificate::from_der(&certificate)?)
}

/// Uses the new certificate: the server then knows that it arrived and ends the old one, which nobody needs any more. If
/// that fails, the overlap ends it.
async fn show_once(server: &AgentServer, home: &Home) {
    let shown = async {
        let enrolled = home.enrolled()?;
        let identity = enrolled.as_ref().map(|enrolled| &enrolled.identity);
        client(server, identity)?.connect().await?.cacerts(server.label.as_deref()).await?;
        Ok::<_, Failure>(())
    };
    if let Err(Failure::Refused(reason) | Failure::Usage(reason)) = shown.await {
        tracing::warn!(reason, "the new certificate is in use, but the server has not seen it yet");
    }
}

/// For a timer that starts this now and then: renews only when the moment has come.
async fn renew_if_due(server: &AgentServer) -> Result<(), Failure> {
    let current = enrolled(server)?;
    let schedule = Schedule::by_the_clock(&current.certificate, SystemClock.now(), &SystemRandom);
    let schedule = heard(server, &current, schedule).await;
    if schedule.due() <= SystemClock.now() {
        return renew(server).await;
    }
    output::line(format!("not due yet: good until {}", current.certificate.not_after()))
}

/// Renews when the server wants it, and when it does not say, at about two thirds of the certificate's life.
async fn keep_renewed(server: &AgentServer) -> Result<(), Failure> {
    let mut current = enrolled(server)?;
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let mut pause = FIRST_PAUSE;
    let by_the_clock =
        |certificate: &Certificate| Schedule::by_the_clock(certificate, SystemClock.now(), &SystemRandom);
    let mut schedule = heard(server, &current, by_the_clock(&current.certificate)).await;
    loop {
        let (due, not_after) = (schedule.due(), current.certificate.not_after());
        tracing::info!(%due, %not_after, "waiting for the next renewal");
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(schedule.next().since(SystemClock.now())) => {}
        }
        if SystemClock.now() < schedule.due() {
            schedule = heard(server, &current, schedule).await;
            continue;
        }
        match renew(server).await {
            Ok(()) => {
                current = enrolled(server)?;
                schedule = heard(server, &current, by_the_clock(&current.certificate)).await;
                pause = FIRST_PAUSE;
            }
            Err(Failure::Refused(reason) | Failure::Usage(reason)) => {
                tracing::warn!(reason, "the renewal failed");
                schedule = schedule.not_before(SystemClock.now() + pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// The schedule by what the server says now; as it was, when nothing is heard.
async fn heard(server: &AgentServer, current: &Enrolled, schedule: Schedule) -> Schedule {
    let now = SystemClock.now();
    // What has expired is not asked about (the draft's MUST NOT).
    if now > current.certificate.not_after() {
        return schedule.unheard(now);
    }
    let ask = async {
        let mut connection = client(server, Some(&current.identity))?.connect().await?;
        Ok::<_, Failure>(connection.renewal_info(server.label.as_deref(), &current.certificate).await?)
    };
    match ask.await {
        Ok(Some(advice)) => schedule.advised(&advice, now, &SystemRandom),
        Ok(None) => schedule.unheard(now),
        Err(Failure::Refused(reason) | Failure::Usage(reason)) => {
            tracing::info!(reason, "the server could not be asked when to renew");
            schedule.unheard(now)
        }
    }
}

fn enrolled(server: &AgentServer) -> Result<Enrolled, Failure> {
    Home::at(&server.home)?.enrolled()?.ok_or_else(|| {
        Failure::Refused(format!("{} holds no certificate yet: enrol first", server.home.display()))
    })
}

fn client(server: &AgentServer, identity: Option<&Identity>) -> Result<EstClient, Failure> {
    let usage = || Failure::Usage(format!("'{}' is no https URL: write https://HOST:PORT", server.url));
    let uri: Uri = server.url.parse().map_err(|_| usage())?;
    if uri.scheme_str() != Some("https") {
        return Err(usage());
    }
    let host = uri.host().ok_or_else(usage)?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let address = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|error| Failure::Refused(format!("{host} cannot be found: {error}")))?
        .next()
        .ok_or_else(|| Failure::Refused(format!("{host} has no address")))?;
    let text = std::fs::read_to_string(&server.trust)
        .map_err(|error| Failure::Refused(format!("cannot read {}: {error}", server.trust.display())))?;
    Ok(EstClient::new(address, &host, &Trust::from_pem(&text)?, identity)?)
}

fn said(home: &Home, certificate: &Certificate) -> Result<(), Failure> {
    let file: PathBuf = home.identity_file();
    output::line(format!("{}: good until {}", file.display(), certificate.not_after()))
}
