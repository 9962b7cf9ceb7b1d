//! Keeps what both sides of a TLS 1.2 handshake say in the clear: tls-unique is a digest of that, and rustls, which
//! makes this digest too, does not give it away.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Larger than the TLS 1.2 handshakes of real devices; what is longer is not kept to its end. With the limit of
/// connections this bounds what strangers can make us keep.
const LONGEST: usize = 16 * 1024;

// Content types of RFC 5246 section 6.2.1.
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

const SERVER_HELLO: u8 = 2;
const EXTENDED_MASTER_SECRET: u16 = 23;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The handshake messages up to the first ChangeCipherSpec: just those that the first Finished is made of.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    messages: Vec<u8>,
    client: Records,
    server: Records,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// This side's Finished comes first.
    By(Side),
    /// Too long, or no TLS 1.2.
    Unheard,
}

/// Where one direction stands in its records.
#[derive(Debug, Default)]
struct Records {
    head: [u8; 5],
    have: usize,
    left: usize,
}

impl Transcript {
    /// Who finished first, and all messages before that. `None`: not everything was heard.
    pub(super) fn first_finished(&self) -> Option<(Side, &[u8])> {
        match self.ended {
            Some(Ended::By(side)) => Some((side, &self.messages)),
            _ => None,
        }
    }

    /// Whether the ServerHello agrees to the extended master secret (RFC 7627), also when a session is resumed.
    pub(super) fn has_extended_master_secret(&self) -> bool {
        self.server_hello().and_then(extensions_of).is_some_and(|mut rest| {
            while let Some((kind, after)) = take_u16(rest) {
                let Some((_, after)) = take_vector(after, 2) else { return false };
                if kind == EXTENDED_MASTER_SECRET {
                    return true;
                }
                rest = after;
            }
            false
        })
    }

    fn server_hello(&self) -> Option<&[u8]> {
        let (_, after) = take_vector(self.messages.get(1..)?, 3)?;
        let (&kind, after) = after.split_first()?;
        let (body, _) = take_vector(after, 3)?;
        (kind == SERVER_HELLO).then_some(body)
    }

    fn hear(&mut self, side: Side, mut bytes: &[u8]) {
        while self.ended.is_none() && !bytes.is_empty() {
            let records = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            if records.have < records.head.len() {
                records.head[records.have] = bytes[0];
                records.have += 1;
                bytes = &bytes[1..];
                if records.have < records.head.len() {
                    continue;
                }
                records.left = usize::from(u16::from_be_bytes([records.head[3], records.head[4]]));
                self.ended = match records.head[0] {
                    HANDSHAKE | ALERT => None,
                    CHANGE_CIPHER_SPEC => Some(Ended::By(side)),
                    _ => Some(Ended::Unheard),
                };
            }
            let (now, later) = bytes.split_at(records.left.min(bytes.len()));
            records.left -= now.len();
            if records.left == 0 {
                records.have = 0;
            }
            let is_handshake = records.head[0] == HANDSHAKE;
            bytes = later;
            if is_handshake && self.messages.len() + now.len() > LONGEST {
                self.ended = Some(Ended::Unheard);
            } else if is_handshake {
                self.messages.extend_from_slice(now);
            }
        }
    }
}

/// The extensions of a ServerHello (RFC 5246 section 7.4.1.3).
fn extensions_of(hello: &[u8]) -> Option<&[u8]> {
    let (_, after) = take_vector(hello.get(2 + 32..)?, 1)?;
    take_vector(after.get(2 + 1..)?, 2).map(|(extensions, _)| extensions)
}

fn take_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// A vector that has its length in front, in so many octets.
fn take_vector(bytes: &[u8], octets: usize) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(octets)?;
    let length = head.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
    rest.split_at_checked(length)
}

/// A stream below TLS that hears the handshake.
#[derive(Debug)]
pub(super) struct Overheard<S> {
    stream: S,
    transcript: Transcript,
}

