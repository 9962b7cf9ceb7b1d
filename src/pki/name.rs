//! Distinguished names and alternative names: built with care, compared by what they say (RFC 5280 sections 4.1.2.4, 4.2.1.6).

use std::net::IpAddr;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc4519, rfc5911};
use der::asn1::{Any, Ia5String};
use der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::name::OtherName;

use super::tlv;

pub use x509_cert::ext::pkix::name::GeneralName;
pub use x509_cert::name::Name;

/// ub-common-name, ub-serial-number, ub-organization-name and ub-organizational-unit-name (RFC 5280 appendix A.1).
const LONGEST: usize = 64;

/// What a subject of this authority may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameAttribute {
    CommonName,
    SerialNumber,
    Organization,
    OrganizationalUnit,
}

impl NameAttribute {
    pub fn oid(self) -> ObjectIdentifier {
        match self {
            Self::CommonName => rfc4519::COMMON_NAME,
            Self::SerialNumber => rfc4519::SERIAL_NUMBER,
            Self::Organization => rfc4519::ORGANIZATION_NAME,
            Self::OrganizationalUnit => rfc4519::ORGANIZATIONAL_UNIT_NAME,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::CommonName => "common name",
            Self::SerialNumber => "serial number",
            Self::Organization => "organization",
            Self::OrganizationalUnit => "organizational unit",
        }
    }
}

/// Why a name cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("the {0} is empty: give it a value or leave it out")]
    Empty(&'static str),
    #[error("the {what} has {length} characters: at most {most} are allowed")]
    TooLong { what: &'static str, length: usize, most: usize },
    #[error("the {what} holds {character:?}: {rule}")]
    Character { what: &'static str, character: char, rule: &'static str },
    #[error("the {0} begins or ends with a space: remove it")]
    OuterSpace(&'static str),
    #[error("'{text}' is not {what}: {rule}")]
    Syntax { text: String, what: &'static str, rule: &'static str },
    #[error("the name cannot be encoded: {0}")]
    Encode(String),
}

/// One RDN for each attribute, in this order.
pub fn build_name(attributes: &[(NameAttribute, &str)]) -> Result<Name, NameError> {
    for (attribute, value) in attributes {
        check_value(*attribute, value)?;
    }
    let der = tlv::nested(tlv::SEQUENCE, |name| {
        for (attribute, value) in attributes {
            // X.520 makes serialNumber a PrintableString; the others are UTF8String in new names (RFC 5280 4.1.2.4).
            let tag = match attribute {
                NameAttribute::SerialNumber => tlv::PRINTABLE_STRING,
                _ => tlv::UTF8_STRING,
            };
            tlv::nest(name, tlv::SET, |rdn| {
                tlv::nest(rdn, tlv::SEQUENCE, |pair| {
                    tlv::put(pair, tlv::OBJECT_IDENTIFIER, attribute.oid().as_bytes());
                    tlv::put(pair, tag, value.as_bytes());
                });
            });
        }
    });
    Name::from_der(&der).map_err(|error| NameError::Encode(error.to_string()))
}

fn check_value(attribute: NameAttribute, value: &str) -> Result<(), NameError> {
    let what = attribute.label();
    if value.is_empty() {
        return Err(NameError::Empty(what));
    }
    let length = value.chars().count();
    if length > LONGEST {
        return Err(NameError::TooLong { what, length, most: LONGEST });
    }
    // X.520 matching skips outer spaces, so two names that differ here could be taken for each other.
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err(NameError::OuterSpace(what));
    }
    if let Some(character) = value.chars().find(|c| c.is_control()) {
        return Err(NameError::Character { what, character, rule: "control characters are not allowed" });
    }
    if attribute == NameAttribute::SerialNumber
        && let Some(character) = value.chars().find(|c| !is_printable(*c))
    {
        let rule = "only letters, digits, space and ' ( ) + , - . / : = ? are allowed (PrintableString)";
        return Err(NameError::Character { what, character, rule });
    }
    Ok(())
}

/// X.680 section 41.4.
pub(super) fn is_printable(character: char) -> bool {
    character.is_ascii_alphanumeric() || " '()+,-./:=?".contains(character)
}

/// All attributes in order, or `None` when a value is not text.
pub fn attributes(name: &Name) -> Option<Vec<(ObjectIdentifier, String)>> {
    name.iter().map(|pair| Some((pair.oid, text(&pair.value)?))).collect()
}

/// The text of a string value. Control characters make it no text: a NUL has hidden the end of a name before.
pub(super) fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    let text = match value.tag() {
        Tag::Utf8String => String::from_utf8(bytes.to_vec()).ok()?,
        Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::TeletexString => bytes.is_ascii().then(|| String::from_utf8(bytes.to_vec()).ok())??,
        Tag::BmpString => {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            rest.is_empty().then(|| String::from_utf16(&units).ok())??
        }
        _ => return None,
    };
    (!text.chars().any(char::is_control)).then_some(text)
}

