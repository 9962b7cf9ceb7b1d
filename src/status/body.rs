//! What the status door sends: bytes at hand, or a piece of a published list that is read while it is sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::task::JoinHandle;

use crate::authority::PublishedCrl;

/// Octets of a list that are in memory for one client at a time.
const PIECE: u64 = 64 * 1024;

/// The body of an answer.
pub enum Answer {
    Whole(Full<Bytes>),
    List(ListBody),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::List(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::List(body) => body.at == body.end,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::List(body) => SizeHint::with_exact(body.end - body.at),
        }
    }
}

impl From<Full<Bytes>> for Answer {
    fn from(body: Full<Bytes>) -> Self {
        Self::Whole(body)
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Whole(text.into())
    }
}

/// Octets `at` to `end` of a list. The list stays as it is, whatever takes its place meanwhile.
pub struct ListBody {
    list: Arc<PublishedCrl>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl ListBody {
    /// `begin` and `end` lie in the list, in this order.
    pub(super) fn new(list: Arc<PublishedCrl>, begin: u64, end: u64) -> Self {
        Self { list, at: begin, end, reading: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = PIECE.min(self.end - self.at);
        if piece == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (list, at) = (Arc::clone(&self.list), self.at);
            // The file may be on a disk that makes one wait.
            tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; usize::try_from(piece).map_err(io::Error::other)?];
                list.content.read_at(at, &mut bytes)?;
                Ok(bytes.into())
            })
        });
        let read = ready!(Pin::new(reading).poll(cx)).map_err(io::Error::other).flatten();
        self.reading = None;
        self.at += piece;
        Poll::Ready(Some(read.map(Frame::data)))
    }
}
