//! The status door: OCSP by GET and POST (RFC 6960 appendix A).

use std::sync::OnceLock;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use vitae::pki::certificate::Certificate;
use vitae::pki::ocsp::{self, CertId, HashAlg, OcspRequest, ParsedResponse, ParsedStatus, parse_response};

use super::by_hand::{self, replaced};
use super::house::{House, Reply};

/// As many as the door answers at once.
const MOST: usize = 32;
/// In octets of DER.
const LONGEST: usize = 8192;
const OPERATIONAL: &str = "operational";
/// RFC 6960 section 4.2.1.
const MALFORMED: u8 = 1;
const UNAUTHORIZED: u8 = 6;

/// `G` and a path below `/ocsp/`; or any other octet and a body. Runs of `N` and `K` as long as a hash stand for
/// name and key of the operational CA, runs of 16 `S` and `R` for serial numbers of a good and a revoked certificate.
/// Was it answered with statuses?
pub fn check(data: &[u8]) -> bool {
    let house = House::get();
    match data {
        [b'G', path @ ..] => by_get(house, path),
        [_, body @ ..] => {
            let body = filled_in(house, body);
            let answered = judge(house, &body, &post(house, &body));
            let path = by_hand::encode_base64(&body);
            let escaped = path.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
            if body.len() <= LONGEST {
                assert_eq!(by_get(house, path.as_bytes()), answered);
                assert_eq!(by_get(house, escaped.as_bytes()), answered);
            }
            answered
        }
        [] => false,
    }
}

fn filled_in(house: &House, der: &[u8]) -> Vec<u8> {
    let mut der = der.to_vec();
    // The longest first: a shorter run is a part of a longer one.
    for issuer in issuers().iter().filter(|issuer| issuer.ca == OPERATIONAL).rev() {
        der = replaced(&der, &vec![b'N'; issuer.name_hash.len()], &issuer.name_hash);
        der = replaced(&der, &vec![b'K'; issuer.key_hash.len()], &issuer.key_hash);
    }
    let der = replaced(&der, &[b'S'; 16], house.good.as_bytes());
    replaced(&der, &[b'R'; 16], house.revoked.as_bytes())
}

fn post(house: &House, body: &[u8]) -> Reply {
    let request = Request::post("/ocsp").header(CONTENT_TYPE, "application/ocsp-request");
    house.status(request.body(Full::new(Bytes::copy_from_slice(body))).expect("it is well formed"))
}

/// The path says the same as a body would (B20 to B22): whatever it decodes to is answered as if it had been sent.
fn by_get(house: &House, path: &[u8]) -> bool {
    let target = [b"/ocsp/", path].concat();
    let Ok(request) = Request::get(&target[..]).body(Full::new(Bytes::new())) else { return false };
    let path = request.uri().path().trim_start_matches('/');
    let Some(encoded) = path.strip_prefix("ocsp/") else { return false };
    let der = decoded(encoded.trim_start_matches('/').as_bytes()).filter(|der| der.len() <= LONGEST);
    let reply = house.status(request);
    judge(house, &der.unwrap_or_default(), &reply)
}

/// Percent-encoding undone, then base64; a plus sign is itself.
fn decoded(path: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut at = 0;
    while at < path.len() {
        if path[at] == b'%' {
            let digits = std::str::from_utf8(path.get(at + 1..at + 3)?).ok()?;
            // A sign is no digit, though numbers may have one.
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            text.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            text.push(path[at]);
            at += 1;
        }
    }
    by_hand::decode_base64(&text)
}

/// Always HTTP 200 and OCSP's own words (O05); one answer for each question, in order, under its own CertID (O08).
fn judge(house: &House, request: &[u8], reply: &Reply) -> bool {
    if request.len() > LONGEST {
        assert_eq!(reply.head.status(), 413);
        return false;
    }
    assert_eq!((reply.head.status().as_u16(), reply.commits), (200, 0));
    let answer = parse_response(&reply.body).expect("our own client reads it");
    let asked = OcspRequest::from_der(request, MOST).map(|asked| (ca_of(&asked.entries), asked));
    let (ca, asked, response) = match (asked, answer) {
        (Ok((Some(ca), asked)), ParsedResponse::Basic(response)) => (ca, asked, response),
        (Ok((None, _)), ParsedResponse::Error(UNAUTHORIZED)) | (Err(_), ParsedResponse::Error(MALFORMED)) => {
            return false;
        }
        (asked, answer) => panic!("{asked:?} was answered with {answer:?}"),
    };
    let ids: Vec<_> = response.singles.iter().map(|single| &single.cert_id).collect();
    assert_eq!(ids, asked.entries.iter().collect::<Vec<_>>());
    assert_eq!(response.nonce, asked.nonce);
    for single in &response.singles {
        assert!(single.next_update.is_some_and(|next| next > single.this_update));
        // Of what was not issued by this very CA, nothing is said (B51).
        let of_ca = ca == OPERATIONAL && name_of(&single.cert_id) == Some(ca);
        match single.cert_id.own_serial().filter(|_| of_ca) {
            Some(serial) if serial == house.good => assert_eq!(single.status, ParsedStatus::Good),
            Some(serial) if serial == house.revoked => {
                assert!(matches!(single.status, ParsedStatus::Revoked { reason: Some(1), .. }));
            }
            _ => assert_eq!(single.status, ParsedStatus::Unknown),
        }
    }
    true
}

/// One signer speaks for one CA: the first that is asked about and is ours.
fn ca_of(entries: &[CertId]) -> Option<&'static str> {
    entries.iter().find_map(name_of)
}

/// By name and key both (O11): a hash of one algorithm is no hash of another, whatever the request calls it.
fn name_of(id: &CertId) -> Option<&'static str> {
    let same = |issuer: &&Issuer| {
        issuer.hash == id.hash
            && issuer.name_hash == id.issuer_name_hash
            && issuer.key_hash == id.issuer_key_hash
    };
    issuers().iter().find(same).map(|issuer| issuer.ca.as_str())
}

struct Issuer {
    ca: String,
    hash: HashAlg,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
}

/// Each CA by each hash.
fn issuers() -> &'static [Issuer] {
    static ISSUERS: OnceLock<Vec<Issuer>> = OnceLock::new();
    ISSUERS.get_or_init(|| {
        let mut issuers = Vec::new();
        for ca in House::get().authority.cas() {
            let certificate = Certificate::from_der(ca.certificate()).expect("it was made here");
            for hash in HashAlg::KNOWN {
                let (name_hash, key_hash) =
                    ocsp::issuer_hashes(certificate.subject_der(), ca.public_key(), hash);
                issuers.push(Issuer { ca: ca.name().to_string(), hash, name_hash, key_hash });
            }
        }
        issuers
    })
}
