//! Reads every request head a second time, as it came: hyper takes liberties that RFC 9112 allows, and drops what it has
//! overruled before a door could see it. Whatever two readers could take for two different requests is refused here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::accept::LONGEST_HEAD;

/// What opens HTTP/2, which is not spoken here.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Where one connection stands.
#[derive(Debug, Default)]
struct Seen {
    /// From the beginning of the head that is to be judged next.
    bytes: Vec<u8>,
    /// How much of the body before it is still to come.
    body: u64,
    /// Nothing is read any more: the connection ends with the request that was judged last.
    ended: bool,
}

impl Seen {
    fn see(&mut self, bytes: &[u8]) {
        if self.ended {
            return;
        }
        let (_, head) = bytes.split_at(pass(&mut self.body, bytes.len()));
        self.bytes.extend_from_slice(head);
        // hyper has given such a head up.
        self.ended = self.bytes.len() > 2 * LONGEST_HEAD;
    }

    /// Takes the next head, as far as its empty line.
    fn take_head(&mut self) -> Option<Vec<u8>> {
        let begin = self.bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let end = end_of_head(&self.bytes[begin..])?;
        let head = self.bytes[begin..begin + end].to_vec();
        self.bytes.drain(..begin + end);
        Some(head)
    }

    fn skip(&mut self, length: u64) {
        self.body = length;
        let here = pass(&mut self.body, self.bytes.len());
        self.bytes.drain(..here);
    }
}

/// How much of so many bytes belongs to the body, which gets so much shorter.
fn pass(body: &mut u64, available: usize) -> usize {
    let passed = usize::try_from(*body).unwrap_or(usize::MAX).min(available);
    *body -= passed as u64;
    passed
}

/// Behind the empty line, however its two lines end.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    newlines.map(|(at, _)| at + 1).find_map(|next| match &bytes[next..] {
        [b'\n', ..] => Some(next + 1),
        [b'\r', b'\n', ..] => Some(next + 2),
        _ => None,
    })
}

/// Why a request is not answered. The texts are for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Doubt {
    #[error("the lines of the head must end in CR LF\n")]
    LineEnd,
    #[error("a request with Transfer-Encoding may have no Content-Length\n")]
    TwoFramings,
    #[error("a request may have one Content-Length only\n")]
    TwoLengths,
    #[error("the only Transfer-Encoding that is understood is chunked\n")]
    Coding,
    #[error("a request of HTTP/1.1 must have one Host, which names a host and nothing else\n")]
    Host,
    #[error("the head of this request cannot be told from what came before it\n")]
    Lost,
}

impl Doubt {
    /// What was doubtful once is the end of the connection: what comes next could begin anywhere.
    pub(super) fn response<B: From<String>>(self) -> Response<B> {
        let text = self.to_string();
        let length = HeaderValue::from(text.len());
        let mut response = Response::new(B::from(text));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}

/// How the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
}

/// RFC 9112 sections 2.2 and 6.
fn framing(head: &[u8]) -> Result<Framing, Doubt> {
    let is_bare = |at: usize| match head[at] {
        b'\n' => at == 0 || head[at - 1] != b'\r',
        b'\r' => head.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    if (0..head.len()).any(is_bare) {
        return Err(Doubt::LineEnd);
    }
    let fields: Vec<(&[u8], &[u8])> = head
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            line.iter().position(|byte| *byte == b':').map(|at| (&line[..at], &line[at + 1..]))
        })
        .collect();
    let values = |name: &[u8]| {
        let found = fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim_ascii()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (values(b"content-length"), values(b"transfer-encoding"));
    match (lengths.len(), codings.as_slice()) {
        (0 | 1, []) => Ok(Framing::Length),
        (0, [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (0, _) => Err(Doubt::Coding),
        (_, []) => Err(Doubt::TwoLengths),
        _ => Err(Doubt::TwoFramings),
    }
}

/// RFC 9112 section 3.2; what is named there decides nothing here.
fn check_host<B>(request: &Request<B>) -> Result<(), Doubt> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(()),
        (Some(host), None) => {
            let is_host =
                |host: &str| host.is_empty() || !host.contains('@') && host.parse::<Authority>().is_ok();
            if host.to_str().is_ok_and(is_host) { Ok(()) } else { Err(Doubt::Host) }
        }
        _ => Err(Doubt::Host),
    }
}

/// Judges the requests of one connection, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads(Arc<Mutex<Seen>>);

