//! A revocation list, judged by what stands around its entries: that is a few hundred octets of however many.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_DELTA_CRL_INDICATOR, ID_CE_FRESHEST_CRL,
    ID_CE_ISSUING_DISTRIBUTION_POINT, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use der::{Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::DistributionPointName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, CrlDistributionPoints, IssuingDistributionPoint, SubjectKeyIdentifier,
};

use super::extensions::{is_http, key_usage_bits};
use super::raw::{Element, take};
use super::{Finding, Findings, Issuer, Judged};

/// Gives as many octets from an offset, if the list has them.
pub type ReadAt<'a> = &'a mut dyn FnMut(u64, usize) -> Option<Vec<u8>>;

/// What stands before the entries, and after them, has room in this.
const ENOUGH: u64 = 8192;
/// cRLSign of KeyUsage, bit 0 being the highest.
const CRL_SIGN: u16 = 1 << (15 - 6);

/// What is wrong with a list of `length` octets under its issuer (rules C01 to C04, C07, C09, C13, C14, C16, C23). The
/// entries and the signature are not looked at. Empty is the good answer.
pub fn lint_crl(length: u64, read: ReadAt<'_>, issuer: &Issuer) -> Vec<Finding> {
    let mut findings = Findings::default();
    let Some(issuer) = issuer.judged() else {
        findings.add("C02", "the issuer's certificate cannot be read");
        return findings.0;
    };
    if judge(length, read, &issuer, &mut findings).is_none() {
        findings.add("C01", "its fields are not in DER in the order of section 5.1");
    }
    findings.0
}

/// Tag, length of the header, length of the value: in the shortest form.
fn header(input: &[u8]) -> Option<(u8, u64, u64)> {
    let [tag, first, rest @ ..] = input else { return None };
    if *first < 0x80 {
        return Some((*tag, 2, u64::from(*first)));
    }
    let count = usize::from(first & 0x7f);
    let octets = rest.get(..count).filter(|octets| (1..=8).contains(&octets.len()))?;
    let length = octets.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
    let shortest = octets[0] != 0 && length >= 0x80;
    shortest.then_some((*tag, 2 + u64::from(first & 0x7f), length))
}

/// `None`: it cannot be walked through.
fn judge(length: u64, read: ReadAt<'_>, issuer: &Judged<'_>, findings: &mut Findings) -> Option<()> {
    let head = read(0, usize::try_from(length.min(ENOUGH)).ok()?)?;
    let (0x30, outer_header, outer) = header(&head)? else { return None };
    if outer_header.checked_add(outer)? != length {
        return None;
    }
    let tbs_at = usize::try_from(outer_header).ok()?;
    let (0x30, tbs_header, tbs) = header(&head[tbs_at..])? else { return None };
    let tbs_end = outer_header.checked_add(tbs_header)?.checked_add(tbs)?;
    let mut fields = head.get(tbs_at + usize::try_from(tbs_header).ok()?..)?;

    let version = take(&mut fields)?.whole == [2, 1, 1];
    findings.require(version, "C01", "it is not of version 2 (section 5.1.2.1)");
    let algorithm = take(&mut fields)?;
    let same = take(&mut fields)?.whole == issuer.raw.subject;
    findings.require(same, "C02", "its issuer is not, byte for byte, the subject of its certificate");
    let this_update = time(take(&mut fields)?, findings);
    let has_next = matches!(fields.first(), Some(0x17 | 0x18));
    findings.require(has_next, "C01", "it has no nextUpdate (section 5.1.2.5)");
    if has_next {
        let next_update = time(take(&mut fields)?, findings);
        findings.require(this_update < next_update, "C01", "it ends before it begins");
    }
    let mut after = (head.len() - fields.len()) as u64;
    if fields.first() == Some(&0x30) {
        let (_, list_header, list) = header(fields)?;
        findings.require(list > 0, "C04", "its list of entries is empty instead of absent (section 5.1.2.6)");
        after = after.checked_add(list_header)?.checked_add(list)?;
    }
    let left = length.checked_sub(after)?;
    let tail = read(after, usize::try_from(left.min(ENOUGH)).ok()?)?;
    let mut rest = tail.as_slice();
    let extensions = take(&mut rest)?;
    if extensions.tag != 0xa0 || after + extensions.whole.len() as u64 != tbs_end {
        return None;
    }
    let outer_algorithm = take(&mut rest)?;
    findings.require(
        outer_algorithm.whole == algorithm.whole,
        "C02",
        "its two algorithms differ (section 5.1.1.2)",
    );
    if take(&mut rest)?.tag != 0x03 || !rest.is_empty() {
        return None;
    }
    let signs = key_usage_bits(issuer).is_some_and(|(bits, _)| bits & CRL_SIGN != 0);
    findings.require(signs, "C23", "its issuer's key may not sign CRLs (section 4.2.1.3)");
    judge_extensions(&Vec::<Extension>::from_der(extensions.value).ok()?, issuer, findings);
    Some(())
}

