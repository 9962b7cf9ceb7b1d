//! `lifecycle.toml`: the stages of a device's life, the moves between them and what each stage may be issued.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::clones::Clones;
use super::text::deserialize_from_str;
use crate::ids::{ProfileName, Reason, RoleName, StageName};

/// Stages, transitions and the profile x stage matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    pub(super) first_stage: StageName,
    pub(super) stages: Vec<Stage>,
    pub(super) transitions: Vec<Transition>,
    pub(super) matrix: BTreeMap<ProfileName, BTreeMap<StageName, Cell>>,
    pub(super) clones: Clones,
}

impl Lifecycle {
    /// In the order of the file, which is the order of a life.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    pub fn stage(&self, name: &StageName) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == *name)
    }

    /// Where a unit begins when nothing else is said.
    pub fn first_stage(&self) -> &StageName {
        &self.first_stage
    }

    /// Registrations included; one that leads to several stages stands here once for each.
    pub fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    /// The one transition that leads a unit with these marks from `from` to `to`.
    pub fn transition(
        &self,
        from: &StageName,
        to: &StageName,
        marks: &BTreeSet<String>,
    ) -> Option<&Transition> {
        self.between(from, to).find(|transition| transition.fits(marks))
    }

    /// Every transition from `from` to `to`, whatever marks it asks for: to explain a refusal.
    pub fn between<'a, 'n>(
        &'a self,
        from: &'n StageName,
        to: &'n StageName,
    ) -> impl Iterator<Item = &'a Transition> + use<'a, 'n> {
        self.transitions.iter().filter(move |t| t.to == *to && t.from.contains(from))
    }

    /// The stages that some transition reaches from `from`, without repeats.
    pub fn targets(&self, from: &StageName) -> Vec<&StageName> {
        let mut targets = Vec::new();
        for transition in self.transitions.iter().filter(|t| t.from.contains(from)) {
            if !targets.contains(&&transition.to) {
                targets.push(&transition.to);
            }
        }
        targets
    }

    /// The transition by which a new record begins at `to`.
    pub fn registration(&self, to: &StageName) -> Option<&Transition> {
        self.transitions.iter().find(|t| t.from.is_empty() && t.to == *to)
    }

    /// What is done when a copy of a device is suspected.
    pub fn clones(&self) -> &Clones {
        &self.clones
    }

    pub fn cell(&self, profile: &ProfileName, stage: &StageName) -> Cell {
        self.matrix.get(profile).and_then(|row| row.get(stage)).cloned().unwrap_or(Cell::Never)
    }

    /// The stages where the profile is issued or renewed at all, in the order of a life.
    pub fn stages_where(&self, profile: &ProfileName) -> Vec<(&StageName, Cell)> {
        self.stages
            .iter()
            .map(|stage| (&stage.name, self.cell(profile, &stage.name)))
            .filter(|(_, cell)| *cell != Cell::Never)
            .collect()
    }
}

/// A stage of a device's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub(super) name: StageName,
    pub(super) title: String,
    pub(super) terminal: bool,
    pub(super) takeover_marks: BTreeSet<String>,
}

impl Stage {
    pub fn name(&self) -> &StageName {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// No way leads out.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The marks of a unit that is registered directly at this stage.
    pub fn takeover_marks(&self) -> &BTreeSet<String> {
        &self.takeover_marks
    }
}

/// What a transition must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    Owner,
    Evidence,
    Reason,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Owner => "owner",
            Self::Evidence => "evidence",
            Self::Reason => "reason",
        })
    }
}

/// A permitted move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) from: Vec<StageName>,
    pub(super) to: StageName,
    pub(super) takeover: bool,
    pub(super) who: Vec<RoleName>,
    pub(super) needs: Vec<Need>,
    pub(super) requires: BTreeSet<String>,
    pub(super) forbids: BTreeSet<String>,
    pub(super) sets: BTreeSet<String>,
    pub(super) clears: BTreeSet<String>,
    pub(super) effects: Vec<Effect>,
}

impl Transition {
    /// Such as `T8`.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// Empty: a registration, which begins a record.
    pub fn from(&self) -> &[StageName] {
        &self.from
    }

    pub fn to(&self) -> &StageName {
        &self.to
    }

    /// A registration of a unit whose life began before its record.
    pub fn is_takeover(&self) -> bool {
        self.takeover
    }

    /// The roles that may do it.
    pub fn who(&self) -> &[RoleName] {
        &self.who
    }

