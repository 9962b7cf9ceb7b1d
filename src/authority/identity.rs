//! Holds the names in a request against the granted ones: they may repeat the record, never add to it.

use der::Encode;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::error::Failed;
use crate::config::NameAttribute;
use crate::fleet::enrol::{Grant, Refusal};
use crate::fleet::names::RenderedAltName;
use crate::ids::HolderId;
use crate::pki::certificate::Certificate;
use crate::pki::csr::Requested;
use crate::pki::name::{self, NameError};

const RENEWAL_HINT: &str =
    ": on renewal the subject and subjectAltName are those of the certificate presented";
const RECORD_HINT: &str = ": leave the names out, or repeat the serial number or device id";
/// Without any name, nobody would know for whom.
const DELEGATE_HINT: &str = ": write the serial number or the device id, and no other names";

/// What the subject of a request says, as far as records know such names. A subject that cannot be read says nothing.
pub(super) fn named(requested: &Requested) -> Vec<(NameAttribute, String)> {
    let known = [
        NameAttribute::CommonName,
        NameAttribute::SerialNumber,
        NameAttribute::Organization,
        NameAttribute::OrganizationalUnit,
    ];
    let attribute = |oid| known.into_iter().find(|known| pki_attribute(*known).oid() == oid);
    let names = name::attributes(requested.subject()).unwrap_or_default();
    names.into_iter().filter_map(|(oid, value)| Some((attribute(oid)?, value))).collect()
}

/// The granted names, encoded.
pub(super) struct GrantedNames {
    pub(super) subject: Name,
    pub(super) alt_names: Vec<GeneralName>,
}

pub(super) fn encode(grant: &Grant) -> Result<GrantedNames, NameError> {
    let alt_names = grant.alt_names().iter().map(alt_name).collect::<Result<_, _>>()?;
    Ok(GrantedNames { subject: subject(grant.subject())?, alt_names })
}

pub(super) fn subject(attributes: &[(NameAttribute, String)]) -> Result<Name, NameError> {
    let attributes: Vec<_> =
        attributes.iter().map(|(attribute, value)| (pki_attribute(*attribute), value.as_str())).collect();
    name::build_name(&attributes)
}

pub(super) fn pki_attribute(attribute: NameAttribute) -> name::NameAttribute {
    match attribute {
        NameAttribute::CommonName => name::NameAttribute::CommonName,
        NameAttribute::SerialNumber => name::NameAttribute::SerialNumber,
        NameAttribute::Organization => name::NameAttribute::Organization,
        NameAttribute::OrganizationalUnit => name::NameAttribute::OrganizationalUnit,
    }
}

fn alt_name(rendered: &RenderedAltName) -> Result<GeneralName, NameError> {
    match rendered {
        RenderedAltName::Uri(uri) => name::uri(uri),
        RenderedAltName::Dns(dns) => name::dns(dns),
        RenderedAltName::HardwareModule { type_oid, serial } => name::hardware_module_name(type_oid, serial),
    }
}

/// A first request: every name in it must be one the record knows.
pub(super) fn check_first(
    requested: &Requested,
    grant: &Grant,
    granted: &GrantedNames,
) -> Result<(), Failed<Refusal>> {
    let hint = match grant.proof().registration_authority() {
        Some(_) => DELEGATE_HINT,
        None => RECORD_HINT,
    };
    refuse_change(requested, grant.holder(), hint)?;
    let known: Vec<_> = grant.subject().iter().chain(grant.also_known_as()).collect();
    let attributes =
        name::attributes(requested.subject()).ok_or_else(|| mismatch(grant.holder(), "a subject", hint))?;
    for (oid, value) in &attributes {
        let is_known = |(attribute, text): &&(NameAttribute, String)| {
            pki_attribute(*attribute).oid() == *oid && text == value
        };
        if !known.iter().any(is_known) {
            return Err(mismatch(grant.holder(), &format!("'{value}' in its subject"), hint));
        }
    }
    let asked = requested.subject_alt_names().unwrap_or_default();
    if asked.iter().all(|name| granted.alt_names.iter().any(|known| same_der(known, name))) {
        Ok(())
    } else {
        Err(mismatch(grant.holder(), "a subjectAltName", hint))
    }
}

/// A renewal: subject and subjectAltName are those of the certificate that is renewed (RFC 7030 section 4.2.2).
pub(super) fn check_renewal(
    requested: &Requested,
    holder: &HolderId,
    current: &Certificate,
) -> Result<(), Failed<Refusal>> {
    refuse_change(requested, holder, RENEWAL_HINT)?;
    if !name::same_name(requested.subject(), current.subject()) {
        return Err(mismatch(holder, "another subject", RENEWAL_HINT));
    }
    if !name::same_alt_names(requested.subject_alt_names(), current.subject_alt_names()) {
        return Err(mismatch(holder, "another subjectAltName, or none", RENEWAL_HINT));
    }
    Ok(())
}

/// Names come from the record, so nobody may choose others. To leave the wish aside would give a certificate with
/// other names than were asked for.
fn refuse_change(
    requested: &Requested,
    holder: &HolderId,
    hint: &'static str,
) -> Result<(), Failed<Refusal>> {
    if requested.asks_to_change_its_subject() {
        return Err(mismatch(holder, "the attribute ChangeSubjectName", hint));
    }
    Ok(())
}

fn mismatch(holder: &HolderId, found: &str, hint: &'static str) -> Failed<Refusal> {
    Failed::Refused(Refusal::NameMismatch { holder: holder.clone(), found: found.to_owned(), hint })
}

fn same_der(one: &GeneralName, other: &GeneralName) -> bool {
    matches!((one.to_der(), other.to_der()), (Ok(one), Ok(other)) if one == other)
}
