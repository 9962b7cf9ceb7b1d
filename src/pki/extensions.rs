//! Certificate extensions, each written as its RFC asks, criticality included.

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc6960};
use der::Encode;
use der::asn1::OctetString;

pub use der::flagset::FlagSet;

use super::name::{self, GeneralName, NameError};
use super::tlv;

pub use x509_cert::ext::Extension;
pub use x509_cert::ext::pkix::KeyUsages;

/// Why an extension cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    #[error("the {0} extension would be empty: give it a value or leave it out")]
    Empty(&'static str),
    #[error("the {what} '{url}' is not an http URL with a host: write http://host/path")]
    NotHttp { what: &'static str, url: String },
    #[error(transparent)]
    Name(#[from] NameError),
}

/// basicConstraints of a CA: critical (RFC 5280 section 4.2.1.9).
pub fn basic_constraints_ca(path_len: Option<u8>) -> Extension {
    let value = tlv::nested(tlv::SEQUENCE, |out| {
        out.extend_from_slice(tlv::BOOLEAN_TRUE);
        if let Some(path_len) = path_len {
            tlv::put_unsigned(out, &[path_len]);
        }
    });
    extension(rfc5280::ID_CE_BASIC_CONSTRAINTS, true, value)
}

/// keyUsage: critical, named bits without trailing zeros (RFC 5280 section 4.2.1.3, X.690 section 11.2.2).
pub fn key_usage(bits: impl Into<FlagSet<KeyUsages>>) -> Result<Extension, ExtensionError> {
    // Bit 0 of the ASN.1 is the highest bit of the first octet, and the lowest of the flags.
    let flags: u16 = bits.into().bits();
    let [first, second] = flags.reverse_bits().to_be_bytes();
    let octets: &[u8] = if second == 0 { &[first] } else { &[first, second] };
    let last = octets.last().copied().unwrap_or(0);
    if last == 0 {
        return Err(ExtensionError::Empty("key usage"));
    }
    let mut value = Vec::new();
    tlv::nest(&mut value, tlv::BIT_STRING, |out| {
        // An octet has at most 7 trailing zeros when it is not zero itself.
        out.push(u8::try_from(last.trailing_zeros()).unwrap_or(0));
        out.extend_from_slice(octets);
    });
    Ok(extension(rfc5280::ID_CE_KEY_USAGE, true, value))
}

/// extKeyUsage (RFC 5280 section 4.2.1.12).
pub fn extended_key_usage(
    purposes: &[ObjectIdentifier],
    critical: bool,
) -> Result<Extension, ExtensionError> {
    // A certificate without a purpose would be good for every purpose.
    if purposes.is_empty() {
        return Err(ExtensionError::Empty("extended key usage"));
    }
    let value = tlv::nested(tlv::SEQUENCE, |out| {
        for purpose in purposes {
            put_oid(out, purpose);
        }
    });
    Ok(extension(rfc5280::ID_CE_EXT_KEY_USAGE, critical, value))
}

/// subjectKeyIdentifier (RFC 5280 section 4.2.1.2).
pub fn subject_key_id(key_id: [u8; 20]) -> Extension {
    let mut value = Vec::new();
    tlv::put(&mut value, tlv::OCTET_STRING, &key_id);
    extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, value)
}

/// authorityKeyIdentifier in its keyid form (RFC 5280 section 4.2.1.1).
pub fn authority_key_id(key_id: [u8; 20]) -> Extension {
    let value = authority_key_id_value(&key_id);
    extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, value)
}

pub(super) fn authority_key_id_value(key_id: &[u8; 20]) -> Vec<u8> {
    tlv::nested(tlv::SEQUENCE, |out| tlv::put(out, tlv::primitive(0), key_id))
}