/// Whether two names say the same, RDN by RDN (RFC 7030 section 4.2.2). PrintableString and UTF8String
/// with the same text are equal, because clients re-encode; everything else is compared byte for byte.
pub fn same_name(a: &Name, b: &Name) -> bool {
    a.len() == b.len() && a.iter_rdn().zip(b.iter_rdn()).all(|(a, b)| rdn_key(a) == rdn_key(b))
}

fn rdn_key(rdn: &x509_cert::name::RelativeDistinguishedName) -> Vec<(ObjectIdentifier, Option<Tag>, &[u8])> {
    let mut key: Vec<_> = rdn
        .iter()
        .map(|pair| {
            let tag = match pair.value.tag() {
                Tag::PrintableString | Tag::Utf8String => None,
                other => Some(other),
            };
            (pair.oid, tag, pair.value.value())
        })
        .collect();
    // The order inside an RDN has no meaning, and depends on the tags that were just forgotten.
    key.sort_unstable();
    key
}

/// Whether two lists of alternative names are the same set; absent is equal to absent only.
pub fn same_alt_names(a: Option<&[GeneralName]>, b: Option<&[GeneralName]>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => match (as_set(a), as_set(b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
        _ => false,
    }
}

/// Encoded, sorted, without repeats; `None` if a name cannot be encoded.
fn as_set(names: &[GeneralName]) -> Option<Vec<Vec<u8>>> {
    let mut set = names.iter().map(|name| name.to_der().ok()).collect::<Option<Vec<_>>>()?;
    set.sort_unstable();
    set.dedup();
    Some(set)
}

/// otherName with a hardwareModuleName: the type of the device, and its serial number (RFC 4108 section 5).
pub fn hardware_module_name(type_oid: &str, serial: &str) -> Result<GeneralName, NameError> {
    let what = "serial number of the hardware module name";
    let hw_type: ObjectIdentifier = type_oid.parse().map_err(|_| NameError::Syntax {
        text: type_oid.to_owned(),
        what: "a hardware type",
        rule: "write an object identifier such as 1.3.6.1.4.1.32473.1",
    })?;
    if serial.is_empty() {
        return Err(NameError::Empty(what));
    }
    let length = serial.chars().count();
    if length > LONGEST {
        return Err(NameError::TooLong { what, length, most: LONGEST });
    }
    let value = tlv::nested(tlv::SEQUENCE, |out| {
        tlv::put(out, tlv::OBJECT_IDENTIFIER, hw_type.as_bytes());
        tlv::put(out, tlv::OCTET_STRING, serial.as_bytes());
    });
    let value = Any::from_der(&value).map_err(|error| NameError::Encode(error.to_string()))?;
    Ok(GeneralName::OtherName(OtherName { type_id: rfc5911::ID_ON_HARDWARE_MODULE_NAME, value }))
}

/// The device type and serial number of a hardwareModuleName, if `name` is one.
pub fn as_hardware_module_name(name: &GeneralName) -> Option<(ObjectIdentifier, Vec<u8>)> {
    let GeneralName::OtherName(other) = name else { return None };
    let parsed = x509_cert::ext::pkix::name::HardwareModuleName::from_other_name(other).ok()??;
    Some((parsed.hw_type, parsed.hw_serial_num.as_bytes().to_vec()))
}

/// An absolute URI (RFC 3986 section 4.3); one with an authority names a host.
pub fn uri(text: &str) -> Result<GeneralName, NameError> {
    let error = || NameError::Syntax {
        text: text.to_owned(),
        what: "an absolute URI",
        rule: "write scheme:rest in ASCII without spaces, with a host after '//'",
    };
    let (scheme, rest) = text.split_once(':').ok_or_else(error)?;
    let scheme_ok = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let allowed = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let host_ok = rest.strip_prefix("//").is_none_or(|rest| !host_of(rest).is_empty());
    if !scheme_ok || rest.is_empty() || !rest.bytes().all(allowed) || !host_ok {
        return Err(error());
    }
    Ia5String::new(text).map(GeneralName::UniformResourceIdentifier).map_err(|_| error())
}

/// The host in what follows `//`.
fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// A DNS name in the preferred syntax (RFC 1034 section 3.5): no wildcard, no underscore, no final dot.
pub fn dns(text: &str) -> Result<GeneralName, NameError> {
    let error = || NameError::Syntax {
        text: text.to_owned(),
        what: "a DNS name",
        rule: "write labels of letters, digits and inner dashes with dots between, at most 253 characters",
    };
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits only would be an IPv4 address to some readers.
    let last_ok = text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()));
    if text.len() > 253 || !text.split('.').all(label_ok) || !last_ok {
        return Err(error());
    }
    Ia5String::new(text).map(GeneralName::DnsName).map_err(|_| error())
}

