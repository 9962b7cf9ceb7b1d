//! `[clones]` of `lifecycle.toml`: what follows when one certificate seems to be in two hands.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::hierarchy::list;
use super::lifecycle::Transition;
use super::tree::File;
use crate::ids::StageName;

/// What is done about a suspected copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clones {
    move_to: Option<StageName>,
    lost_key: LostKey,
}

impl Clones {
    /// Where the authority moves a device of which a copy is suspected. `None`: nowhere.
    pub fn move_to(&self) -> Option<&StageName> {
        self.move_to.as_ref()
    }

    pub fn lost_key(&self) -> LostKey {
        self.lost_key
    }
}

/// What happens when a certificate is renewed again with another key, and the first answer was never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostKey {
    /// Whoever asked first keeps its key until it is answered, so this is somebody else.
    Refuse,
    /// The key was lost with the answer: what was issued to it ends, and the new key gets a certificate.
    Replace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawClones {
    move_to: Option<Spanned<StageName>>,
    lost_key: LostKey,
}

/// `stages`: whether each is terminal.
pub(super) fn check(
    file: &File,
    raw: &RawClones,
    stages: &BTreeMap<&StageName, bool>,
    transitions: &[Transition],
) -> Clones {
    if let Some(to) = &raw.move_to {
        let name = to.get_ref();
        let leads_there = |transition: &&Transition| transition.to() == name && !transition.from().is_empty();
        let refusal = match stages.get(name) {
            None => Some(format!("there is no stage named '{name}': known are {}", list(stages.keys()))),
            Some(true) => Some(format!(
                "stage '{name}' is terminal, and a suspicion must not end a device's life: name a stage that it can leave"
            )),
            Some(false) if !transitions.iter().filter(leads_there).any(Transition::is_for_the_authority) => {
                Some(format!(
                    "no transition leads to stage '{name}' that the authority could make: it can give a reason, but neither an owner nor evidence"
                ))
            }
            Some(false) => None,
        };
        if let Some(reason) = refusal {
            file.refuse(to.span(), reason);
        }
    }
    Clones { move_to: raw.move_to.as_ref().map(|to| to.get_ref().clone()), lost_key: raw.lost_key }
}
