//! What a request for a profile should hold, as clients may ask beforehand (RFC 7030 section 4.5, RFC 9908).

use super::Authority;
use super::identity::pki_attribute;
use super::issue::{key_usages, usages_of};
use crate::config::{ChannelBinding, Profile, SubjectKey};
use crate::pki::csr_attributes::{CsrAttributes, SubjectPart};
use crate::pki::extensions::{self as ext, ExtensionError};
use crate::pki::key::PublicKeyKind;

impl Authority {
    /// The wishes of a profile, which say nothing of any holder: names come from its record, so the subject's parts are
    /// open, and subjectAltName, which no client needs to send, is not among the extensions.
    ///
    /// There is always something to say: a profile without a kind of key is refused when it is loaded.
    pub fn csr_attributes(&self, profile: &Profile) -> Result<CsrAttributes, ExtensionError> {
        let mut wishes = match profile.keys().first() {
            // Of several kinds the answer has room for one; a profile names the preferred one first.
            Some(preferred) => CsrAttributes::for_key(kind_of(*preferred)),
            None => CsrAttributes::default(),
        };
        for (attribute, template) in profile.subject() {
            // Without a placeholder it is the same for everybody.
            let value = template.render(&|_| None).ok();
            wishes.subject.push(SubjectPart { kind: pki_attribute(*attribute).oid(), value });
        }
        if !profile.key_usage().is_empty() {
            wishes.extensions.push(ext::key_usage(key_usages(profile.key_usage()))?.into());
        }
        if !profile.extended_key_usage().is_empty() {
            let critical = profile.extended_key_usage_critical();
            wishes.extensions.push(ext::extended_key_usage(&usages_of(profile), critical)?.into());
        }
        wishes.challenge_password = profile.channel_binding() == ChannelBinding::Required;
        Ok(wishes)
    }
}

fn kind_of(key: SubjectKey) -> PublicKeyKind {
    match key {
        SubjectKey::P256 => PublicKeyKind::P256,
        SubjectKey::P384 => PublicKeyKind::P384,
        SubjectKey::P521 => PublicKeyKind::P521,
        SubjectKey::Ed25519 => PublicKeyKind::Ed25519,
        SubjectKey::Rsa { min_bits } => PublicKeyKind::Rsa { bits: min_bits },
    }
}