impl<S> Overheard<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, transcript: Transcript::default() }
    }

    /// Hands over what was heard and stops listening.
    pub(super) fn take(&mut self) -> Transcript {
        std::mem::replace(
            &mut self.transcript,
            Transcript { ended: Some(Ended::Unheard), ..Transcript::default() },
        )
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(context, buffer);
        if done.is_ready() {
            self.transcript.hear(Side::Client, &buffer.filled()[before..]);
        }
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = done {
            self.transcript.hear(Side::Server, &bytes[..written.min(bytes.len())]);
        }
        done
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(mut written)) = done {
            for slice in slices {
                let now = written.min(slice.len());
                self.transcript.hear(Side::Server, &slice[..now]);
                written -= now;
            }
        }
        done
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

    fn record(kind: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[kind, 3, 3, length[0], length[1]], content].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[kind, 0, length[0], length[1]], body].concat()
    }

    fn server_hello(extensions: &[u8]) -> Vec<u8> {
        let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend([2, 7, 7]);
        body.extend([0xc0, 0x2b, 0]);
        body.extend(length);
        body.extend(extensions);
        message(SERVER_HELLO, &body)
    }

    /// A full handshake up to the client's ChangeCipherSpec, told in pieces of this size.
    fn heard(hello: &[u8], piece: usize) -> Transcript {
        let mut transcript = Transcript::default();
        let (one, two) = hello.split_at(10);
        let client = record(HANDSHAKE, &message(1, b"hello"));
        let server = [record(HANDSHAKE, one), record(ALERT, &[1, 0]), record(HANDSHAKE, two)].concat();
        let end = [
            record(HANDSHAKE, &message(16, b"key")),
            record(CHANGE_CIPHER_SPEC, &[1]),
            record(HANDSHAKE, b"x"),
        ];
        for (side, bytes) in [(Side::Client, client), (Side::Server, server), (Side::Client, end.concat())] {
            bytes.chunks(piece).for_each(|piece| transcript.hear(side, piece));
        }
        transcript
    }

    #[test]
    fn messages_are_put_together_however_they_come() {
        let hello = server_hello(&[0xff, 1, 0, 1, 0, 0, 23, 0, 0]);
        for piece in [1, 2, 3, 5, 7, 1000] {
            let transcript = heard(&hello, piece);
            let all = [message(1, b"hello"), hello.clone(), message(16, b"key")].concat();
            assert_eq!(transcript.first_finished(), Some((Side::Client, all.as_slice())), "{piece}");
            assert!(transcript.has_extended_master_secret());
        }
    }

    #[test]
    fn the_extended_master_secret_is_seen_only_where_it_was_agreed_on() {
        for extensions in
            [&[][..], &[0xff, 1, 0, 1, 0], &[0, 5, 0, 4, 0, 23, 0, 0], &[0, 23], &[0, 5, 0, 9, 0, 23]]
        {
            assert!(!heard(&server_hello(extensions), 100).has_extended_master_secret(), "{extensions:?}");
        }
        assert!(!heard(&message(SERVER_HELLO, &[3, 3, 0, 0, 0, 0, 0]), 100).has_extended_master_secret());
        assert!(!Transcript::default().has_extended_master_secret());
    }

    #[test]
    fn what_was_not_heard_to_its_end_counts_for_nothing() {
        let mut encrypted = Transcript::default();
        encrypted.hear(Side::Client, &record(HANDSHAKE, &message(1, b"hello")));
        assert_eq!(encrypted.first_finished(), None, "not yet");
        encrypted.hear(Side::Server, &record(23, b"TLS 1.3"));
        encrypted.hear(Side::Client, &record(CHANGE_CIPHER_SPEC, &[1]));
        assert_eq!(encrypted.first_finished(), None);

        let mut long = Transcript::default();
        for _ in 0..3 {
            long.hear(Side::Client, &record(HANDSHAKE, &[1; 16 * 1024]));
        }
        long.hear(Side::Client, &record(CHANGE_CIPHER_SPEC, &[1]));
        assert_eq!(long.first_finished(), None);
        assert!(long.messages.len() <= LONGEST);
    }
}