impl Heads {
    /// Answers a request by `answer`, unless it is doubtful. To be called for every request that hyper hands out.
    pub(super) async fn guard<Q, A, F>(
        &self,
        request: Request<Q>,
        answer: impl FnOnce(Request<Q>) -> F,
    ) -> Response<A>
    where
        A: From<String>,
        F: Future<Output = Response<A>>,
    {
        match self.judge(&request) {
            Err(doubt) => doubt.response(),
            Ok(Framing::Length) => answer(request).await,
            Ok(Framing::Chunked) => {
                let mut response = answer(request).await;
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        }
    }

    fn judge<Q>(&self, request: &Request<Q>) -> Result<Framing, Doubt> {
        let mut seen = self.seen();
        let judged = if seen.ended {
            Err(Doubt::Lost)
        } else {
            seen.take_head()
                .ok_or(Doubt::Lost)
                .and_then(|head| framing(&head))
                .and_then(|framing| check_host(request).map(|()| framing))
        };
        match judged {
            // hyper has read the number already.
            Ok(Framing::Length) => {
                let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
                seen.skip(length.and_then(|length| length.parse().ok()).unwrap_or(0));
            }
            // Where the last chunk ends is not followed: it is the end of the connection instead.
            Ok(Framing::Chunked) | Err(_) => *seen = Seen { ended: true, ..Seen::default() },
        }
        judged
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose incoming bytes are seen by its [`Heads`].
pub(super) struct Watched<S> {
    stream: S,
    heads: Heads,
    begun: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S) -> (Self, Heads) {
        let heads = Heads::default();
        (Self { stream, heads: heads.clone(), begun: false }, heads)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = done {
            if !self.begun && buffer.filled()[before..].starts_with(HTTP_2) {
                // Taken for the end of the stream, so that ours is closed in good order: hyper would break it off.
                buffer.set_filled(before);
                return done;
            }
            self.begun = true;
            self.heads.seen().see(&buffer.filled()[before..]);
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// B38.
    #[test]
    fn a_body_has_one_length() {
        for (fields, expected) in [
            ("", Ok(Framing::Length)),
            ("Content-Length: 5\r\n", Ok(Framing::Length)),
            ("Transfer-Encoding: chunked\r\n", Ok(Framing::Chunked)),
            ("transfer-encoding:\tCHUNKED \r\n", Ok(Framing::Chunked)),
            ("X: Content-Length: 5\r\nContent-Length: 5\r\n", Ok(Framing::Length)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(Doubt::TwoFramings)),
            ("Transfer-Encoding: chunked\r\ncontent-length: 5\r\n", Err(Doubt::TwoFramings)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(Doubt::TwoLengths)),
            ("Content-Length: 5\r\nX: y\r\ncontent-length: 6\r\n", Err(Doubt::TwoLengths)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(Doubt::Coding)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(Doubt::Coding)),
            ("X: y\n", Err(Doubt::LineEnd)),
            ("X: y\r\r\n", Err(Doubt::LineEnd)),
            ("X: y\rz\r\n", Err(Doubt::LineEnd)),
        ] {
            let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            assert_eq!(framing(head.as_bytes()), expected, "{fields:?}");
        }
        assert_eq!(framing(b"GET / HTTP/1.1\n\r\n"), Err(Doubt::LineEnd));
    }

    /// RFC 9112 section 3.2.
    #[test]
    fn a_request_names_one_host() {
        let request = |version, hosts: &[&str]| {
            let builder = Request::builder().version(version);
            hosts.iter().fold(builder, |builder, host| builder.header(HOST, *host)).body(()).unwrap()
        };
        for hosts in [&["localhost"][..], &["localhost:8443"], &["[::1]:8443"], &[""]] {
            assert_eq!(check_host(&request(Version::HTTP_11, hosts)), Ok(()), "{hosts:?}");
        }
        for hosts in [&[][..], &["a", "a"], &["a", "b"], &["a/b"], &["u@a"], &["a b"], &["a, b"]] {
            assert_eq!(check_host(&request(Version::HTTP_11, hosts)), Err(Doubt::Host), "{hosts:?}");
        }
        assert_eq!(check_host(&request(Version::HTTP_10, &[])), Ok(()));
        assert_eq!(check_host(&request(Version::HTTP_10, &["a", "b"])), Err(Doubt::Host));
    }

    /// Heads are found however the bytes are cut, behind bodies that were read or not.
    #[test]
    fn heads_are_found_behind_bodies() {
        let request = |length: &str| {
            Request::builder().header(HOST, "x").header(CONTENT_LENGTH, length).body(()).unwrap()
        };
        let bytes = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n\
            \r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /c HTTP/1.1\nHost: x\r\n\r\n";
        for piece in [1, 3, 50, bytes.len()] {
            let heads = Heads::default();
            let mut verdicts = Vec::new();
            for piece in bytes.chunks(piece) {
                heads.seen().see(piece);
                while end_of_head(heads.seen().bytes.trim_ascii_start()).is_some() {
                    let length = if verdicts.is_empty() { "4" } else { "0" };
                    verdicts.push(heads.judge(&request(length)));
                }
            }
            let expected = [Ok(Framing::Length), Ok(Framing::Length), Err(Doubt::LineEnd)];
            assert_eq!(verdicts, expected, "{piece}");
            assert_eq!(heads.judge(&request("0")), Err(Doubt::Lost), "nothing follows a doubt");
        }
    }
}