/// An IP address, 4 or 16 octets.
pub fn ip(text: &str) -> Result<GeneralName, NameError> {
    let address: IpAddr = text.parse().map_err(|_| NameError::Syntax {
        text: text.to_owned(),
        what: "an IP address",
        rule: "write 192.0.2.1 or 2001:db8::1",
    })?;
    Ok(GeneralName::from(address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::NameAttribute::*;
    use super::*;

    /// A name from raw RDNs of (oid, tag, bytes).
    fn raw(rdns: &[&[(ObjectIdentifier, u8, &[u8])]]) -> Name {
        let der = tlv::nested(tlv::SEQUENCE, |name| {
            for rdn in rdns {
                tlv::nest(name, tlv::SET, |out| {
                    for (oid, tag, value) in *rdn {
                        tlv::nest(out, tlv::SEQUENCE, |pair| {
                            tlv::put(pair, tlv::OBJECT_IDENTIFIER, oid.as_bytes());
                            tlv::put(pair, *tag, value);
                        });
                    }
                });
            }
        });
        Name::from_der(&der).unwrap()
    }

    #[test]
    fn a_name_says_what_it_was_given_in_order() {
        let name = build_name(&[
            (Organization, "Clinique d'Été"),
            (OrganizationalUnit, "Ward 3"),
            (CommonName, "pump-1"),
            (SerialNumber, "BR 000001/a"),
        ])
        .unwrap();
        let said = attributes(&name).unwrap();
        assert_eq!(
            said.iter().map(|(oid, text)| (oid.to_string(), text.as_str())).collect::<Vec<_>>(),
            [
                ("2.5.4.10".to_owned(), "Clinique d'Été"),
                ("2.5.4.11".to_owned(), "Ward 3"),
                ("2.5.4.3".to_owned(), "pump-1"),
                ("2.5.4.5".to_owned(), "BR 000001/a"),
            ]
        );
        assert!(name.iter_rdn().all(|rdn| rdn.len() == 1));
        assert!(name.iter().all(|pair| {
            (pair.oid == rfc4519::SERIAL_NUMBER) == (pair.value.tag() == Tag::PrintableString)
        }));
        assert!(build_name(&[]).unwrap().is_empty());
    }

    #[test]
    fn bad_values_are_refused() {
        let long = "x".repeat(65);
        for (attribute, value) in [
            (CommonName, ""),
            (CommonName, long.as_str()),
            (CommonName, " a"),
            (CommonName, "a "),
            (CommonName, "a\0b"),
            (Organization, "a\nb"),
            (SerialNumber, "a_b"),
            (SerialNumber, "é"),
            (SerialNumber, ""),
        ] {
            assert!(build_name(&[(attribute, value)]).is_err(), "{attribute:?} {value:?}");
        }
        assert!(build_name(&[(CommonName, &"é".repeat(64))]).is_ok());
    }

    #[test]
    fn text_is_read_from_every_string_type_and_from_nothing_else() {
        let cn = rfc4519::COMMON_NAME;
        for (tag, bytes) in [
            (0x0c, &b"ab"[..]),
            (0x13, b"ab"),
            (0x16, b"ab"),
            (0x14, b"ab"),
            (0x1e, b"\0a\0b"),
            (0x1a, b"ab"),
        ] {
            assert_eq!(attributes(&raw(&[&[(cn, tag, bytes)]])).unwrap(), [(cn, "ab".to_owned())], "{tag}");
        }
        for (tag, bytes) in [
            (0x0c, &b"\xff"[..]),
            (0x13, b"\xe9"),
            (0x1e, b"a"),
            (0x04, b"ab"),
            (0x0c, b"a\0b"),
            (0x02, b"\x01"),
        ] {
            assert_eq!(attributes(&raw(&[&[(cn, tag, bytes)]])), None, "{tag} {bytes:?}");
        }
    }

    #[test]
    fn names_are_compared_by_what_they_say() {
        let (cn, o) = (rfc4519::COMMON_NAME, rfc4519::ORGANIZATION_NAME);
        let utf8 = raw(&[&[(o, 0x0c, b"a")], &[(cn, 0x0c, b"b")]]);
        assert!(same_name(&utf8, &raw(&[&[(o, 0x13, b"a")], &[(cn, 0x0c, b"b")]])), "PrintableString");
        assert!(!same_name(&utf8, &raw(&[&[(o, 0x16, b"a")], &[(cn, 0x0c, b"b")]])), "IA5String");
        assert!(!same_name(&utf8, &raw(&[&[(cn, 0x0c, b"b")], &[(o, 0x0c, b"a")]])), "order of RDNs");
        assert!(!same_name(&utf8, &raw(&[&[(o, 0x0c, b"a"), (cn, 0x0c, b"b")]])), "one RDN");
        assert!(!same_name(&utf8, &raw(&[&[(o, 0x0c, b"a")]])), "prefix");
        assert!(!same_name(&utf8, &raw(&[&[(o, 0x0c, b"A")], &[(cn, 0x0c, b"b")]])), "case");
        let both = raw(&[&[(o, 0x0c, b"a"), (cn, 0x0c, b"b")]]);
        assert!(same_name(&both, &raw(&[&[(cn, 0x13, b"b"), (o, 0x13, b"a")]])), "order in an RDN");
    }

    /// B03: a name list that appears or vanishes is a difference.
    #[test]
    fn alternative_names_are_compared_as_sets() {
        let (a, b) = (dns("a.example.test").unwrap(), ip("192.0.2.1").unwrap());
        let ab = [a.clone(), b.clone()];
        let ba = [b.clone(), a.clone(), b.clone()];
        assert!(same_alt_names(None, None));
        assert!(same_alt_names(Some(&ab), Some(&ba)));
        assert!(!same_alt_names(Some(&ab), Some(&ab[..1])));
        assert!(!same_alt_names(Some(&ab[..1]), Some(&ab)));
        assert!(!same_alt_names(None, Some(&ab)));
        assert!(!same_alt_names(Some(&ab), None));
        assert!(!same_alt_names(None, Some(&[])));
    }

    #[test]
    fn alternative_names_are_checked() {
        for good in ["http://a.example.test/x", "urn:uuid:0", "https://[2001:db8::1]:8443/", "a+b://u@h"] {
            assert!(uri(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", "/x", "//h/x", "http:", "http://", "http:///x", "http://:80/", "1a:x", "a:b c", "a:é"]
        {
            assert!(uri(bad).is_err(), "{bad}");
        }
        for good in ["a", "est.example.test", "3com.example.test", "xn--9ca.example.test"] {
            assert!(dns(good).is_ok(), "{good}");
        }
        let long = format!("{}.a", "x".repeat(64));
        for bad in
            ["", " ", ".", "a.", ".a", "a..b", "-a", "a-", "*.a", "a_b", "192.0.2.1", "é", "a b", &long]
        {
            assert!(dns(bad).is_err(), "{bad}");
        }
        assert_eq!(ip("192.0.2.1").unwrap().to_der().unwrap(), [0x87, 4, 192, 0, 2, 1]);
        assert!(ip("2001:db8::1").is_ok());
        assert!(ip("192.0.2").is_err() && ip("192.0.2.0/24").is_err());
    }

    #[test]
    fn hardware_module_names_round_trip() {
        let name = hardware_module_name("1.3.6.1.4.1.32473.1", "BR000001").unwrap();
        let again = GeneralName::from_der(&name.to_der().unwrap()).unwrap();
        let (kind, serial) = as_hardware_module_name(&again).unwrap();
        assert_eq!((kind.to_string().as_str(), serial.as_slice()), ("1.3.6.1.4.1.32473.1", &b"BR000001"[..]));
        assert!(hardware_module_name("x", "1").is_err());
        assert!(hardware_module_name("1.2.3", "").is_err());
        assert_eq!(as_hardware_module_name(&dns("a").unwrap()), None);
    }
}
