//! The subject and its alternative names (P03, P06, P07, P09, P10, P18).

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::ID_CE_SUBJECT_ALT_NAME;
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

use super::raw::take;
use super::{Findings, Judged};

const DOMAIN_COMPONENT: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.9.2342.19200300.100.1.25");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const HARDWARE_MODULE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.4");
/// RFC 9598.
const SMTP_UTF8_MAILBOX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.8.9");

/// How many characters an attribute may have (RFC 5280 appendix A.1): CN, serialNumber, C, L, ST, O, OU.
const BOUNDS: [(ObjectIdentifier, usize); 7] = [
    (ObjectIdentifier::new_unwrap("2.5.4.3"), 64),
    (SERIAL_NUMBER, 64),
    (COUNTRY, 2),
    (ObjectIdentifier::new_unwrap("2.5.4.7"), 128),
    (ObjectIdentifier::new_unwrap("2.5.4.8"), 128),
    (ObjectIdentifier::new_unwrap("2.5.4.10"), 64),
    (ObjectIdentifier::new_unwrap("2.5.4.11"), 64),
];

pub(super) fn judge(subject: &Judged<'_>, findings: &mut Findings) {
    for rdn in subject.subject().iter_rdn() {
        for (at, pair) in rdn.iter().enumerate() {
            attribute(pair, findings);
            let again = rdn.iter().take(at).any(|earlier| earlier.oid == pair.oid);
            findings.require(
                !again,
                "P03",
                "its subject has one attribute twice in an RDN (X.501 section 9.3)",
            );
        }
    }
    let san = subject.extension(ID_CE_SUBJECT_ALT_NAME);
    if subject.subject().is_empty() {
        findings.require(!subject.is_ca(), "P06", "it is a CA without a name (section 4.1.2.6)");
        let critical = san.is_some_and(|san| san.critical);
        findings.require(
            critical,
            "P06",
            "its subject is empty and its SAN is not critical (section 4.2.1.6)",
        );
    } else if san.is_some_and(|san| san.critical) {
        findings.add("P06", "its SAN is critical beside a subject that is not empty (section 4.2.1.6)");
    }
    let Some(names) = subject.value::<Vec<GeneralName>>(ID_CE_SUBJECT_ALT_NAME) else { return };
    findings.require(!names.is_empty(), "P07", "its SAN is empty (section 4.2.1.6)");
    for name in &names {
        alternative_name(name, findings);
    }
    let names_hardware = names
        .iter()
        .any(|name| matches!(name, GeneralName::OtherName(other) if other.type_id == HARDWARE_MODULE_NAME));
    let has_serial_number = subject.subject().iter().any(|pair| pair.oid == SERIAL_NUMBER);
    findings.require(
        has_serial_number || !names_hardware,
        "P10",
        "it names its hardware, but its subject has no serialNumber (IEEE 802.1AR-2018)",
    );
}

fn attribute(pair: &AttributeTypeAndValue, findings: &mut Findings) {
    let mut wrong = |what: &str| findings.add("P03", format!("its subject attribute {} {what}", pair.oid));
    if pair.oid == EMAIL_ADDRESS {
        return wrong("is an e-mail address: it belongs in the SAN (section 4.1.2.6)");
    }
    let tag = pair.value.tag();
    let allowed = match pair.oid {
        DOMAIN_COMPONENT => tag == Tag::Ia5String,
        // X.520 leaves them no choice.
        SERIAL_NUMBER | COUNTRY => tag == Tag::PrintableString,
        _ => tag == Tag::Utf8String || tag == Tag::PrintableString,
    };
    if !allowed {
        wrong(&format!("is of the type {tag} (section 4.1.2.4)"));
    }
    let Ok(text) = std::str::from_utf8(pair.value.value()) else {
        return wrong("is not text in UTF-8");
    };
    if text.is_empty() {
        wrong("is empty");
    }
    if text.contains(char::is_control) {
        wrong("has a control character");
    }
    let printable = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    if tag == Tag::PrintableString && !text.bytes().all(printable) {
        wrong("has a character that no PrintableString has (X.680 section 41.4)");
    }
    let bound = BOUNDS.iter().find(|(oid, _)| *oid == pair.oid);
    if bound.is_some_and(|(_, most)| text.chars().count() > *most) {
        wrong("is longer than it may be (appendix A.1)");
    }
    if pair.oid == COUNTRY && text.len() != 2 {
        wrong("is not a country code of two letters (appendix A.1)");
    }
}

