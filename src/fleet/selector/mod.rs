//! Selectors: a small language that names certificates and devices by what the record knows of them.
//!
//! ```text
//! model=P3 and lot in (L2307, L2308) and stage=clinical-use and not-after<2026-12-01
//! ```
//!
//! A comparison is `FIELD=VALUE`, `FIELD!=VALUE`, `FIELD in (VALUE, ...)` or `FIELD not in (VALUE, ...)`; fields of time take
//! `<`, `<=`, `>` and `>=` with an RFC 3339 time or date. Comparisons are joined by `and`, which binds tighter, and `or`;
//! `not` turns one around, and parentheses group. A value may end in `*` for whatever comes behind, and is quoted
//! ("General Hospital") when it holds blanks or signs.
//!
//! A comparison is true only of what has the field: `site!=SUH` does not hold of a device whose site nobody recorded, but
//! `not (site=SUH)` does. So what is selected was looked at, and a service is not hit by `model!=P3`.

mod evaluate;
mod parse;
mod select;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::clock::Timestamp;

pub use evaluate::Subject;
pub use parse::{Known, SelectorError};
pub use select::{Found, select};

/// What is selected, as it was understood. It prints in one form, from which the same is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Each of them: at least two.
    All(Vec<Self>),
    /// Any of them: at least two.
    Any(Vec<Self>),
    Not(Box<Self>),
    Is(Comparison),
}

/// One field and what it is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub field: Field,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    Is(Pattern),
    IsNot(Pattern),
    In(Vec<Pattern>),
    NotIn(Vec<Pattern>),
    Time(Order, Timestamp),
}

/// A text, and whether anything may follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub text: String,
    pub open: bool,
}

impl Pattern {
    pub fn fits(&self, value: &str) -> bool {
        if self.open { value.starts_with(&self.text) } else { value == self.text }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Before,
    UntilThen,
    After,
    FromThen,
}

impl Order {
    fn as_str(self) -> &'static str {
        match self {
            Self::Before => "<",
            Self::UntilThen => "<=",
            Self::After => ">",
            Self::FromThen => ">=",
        }
    }

    pub fn holds(self, value: Timestamp, limit: Timestamp) -> bool {
        match self {
            Self::Before => value < limit,
            Self::UntilThen => value <= limit,
            Self::After => value > limit,
            Self::FromThen => value >= limit,
        }
    }
}

/// What can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The holder's id: a device, another machine, or `vitae` itself.
    Device,
    Maker,
    Model,
    Lot,
    Site,
    /// The owner now: of a device, or the person who answers for another machine.
    Owner,
    /// The device's stage now.
    Stage,
    /// A mark of the device, such as `recalled`; it may have several.
    Mark,
    /// The name of a signer of software: the machine identity `signer.NAME`.
    Signer,
    Profile,
    /// The CA that issued the certificate.
    Issuer,
    StageAtIssue,
    OwnerAtIssue,
    /// The registration authority that asked for it.
    EnrolledBy,
    /// SHA-256 of the subject public key info, in hex.
    Key,
    Serial,
    /// good, held, revoked or expired.
    Status,
    Issued,
    NotBefore,
    NotAfter,
}

/// What values of a field look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// So many bytes in hex, always whole.
    Hex(usize),
    Time,
}

impl Field {
    pub const ALL: [Self; 20] = [
        Self::Device,
        Self::Maker,
        Self::Model,
        Self::Lot,
        Self::Site,
        Self::Owner,
        Self::Stage,
        Self::Mark,
        Self::Signer,
        Self::Profile,
        Self::Issuer,
        Self::StageAtIssue,
        Self::OwnerAtIssue,
        Self::EnrolledBy,
        Self::Key,
        Self::Serial,
        Self::Status,
        Self::Issued,
        Self::NotBefore,
        Self::NotAfter,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Maker => "maker",
            Self::Model => "model",
            Self::Lot => "lot",
            Self::Site => "site",
            Self::Owner => "owner",
            Self::Stage => "stage",
            Self::Mark => "mark",
            Self::Signer => "signer",
            Self::Profile => "profile",
            Self::Issuer => "issuer",
            Self::StageAtIssue => "stage-at-issue",
            Self::OwnerAtIssue => "owner-at-issue",
            Self::EnrolledBy => "enrolled-by",
            Self::Key => "key",
            Self::Serial => "serial",
            Self::Status => "status",
            Self::Issued => "issued",
            Self::NotBefore => "not-before",
            Self::NotAfter => "not-after",
        }
    }

    /// By its name, or by another word for it.
    fn named(text: &str) -> Option<Self> {
        let other = match text {
            "vendor" => Some(Self::Maker),
            "ca" => Some(Self::Issuer),
            "ra" => Some(Self::EnrolledBy),
            "spki" => Some(Self::Key),
            "expiry" => Some(Self::NotAfter),
            _ => None,
        };
        other.or_else(|| Self::ALL.into_iter().find(|field| field.as_str() == text))
    }

    fn kind(self) -> Kind {
        match self {
            Self::Key => Kind::Hex(32),
            Self::Serial => Kind::Hex(16),
            Self::Issued | Self::NotBefore | Self::NotAfter => Kind::Time,
            _ => Kind::Text,
        }
    }

    /// Is it written in the record of the holder, and not in the certificate's?
    fn is_of_holder(self) -> bool {
        matches!(
            self,
            Self::Maker
                | Self::Model
                | Self::Lot
                | Self::Site
                | Self::Owner
                | Self::Stage
                | Self::Mark
                | Self::Signer
        )
    }
}

impl Selector {
    /// Reads what people write. `known` are the names there are, so that a misspelt one is found here.
    pub fn parse(text: &str, known: &Known) -> Result<Self, SelectorError> {
        parse::parse(text, known)
    }

    /// Every comparison, wherever it stands.
    pub fn comparisons(&self) -> Vec<&Comparison> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::comparisons).collect(),
            Self::Not(part) => part.comparisons(),
            Self::Is(comparison) => vec![comparison],
        }
    }

    /// Whether it says this whole value of this field, as something to be selected.
    pub fn names(&self, field: Field, value: &str) -> bool {
        let is = |pattern: &Pattern| !pattern.open && pattern.text == value;
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.names(field, value)),
            Self::Not(_) => false,
            Self::Is(comparison) if comparison.field == field => match &comparison.test {
                Test::Is(pattern) => is(pattern),
                Test::In(patterns) => patterns.iter().any(is),
                Test::IsNot(_) | Test::NotIn(_) | Test::Time(..) => false,
            },
            Self::Is(_) => false,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    Self::Not(_) | Self::Is(_) => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::All(parts) => joined(f, parts, "and"),
            Self::Any(parts) => joined(f, parts, "or"),
            Self::Not(part) => write!(f, "not ({part})"),
            Self::Is(comparison) => write!(f, "{comparison}"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_str();
        let list =
            |patterns: &[Pattern]| patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(", ");
        match &self.test {
            Test::Is(pattern) => write!(f, "{field}={pattern}"),
            Test::IsNot(pattern) => write!(f, "{field}!={pattern}"),
            Test::In(patterns) => write!(f, "{field} in ({})", list(patterns)),
            Test::NotIn(patterns) => write!(f, "{field} not in ({})", list(patterns)),
            Test::Time(order, limit) => write!(f, "{field}{}{limit}", order.as_str()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.open { "*" } else { "" };
        if parse::is_plain(&self.text) || (self.text.is_empty() && self.open) {
            write!(f, "{}{star}", self.text)
        } else {
            write!(f, "\"{}\"{star}", self.text.replace('\\', "\\\\").replace('"', "\\\""))
        }
    }
}
