//! `[[registration-authority]]` of `roles.toml`: for which devices a machine may ask, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use super::hierarchy::list;
use super::manufacturers::Manufacturer;
use super::profile::{HolderKind, Profile};
use super::purpose::{Eku, Proof};
use super::text::deserialize_from_str;
use super::tree::File;
use crate::ids::{HolderId, MakerName, ProfileName};

/// Stands for every model, or for every serial number.
const ANY: &str = "*";

/// Every registration authority. Who is not among them enrols nobody but itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationAuthorities {
    all: Vec<RegistrationAuthority>,
}

impl RegistrationAuthorities {
    /// The entry of an identity: the one with its very name, else the longest pattern that fits.
    pub fn of(&self, id: &HolderId) -> Option<&RegistrationAuthority> {
        let fitting = self.all.iter().filter(|entry| entry.name.fits(id));
        fitting.max_by_key(|entry| (!entry.name.open, entry.name.text.len()))
    }

    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &RegistrationAuthority> {
        self.all.iter()
    }
}

/// What one registration authority may enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationAuthority {
    name: Pattern,
    profiles: Vec<ProfileName>,
    makers: Vec<MakerName>,
    models: Vec<String>,
    serials: Vec<SerialRange>,
    quota: u64,
    per_day: Option<u64>,
}

impl RegistrationAuthority {
    /// An id, or the beginning of ids and an asterisk.
    pub fn name(&self) -> String {
        self.name.to_string()
    }

    pub fn profiles(&self) -> &[ProfileName] {
        &self.profiles
    }

    pub fn makers(&self) -> &[MakerName] {
        &self.makers
    }

    pub fn models(&self) -> &[String] {
        &self.models
    }

    pub fn allows_model(&self, model: &str) -> bool {
        self.models.iter().any(|allowed| allowed == ANY || allowed == model)
    }

    pub fn serials(&self) -> &[SerialRange] {
        &self.serials
    }

    pub fn allows_serial(&self, serial: &str) -> bool {
        self.serials.iter().any(|range| range.contains(serial))
    }

    /// How many certificates one identity of this entry may have issued to devices, ever.
    pub fn quota(&self) -> u64 {
        self.quota
    }

    /// The same for each day in UTC.
    pub fn per_day(&self) -> Option<u64> {
        self.per_day
    }
}

/// An id, or how ids begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    text: String,
    open: bool,
}

impl Pattern {
    fn fits(&self, id: &HolderId) -> bool {
        if self.open { id.as_str().starts_with(&self.text) } else { id.as_str() == self.text }
    }

    /// The kind of identity it speaks of.
    fn kind(&self) -> &str {
        self.text.split_once('.').map_or("", |(kind, _)| kind)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.open { ANY } else { "" })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not the id of an identity: write KIND.NAME as 'vitae identity register' prints it, or KIND.BEGINNING* for all whose names begin so"
)]
pub struct NotAnIdentity(String);

impl FromStr for Pattern {
    type Err = NotAnIdentity;

    fn from_str(text: &str) -> Result<Self, NotAnIdentity> {
        let bad = || NotAnIdentity(text.to_owned());
        let (begin, open) = text.strip_suffix(ANY).map_or((text, false), |begin| (begin, true));
        let (kind, name) = begin.split_once('.').ok_or_else(bad)?;
        // The rest of an id is escaped, so HolderId's own rule finds everything else that cannot be in one.
        if kind.is_empty() || name.contains('.') || (name.is_empty() && !open) {
            return Err(bad());
        }
        begin.parse::<HolderId>().map_err(|_| bad())?;
        Ok(Self { text: begin.to_owned(), open })
    }
}

deserialize_from_str!(Pattern);

/// Serial numbers from one to another, both included. They differ in their last digits alone: those that are as long,
/// begin alike and end in a number that lies between are in it. `*` is every serial number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerialRange {
    from: String,
    to: String,
    /// How many bytes at the front are the same in all of them.
    prefix: usize,
}

impl SerialRange {
    fn any() -> Self {
        Self { from: ANY.to_owned(), to: ANY.to_owned(), prefix: 0 }
    }

    pub fn contains(&self, serial: &str) -> bool {
        if self.from == ANY {
            return true;
        }
        if self.from == self.to {
            return serial == self.from;
        }
        if serial.len() != self.from.len() || !serial.is_char_boundary(self.prefix) {
            return false;
        }
        let (front, number) = serial.split_at(self.prefix);
        // Digits of the same length compare as their numbers do, however many there are.
        front == &self.from[..self.prefix]
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && (&self.from[self.prefix..]..=&self.to[self.prefix..]).contains(&number)
    }
}

