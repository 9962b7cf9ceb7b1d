//! Small checked texts that several files share: OIDs, DNS names and templates with placeholders.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Give a type with `FromStr` a `Deserialize` that says the same.
macro_rules! deserialize_from_str {
    ($name:ty) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as serde::Deserialize>::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use deserialize_from_str;

/// Dotted decimal, with arcs that fit 32 bits, as the encoders above need them.
pub(super) fn is_oid(text: &str) -> bool {
    let mut arcs = Vec::new();
    for arc in text.split('.') {
        let plain = arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'));
        match arc.parse::<u32>() {
            Ok(number) if plain => arcs.push(number),
            _ => return false,
        }
    }
    matches!(arcs.as_slice(), [0 | 1, second, _, ..] if *second < 40)
        || matches!(arcs.as_slice(), [2, _, _, ..])
}

/// Letters, digits and dashes between dots (RFC 1123), no wildcard.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// An object identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Oid(String);

impl Oid {
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Oid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_oid(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("'{text}' is not an OID: write numbers with dots, such as 1.3.6.1.4.1.32473.2.1"))
        }
    }
}

deserialize_from_str!(Oid);

/// What a placeholder may be called.
pub const PLACEHOLDERS: &[&str] = &["serial", "model", "maker", "device", "uuid", "name", "role", "udi-di"];

/// A text with placeholders such as `urn:dev:ops:32473-{model}-{serial}`.
///
/// A value that is filled in stays what it is: braces, commas or asterisks in it mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Placeholder(String),
}

/// The template asks for a value that the record does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no value for {{{placeholder}}} in '{template}': record it, or take it out of the profile")]
pub struct MissingValue {
    placeholder: String,
    template: String,
}

impl MissingValue {
    pub fn placeholder(&self) -> &str {
        &self.placeholder
    }
}

impl Template {
    /// Fill in every placeholder with what `value` knows by that name; an empty value counts as none.
    pub fn render(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, MissingValue> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Placeholder(name) => match value(name).filter(|text| !text.is_empty()) {
                    Some(text) => out.push_str(&text),
                    None => {
                        return Err(MissingValue {
                            placeholder: name.clone(),
                            template: self.source.clone(),
                        });
                    }
                },
            }
        }
        Ok(out)
    }

    /// The names of the placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.source)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("an empty text names nothing: write one, such as \"{{serial}}\", or take the entry out")]
    Empty,
    #[error("'{0}' has a brace without its partner: placeholders are written {{serial}}")]
    Brace(String),
    #[error("{{{0}}} is not a placeholder: known are {known}", known = PLACEHOLDERS.join(", "))]
    Unknown(String),
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, BadTemplate> {
        if text.is_empty() {
            return Err(BadTemplate::Empty);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(open);
            let (name, after) = from_brace
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'))
                .ok_or_else(|| BadTemplate::Brace(text.to_owned()))?;
            if !PLACEHOLDERS.contains(&name) {
                return Err(BadTemplate::Unknown(name.to_owned()));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Placeholder(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { source: text.to_owned(), parts })
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// B10: what is filled in is literal.
    #[test]
    fn a_value_is_never_expanded() {
        let template: Template = "urn:x:{model}-{serial}!".parse().unwrap();
        for odd in ["*", "a,b", "{serial}", "{", "}", "{{model}}", "%s", "\u{0}", "CN=x+O=y"] {
            let value = |name: &str| Some(if name == "model" { "P3" } else { odd }.to_owned());
            assert_eq!(template.render(&value).unwrap(), format!("urn:x:P3-{odd}!"));
            let swapped = |name: &str| Some(if name == "serial" { "P3" } else { odd }.to_owned());
            assert_eq!(template.render(&swapped).unwrap(), format!("urn:x:{odd}-P3!"));
        }
    }

    #[test]
    fn a_missing_or_empty_value_is_an_error() {
        let template: Template = "{model}-{udi-di}".parse().unwrap();
        for absent in [None, Some(String::new())] {
            let value = |name: &str| if name == "model" { Some("P3".to_owned()) } else { absent.clone() };
            assert_eq!(template.render(&value).unwrap_err().placeholder(), "udi-di");
        }
    }

    #[test]
    fn bad_templates_are_refused() {
        for text in ["", "{ward}", "{serial", "serial}", "{{serial}}", "{}", "{ serial }"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }

    #[test]
    fn oids_and_dns_names() {
        for text in ["1.3.6.1.4.1.32473.2.1", "2.5.29.37", "0.9.2342", "2.999.1"] {
            assert!(is_oid(text), "{text}");
        }
        for text in
            ["", "1", "1.2", "3.1.1", "1.40.1", "1..2.3", "1.3.06", "1.3.+6", "1.3.4294967296", "a.b.c"]
        {
            assert!(!is_oid(text), "{text}");
        }
        for text in ["localhost", "est.hospital.example", "x-1.y"] {
            assert!(is_dns_name(text), "{text}");
        }
        for text in ["", ".", "a..b", "-a", "a-", "*.example", "a b", "a_b", "a.", "é.example"] {
            assert!(!is_dns_name(text), "{text}");
        }
    }
}