/// subjectAltName; critical when the subject is empty (RFC 5280 section 4.2.1.6).
pub fn subject_alt_name(names: &[GeneralName], critical: bool) -> Result<Extension, ExtensionError> {
    if names.is_empty() {
        return Err(ExtensionError::Empty("subject alternative name"));
    }
    let mut list = Vec::new();
    for name in names {
        name.encode_to_vec(&mut list).map_err(|error| NameError::Encode(error.to_string()))?;
    }
    let mut value = Vec::new();
    tlv::put(&mut value, tlv::SEQUENCE, &list);
    Ok(extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, critical, value))
}

/// cRLDistributionPoints with one URL, no reasons, no issuer (RFC 5280 section 4.2.1.13).
pub fn crl_distribution_point(url: &str) -> Result<Extension, ExtensionError> {
    check_http("CRL distribution point", url)?;
    let value = tlv::nested(tlv::SEQUENCE, |points| {
        tlv::nest(points, tlv::SEQUENCE, |point| {
            tlv::nest(point, tlv::constructed(0), |name| {
                tlv::nest(name, tlv::constructed(0), |names| {
                    tlv::put(names, tlv::primitive(6), url.as_bytes())
                });
            });
        });
    });
    Ok(extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, false, value))
}

/// authorityInfoAccess (RFC 5280 section 4.2.2.1).
pub fn authority_info_access(
    ocsp: Option<&str>,
    ca_issuers: Option<&str>,
) -> Result<Extension, ExtensionError> {
    let mut value = Vec::new();
    let methods = [
        (rfc5280::ID_AD_OCSP, "OCSP address", ocsp),
        (rfc5280::ID_AD_CA_ISSUERS, "address of the issuer's certificate", ca_issuers),
    ];
    if methods.iter().all(|(_, _, url)| url.is_none()) {
        return Err(ExtensionError::Empty("authority information access"));
    }
    for (_, what, url) in methods {
        url.map_or(Ok(()), |url| check_http(what, url))?;
    }
    tlv::nest(&mut value, tlv::SEQUENCE, |out| {
        for (method, _, url) in methods {
            if let Some(url) = url {
                tlv::nest(out, tlv::SEQUENCE, |description| {
                    put_oid(description, &method);
                    tlv::put(description, tlv::primitive(6), url.as_bytes());
                });
            }
        }
    });
    Ok(extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, value))
}

/// certificatePolicies with one policy and no qualifier (RFC 5280 section 4.2.1.4).
pub fn certificate_policy(policy: ObjectIdentifier) -> Extension {
    let value = tlv::nested(tlv::SEQUENCE, |out| {
        tlv::nest(out, tlv::SEQUENCE, |information| put_oid(information, &policy));
    });
    extension(rfc5280::ID_CE_CERTIFICATE_POLICIES, false, value)
}

/// certificatePolicies of a CA below a root: anyPolicy, so that what the certificates below it name holds along the path.
pub fn any_policy() -> Extension {
    certificate_policy(rfc5280::ANY_POLICY)
}

/// id-pkix-ocsp-nocheck: the status of this OCSP signer is not asked for (RFC 6960 section 4.2.2.2.1).
pub fn ocsp_no_check() -> Extension {
    extension(rfc6960::ID_PKIX_OCSP_NOCHECK, false, tlv::NULL.to_vec())
}

/// noRevAvail: this certificate lives too briefly to be revoked (RFC 9608).
pub fn no_revocation_available() -> Extension {
    extension(const_oid::db::rfc5912::ID_CE_NO_REV_AVAIL, false, tlv::NULL.to_vec())
}

fn put_oid(out: &mut Vec<u8>, oid: &ObjectIdentifier) {
    tlv::put(out, tlv::OBJECT_IDENTIFIER, oid.as_bytes());
}

/// Status addresses are plain http: https would need the status of yet another certificate (RFC 5280 section 8).
fn check_http(what: &'static str, url: &str) -> Result<(), ExtensionError> {
    let http = url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
    if http && name::uri(url).is_ok() {
        Ok(())
    } else {
        Err(ExtensionError::NotHttp { what, url: url.to_owned() })
    }
}