impl fmt::Display for SerialRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { f.write_str(&self.from) } else { write!(f, "{}..{}", self.from, self.to) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    #[error("'{0}' cannot be a serial number: it has 1 to 64 printable ASCII characters")]
    NotASerial(String),
    #[error("'{0}': an asterisk stands alone, for every serial number; otherwise write FIRST..LAST")]
    Asterisk(String),
    #[error(
        "'{0}' ends in no number that could be counted up to '{1}': write FIRST..LAST, such as BR000000..BR009999"
    )]
    NoNumber(String, String),
    #[error(
        "'{0}' and '{1}' must be equally long and differ in their last digits alone: write one range for each form"
    )]
    NotAlike(String, String),
    #[error("'{0}' comes after '{1}': write the lower one first")]
    Backwards(String, String),
}

impl FromStr for SerialRange {
    type Err = BadRange;

    fn from_str(text: &str) -> Result<Self, BadRange> {
        if text == ANY {
            return Ok(Self::any());
        }
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        for end in [from, to] {
            let printable = end.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && end.trim() == end;
            if end.is_empty() || end.len() > 64 || !printable {
                return Err(BadRange::NotASerial(end.to_owned()));
            }
            // Whoever writes BR* means a pattern, and would get the one serial number that reads like it.
            if end.contains(ANY) {
                return Err(BadRange::Asterisk(text.to_owned()));
            }
        }
        let both = || (from.to_owned(), to.to_owned());
        if from == to {
            return Ok(Self { from: from.to_owned(), to: to.to_owned(), prefix: from.len() });
        }
        let prefix = from.trim_end_matches(|last: char| last.is_ascii_digit()).len();
        if prefix == from.len() {
            let (from, to) = both();
            return Err(BadRange::NoNumber(from, to));
        }
        let alike = from.len() == to.len()
            && from[..prefix] == to[..prefix]
            && to[prefix..].bytes().all(|byte| byte.is_ascii_digit());
        if !alike {
            let (from, to) = both();
            return Err(BadRange::NotAlike(from, to));
        }
        if from > to {
            let (from, to) = both();
            return Err(BadRange::Backwards(from, to));
        }
        Ok(Self { from: from.to_owned(), to: to.to_owned(), prefix })
    }
}

deserialize_from_str!(SerialRange);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawRegistrationAuthority {
    name: Spanned<Pattern>,
    profiles: Spanned<Vec<Spanned<ProfileName>>>,
    makers: Spanned<Vec<Spanned<MakerName>>>,
    models: Spanned<Vec<Spanned<String>>>,
    serials: Spanned<Vec<SerialRange>>,
    quota: Spanned<u64>,
    per_day: Option<Spanned<u64>>,
}

pub(super) fn check(
    file: &File,
    raw: &[RawRegistrationAuthority],
    profiles: &BTreeMap<ProfileName, Profile>,
    makers: &[Manufacturer],
) -> RegistrationAuthorities {
    let mut seen = BTreeSet::new();
    for entry in raw {
        let name = entry.name.get_ref();
        if !seen.insert(name) {
            let reason = format!("there are two registration authorities '{name}': make them one");
            file.refuse(entry.name.span(), reason);
        }
        check_kind(file, &entry.name, profiles);
        check_profiles(file, &entry.profiles, profiles);
        check_not_empty(file, "makers", &entry.makers);
        for maker in entry.makers.get_ref() {
            if !makers.iter().any(|known| known.name() == maker.get_ref()) {
                let known = list(makers.iter().map(Manufacturer::name));
                let reason =
                    format!("there is no maker '{}' in manufacturers/: known are {known}", maker.get_ref());
                file.refuse(maker.span(), reason);
            }
        }
        check_not_empty(file, "models", &entry.models);
        for model in entry.models.get_ref() {
            let text = model.get_ref();
            if text != ANY && (text.contains(ANY) || text.trim() != text || text.is_empty()) {
                let reason =
                    format!("'{text}' is not a model: write its name in full, or \"*\" for every model");
                file.refuse(model.span(), reason);
            }
        }
        check_not_empty(file, "serials", &entry.serials);
        check_quota(file, entry);
    }
    RegistrationAuthorities { all: raw.iter().map(finish).collect() }
}

/// The certificates of its kind must be able to show what it is (RFC 7030 section 3.7).
fn check_kind(file: &File, name: &Spanned<Pattern>, profiles: &BTreeMap<ProfileName, Profile>) {
    let kinds: Vec<&str> = profiles
        .values()
        .filter(|profile| profile.is_registration_authority())
        .filter_map(|profile| match profile.holder() {
            HolderKind::Identity(kind) => Some(kind.as_str()),
            HolderKind::Device | HolderKind::Authority => None,
        })
        .collect();
    let kind = name.get_ref().kind();
    if !kinds.contains(&kind) {
        let reason = match kinds.as_slice() {
            [] => {
                format!("no profile gives the extended key usage {}: put profiles/ra.toml back", Eku::CmcRa)
            }
            kinds => format!(
                "no profile for a '{kind}' gives the extended key usage {}: name an identity of kind {}",
                Eku::CmcRa,
                list(kinds)
            ),
        };
        file.refuse(name.span(), reason);
    }
}

