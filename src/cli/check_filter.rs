//! `vitae check-filter`: verifies a revocation filter and asks it, without a network and without a store.
//!
//! Exit codes, for scripts: 0 everything asked about is good (or nothing was asked and the filter is fine), 1 the filter is
//! not to be used, 2 wrong usage, 3 a certificate is revoked or on hold, 4 none is revoked and the filter does not cover one
//! of them: ask OCSP.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use const_oid::db::rfc5280::{ID_AD_OCSP, ID_PE_AUTHORITY_INFO_ACCESS};
use der::Decode;
use serde::Serialize;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;

use super::arguments::Global;
use super::{Failure, output};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::ids::{Digest, hex};
use crate::pki::certificate::Certificate;
use crate::pki::filter::{self, Answer, NotSigned, RevocationFilter};
use crate::pki::pem;

const REVOKED: u8 = 3;
const NOT_COVERED: u8 = 4;
/// Clocks of gateways differ a little from the authority's.
const AHEAD: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(super) struct CheckFilter {
    /// The filter, as GET /crl/CA/filter gives it
    #[arg(long, value_name = "FILE")]
    filter: PathBuf,
    /// The certificate of the CA, in PEM; of several, the one that signed is taken
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Certificates in PEM to ask about; '-' reads them from the standard input
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// A serial number in hex; '-' reads one a line from the standard input. A number alone does not tell whether its
    /// certificate is of this CA or had expired: give the certificate when it is at hand
    #[arg(long, value_name = "HEX")]
    serial: Vec<String>,
    /// As if it were then (RFC 3339 time or date)
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Refuse a filter whose number is not larger than this
    #[arg(long, value_name = "NUMBER")]
    newer_than: Option<u64>,
    /// Remember in this file the largest number seen of each CA key, and refuse smaller ones: replayed filters
    #[arg(long, value_name = "FILE")]
    remember: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report<'a> {
    filter: FilterReport,
    answers: &'a [AnswerReport],
}

#[derive(Serialize)]
struct FilterReport {
    ca: String,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    covered_to: Timestamp,
    covered: u64,
    revoked: u64,
    /// Of those covered.
    false_positives: u64,
    /// The share of serial numbers that are not covered and would be called revoked.
    revoked_by_chance: f64,
}

#[derive(Serialize)]
struct AnswerReport {
    serial: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ocsp: Option<String>,
}

/// What is asked about.
enum Question {
    Certificate(Box<Certificate>),
    Serial(Vec<u8>),
}

pub(super) fn run(global: &Global, asked: &CheckFilter) -> Result<ExitCode, Failure> {
    let questions = questions(asked)?;
    let now = asked.at.unwrap_or_else(|| SystemClock.now());
    let (filter, ca) = opened(asked)?;
    check_times(&filter, now)?;
    check_number(asked, &filter)?;
    let answers: Vec<AnswerReport> = questions.iter().map(|it| answer(&filter, &ca, it)).collect();
    show(global, &filter, &ca, &answers)?;
    let any = |status| answers.iter().any(|answer| answer.status == status);
    Ok(if any("revoked") {
        ExitCode::from(REVOKED)
    } else if any("not-covered") {
        ExitCode::from(NOT_COVERED)
    } else {
        ExitCode::SUCCESS
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Refused(format!("cannot read {}: {error}", path.display())))
}

fn certificates(path: &Path, bytes: Vec<u8>) -> Result<Vec<Certificate>, Failure> {
    let bad = |error: String| Failure::Refused(format!("{}: {error}", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not PEM".to_owned()))?;
    let ders = pem::certificates(&text).map_err(|error| bad(error.to_string()))?;
    let read = |der: &Vec<u8>| Certificate::from_der(der).map_err(|error| bad(error.to_string()));
    ders.iter().map(read).collect()
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn questions(asked: &CheckFilter) -> Result<Vec<Question>, Failure> {
    let dash = Path::new("-");
    let from_stdin = asked.certificate.iter().filter(|path| *path == dash).count()
        + asked.serial.iter().filter(|text| *text == "-").count();
    if from_stdin > 1 {
        return Err(Failure::Usage("the standard input can be read once: give one '-' only".to_owned()));
    }
    let mut questions = Vec::new();
    for path in &asked.certificate {
        let bytes = if path == dash { standard_input()? } else { read(path)? };
        let found = certificates(path, bytes)?;
        questions.extend(found.into_iter().map(|certificate| Question::Certificate(Box::new(certificate))));
    }
    for text in &asked.serial {
        if text != "-" {
            questions.push(Question::Serial(serial(text)?));
            continue;
        }
        let lines = String::from_utf8(standard_input()?)
            .map_err(|_| Failure::Usage("the standard input is not text".to_owned()))?;
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            questions.push(Question::Serial(serial(line)?));
        }
    }
    Ok(questions)
}

/// Hex in either case, with or without colons, of any length: other authorities' numbers are asked about too.
fn serial(text: &str) -> Result<Vec<u8>, Failure> {
    let wrong = || Failure::Usage(format!("'{text}' is not a serial number: write its octets in hex"));
    let digits: Option<Vec<u32>> =
        text.chars().filter(|c| *c != ':').map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len() % 2 == 0).ok_or_else(wrong)?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).map_err(|_| wrong())).collect()
}