fn alternative_name(name: &GeneralName, findings: &mut Findings) {
    match name {
        GeneralName::DnsName(dns) if !is_dns_name(dns.as_str()) => {
            findings.add("P07", format!("its DNS name '{}' is not in the preferred syntax", dns.as_str()));
        }
        GeneralName::IpAddress(ip) if !matches!(ip.as_bytes().len(), 4 | 16) => {
            findings.add("P07", "its IP address does not have 4 or 16 octets");
        }
        GeneralName::UniformResourceIdentifier(uri) if !is_absolute_uri(uri.as_str()) => {
            findings.add("P07", format!("its URI '{}' is not absolute, or has no host", uri.as_str()));
        }
        GeneralName::Rfc822Name(mail) if !is_mailbox(mail.as_str()) => {
            findings.add("P07", format!("its e-mail address '{}' is none", mail.as_str()));
        }
        GeneralName::DirectoryName(name) if name.is_empty() => {
            findings.add("P07", "its directory name is empty");
        }
        GeneralName::OtherName(other)
            if other.type_id == HARDWARE_MODULE_NAME && !is_hardware_module(other) =>
        {
            findings
                .add("P09", "its hardwareModuleName is not an OID and a serial number (RFC 4108 section 5)");
        }
        GeneralName::OtherName(other) if other.type_id == SMTP_UTF8_MAILBOX => {
            findings.add("P18", "it has an SmtpUTF8Mailbox (RFC 9598), which no profile writes");
        }
        GeneralName::OtherName(other) if other.type_id != HARDWARE_MODULE_NAME => {
            findings.add(
                "P09",
                format!("it has an otherName of type {}, which no profile writes", other.type_id),
            );
        }
        _ => {}
    }
}

/// RFC 1034 section 3.5, with digits allowed in front, but not in the whole of the last label, as in an IPv4 address
/// (RFC 1123 section 2.1).
fn is_dns_name(name: &str) -> bool {
    let mut labels = 0;
    let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    for label in name.split('.') {
        labels += 1;
        let bytes = label.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        if bytes.len() > 63
            || !bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            || !ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        {
            return false;
        }
    }
    labels > 0 && name.len() <= 253 && !is_address
}

pub(super) fn is_absolute_uri(uri: &str) -> bool {
    let Some(colon) = uri.find(':') else { return false };
    let (scheme, rest) = (&uri[..colon], &uri[colon + 1..]);
    let scheme_ok = scheme.bytes().enumerate().all(|(at, b)| {
        b.is_ascii_alphabetic() || (at > 0 && (b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')))
    });
    let has_host =
        !rest.starts_with("//") || rest[2..].bytes().next().is_some_and(|b| !b"/?#:@".contains(&b));
    !scheme.is_empty()
        && scheme_ok
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_graphic())
        && has_host
}

fn is_mailbox(mail: &str) -> bool {
    mail.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty() && local.bytes().all(|b| b.is_ascii_graphic()) && is_dns_name(host)
    })
}

fn is_hardware_module(other: &OtherName) -> bool {
    if other.value.tag() != Tag::Sequence {
        return false;
    }
    let mut fields = other.value.value();
    let kind = take(&mut fields).is_some_and(|kind| kind.tag == 0x06 && !kind.value.is_empty());
    let serial = take(&mut fields).is_some_and(|serial| serial.tag == 0x04 && !serial.value.is_empty());
    kind && serial && fields.is_empty()
}