/// UTCTime to 2049, GeneralizedTime from 2050, to the second, in UTC. Gives what compares as the time does.
fn time(element: Element<'_>, findings: &mut Findings) -> Vec<u8> {
    let digits = element.value.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let whole = match (element.tag, digits) {
        (0x17, Some(digits)) if digits.len() == 12 => {
            let century: &[u8] = if digits[0] < b'5' { b"20" } else { b"19" };
            Some([century, digits].concat())
        }
        (0x18, Some(digits)) if digits.len() == 14 && digits[..4] >= b"2050"[..] => Some(digits.to_vec()),
        _ => None,
    };
    findings.require(whole.is_some(), "C03", "a date has not the form of section 5.1.2.4");
    whole.unwrap_or_default()
}

fn judge_extensions(extensions: &[Extension], issuer: &Judged<'_>, findings: &mut Findings) {
    /// Each, and whether it is critical.
    const WRITTEN: [(ObjectIdentifier, bool); 5] = [
        (ID_CE_AUTHORITY_KEY_IDENTIFIER, false),
        (ID_CE_CRL_NUMBER, false),
        (ID_CE_DELTA_CRL_INDICATOR, true),
        (ID_CE_ISSUING_DISTRIBUTION_POINT, true),
        (ID_CE_FRESHEST_CRL, false),
    ];
    for (at, extension) in extensions.iter().enumerate() {
        let oid = extension.extn_id;
        let again = extensions[..at].iter().any(|earlier| earlier.extn_id == oid);
        findings.require(!again, "C01", "it has an extension twice");
        match WRITTEN.iter().find(|(known, _)| *known == oid) {
            None => findings.add("C01", format!("its extension {oid} is none that this authority writes")),
            Some((_, critical)) if *critical != extension.critical => {
                let text = if *critical { "not critical" } else { "critical" };
                findings.add(rule_of(oid), format!("its extension {oid} is {text}"));
            }
            Some(_) => {}
        }
    }
    let value = |oid| extensions.iter().find(|it| it.extn_id == oid).map(|it| it.extn_value.as_bytes());

    let aki =
        value(ID_CE_AUTHORITY_KEY_IDENTIFIER).and_then(|der| AuthorityKeyIdentifier::from_der(der).ok());
    let ski = issuer.value::<SubjectKeyIdentifier>(ID_CE_SUBJECT_KEY_IDENTIFIER);
    let same = match (aki.and_then(|aki| aki.key_identifier), ski) {
        (Some(aki), Some(ski)) => aki.as_bytes() == ski.0.as_bytes(),
        _ => false,
    };
    findings.require(same, "C01", "it does not name its issuer's key (section 5.2.1)");

    let number = value(ID_CE_CRL_NUMBER).and_then(unsigned);
    findings.require(number.is_some(), "C01", "it has no number of 20 octets at most (section 5.2.3)");
    let base = value(ID_CE_DELTA_CRL_INDICATOR);
    if let Some(base) = base {
        let behind = unsigned(base).is_some_and(|base| number.is_some_and(|number| base <= number));
        findings.require(behind, "C07", "its base is no number, or a later list than itself (section 5.2.4)");
    }
    if let Some(der) = value(ID_CE_FRESHEST_CRL) {
        findings.require(base.is_none(), "C13", "it is a delta and points to a delta (section 5.2.6)");
        let points = CrlDistributionPoints::from_der(der).ok();
        let plain = points.is_some_and(|points| {
            !points.0.is_empty()
                && points.0.iter().all(|point| {
                    point.reasons.is_none()
                        && point.crl_issuer.is_none()
                        && point.distribution_point.as_ref().is_some_and(has_urls_alone)
                })
        });
        findings.require(plain, "C13", "its freshestCRL has a point without an http URL, or more than that");
    }
    if let Some(der) = value(ID_CE_ISSUING_DISTRIBUTION_POINT) {
        scope(der, findings);
    }
}