    pub fn needs(&self) -> &[Need] {
        &self.needs
    }

    /// Asks for nothing that only people know: the authority can make it by itself.
    pub fn is_for_the_authority(&self) -> bool {
        self.needs.iter().all(|need| *need == Need::Reason)
    }

    /// Marks that must be set.
    pub fn requires(&self) -> &BTreeSet<String> {
        &self.requires
    }

    /// Marks that must not be set.
    pub fn forbids(&self) -> &BTreeSet<String> {
        &self.forbids
    }

    pub fn sets(&self) -> &BTreeSet<String> {
        &self.sets
    }

    pub fn clears(&self) -> &BTreeSet<String> {
        &self.clears
    }

    /// What happens to the unit's certificates.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// Do the marks of a unit allow it?
    pub fn fits(&self, marks: &BTreeSet<String>) -> bool {
        self.requires.is_subset(marks) && self.forbids.is_disjoint(marks)
    }
}

/// What a transition does to every good or held certificate of some profiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub(super) profiles: Vec<ProfileName>,
    pub(super) action: EffectAction,
}

impl Effect {
    pub fn profiles(&self) -> &[ProfileName] {
        &self.profiles
    }

    pub fn action(&self) -> EffectAction {
        self.action
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectAction {
    Revoke(Reason),
    /// certificateHold: can be released again.
    Hold,
    Release,
}

/// May a profile be issued at a stage?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Never,
    /// First enrolment and renewal; `when` is a mark the unit must have.
    Issue {
        when: Option<String>,
        /// An operator approves each first enrolment, whatever the profile says of itself.
        approval: bool,
    },
    /// Renewal only.
    Renew {
        when: Option<String>,
    },
}

impl Cell {
    /// The mark that the unit must have.
    pub fn when(&self) -> Option<&str> {
        match self {
            Self::Never => None,
            Self::Issue { when, .. } | Self::Renew { when } => when.as_deref(),
        }
    }

    /// Must an operator approve a first enrolment here?
    pub fn needs_approval(&self) -> bool {
        matches!(self, Self::Issue { approval: true, .. })
    }
}

/// What a cell says when first enrolments need an operator's word.
const WITH_APPROVAL: &str = " with approval";

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Never => "never",
            Self::Issue { .. } => "issue",
            Self::Renew { .. } => "renew",
        };
        let when = self.when().map(|mark| format!(" when {mark}")).unwrap_or_default();
        let approval = if self.needs_approval() { WITH_APPROVAL } else { "" };
        f.pad(&format!("{verb}{when}{approval}"))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a cell: write \"issue\", \"renew\", \"issue when MARK\" or \"renew when MARK\", or leave it out; behind an issue, \" with approval\" may stand"
)]
pub struct BadCell(String);

impl FromStr for Cell {
    type Err = BadCell;

    fn from_str(text: &str) -> Result<Self, BadCell> {
        let (rule, approval) = match text.strip_suffix(WITH_APPROVAL) {
            Some(rule) => (rule, true),
            None => (text, false),
        };
        let (verb, when) = match rule.split_once(" when ") {
            Some((verb, mark)) if is_mark(mark) => (verb, Some(mark.to_owned())),
            Some(_) => return Err(BadCell(text.to_owned())),
            None => (rule, None),
        };
        match verb {
            "issue" => Ok(Self::Issue { when, approval }),
            // Only first enrolments are approved, and here there are none.
            "renew" if !approval => Ok(Self::Renew { when }),
            _ => Err(BadCell(text.to_owned())),
        }
    }
}

deserialize_from_str!(Cell);

/// A mark is written like the other names.
fn is_mark(text: &str) -> bool {
    text.parse::<StageName>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn cells_are_read_as_they_are_shown() {
        for text in [
            "issue",
            "renew",
            "issue when claimed",
            "renew when keep-comms",
            "issue with approval",
            "issue when claimed with approval",
        ] {
            let cell: Cell = text.parse().unwrap();
            assert_eq!(cell.to_string(), text);
            assert_eq!(cell.needs_approval(), text.ends_with("approval"));
        }
        for text in [
            "",
            "never",
            "Issue",
            "issue if claimed",
            "issue when ",
            "issue when A B",
            "revoke",
            "with approval",
            "renew with approval",
            "renew when claimed with approval",
            "issue with approval when claimed",
            "issue with  approval",
            "issue with approval with approval",
        ] {
            assert!(text.parse::<Cell>().is_err(), "{text}");
        }
    }
}
