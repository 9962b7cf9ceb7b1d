//! Reads `lifecycle.toml` and refuses a life that could not be lived.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::clones::{self, RawClones};
use super::hierarchy::list;
use super::lifecycle::{Cell, Effect, EffectAction, Lifecycle, Need, Stage, Transition};
use super::profile::{HolderKind, Profile};
use super::roles::Roles;
use super::tree::File;
use crate::ids::{ProfileName, Reason, RoleName, StageName};

type Row = BTreeMap<Spanned<StageName>, Spanned<Cell>>;
type Marks = Vec<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawLifecycle {
    first_stage: Spanned<StageName>,
    stage: Vec<RawStage>,
    transition: Vec<RawTransition>,
    clones: RawClones,
    matrix: Spanned<BTreeMap<Spanned<ProfileName>, Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawStage {
    name: Spanned<StageName>,
    title: String,
    #[serde(default)]
    terminal: bool,
    #[serde(default)]
    takeover_marks: Marks,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTransition {
    id: Spanned<String>,
    title: String,
    from: Spanned<Vec<Spanned<StageName>>>,
    to: Spanned<Vec<Spanned<StageName>>>,
    #[serde(default)]
    takeover: bool,
    who: Spanned<Vec<Spanned<RoleName>>>,
    #[serde(default)]
    needs: Vec<Need>,
    #[serde(default)]
    requires: Marks,
    #[serde(default)]
    forbids: Marks,
    #[serde(default)]
    sets: Marks,
    #[serde(default)]
    clears: Marks,
    #[serde(default)]
    effects: Vec<Spanned<RawEffect>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEffect {
    revoke: Option<Vec<Spanned<ProfileName>>>,
    hold: Option<Vec<Spanned<ProfileName>>>,
    release: Option<Vec<Spanned<ProfileName>>>,
    reason: Option<Reason>,
}

/// What the names in this file may refer to.
struct Check<'a> {
    file: &'a File<'a>,
    raw: &'a RawLifecycle,
    profiles: &'a BTreeMap<ProfileName, Profile>,
    roles: &'a Roles,
    terminal: BTreeMap<&'a StageName, bool>,
    /// Marks that a unit can come to have.
    marks: BTreeSet<&'a str>,
}

pub(super) fn check(
    file: &File,
    raw: &RawLifecycle,
    profiles: &BTreeMap<ProfileName, Profile>,
    roles: &Roles,
) -> Lifecycle {
    let set = raw.transition.iter().flat_map(|transition| &transition.sets);
    let marks = raw.stage.iter().flat_map(|stage| &stage.takeover_marks).chain(set);
    let check = Check {
        file,
        raw,
        profiles,
        roles,
        terminal: raw.stage.iter().map(|stage| (stage.name.get_ref(), stage.terminal)).collect(),
        marks: marks.map(|mark| mark.get_ref().as_str()).collect(),
    };
    check.stages();
    check.ids();
    let transitions: Vec<Transition> = raw.transition.iter().flat_map(|t| check.transition(t)).collect();
    check.ambiguity();
    check.ways(&transitions);
    check.matrix();
    Lifecycle {
        clones: clones::check(file, &raw.clones, &check.terminal, &transitions),
        first_stage: raw.first_stage.get_ref().clone(),
        stages: raw.stage.iter().map(finish_stage).collect(),
        transitions,
        matrix: raw
            .matrix
            .get_ref()
            .iter()
            .map(|(profile, row)| {
                let cells = row.iter().map(|(stage, cell)| (stage.get_ref().clone(), cell.get_ref().clone()));
                (profile.get_ref().clone(), cells.collect())
            })
            .collect(),
    }
}

impl Check<'_> {
    fn stages(&self) {
        let mut seen = BTreeSet::new();
        for stage in &self.raw.stage {
            let name = stage.name.get_ref();
            if !seen.insert(name) {
                self.file
                    .refuse(stage.name.span(), format!("there are two stages named '{name}': rename one"));
            }
            for mark in &stage.takeover_marks {
                self.mark_is_named_well(mark);
            }
        }
    }

    fn ids(&self) {
        let mut seen = BTreeSet::new();
        for transition in &self.raw.transition {
            let id = transition.id.get_ref();
            if id.is_empty() || !seen.insert(id) {
                let reason = format!("a transition needs an id of its own, and '{id}' is not: change it");
                self.file.refuse(transition.id.span(), reason);
            }
        }
    }

    fn stage_is_known(&self, stage: &Spanned<StageName>) {
        if !self.terminal.contains_key(stage.get_ref()) {
            let known = list(self.terminal.keys());
            let reason = format!("there is no stage named '{}': known are {known}", stage.get_ref());
            self.file.refuse(stage.span(), reason);
        }
    }

    fn mark_is_named_well(&self, mark: &Spanned<String>) {
        if mark.get_ref().parse::<StageName>().is_err() {
            let reason =
                format!("'{}' is not a mark: write lower-case letters, digits and dashes", mark.get_ref());
            self.file.refuse(mark.span(), reason);
        }
    }

    fn mark_can_be_set(&self, mark: &str, at: std::ops::Range<usize>) {
        if !self.marks.contains(mark) {
            let reason = format!(
                "nothing ever sets the mark '{mark}': correct it, or add it to the sets of a transition (set are: {})",
                list(&self.marks)
            );
            self.file.refuse(at, reason);
        }
    }

    /// A profile whose certificates devices hold.
    fn device_profile(&self, name: &Spanned<ProfileName>) -> Option<&Profile> {
        let known = || {
            let devices = self.profiles.values().filter(|profile| *profile.holder() == HolderKind::Device);
            list(devices.map(Profile::name))
        };
        match self.profiles.get(name.get_ref()) {
            Some(profile) if *profile.holder() == HolderKind::Device => Some(profile),
            Some(_) => {
                let reason = format!(
                    "profile '{}' is not for devices, and only devices have stages: device profiles are {}",
                    name.get_ref(),
                    known()
                );
                self.file.refuse(name.span(), reason);
                None
            }
            None => {
                let reason = format!(
                    "there is no profile named '{}': device profiles are {}",
                    name.get_ref(),
                    known()
                );
                self.file.refuse(name.span(), reason);
                None
            }
        }
    }

    /// One transition for each stage it leads to.
    fn transition(&self, raw: &RawTransition) -> Vec<Transition> {
        for stage in raw.from.get_ref().iter().chain(raw.to.get_ref()) {
            self.stage_is_known(stage);
        }
        for stage in raw.from.get_ref() {
            if self.terminal.get(stage.get_ref()) == Some(&true) {
                let reason = format!(
                    "stage '{}' is terminal, so nothing leads out: take it out of from",
                    stage.get_ref()
                );
                self.file.refuse(stage.span(), reason);
            }
        }
        if raw.to.get_ref().is_empty() {
            self.file.refuse(raw.to.span(), "leads nowhere: name a stage");
        }
        if raw.takeover && !raw.from.get_ref().is_empty() {
            self.file.refuse(raw.from.span(), "a takeover begins a record: write from = []");
        }
        if raw.who.get_ref().is_empty() {
            self.file.refuse(raw.who.span(), "no one may do it: name a role, or take the transition out");
        }
        for role in raw.who.get_ref() {
            if self.roles.role(role.get_ref()).is_none() {
                let known = list(self.roles.iter().map(|role| role.name()));
                let reason =
                    format!("there is no role named '{}' in roles.toml: known are {known}", role.get_ref());
                self.file.refuse(role.span(), reason);
            }
        }
        for mark in raw.requires.iter().chain(&raw.forbids).chain(&raw.clears) {
            self.mark_can_be_set(mark.get_ref(), mark.span());
        }
        for mark in &raw.sets {
            self.mark_is_named_well(mark);
        }
        let effects: Vec<Effect> = raw.effects.iter().flat_map(|effect| self.effect(effect)).collect();
        let marks = |marks: &Marks| marks.iter().map(|mark| mark.get_ref().clone()).collect();
        let towards = |to: &Spanned<StageName>| Transition {
            id: raw.id.get_ref().clone(),
            title: raw.title.clone(),
            from: raw.from.get_ref().iter().map(|stage| stage.get_ref().clone()).collect(),
            to: to.get_ref().clone(),
            takeover: raw.takeover,
            who: raw.who.get_ref().iter().map(|role| role.get_ref().clone()).collect(),
            needs: raw.needs.clone(),
            requires: marks(&raw.requires),
            forbids: marks(&raw.forbids),
            sets: marks(&raw.sets),
            clears: marks(&raw.clears),
            effects: effects.clone(),
        };
        raw.to.get_ref().iter().map(towards).collect()
    }

    fn effect(&self, raw: &Spanned<RawEffect>) -> Option<Effect> {
        let effect = raw.get_ref();
        let (profiles, action) = match (&effect.revoke, &effect.hold, &effect.release, effect.reason) {
            (Some(profiles), None, None, Some(reason)) if reason != Reason::CertificateHold => {
                (profiles, EffectAction::Revoke(reason))
            }
            (None, Some(profiles), None, None) => (profiles, EffectAction::Hold),
            (None, None, Some(profiles), None) => (profiles, EffectAction::Release),
            _ => {
                let reason = "write one of { revoke = [PROFILES], reason = REASON }, { hold = [PROFILES] } and { release = [PROFILES] }; certificate-hold is no reason to revoke";
                self.file.refuse(raw.span(), reason);
                return None;
            }
        };
        for profile in profiles {
            self.device_profile(profile);
        }
        Some(Effect { profiles: profiles.iter().map(|name| name.get_ref().clone()).collect(), action })
    }

    /// Two transitions that the same unit could take by the same command: which one was meant?
    fn ambiguity(&self) {
        for (i, later) in self.raw.transition.iter().enumerate() {
            for earlier in &self.raw.transition[..i] {
                if overlap(earlier, later) {
                    let reason = format!(
                        "leads the same way as '{}' for a unit with the same marks: tell them apart with requires and forbids",
                        earlier.id.get_ref()
                    );
                    self.file.refuse(later.id.span(), reason);
                }
            }
        }
    }

    /// Can every stage be reached, and left?
    fn ways(&self, transitions: &[Transition]) {
        let first = self.raw.first_stage.get_ref();
        self.stage_is_known(&self.raw.first_stage);
        let registers = |stage: &StageName| {
            transitions.iter().any(|t| t.from.is_empty() && !t.takeover && t.to == *stage)
        };
        if self.terminal.contains_key(first) && !registers(first) {
            let reason = format!(
                "no registration leads to the first stage '{first}': add a transition with from = [] to it"
            );
            self.file.refuse(self.raw.first_stage.span(), reason);
        }
        // Takeovers do not count: a stage that only they lead to is one no new unit ever comes to.
        let mut reached: BTreeSet<&StageName> =
            transitions.iter().filter(|t| t.from.is_empty() && !t.takeover).map(|t| &t.to).collect();
        loop {
            let before = reached.len();
            for transition in transitions {
                if transition.from.iter().any(|stage| reached.contains(stage)) {
                    reached.insert(&transition.to);
                }
            }
            if reached.len() == before {
                break;
            }
        }
        for stage in &self.raw.stage {
            let name = stage.name.get_ref();
            if !reached.contains(name) {
                let reason = format!(
                    "no unit can come to stage '{name}' from its registration: add it to the to of a transition"
                );
                self.file.refuse(stage.name.span(), reason);
            }
            let leaves = transitions.iter().any(|t| t.from.contains(name) && t.to != *name);
            if !stage.terminal && !leaves {
                let reason =
                    format!("no transition leads out of stage '{name}': add one, or write terminal = true");
                self.file.refuse(stage.name.span(), reason);
            }
        }
    }

    fn matrix(&self) {
        let matrix = self.raw.matrix.get_ref();
        for (name, row) in matrix {
            let profile = self.device_profile(name);
            for (stage, cell) in row {
                self.stage_is_known(stage);
                if let Some(mark) = cell.get_ref().when() {
                    self.mark_can_be_set(mark, cell.span());
                }
                if self.terminal.get(stage.get_ref()) == Some(&true) {
                    let reason = format!(
                        "stage '{}' is terminal and is issued nothing: take the cell out",
                        stage.get_ref()
                    );
                    self.file.refuse(stage.span(), reason);
                }
                if profile.is_some_and(|profile| profile.server_key().is_some())
                    && cell.get_ref().needs_approval()
                {
                    let reason = format!(
                        "profile '{}' has a server-key, and that is not kept while a request waits: take the approval or the server-key out",
                        name.get_ref()
                    );
                    self.file.refuse(cell.span(), reason);
                }
                if let (Some(profile), Cell::Renew { .. }) = (profile, cell.get_ref())
                    && profile.renewal().is_none()
                {
                    let reason = format!(
                        "profile '{}' is not renewable: write \"issue\", or give it a [renewal]",
                        name.get_ref()
                    );
                    self.file.refuse(cell.span(), reason);
                }
            }
        }
        let devices = self.profiles.values().filter(|profile| *profile.holder() == HolderKind::Device);
        for profile in devices.filter(|profile| !matrix.keys().any(|name| name.get_ref() == profile.name())) {
            let reason = format!(
                "device profile '{0}' has no row: write [matrix.{0}], empty if it is never issued",
                profile.name()
            );
            self.file.refuse(self.raw.matrix.span(), reason);
        }
    }
}

fn overlap(a: &RawTransition, b: &RawTransition) -> bool {
    let common = |a: &[Spanned<StageName>], b: &[Spanned<StageName>]| {
        a.iter().any(|one| b.iter().any(|other| one.get_ref() == other.get_ref()))
    };
    let both_registrations = a.from.get_ref().is_empty() && b.from.get_ref().is_empty();
    let same_way = (both_registrations || common(a.from.get_ref(), b.from.get_ref()))
        && common(a.to.get_ref(), b.to.get_ref());
    let excludes = |required: &Marks, forbidden: &Marks| {
        required.iter().any(|one| forbidden.iter().any(|other| one.get_ref() == other.get_ref()))
    };
    same_way && !excludes(&a.requires, &b.forbids) && !excludes(&b.requires, &a.forbids)
}

fn finish_stage(raw: &RawStage) -> Stage {
    Stage {
        name: raw.name.get_ref().clone(),
        title: raw.title.clone(),
        terminal: raw.terminal,
        takeover_marks: raw.takeover_marks.iter().map(|mark| mark.get_ref().clone()).collect(),
    }
}
