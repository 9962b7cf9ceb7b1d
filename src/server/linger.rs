//! Closes in stages (RFC 9112 section 9.6), so that a peer that was answered before it had said all can read the answer.
//!
//! A socket that is closed over unread bytes resets the connection, and the answer may be lost with it: Bouncy Castle's
//! client then gives up at the challenge of a 401, which leaves before the request's body is read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The peer has this long to close its side too. It keeps its place meanwhile, so not for long.
const LONGEST: Duration = Duration::from_secs(2);
/// Bytes that may still come: a few times what is in flight when the answer leaves.
const MOST: usize = 1 << 20;

/// A stream that, once it is shut down, throws away what still comes until the peer closes.
pub(super) struct Linger<S> {
    stream: S,
    limit: Duration,
    closing: Option<Closing>,
}

struct Closing {
    end: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Linger<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, limit: LONGEST, closing: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Linger<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<S> {
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
        let Self { stream, limit, closing } = &mut *self;
        if closing.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let closing = closing.get_or_insert_with(|| Closing { end: Box::pin(sleep(*limit)), left: MOST });
        while closing.end.as_mut().poll(context).is_pending() {
            let mut bytes = [0; 4096];
            let mut buffer = ReadBuf::new(&mut bytes);
            // An error is an end as well: all that was to be said has been said.
            let came = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))
                .map_or(0, |()| buffer.filled().len());
            closing.left = closing.left.saturating_sub(came);
            if came == 0 || closing.left == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_still_comes_is_taken_until_the_peer_closes() {
        let (ours, mut theirs) = duplex(64);
        let closing = tokio::spawn(async move { Linger::new(ours).shutdown().await });
        assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0, "our side is closed first");
        theirs.write_all(&[7; 10_000]).await.unwrap();
        assert!(!closing.is_finished());
        drop(theirs);
        closing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_peer_that_does_not_close_is_left() {
        let (ours, theirs) = duplex(64);
        let mut ours = Linger { limit: Duration::from_millis(50), ..Linger::new(ours) };
        ours.shutdown().await.unwrap();
        drop(theirs);
    }

    #[tokio::test]
    async fn a_peer_that_sends_without_end_is_left() {
        let (ours, mut theirs) = duplex(1 << 16);
        let sending = tokio::spawn(async move { while theirs.write_all(&[7; 4096]).await.is_ok() {} });
        Linger::new(ours).shutdown().await.unwrap();
        sending.await.unwrap();
    }
}
