//! `hierarchy.toml`: which certificate authorities there are and who issued whom.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::filter::{self, FilterPolicy};
use super::tree::File;
use crate::ids::CaName;

/// Each is a file and a row of its own, looked at every minute.
const MOST_SHARDS: u32 = 1024;
/// Half of it must be time enough for a client to come by, and for upkeep to publish the next.
const SHORTEST_DELTA: Duration = Duration::from_secs(600);

/// The kind of a CA's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaKey {
    P256,
    P384,
}

/// Every certificate authority, each issuer before what it issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    cas: Vec<Ca>,
}

/// One certificate authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ca {
    name: CaName,
    issuer: Option<CaName>,
    common_name: String,
    organization: Option<String>,
    key: CaKey,
    lifetime: Duration,
    path_len: Option<u8>,
    crl_lifetime: Duration,
    crl_renew_before: Duration,
    crl_shards: u32,
    delta_lifetime: Option<Duration>,
    ocsp_lifetime: Duration,
    filter: Option<FilterPolicy>,
    client_anchor: bool,
}

impl Hierarchy {
    /// Every issuer before what it issued.
    pub fn cas(&self) -> &[Ca] {
        &self.cas
    }

    pub fn ca(&self, name: &CaName) -> Option<&Ca> {
        self.cas.iter().find(|ca| ca.name == *name)
    }
}

impl Ca {
    pub fn name(&self) -> &CaName {
        &self.name
    }

    /// None: a root, which signs itself.
    pub fn issuer(&self) -> Option<&CaName> {
        self.issuer.as_ref()
    }

    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    pub fn key(&self) -> CaKey {
        self.key
    }

    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// How many CAs may stand below this one in a chain; None: any number.
    pub fn path_len(&self) -> Option<u8> {
        self.path_len
    }

    /// From thisUpdate to nextUpdate of a CRL.
    pub fn crl_lifetime(&self) -> Duration {
        self.crl_lifetime
    }

    /// How long before nextUpdate the next CRL is published.
    pub fn crl_renew_before(&self) -> Duration {
        self.crl_renew_before
    }

    /// Into how many lists the certificates that are issued from now on are divided; 1 at least.
    pub fn crl_shards(&self) -> u32 {
        self.crl_shards
    }

    /// From thisUpdate to nextUpdate of a delta CRL; None: there are none.
    pub fn delta_lifetime(&self) -> Option<Duration> {
        self.delta_lifetime
    }

    /// From thisUpdate to nextUpdate of an OCSP answer.
    pub fn ocsp_lifetime(&self) -> Duration {
        self.ocsp_lifetime
    }

    /// How its revocation filter is kept; None: it publishes none.
    pub fn filter(&self) -> Option<FilterPolicy> {
        self.filter
    }

