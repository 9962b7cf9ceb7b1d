//! The EST door as a whole: path, method, credentials, type, body (RFC 7030 section 3.2).

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, USER_AGENT, WWW_AUTHENTICATE};
use hyper::http::request::Builder;
use hyper::{Method, Request};
use vitae::ids::HolderId;
use vitae::pki::body::decode_base64;
use vitae::pki::certificate::Certificate;
use vitae::pki::cms::certificates_in;

use super::by_hand::{self, encode_base64, replaced};
use super::house::{House, Reply};

/// The key of the request that stands for `@CSR`.
const SCALAR: u8 = 9;

/// A request as it stands on the wire, without a version: `METHOD TARGET`, header lines, an empty line, the body.
/// `@TOKEN` stands for good credentials, `@CSR` for a good request, which no fuzzer would find. Was it
/// answered with 2xx?
pub fn check(data: &[u8]) -> bool {
    let house = House::get();
    let csr = by_hand::request_of(SCALAR);
    let credentials = encode_base64(format!("{}:{}", house.device, house.token).as_bytes());
    let data = replaced(data, b"@TOKEN", credentials.as_bytes());
    let data = replaced(&data, b"@CSR", encode_base64(&csr).as_bytes());
    let Some(request) = request(&data) else { return false };
    let asked = Asked::read(&request, house);
    let reply = house.est(request);
    asked.judge(&reply);
    reply.head.status().is_success()
}

/// `None`: no HTTP server would hand it over.
fn request(data: &[u8]) -> Option<Request<Full<Bytes>>> {
    let end = data.windows(2).position(|two| two == b"\n\n").unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.splitn(2, |byte| *byte == b' ');
    let mut request = Request::builder().method(first.next()?).uri(first.next()?);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        request = request.header(&line[..colon], line[colon + 1..].trim_ascii());
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).ok()
}

/// A first enrolment with a token.
pub(crate) fn enroll(device: &HolderId, token: &str, csr: &[u8]) -> Request<Full<Bytes>> {
    let credentials = encode_base64(format!("{device}:{token}").as_bytes());
    post(&format!("Basic {credentials}"))
        .body(Full::new(encode_base64(csr).into()))
        .expect("it is well formed")
}

/// A post to the default label, up to its body.
pub(crate) fn post(authorization: &str) -> Builder {
    Request::post("/.well-known/est/simpleenroll")
        .header(CONTENT_TYPE, "application/pkcs10")
        .header(AUTHORIZATION, authorization)
}

/// The one certificate of an answer.
pub(crate) fn certificate_in(body: &[u8]) -> Vec<u8> {
    let der = decode_base64(body).expect("the answer is base64");
    let [certificate] = <[Vec<u8>; 1]>::try_from(certificates_in(&der).expect("of a certs-only message"))
        .expect("with one certificate");
    certificate
}

/// What the request asks for, by a second reading.
struct Asked {
    /// The operation, if the path is one of EST, and whether its label is one of the policy.
    operation: Option<(String, bool)>,
    method: Method,
    is_pkcs10: bool,
    /// Is the token in the header that of the house, and the user name fit for it?
    is_authorized: bool,
    /// The default label takes this device and this token; the others are another matter.
    is_default_label: bool,
    is_nameless: bool,
}

impl Asked {
    fn read(request: &Request<Full<Bytes>>, house: &House) -> Self {
        let segments: Vec<&str> = request.uri().path().split('/').collect();
        let (operation, is_default_label) = match segments[..] {
            ["", ".well-known", "est", operation] => (Some((operation.to_owned(), true)), true),
            ["", ".well-known", "est", label, operation] => {
                let known = house.authority.profile_of_label(Some(label)).is_some();
                (Some((operation.to_owned(), known)), label == "ldev")
            }
            _ => (None, false),
        };
        let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let headers_have = |name: HeaderName| request.headers().contains_key(name);
        let kind = text(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        Self {
            operation,
            method: request.method().clone(),
            is_pkcs10: kind.split(';').next().is_some_and(|kind| kind.trim() == "application/pkcs10"),
            is_authorized: text(AUTHORIZATION).is_some_and(|value| is_authorized(value, house)),
            is_default_label,
            is_nameless: !headers_have(USER_AGENT) && !headers_have(AUTHORIZATION),
        }
    }

    fn judge(&self, reply: &Reply) {
        let status = reply.head.status().as_u16();
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(status < 500 || status == 501, "{status}: {text}");
        let headers = reply.head.headers();
        assert_eq!(headers.contains_key(WWW_AUTHENTICATE), status == 401, "{text}");
        assert_eq!(headers.contains_key(ALLOW), status == 405, "{text}");
        if status >= 400 {
            // The reason, for a person: short, and nothing in it that a terminal would act on.
            // A challenge is silent for clients without a name (Bouncy Castle breaks off at one that has a body).
            let is_silent = status == 401 && self.is_nameless;
            assert!(is_silent == text.is_empty() && text.len() < 1500, "{text}");
            assert!(is_silent || text.len() >= 10, "{text}");
            assert!(!text.trim_end().contains(char::is_control), "{text:?}");
            assert!(reply.commits <= 1, "a refusal is recorded once");
        }
        let Some((operation, known_label)) = &self.operation else {
            return assert_eq!(status, 404, "{text}");
        };
        if !known_label {
            assert_eq!((status, reply.commits), (404, 0), "{text}");
        } else if operation == "cacerts" {
            let reads = self.method == Method::GET || self.method == Method::HEAD;
            assert_eq!((status, reply.commits), (if reads { 200 } else { 405 }, 0), "{text}");
        } else if operation == "simpleenroll" && self.method == Method::POST {
            self.judge_enrolment(status, reply);
        } else {
            assert!(status >= 400 || reply.commits == 0, "B54: {status}: {text}");
        }
        if !self.is_authorized {
            assert_eq!(reply.commits, 0, "B54: strangers leave no trace");
        }
    }

    fn judge_enrolment(&self, status: u16, reply: &Reply) {
        if !self.is_authorized || !self.is_pkcs10 {
            assert!((400..500).contains(&status), "{status}");
        }
        if status == 200 {
            assert!(self.is_default_label, "the token is for the default label");
            assert_eq!(reply.commits, 1, "what was issued is recorded");
            let certificate = certificate_in(&reply.body);
            let certificate = Certificate::from_der(&certificate).expect("a certificate");
            assert_eq!(certificate.subject_serial_number().as_deref(), Some("BR000001"), "B48");
            assert!(!certificate.is_ca());
        } else if status < 300 {
            // Waiting for leave (RFC 7030 section 4.2.3) is no leave.
            assert_eq!(status, 202);
        }
    }
}

/// RFC 7617 by another reader: the scheme in any case, one blank, base64 of a user name, a colon and the token.
pub(crate) fn is_authorized(value: &str, house: &House) -> bool {
    let Some((scheme, encoded)) = value.split_once(' ') else { return false };
    let Some(decoded) = by_hand::decode_base64(encoded.trim().as_bytes()) else { return false };
    let Ok(text) = String::from_utf8(decoded) else { return false };
    let Some((user, password)) = text.split_once(':') else { return false };
    let is_user = user.is_empty() || user == house.device.as_str();
    scheme.eq_ignore_ascii_case("basic") && is_user && password == house.token
}