/// The filter, and the one of the CA's certificates that signed it.
fn opened(asked: &CheckFilter) -> Result<(RevocationFilter, Certificate), Failure> {
    let der = read(&asked.filter)?;
    let mut refused = None;
    for ca in certificates(&asked.ca, read(&asked.ca)?)? {
        let opened = match ca.public_key() {
            Ok(key) => {
                filter::open(&der, &key).map_err(|error| (error == NotSigned::Signature, error.to_string()))
            }
            Err(error) => Err((true, error.to_string())),
        };
        match opened {
            Ok(filter) => return Ok((filter, ca)),
            // What the CA that is meant says of it is worth more than that others did not sign it.
            Err((others, _)) if others && refused.is_some() => {}
            Err((_, error)) => refused = Some(error),
        }
    }
    let why = refused.unwrap_or_default();
    Err(Failure::Refused(format!("{} is not to be used: {why}", asked.filter.display())))
}

fn check_times(filter: &RevocationFilter, now: Timestamp) -> Result<(), Failure> {
    let facts = filter.facts();
    if now > facts.next_update {
        return Err(Failure::Refused(format!(
            "the filter is out of date: the next one was due at {}, and it is {now}; fetch it, or ask OCSP",
            facts.next_update
        )));
    }
    if now + AHEAD < facts.this_update {
        return Err(Failure::Refused(format!(
            "the filter is from {}, and it is {now}: set the clock right",
            facts.this_update
        )));
    }
    Ok(())
}

fn check_number(asked: &CheckFilter, filter: &RevocationFilter) -> Result<(), Failure> {
    let facts = filter.facts();
    let older = |than: u64, file: &str| {
        Failure::Refused(format!(
            "the filter has the number {}, and {than} was seen before{file}: it is an older one; fetch it anew",
            facts.number
        ))
    };
    if let Some(than) = asked.newer_than.filter(|than| facts.number <= *than) {
        return Err(older(than, ""));
    }
    let Some(path) = &asked.remember else { return Ok(()) };
    let mut seen = remembered(path)?;
    let before = seen.insert(facts.ca_key.to_string(), facts.number);
    match before {
        Some(before) if before > facts.number => Err(older(before, &format!(" ({})", path.display()))),
        Some(before) if before == facts.number => Ok(()),
        _ => replace(path, serde_json::to_string_pretty(&seen)?.as_bytes()),
    }
}

/// Digests of CA keys to numbers. A file that cannot be read is no empty one: somebody may have spoilt it.
fn remembered(path: &Path) -> Result<BTreeMap<String, u64>, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Failure::Refused(format!("cannot read {}: {error}", path.display()))),
    };
    let bad = |reason: String| {
        Failure::Refused(format!("{} holds no numbers of filters: {reason}", path.display()))
    };
    let seen: BTreeMap<String, u64> =
        serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    match seen.keys().find(|key| key.parse::<Digest>().is_err()) {
        Some(key) => Err(bad(format!("'{key}' is not the digest of a key"))),
        None => Ok(seen),
    }
}

/// Written beside it, then renamed: a crash leaves the old numbers or the new ones.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = || {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(parent)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok::<_, io::Error>(())
    };
    written().map_err(|error| Failure::Refused(format!("cannot write {}: {error}", path.display())))
}

fn answer(filter: &RevocationFilter, ca: &Certificate, question: &Question) -> AnswerReport {
    let (serial, answer, ocsp) = match question {
        Question::Serial(serial) => (hex(serial), filter.of_serial(serial), None),
        Question::Certificate(certificate) => {
            let answer = filter.of_certificate(certificate, ca);
            (hex(certificate.serial_bytes()), answer, ocsp_url(certificate))
        }
    };
    match answer {
        Answer::Good => AnswerReport { serial, status: "good", why: None, ocsp: None },
        Answer::Revoked => AnswerReport { serial, status: "revoked", why: None, ocsp: None },
        Answer::NotCovered(why) => {
            AnswerReport { serial, status: "not-covered", why: Some(why.to_string()), ocsp }
        }
    }
}

/// Where the certificate says that its status can be asked for (RFC 5280 section 4.2.2.1).
fn ocsp_url(certificate: &Certificate) -> Option<String> {
    let access = certificate.extensions().iter().find(|it| it.extn_id == ID_PE_AUTHORITY_INFO_ACCESS)?;
    let access = AuthorityInfoAccessSyntax::from_der(access.extn_value.as_bytes()).ok()?;
    access.0.iter().filter(|it| it.access_method == ID_AD_OCSP).find_map(|it| match &it.access_location {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        _ => None,
    })
}

fn show(
    global: &Global,
    filter: &RevocationFilter,
    ca: &Certificate,
    answers: &[AnswerReport],
) -> Result<(), Failure> {
    let facts = filter.facts();
    let ca = ca.common_name().unwrap_or_else(|| facts.ca_key.to_string());
    if global.json {
        let filter = FilterReport {
            ca,
            number: facts.number,
            this_update: facts.this_update,
            next_update: facts.next_update,
            covered_to: facts.covered_to,
            covered: facts.covered,
            revoked: facts.revoked,
            false_positives: 0,
            revoked_by_chance: filter.revoked_by_chance(),
        };
        return output::json(&Report { filter, answers });
    }
    if answers.is_empty() {
        output::line(format_args!(
            "{ca}: filter {} of {}, good until {}",
            facts.number, facts.this_update, facts.next_update
        ))?;
        return output::line(format_args!(
            "covers {} certificates, numbered until {}, {} of them revoked, without error; for others ask OCSP",
            facts.covered, facts.covered_to, facts.revoked
        ));
    }
    answers.iter().try_for_each(|answer| {
        let why = answer.why.as_ref().map(|why| format!("  {why}")).unwrap_or_default();
        let ocsp = answer.ocsp.as_ref().map(|url| format!("; ask {url}")).unwrap_or_default();
        output::line(format_args!("{}  {}{why}{ocsp}", answer.serial, answer.status))
    })
}