fn rule_of(oid: ObjectIdentifier) -> &'static str {
    match oid {
        ID_CE_DELTA_CRL_INDICATOR => "C07",
        ID_CE_ISSUING_DISTRIBUTION_POINT => "C14",
        ID_CE_FRESHEST_CRL => "C13",
        ID_CE_CRL_NUMBER => "C05",
        _ => "C01",
    }
}

fn scope(der: &[u8], findings: &mut Findings) {
    let Ok(scope) = IssuingDistributionPoint::from_der(der) else {
        findings.add("C14", "its IDP cannot be read (section 5.2.5)");
        return;
    };
    let same = scope.to_der().is_ok_and(|again| again == der);
    findings.require(
        same,
        "C14",
        "its IDP is not in DER: a flag that is FALSE is left out (X.690 section 11.5)",
    );
    let named = scope.distribution_point.as_ref().is_some_and(has_urls_alone);
    findings.require(named, "C14", "its IDP names no http URL (section 5.2.5)");
    let of_one_kind = !(scope.only_contains_user_certs && scope.only_contains_ca_certs);
    findings.require(of_one_kind, "C14", "its IDP says that it is for users alone and for CAs alone");
    let whole =
        scope.only_some_reasons.is_none() && !scope.indirect_crl && !scope.only_contains_attribute_certs;
    findings.require(whole, "C16", "its IDP leaves reasons out, or speaks of other issuers or attributes");
}

fn has_urls_alone(name: &DistributionPointName) -> bool {
    match name {
        DistributionPointName::FullName(names) => !names.is_empty() && names.iter().all(is_http),
        DistributionPointName::NameRelativeToCRLIssuer(_) => false,
    }
}