fn extension(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Extension {
    // The only reason to fail is a value of 4 GiB: callers give names and numbers.
    let extn_value = OctetString::new(value).expect("an extension is shorter than 4 GiB");
    Extension { extn_id: oid, critical, extn_value }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use der::Decode;
    use x509_cert::ext::pkix::{
        AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies,
        CrlDistributionPoints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
    };

    use super::*;

    /// Each value is what an independent encoder writes for what an independent parser read.
    fn agree<'a, T: Decode<'a, Error = der::Error> + Encode>(extension: &'a Extension, critical: bool) -> T {
        let value = extension.extn_value.as_bytes();
        let parsed = T::from_der(value).unwrap();
        assert_eq!(parsed.to_der().unwrap(), value);
        assert_eq!(extension.critical, critical);
        parsed
    }

    #[test]
    fn every_extension_agrees_with_another_codec() {
        let extension = basic_constraints_ca(Some(0));
        let basic: BasicConstraints = agree(&extension, true);
        assert!(basic.ca && basic.path_len_constraint == Some(0));
        assert_eq!(agree::<BasicConstraints>(&basic_constraints_ca(None), true).path_len_constraint, None);
        assert_eq!(
            agree::<BasicConstraints>(&basic_constraints_ca(Some(200)), true).path_len_constraint,
            Some(200)
        );

        agree::<SubjectKeyIdentifier>(&subject_key_id([7; 20]), false);
        let extension = authority_key_id([8; 20]);
        let aki: AuthorityKeyIdentifier = agree(&extension, false);
        assert_eq!(aki.key_identifier.unwrap().as_bytes(), [8; 20]);

        let purposes = [rfc5280::ID_KP_CLIENT_AUTH, rfc5280::ID_KP_OCSP_SIGNING];
        let extension = extended_key_usage(&purposes, true).unwrap();
        assert_eq!(agree::<ExtendedKeyUsage>(&extension, true).0, purposes);

        let names = [name::dns("a.example.test").unwrap(), name::hardware_module_name("1.2.3", "x").unwrap()];
        let extension = subject_alt_name(&names, false).unwrap();
        assert_eq!(agree::<SubjectAltName>(&extension, false).0, names);

        agree::<CrlDistributionPoints>(&crl_distribution_point("http://h.test/a.crl").unwrap(), false);
        let extension = authority_info_access(Some("http://h.test/o"), Some("http://h.test/c")).unwrap();
        assert_eq!(agree::<AuthorityInfoAccessSyntax>(&extension, false).0.len(), 2);
        agree::<CertificatePolicies>(&certificate_policy("1.3.6.1.4.1.32473.2".parse().unwrap()), false);
        assert_eq!(ocsp_no_check().extn_value.as_bytes(), tlv::NULL);
        assert_eq!(no_revocation_available().extn_id.to_string(), "2.5.29.56");
    }

    #[test]
    fn every_set_of_key_usages_agrees_with_another_codec() {
        for bits in 1u16..512 {
            let flags = FlagSet::<KeyUsages>::new(bits).unwrap();
            let extension = key_usage(flags).unwrap();
            assert_eq!(agree::<KeyUsage>(&extension, true).0, flags);
        }
    }

    #[test]
    fn what_would_be_empty_or_unreachable_is_refused() {
        assert!(key_usage(FlagSet::<KeyUsages>::default()).is_err());
        assert!(extended_key_usage(&[], false).is_err());
        assert!(subject_alt_name(&[], false).is_err());
        assert!(authority_info_access(None, None).is_err());
        for url in
            ["", "https://h/", "ldap://h/", "http://", "http:///a", "h/a", "http://h/é", "http://h/a b"]
        {
            assert!(crl_distribution_point(url).is_err(), "{url}");
            assert!(authority_info_access(Some(url), None).is_err(), "{url}");
            assert!(authority_info_access(None, Some(url)).is_err(), "{url}");
        }
    }
}