fn check_profiles(
    file: &File,
    named: &Spanned<Vec<Spanned<ProfileName>>>,
    profiles: &BTreeMap<ProfileName, Profile>,
) {
    check_not_empty(file, "profiles", named);
    let takes = |profile: &&Profile| {
        *profile.holder() == HolderKind::Device
            && profile.authenticate_by().contains(&Proof::RegistrationAuthority)
    };
    let fitting = || match list(profiles.values().filter(takes).map(Profile::name)) {
        none if none.is_empty() => "no profile takes one".to_owned(),
        names => format!("those that take one are {names}"),
    };
    for name in named.get_ref() {
        let reason = match profiles.get(name.get_ref()) {
            Some(profile) if takes(&profile) => continue,
            // It would make more of its kind, or whatever else there is.
            Some(profile) if *profile.holder() != HolderKind::Device => format!(
                "'{}' is not for devices, and a registration authority enrols nothing else: {}",
                name.get_ref(),
                fitting()
            ),
            Some(_) => format!(
                "profile '{0}' takes no registration authority: add \"registration-authority\" to authenticate-by in profiles/{0}.toml, or take it out here",
                name.get_ref()
            ),
            None => format!("there is no profile named '{}': {}", name.get_ref(), fitting()),
        };
        file.refuse(name.span(), reason);
    }
}

fn check_not_empty<T>(file: &File, key: &str, values: &Spanned<Vec<T>>) {
    if values.get_ref().is_empty() {
        file.refuse(
            values.span(),
            format!("nothing fits an empty list of {key}: name some, or take the entry out"),
        );
    }
}

fn check_quota(file: &File, entry: &RawRegistrationAuthority) {
    let quota = *entry.quota.get_ref();
    if quota == 0 {
        file.refuse(entry.quota.span(), "a quota of 0 issues nothing: write a number, or take the entry out");
    }
    if let Some(per_day) = &entry.per_day
        && !(1..=quota).contains(per_day.get_ref())
    {
        let reason = format!("per-day must lie between 1 and the quota ({quota}): change it, or take it out");
        file.refuse(per_day.span(), reason);
    }
}

fn finish(raw: &RawRegistrationAuthority) -> RegistrationAuthority {
    fn plain<T: Clone>(values: &Spanned<Vec<Spanned<T>>>) -> Vec<T> {
        values.get_ref().iter().map(|value| value.get_ref().clone()).collect()
    }
    RegistrationAuthority {
        name: raw.name.get_ref().clone(),
        profiles: plain(&raw.profiles),
        makers: plain(&raw.makers),
        models: plain(&raw.models),
        serials: raw.serials.get_ref().clone(),
        quota: *raw.quota.get_ref(),
        per_day: raw.per_day.as_ref().map(|per_day| *per_day.get_ref()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn range(text: &str) -> SerialRange {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_holds_what_is_as_long_begins_alike_and_lies_between() {
        let line = range("BR000100..BR009999");
        for inside in ["BR000100", "BR000101", "BR005000", "BR009999"] {
            assert!(line.contains(inside), "{inside}");
        }
        for outside in [
            "BR000099",
            "BR010000",
            "BR00100",
            "BR0000100",
            "AE000100",
            "br000100",
            "BR00010A",
            "BR00010",
            "",
            "BR000100 ",
            "BR0001-1",
            "BR00५00",
            "BR०0100",
        ] {
            assert!(!line.contains(outside), "{outside}");
        }
        // What differs is the digits at the end of the first: a number in front of letters is part of the name.
        let lot = range("2026A0001..2026A0002");
        assert!(lot.contains("2026A0002") && !lot.contains("2026A0003") && !lot.contains("2027A0001"));
        let long = range(&format!("{}..{}", "0".repeat(64), "9".repeat(64)));
        assert!(long.contains(&"5".repeat(64)) && !long.contains(&"5".repeat(63)));
        let one = range("UNIT-A");
        assert!(one.contains("UNIT-A") && !one.contains("UNIT-B"));
        assert!(range("*").contains("anything at all"));
        for text in ["BR000100..BR009999", "UNIT-A", "*"] {
            assert_eq!(range(text).to_string(), text);
        }
    }

    #[test]
    fn ranges_that_say_nothing_clear_are_refused() {
        for (text, words) in [
            ("", "cannot be a serial number"),
            ("..", "cannot be a serial number"),
            ("BR1..", "cannot be a serial number"),
            (" BR1", "cannot be a serial number"),
            ("*..BR1", "asterisk stands alone"),
            ("BR*", "asterisk stands alone"),
            ("BRA..BRZ", "ends in no number"),
            ("BR1..BR10", "equally long"),
            ("BR01..AE02", "equally long"),
            ("BR01..BR0A", "equally long"),
            ("BR02..BR01", "lower one first"),
        ] {
            let error = text.parse::<SerialRange>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn names_are_ids_or_how_ids_begin() {
        for good in ["ra.line-7", "ra.line-*", "ra.*", "ra.line~207"] {
            assert_eq!(good.parse::<Pattern>().unwrap().to_string(), good);
        }
        for bad in ["", "*", "ra", "ra*", "ra.", "ra.a.b", "brannoc.P3.*", "ra.line 7", "ra.*7", ".x"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }
}