/// The value of a non-negative INTEGER of 20 octets at most, in octets that compare as numbers do.
fn unsigned(mut der: &[u8]) -> Option<[u8; 20]> {
    let number = take(&mut der).filter(|number| number.tag == 2 && der.is_empty())?.value;
    let digits = match number {
        [0] => number,
        [0, next, ..] if *next >= 0x80 => &number[1..],
        [first, ..] if *first != 0 && *first < 0x80 => number,
        _ => return None,
    };
    let mut out = [0; 20];
    out.get_mut(20usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::pki::crl::{CrlTemplate, Scope};
    use crate::pki::testing::{TestCa, day};

    fn template(ca: &TestCa) -> CrlTemplate {
        let names = vec!["http://status.example.test/crl/operational/3.crl".to_owned()];
        CrlTemplate {
            issuer: ca.certificate.subject().clone(),
            this_update: day("2026-11-23T10:00:00Z"),
            next_update: day("2050-11-24T10:00:00Z"),
            number: 9,
            authority_key_id: ca.certificate.public_key().unwrap().key_id(),
            signer: ca.kind,
            scope: Some(Scope { names, users_only: true }),
            base: None,
            freshest: Some("http://status.example.test/crl/operational/3-delta.crl".to_owned()),
        }
    }

    fn assembled(ca: &TestCa, template: &CrlTemplate) -> Vec<u8> {
        let to_be_signed = template.to_be_signed(&[]).unwrap();
        let signature = ca.key.sign(to_be_signed.bytes());
        to_be_signed.assemble(&signature).unwrap()
    }

    fn findings(ca: &TestCa, der: &[u8]) -> Vec<&'static str> {
        let mut read = |at: u64, count: usize| {
            let at = usize::try_from(at).unwrap();
            der.get(at..at + count).map(<[u8]>::to_vec)
        };
        let found = lint_crl(der.len() as u64, &mut read, &Issuer::read(ca.certificate.der()));
        found.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn what_the_builder_makes_is_good() {
        let ca = TestCa::root();
        let complete = template(&ca);
        let whole = CrlTemplate { scope: None, freshest: None, ..complete.clone() };
        let delta = CrlTemplate { base: Some(9), freshest: None, ..complete.clone() };
        for template in [complete, whole, delta] {
            assert_eq!(findings(&ca, &assembled(&ca, &template)), Vec::<&str>::new(), "{template:?}");
        }
    }

    /// B27, B28: lists as other servers have published them; C02, C07, C13, C14, C16 each by its own number.
    #[test]
    fn each_rule_catches_its_own() {
        let ca = TestCa::root();
        let good = template(&ca);
        let spoilt = |edit: &dyn Fn(&mut CrlTemplate)| {
            let mut template = good.clone();
            edit(&mut template);
            findings(&ca, &assembled(&ca, &template))
        };
        assert_eq!(spoilt(&|it| it.base = Some(9)), ["C13"], "a delta with freshestCRL");
        assert_eq!(spoilt(&|it| (it.base, it.freshest) = (Some(10), None)), ["C07"]);
        assert_eq!(spoilt(&|it| it.freshest = Some("ldap://h/x".to_owned())), ["C13"]);
        assert_eq!(spoilt(&|it| it.scope.as_mut().unwrap().names = vec!["https://h/x".to_owned()]), ["C14"]);
        assert_eq!(spoilt(&|it| it.authority_key_id = [7; 20]), ["C01"]);
        assert_eq!(spoilt(&|it| it.next_update = it.this_update), ["C01"]);
        let stranger = crate::pki::name::Name::default();
        assert_eq!(spoilt(&|it| it.issuer = stranger.clone()), ["C02"]);

        // What the builder cannot write: each replacement has the length of what it replaces.
        let der = assembled(&ca, &good);
        let changed = |old: &[u8], new: &[u8]| {
            let at = der.windows(old.len()).position(|window| window == old).unwrap();
            let mut der = der.clone();
            der[at..at + new.len()].copy_from_slice(new);
            findings(&ca, &der)
        };
        assert_eq!(changed(&[0x81, 1, 0xff], &[0x82, 1, 0xff]), Vec::<&str>::new(), "for CAs alone");
        assert_eq!(changed(&[0x81, 1, 0xff], &[0x81, 1, 0]), ["C14"], "a flag that is FALSE");
        assert_eq!(changed(&[0x81, 1, 0xff], &[0x84, 1, 0xff]), ["C16"], "an indirect CRL");
        assert_eq!(
            changed(&[0x55, 0x1d, 28, 1, 1, 0xff], &[0x55, 0x1d, 28, 1, 1, 0]),
            ["C14"],
            "not critical"
        );
        assert_eq!(
            changed(&[0x55, 0x1d, 20], &[0x55, 0x1d, 99]),
            ["C01", "C01"],
            "no number, and a stranger"
        );
        assert_eq!(changed(b"261123100000Z", b"2611231000000"), ["C03"]);
        assert_eq!(changed(&[2, 1, 1], &[2, 1, 0]), ["C01"]);
        assert_eq!(findings(&ca, &[&der[..], &[0]].concat()), ["C01"], "an octet too much");
        for cut in [0, 1, 5, 40, der.len() / 2, der.len() - 1] {
            assert_eq!(findings(&ca, &der[..cut]), ["C01"]);
        }
    }
}
