//! Spells the challenge of a 401 `WWW-Authenticate`, as libest compares it letter by letter.
//!
//! hyper writes header names in Title-Case, which other old clients need, and so makes it `Www-Authenticate`. The two
//! are equally long, so the name is corrected on its way to the TLS layer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HEAD: &[u8] = b"HTTP/1.1 401 ";
const WRITTEN: &[u8] = b"\r\nWww-Authenticate: ";
const WANTED: &[u8] = b"\r\nWWW-Authenticate: ";

/// A stream whose written 401 answers name their challenge as RFC 7235 spells it.
pub(super) struct Challenge<S>(pub(super) S);

/// The same bytes with the name corrected; `None` when there is nothing to correct.
fn corrected(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(HEAD) {
        return None;
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let at = bytes[..end].windows(WRITTEN.len()).position(|window| window == WRITTEN)?;
    let mut corrected = bytes.to_vec();
    corrected[at..at + WANTED.len()].copy_from_slice(WANTED);
    Some(corrected)
}

impl<S: AsyncRead + Unpin> AsyncRead for Challenge<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

/// Not vectored, so hyper hands over each head in one piece.
impl<S: AsyncWrite + Unpin> AsyncWrite for Challenge<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match corrected(bytes) {
            Some(corrected) => Pin::new(&mut self.0).poll_write(context, &corrected),
            None => Pin::new(&mut self.0).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E24.
    #[test]
    fn the_challenge_is_spelt_in_capitals_and_nothing_else_changes() {
        let answer =
            b"HTTP/1.1 401 Unauthorized\r\nA: b\r\nWww-Authenticate: Basic\r\n\r\nWww-Authenticate: x";
        let wanted =
            b"HTTP/1.1 401 Unauthorized\r\nA: b\r\nWWW-Authenticate: Basic\r\n\r\nWww-Authenticate: x";
        assert_eq!(corrected(answer).as_deref(), Some(wanted.as_slice()));
        for other in [
            b"HTTP/1.1 200 OK\r\nWww-Authenticate: Basic\r\n\r\n".as_slice(),
            b"HTTP/1.1 401 Unauthorized\r\n\r\n\r\nWww-Authenticate: x\r\n\r\n",
            b"HTTP/1.1 401 ",
            b"",
        ] {
            assert_eq!(corrected(other), None);
        }
    }
}
