//! `manufacturers/*.toml`: the makers of devices and the anchors of the birth certificates they issue themselves.

use std::collections::BTreeSet;

use der::Decode;
use serde::Deserialize;
use toml::Spanned;
use x509_cert::Certificate;

use super::tree::{File, Tree};
use crate::ids::MakerName;

const FOLDER: &str = "manufacturers";

/// A maker of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manufacturer {
    name: MakerName,
    title: String,
    anchors: Vec<Vec<u8>>,
    life_supporting: BTreeSet<String>,
}

impl Manufacturer {
    pub fn name(&self) -> &MakerName {
        &self.name
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    /// Certificates in DER; none when its devices are born under a CA of the hierarchy.
    pub fn anchors(&self) -> &[Vec<u8>] {
        &self.anchors
    }

    /// Does a patient's life hang on devices of this model? What is done to many devices is told by it.
    pub fn is_life_supporting(&self, model: &str) -> bool {
        self.life_supporting.contains(model)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawManufacturer {
    title: String,
    #[serde(default)]
    anchors: Vec<Spanned<String>>,
    #[serde(default)]
    life_supporting: Vec<Spanned<String>>,
}

/// A maker is a TOML file, a PEM file, or both under one name: `NAME.pem` holds the anchors of NAME.
pub(super) fn check_all(tree: &Tree, makers: Vec<(File, MakerName, RawManufacturer)>) -> Vec<Manufacturer> {
    let mut alone: BTreeSet<String> = tree.names(FOLDER, ".pem").into_iter().collect();
    let mut checked: Vec<Manufacturer> = Vec::new();
    for (file, name, raw) in makers {
        let mut anchors = Vec::new();
        for path in &raw.anchors {
            match certificates_in(tree, FOLDER, path.get_ref()) {
                Ok(certificates) => anchors.extend(certificates),
                Err(reason) => file.refuse(path.span(), format!("anchor '{}' {reason}", path.get_ref())),
            }
            alone.remove(path.get_ref().trim_end_matches(".pem"));
        }
        if alone.remove(name.as_str()) {
            anchors.extend(read_own(tree, name.as_str()));
        }
        let mut life_supporting = BTreeSet::new();
        for model in &raw.life_supporting {
            let name = model.get_ref();
            if name.is_empty() {
                file.refuse(model.span(), "a model without a name is no model: take it out");
            }
            if !life_supporting.insert(name.clone()) {
                file.refuse(model.span(), format!("'{name}' stands here twice: take one out"));
            }
        }
        checked.push(Manufacturer { name, title: raw.title, anchors, life_supporting });
    }
    for stem in alone {
        match stem.parse::<MakerName>() {
            Ok(name) => {
                let anchors = read_own(tree, name.as_str());
                let life_supporting = BTreeSet::new();
                checked.push(Manufacturer { title: name.to_string(), name, anchors, life_supporting });
            }
            Err(error) => tree.refuse(
                &format!("{FOLDER}/{stem}.pem"),
                1,
                format!("the file's name is used as a name: {error}"),
            ),
        }
    }
    checked.sort_by(|a, b| a.name.cmp(&b.name));
    checked
}

fn read_own(tree: &Tree, stem: &str) -> Vec<Vec<u8>> {
    let path = format!("{stem}.pem");
    certificates_in(tree, FOLDER, &path).unwrap_or_else(|reason| {
        tree.refuse(&format!("{FOLDER}/{path}"), 1, reason);
        Vec::new()
    })
}

/// DER of the certificates of a PEM file in a folder of the tree. The error says what the file is not, or lacks.
pub(super) fn certificates_in(tree: &Tree, folder: &str, path: &str) -> Result<Vec<Vec<u8>>, String> {
    // A file elsewhere would not travel with the folder.
    if path.is_empty() || path.contains(['/', '\\']) || path.starts_with('.') {
        return Err("must lie beside this file: copy it here and write its name alone".to_owned());
    }
    let relative = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let bytes = tree.try_bytes(&relative).map_err(|error| {
        format!("cannot be read ({error}): put the PEM file beside this one, or take the line out")
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let certificates = pem_blocks(&text)
        .map(|block| der_of(block).ok_or_else(not_a_certificate))
        .collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err(not_a_certificate()) } else { Ok(certificates) }
}

fn not_a_certificate() -> String {
    "is not a certificate in PEM: convert it with 'openssl x509 -in FILE -out FILE.pem'".to_owned()
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The blocks of a file that may say other things between them, as `openssl x509 -text` does.
fn pem_blocks(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGIN).map(|(start, _)| {
        let block = &text[start..];
        block.find(END).map_or(block, |end| &block[..end + END.len()])
    })
}

/// The bytes as they were, not encoded anew, once they have proven to be a certificate.
fn der_of(block: &str) -> Option<Vec<u8>> {
    let (_, der) = der::pem::decode_vec(block.as_bytes()).ok()?;
    Certificate::from_der(&der).ok()?;
    Some(der)
}
