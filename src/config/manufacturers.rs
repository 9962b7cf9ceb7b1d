//! `manufacturers/*.toml`: the makers of devices and the anchors of the birth certificates they issue themselves.

use der::Decode;
use serde::Deserialize;
use toml::Spanned;
use x509_cert::Certificate;

use super::tree::File;
use crate::ids::MakerName;

/// A maker of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manufacturer {
    name: MakerName,
    title: String,
    anchors: Vec<Vec<u8>>,
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawManufacturer {
    title: String,
    #[serde(default)]
    anchors: Vec<Spanned<String>>,
}

pub(super) fn check(file: &File, name: MakerName, raw: RawManufacturer) -> Manufacturer {
    let anchors = raw.anchors.iter().flat_map(|path| match read(file, path.get_ref()) {
        Ok(certificates) => certificates,
        Err(reason) => {
            file.refuse(path.span(), format!("anchor '{}' {reason}", path.get_ref()));
            Vec::new()
        }
    });
    Manufacturer { name, anchors: anchors.collect(), title: raw.title }
}

fn read(file: &File, path: &str) -> Result<Vec<Vec<u8>>, String> {
    // A file elsewhere would not travel with the folder.
    if path.is_empty() || path.contains(['/', '\\']) || path.starts_with('.') {
        return Err("must lie beside this file: copy it here and write its name alone".to_owned());
    }
    let bytes = file.tree().try_bytes(&format!("manufacturers/{path}")).map_err(|error| {
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
