//! The arguments of every command.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::check_filter::CheckFilter;
use super::events::Events;
use super::revoke::Revoke;
use crate::clock::Timestamp;
use crate::ids::{ApprovalId, CaName, Digest, HolderId, MakerName, ProfileName, Serial, StageName};

/// A private certificate authority that knows the stage of life of every device it serves.
#[derive(Debug, Parser)]
#[command(name = "vitae", version, propagate_version = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Global {
    /// The data folder [default: vitae-data; of the demo: a temporary one]
    #[arg(long, global = true, env = "VITAE_DIR", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The policy folder [default: ca-config]
    #[arg(long, global = true, env = "VITAE_CONFIG", value_name = "DIR")]
    pub(super) config: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Another server's admin door, such as https://127.0.0.1:9443; without it, DIR/admin.sock"
    )]
    pub(super) server: Option<String>,
    /// The admin certificate for --server [default: DIR/admin/admin.pem]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// Its key [default: DIR/admin/admin.key]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Whom to trust as --server [default: DIR/ca/chain.pem]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cacert: Option<PathBuf>,
    /// How the server logs
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
    #[arg(
        long,
        global = true,
        env = "VITAE_LOG_LEVEL",
        value_enum,
        value_name = "LEVEL",
        help = "The least that is worth a line in the log; debug has every failed handshake and broken connection \
                [default: info; of the demo: warn]"
    )]
    pub(super) log_level: Option<LogLevel>,
}

impl Global {
    pub(super) fn dir(&self) -> &Path {
        self.dir.as_deref().unwrap_or(Path::new("vitae-data"))
    }