    /// May the certificates it issued authenticate TLS clients?
    pub fn is_client_anchor(&self) -> bool {
        self.client_anchor
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHierarchy {
    ca: Vec<RawCa>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawCa {
    name: Spanned<CaName>,
    issuer: Option<Spanned<CaName>>,
    common_name: Spanned<String>,
    organization: Option<String>,
    key: CaKey,
    lifetime: Spanned<Length>,
    path_len: Option<u8>,
    crl_lifetime: Spanned<Length>,
    crl_renew_before: Spanned<Length>,
    crl_shards: Option<Spanned<u32>>,
    delta_lifetime: Option<Spanned<Length>>,
    ocsp_lifetime: Spanned<Length>,
    filter_lifetime: Option<Spanned<Length>>,
    filter_interval: Option<Spanned<Length>>,
    #[serde(default)]
    client_anchor: bool,
}

/// The hierarchy, and where in the file each CA is named.
pub(super) fn check(file: &File, raw: RawHierarchy) -> (Hierarchy, BTreeMap<CaName, Range<usize>>) {
    let places = raw.ca.iter().map(|ca| (ca.name.get_ref().clone(), ca.name.span())).collect();
    let mut by_name: BTreeMap<&CaName, &RawCa> = BTreeMap::new();
    for ca in &raw.ca {
        let name = ca.name.get_ref();
        if name.as_str() == "every" {
            file.refuse(ca.name.span(), "'every' stands for all CAs in a profile: give the CA another name");
        }
        if by_name.insert(name, ca).is_some() {
            file.refuse(ca.name.span(), format!("there are two CAs named '{name}': rename one"));
        }
        check_alone(file, ca);
    }
    for ca in &raw.ca {
        if let Some(issuer) = &ca.issuer {
            match by_name.get(issuer.get_ref()) {
                Some(above) => check_below(file, ca, issuer, above),
                None => file.refuse(
                    issuer.span(),
                    format!(
                        "there is no CA named '{}': known are {}",
                        issuer.get_ref(),
                        list(by_name.keys())
                    ),
                ),
            }
        }
    }
    if raw.ca.is_empty() {
        file.refuse(0..0, "there is no CA: write at least one [[ca]]");
    }
    drop(by_name);
    (Hierarchy { cas: in_order(file, raw.ca) }, places)
}

fn check_alone(file: &File, ca: &RawCa) {
    let positive = [&ca.lifetime, &ca.crl_lifetime, &ca.crl_renew_before, &ca.ocsp_lifetime];
    for length in positive.into_iter().filter(|length| length.get_ref().0.is_zero()) {
        file.refuse(length.span(), "a length of zero would end at once: write a longer one");
    }
    if ca.common_name.get_ref().is_empty() {
        file.refuse(ca.common_name.span(), "a CA needs a common name: write one");
    }
    let (renew, crl) = (ca.crl_renew_before.get_ref(), ca.crl_lifetime.get_ref());
    if renew >= crl {
        file.refuse(
            ca.crl_renew_before.span(),
            format!("crl-renew-before ({renew}) must be shorter than crl-lifetime ({crl}), or every CRL is late at birth"),
        );
    }
    if let Some(shards) =
        ca.crl_shards.as_ref().filter(|shards| !(1..=MOST_SHARDS).contains(shards.get_ref()))
    {
        file.refuse(
            shards.span(),
            format!("crl-shards is a number from 1 to {MOST_SHARDS}: 1 leaves the list whole"),
        );
    }
    if let Some(delta) = &ca.delta_lifetime {
        let own = delta.get_ref();
        if own >= crl || own.0 < SHORTEST_DELTA {
            file.refuse(
                delta.span(),
                format!(
                    "delta-lifetime ({own}) must be shorter than crl-lifetime ({crl}) and not below 10m: leave it out for no delta CRLs"
                ),
            );
        }
    }
}

/// `above` issued `ca`: may it?
fn check_below(file: &File, ca: &RawCa, issuer: &Spanned<CaName>, above: &RawCa) {
    let (own, limit) = (ca.lifetime.get_ref(), above.lifetime.get_ref());
    if own > limit {
        file.refuse(
            ca.lifetime.span(),
            format!(
                "'{}' would live longer ({own}) than its issuer '{}' ({limit}): shorten it or lengthen the issuer's",
                ca.name.get_ref(),
                issuer.get_ref()
            ),
        );
    }
    let fits = match (above.path_len, ca.path_len) {
        (None, _) => true,
        (Some(above), Some(own)) => own < above,
        (Some(_), None) => false,
    };
    if !fits {
        file.refuse(
            ca.name.span(),
            format!(
                "the path-len of '{}' must be smaller than that of its issuer '{}': lower the one or raise the other",
                ca.name.get_ref(),
                issuer.get_ref()
            ),
        );
    }
}

/// Sort issuers before what they issued; what never finds its issuer stands in a circle.
fn in_order(file: &File, mut waiting: Vec<RawCa>) -> Vec<Ca> {
    let known: Vec<CaName> = waiting.iter().map(|ca| ca.name.get_ref().clone()).collect();
    let mut done: Vec<Ca> = Vec::new();
    loop {
        let ready = waiting.iter().position(|ca| {
            ca.issuer.as_ref().is_none_or(|issuer| {
                let issuer = issuer.get_ref();
                // A missing issuer is reported already.
                !known.contains(issuer) || done.iter().any(|ca| ca.name == *issuer)
            })
        });
        let Some(ready) = ready else { break };
        done.push(finish(file, waiting.remove(ready)));
    }
    for ca in waiting {
        if let Some(issuer) = &ca.issuer {
            file.refuse(
                issuer.span(),
                format!(
                    "'{}' and '{}' stand in a circle of issuers: one CA must be a root, without issuer",
                    ca.name.get_ref(),
                    issuer.get_ref()
                ),
            );
        }
        // Kept, so that profiles that name it are not refused for that too.
        done.push(finish(file, ca));
    }
    done
}

fn finish(file: &File, raw: RawCa) -> Ca {
    Ca {
        filter: filter::check(file, raw.filter_lifetime.as_ref(), raw.filter_interval.as_ref()),
        name: raw.name.into_inner(),
        issuer: raw.issuer.map(Spanned::into_inner),
        common_name: raw.common_name.into_inner(),
        organization: raw.organization,
        key: raw.key,
        lifetime: raw.lifetime.get_ref().0,
        path_len: raw.path_len,
        crl_lifetime: raw.crl_lifetime.get_ref().0,
        crl_renew_before: raw.crl_renew_before.get_ref().0,
        // 'crl-shards' left out: one list for all.
        crl_shards: raw.crl_shards.map_or(1, Spanned::into_inner),
        delta_lifetime: raw.delta_lifetime.map(|delta| delta.get_ref().0),
        ocsp_lifetime: raw.ocsp_lifetime.get_ref().0,
        client_anchor: raw.client_anchor,
    }
}

/// Names for an error message.
pub(super) fn list<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
}
