//! `vitae agent`: on the device. Enrols once, renews in time, for years.

use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use super::arguments::{AgentCommand, AgentEnrol, AgentServer, LogLevel};
use super::serve::{log_to_stderr, stop_signal};
use super::{Failure, arguments, output};
use crate::agent::{EstClient, Home, Identity, Trust, Waits, enroll_patiently, read_identity};
use crate::clock::{Clock, Random, SystemClock, SystemRandom, Timestamp};
use crate::pki::certificate::Certificate;

/// A failed renewal is tried again after this, then ever more slowly.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

pub(super) async fn run(global: &arguments::Global, command: AgentCommand) -> Result<(), Failure> {
    match command {
        AgentCommand::Enrol(enrol) => enrol_once(&enrol).await,
        AgentCommand::Renew(server) => renew(&server).await.map(|_| ()),
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
    let client = client(&enrol.server, identity.as_ref())?;
    let label = enrol.server.label.as_deref();
    let mut connection = client.connect().await?;
    let wishes = connection.csr_attributes(label).await?;
    connection.can_obey(&wishes)?;
    drop(connection);
    let key = home.next_key(&wishes)?;
    let certificate = enroll_patiently(&client, label, (&key, enrol.serial.as_deref()), token, |waits| {
        let (what, pause) = match waits {
            Waits::Approval { text, retry_after } => (text.to_owned(), retry_after),
            Waits::Trouble { error, retry_after } => (error.to_string(), retry_after),
        };
        // Whoever ends it here can go on with the same command later: the key is kept.
        eprintln!("vitae: {what}; asking again in {} s", pause.as_secs());
    })
    .await?;
    home.take_into_use(&key, &certificate)?;
    show_once(&enrol.server, &home).await;
    said(&home, &Certificate::from_der(&certificate)?)
}

async fn renew(server: &AgentServer) -> Result<Certificate, Failure> {
    let home = Home::at(&server.home)?;
    let current = home.enrolled()?.ok_or_else(|| {
        Failure::Refused(format!("{} holds no certificate yet: enrol first", server.home.display()))
    })?;
    let mut connection = client(server, Some(&current.identity))?.connect().await?;
    let wishes = connection.csr_attributes(server.label.as_deref()).await?;
    connection.can_obey(&wishes)?;
    let key = home.next_key(&wishes)?;
    let request = key.renewal_on(&connection, &current.certificate)?;
    let certificate = connection.reenroll(server.label.as_deref(), &request).await?;
    home.take_into_use(&key, &certificate)?;
    show_once(server, &home).await;
    let certificate = Certificate::from_der(&certificate)?;
    said(&home, &certificate)?;
    Ok(certificate)
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

/// Renews when two thirds of the certificate's life are over, a little earlier or later so that a fleet that was
/// enrolled together does not come back together.
async fn keep_renewed(server: &AgentServer) -> Result<(), Failure> {
    let home = Home::at(&server.home)?;
    let mut certificate = home
        .enrolled()?
        .ok_or_else(|| {
            Failure::Refused(format!("{} holds no certificate yet: enrol first", server.home.display()))
        })?
        .certificate;
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let mut pause = FIRST_PAUSE;
    let mut due = renewal_time(&certificate);
    loop {
        let wait = due.since(SystemClock.now());
        tracing::info!(%due, not_after = %certificate.not_after(), "waiting for the next renewal");
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        match renew(server).await {
            Ok(renewed) => {
                certificate = renewed;
                due = renewal_time(&certificate);
                pause = FIRST_PAUSE;
            }
            Err(Failure::Refused(reason) | Failure::Usage(reason)) => {
                tracing::warn!(reason, "the renewal failed");
                due = SystemClock.now() + pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn renewal_time(certificate: &Certificate) -> Timestamp {
    let life = certificate.not_after().since(certificate.not_before());
    let mut random = [0; 1];
    SystemRandom.fill(&mut random);
    // Between 60 and 70 of a hundred.
    certificate.not_before() + life / 100 * (60 + u32::from(random[0]) % 11)
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
