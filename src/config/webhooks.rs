//! `webhooks.toml`: who is told of events over HTTP. The file may be missing: then nobody is.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hyper::Uri;
use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::events::EVENT_KINDS;
use super::manufacturers::certificates_in;
use super::tree::{File, Tree};
use crate::ids::HookName;

pub(super) const FILE: &str = "webhooks.toml";

/// One receiver of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    name: HookName,
    url: Uri,
    kinds: Vec<String>,
    trust: Option<Vec<Vec<u8>>>,
    timeout: Duration,
    retry_first: Duration,
    retry_longest: Duration,
}

impl Webhook {
    pub fn name(&self) -> &HookName {
        &self.name
    }

    /// `https`, or `http` to this machine itself; always with a host.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// The kinds of events it is told of, of [`EVENT_KINDS`]; empty: all of them.
    pub fn kinds(&self) -> &[String] {
        &self.kinds
    }

    /// DER of the trust anchors of the receiver's TLS certificate; `None`: the authority's own CAs.
    pub fn trust(&self) -> Option<&[Vec<u8>]> {
        self.trust.as_deref()
    }

    /// From the attempt to connect to the head of the answer.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The pause after a first failure.
    pub fn retry_first(&self) -> Duration {
        self.retry_first
    }

    /// Pauses double with each failure, up to this one.
    pub fn retry_longest(&self) -> Duration {
        self.retry_longest
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawWebhooks {
    #[serde(default)]
    webhook: Vec<RawWebhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawWebhook {
    name: Spanned<HookName>,
    url: Spanned<String>,
    types: Spanned<Vec<Spanned<String>>>,
    trust: Option<Spanned<String>>,
    timeout: Spanned<Length>,
    retry_first: Spanned<Length>,
    retry_longest: Spanned<Length>,
}

pub(super) fn check(tree: &Tree, file: &File, raw: &RawWebhooks) -> Vec<Webhook> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for hook in &raw.webhook {
        let name = hook.name.get_ref();
        if !seen.insert(name) {
            file.refuse(hook.name.span(), format!("there are two webhooks named '{name}': rename one"));
        }
        check_times(file, hook);
        let kinds = check_types(file, &hook.types);
        let trust = hook.trust.as_ref().map(|path| {
            certificates_in(tree, "", path.get_ref()).unwrap_or_else(|reason| {
                file.refuse(path.span(), format!("trust '{}' {reason}", path.get_ref()));
                Vec::new()
            })
        });
        match check_url(hook.url.get_ref(), trust.is_some()) {
            Err(reason) => file.refuse(hook.url.span(), reason),
            Ok(url) => checked.push(Webhook {
                name: name.clone(),
                url,
                kinds,
                trust,
                timeout: hook.timeout.get_ref().0,
                retry_first: hook.retry_first.get_ref().0,
                retry_longest: hook.retry_longest.get_ref().0,
            }),
        }
    }
    checked
}

fn check_times(file: &File, raw: &RawWebhook) {
    for length in [&raw.timeout, &raw.retry_first] {
        if length.get_ref().0.is_zero() {
            file.refuse(length.span(), "no receiver is that fast: write 1s or longer");
        }
    }
    if raw.retry_longest.get_ref() < raw.retry_first.get_ref() {
        let reason = format!(
            "pauses begin with retry-first ({}) and cannot end shorter: write a longer one",
            raw.retry_first.get_ref()
        );
        file.refuse(raw.retry_longest.span(), reason);
    }
}

fn check_types(file: &File, raw: &Spanned<Vec<Spanned<String>>>) -> Vec<String> {
    let types = raw.get_ref();
    if types.is_empty() {
        file.refuse(raw.span(), "a webhook without types is never called: write some, or [\"*\"] for all");
    }
    if types.iter().any(|kind| kind.get_ref() == "*") {
        if types.len() > 1 {
            file.refuse(raw.span(), "\"*\" is all types: write it alone");
        }
        return Vec::new();
    }
    for kind in types.iter().filter(|kind| !EVENT_KINDS.contains(&kind.get_ref().as_str())) {
        let known = EVENT_KINDS.join(", ");
        file.refuse(kind.span(), format!("there is no type '{}': known are {known}", kind.get_ref()));
    }
    types.iter().map(|kind| kind.get_ref().clone()).collect()
}

/// What is told is signed, not encrypted, so it leaves this machine by https alone.
fn check_url(text: &str, has_trust: bool) -> Result<Uri, String> {
    let form = || format!("'{text}' is not the URL of a receiver: write https://HOST[:PORT]/PATH");
    let url: Uri = text.parse().map_err(|_| form())?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or_else(form)?;
    let has_user = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if has_user || text.contains('#') {
        return Err(
            "a receiver knows us by the signature: write the URL without user, password and fragment"
                .to_owned(),
        );
    }
    let is_local = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if !is_local => {
            Err("what is told must not be read on its way: write https, or a receiver on this machine"
                .to_owned())
        }
        Some("http") if has_trust => Err("http has no certificate to trust: take 'trust' out".to_owned()),
        Some("http") => Ok(url),
        _ => Err(form()),
    }
}