    pub(super) fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("ca-config"))
    }
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[arg(
        long,
        value_enum,
        value_name = "PART",
        help = "Serve this part alone, beside the server that writes the same data folder, or from a copy of it made by \
                'vitae status-copy'. Nothing is written, and the private keys of the CAs are not needed"
    )]
    pub(super) only: Option<Part>,
    /// Where to listen, as IP:PORT [default: the status address in vitae.toml]
    #[arg(long, value_name = "ADDRESS", requires = "only")]
    pub(super) listen: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    /// OCSP, CRLs, CA certificates, health and metrics
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tell the whole story on loopback, then keep serving until Ctrl-C
    Demo(Demo),
    /// Make the hierarchy, the keys and the first admin credential
    Init,
    /// Serve EST, status and admin
    Serve(Serve),
    #[command(
        about = "Copy what a responder on another machine needs, beside the running server",
        long_about = "Copy what 'vitae serve --only status' on another machine needs into the folder TO, beside the \
                      running server: the standing of every certificate, the published lists, the certificates of the \
                      CAs and the keys of the OCSP signers, and nothing else of the record. A copy that is there is \
                      renewed; a responder that serves from it goes over to the new one by itself. A responder \
                      answers OCSP until the 'ocsp-lifetime' of a CA has passed since the copy, so renew it well before"
    )]
    StatusCopy {
        /// The folder of the copy; made if it is not there
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
    /// Check the policy folder
    #[command(subcommand)]
    Config(ConfigCommand),
    /// With the server stopped: hold the tables and the tree against the events
    Check,
    /// Verify a revocation filter and ask it, without network or store; exit code 3: revoked, 4: ask OCSP
    CheckFilter(CheckFilter),
    /// Devices
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Machine identities that are no devices
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// One-time enrolment tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Requests that an operator has to approve
    #[command(subcommand)]
    Approve(ApproveCommand),
    /// Secrets that devices and the authority share, to encrypt the keys that it makes for them
    #[command(subcommand)]
    TransportKey(TransportKeyCommand),
    /// Certificates
    #[command(subcommand)]
    Cert(CertCommand),
    /// Revoke certificates, by serial number or all that a selector holds of
    Revoke(Revoke),
    /// Release certificates from their hold
    Release {
        #[arg(required = true)]
        serials: Vec<Serial>,
    },
    /// Revocation lists
    #[command(subcommand)]
    Crl(CrlCommand),
    /// The CAs of the hierarchy
    #[command(subcommand)]
    Ca(CaCommand),
    /// The record as it grows: every event as a line, and the webhooks that it is told to
    Events(Events),
    /// The ledger of events
    #[command(subcommand)]
    Log(LogCommand),
    /// On the device: enrol and renew
    #[command(subcommand)]
    Agent(AgentCommand),
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// How many devices
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=1202))]
    pub(super) devices: u32,
    /// End with the story instead of serving on
    #[arg(long)]
    pub(super) once: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say everything that is wrong with it, with file, line and reason
    Check,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Register a device and print its id
    Register(Register),
    /// List devices, newest first
    List(DeviceList),
    /// Show a device
    Show { device: HolderId },
    /// Move a device to another stage, with everything that does to its certificates
    Move(Move),
    /// A device's whole life
    History {
        device: HolderId,
        /// As it was known then (RFC 3339 time or date)
        #[arg(long, value_name = "TIME")]
        as_of: Option<Timestamp>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Register {
    #[arg(long)]
    pub(super) model: String,
    #[arg(long)]
    pub(super) serial: String,
    /// A maker of manufacturers/ [default: default-maker of vitae.toml]
    #[arg(long)]
    pub(super) maker: Option<MakerName>,
    /// The device identifier of its UDI
    #[arg(long)]
    pub(super) udi_di: Option<String>,
    #[arg(long)]
    pub(super) site: Option<String>,
    #[arg(long)]
    pub(super) lot: Option<String>,
    #[arg(long)]
    pub(super) owner: Option<String>,
    /// The stage it is at already [default: where a new unit's life begins]
    #[arg(long)]
    pub(super) stage: Option<StageName>,
}

#[derive(Debug, Args)]
pub(super) struct DeviceList {
    #[arg(long)]
    pub(super) stage: Option<StageName>,
    #[arg(long)]
    pub(super) model: Option<String>,
    #[command(flatten)]
    pub(super) page: PageArguments,
}

#[derive(Debug, Args)]
pub(super) struct PageArguments {
    /// At most so many [default: all]
    #[arg(long)]
    pub(super) limit: Option<usize>,
    /// Only what comes after this one in the list: its serial number or id
    #[arg(long)]
    pub(super) after: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Move {
    pub(super) device: HolderId,
    pub(super) stage: StageName,
    #[arg(long)]
    pub(super) reason: Option<String>,
    #[arg(long)]
    pub(super) evidence: Option<String>,
    /// The new owner, where the move claims the device
    #[arg(long)]
    pub(super) owner: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Register an identity and print its id
    Register(RegisterIdentity),
    /// List identities, newest first
    List,
}

#[derive(Debug, Args)]
pub(super) struct RegisterIdentity {
    pub(super) name: String,
    /// signer, service or ra
    #[arg(long)]
    pub(super) kind: String,
    #[arg(long)]
    pub(super) maker: Option<MakerName>,
    /// The person who answers for it
    #[arg(long)]
    pub(super) owner: String,
    #[arg(long)]
    pub(super) purpose: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a token and print it: this is the only time it is seen
    Issue {
        device: HolderId,
        /// [default: default-label of vitae.toml]
        #[arg(long)]
        profile: Option<ProfileName>,
        /// How long it is good: 90s, 15m, 1h, 7d
        #[arg(long, default_value = "1h", value_parser = lifetime)]
        ttl: Duration,
    },
    /// List tokens, newest first
    List {
        #[arg(long)]
        device: Option<HolderId>,
        /// At most so many [default: all]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Cancel a token by the digest that the list shows
    Cancel { token: Digest },
}

#[derive(Debug, Subcommand)]
pub(super) enum TransportKeyCommand {
    /// Make a secret of 32 octets in DIR/keys/transport and print it in base64; requests name it as DecryptKeyIdentifier
    Add {
        /// 1 to 64 letters, digits, dashes and underscores
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ApproveCommand {
    /// List what waits for a decision, newest first
    List(ApproveList),
    /// Approve a request: the client that made it gets the certificate when it asks again
    Grant {
        id: ApprovalId,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Deny a request: its client is told the reason until the request expires
    Deny {
        id: ApprovalId,
        #[arg(long)]
        reason: String,
    },
    /// Forget a request, whatever was decided, so that its device may ask anew
    Cancel {
        id: ApprovalId,
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct ApproveList {
    /// Also what was decided, cancelled or has expired
    #[arg(long)]
    pub(super) all: bool,
    #[arg(long)]
    pub(super) device: Option<HolderId>,
    #[command(flatten)]
    pub(super) page: PageArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertCommand {
    /// List certificates, newest first
    List(CertList),
    /// Show a certificate
    Show {
        serial: Serial,
        /// The certificate itself
        #[arg(long)]
        pem: bool,
    },
    /// A certificate's story: device, stage, who approved, what it replaced and what replaced it
    Trace {
        serial: Serial,
        /// As it was known then (RFC 3339 time or date)
        #[arg(long, value_name = "TIME")]
        as_of: Option<Timestamp>,
    },
}

#[derive(Debug, Args)]
pub(super) struct CertList {
    #[arg(long)]
    pub(super) device: Option<HolderId>,
    #[arg(long, value_parser = ["good", "held", "revoked", "expired"])]
    pub(super) status: Option<String>,
    #[arg(long)]
    pub(super) profile: Option<ProfileName>,
    /// Those that this registration authority asked for
    #[arg(long, value_name = "IDENTITY")]
    pub(super) enrolled_by: Option<HolderId>,
    #[command(flatten)]
    pub(super) page: PageArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum CrlCommand {
    /// List the published CRLs
    List,
    /// Publish fresh ones, of one CA or of all
    Publish { ca: Option<CaName> },
}

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// List the CAs
    List,
    /// Show a CA
    Show { ca: CaName },
}

#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Recompute the Merkle tree and every table from the events
    Verify,
}

#[derive(Debug, Subcommand)]
pub(super) enum AgentCommand {
    /// Make a key and get the first certificate; waits where an operator has to approve it
    Enrol(AgentEnrol),
    /// Get the next certificate, with a new key
    Renew {
        #[command(flatten)]
        server: AgentServer,
        /// Only when it is time, by the server's advice or at two thirds of the certificate's life: for a timer
        #[arg(long)]
        if_due: bool,
    },
    /// Renew in time, until told to stop
    Run(AgentServer),
}

#[derive(Debug, Args)]
pub(super) struct AgentServer {
    #[arg(long, help = "The EST server, such as https://est.example.test:8443")]
    pub(super) url: String,
    /// Whom to trust: chain.pem of the authority
    #[arg(long, value_name = "FILE")]
    pub(super) trust: PathBuf,
    /// The device's own folder: identity.pem in it holds key and certificate
    #[arg(long, value_name = "DIR", default_value = "vitae-device")]
    pub(super) home: PathBuf,
    /// EST label [default: the server's]
    #[arg(long)]
    pub(super) label: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct AgentEnrol {
    #[command(flatten)]
    pub(super) server: AgentServer,
    /// The device id that the token was issued for
    #[arg(long)]
    pub(super) device: Option<HolderId>,
    /// A one-time token
    #[arg(long, env = "VITAE_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Or the birth certificate with its key, in one PEM file
    #[arg(long, value_name = "FILE")]
    pub(super) birth: Option<PathBuf>,
    /// The serial number on the plate, to be repeated in the request
    #[arg(long)]
    pub(super) serial: Option<String>,
}

/// A length of time as the configuration writes it.
fn lifetime(text: &str) -> Result<Duration, String> {
    crate::config::duration(text)
}
