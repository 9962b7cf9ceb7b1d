//! Reads a request body under a limit, counted while it arrives (E18).

use std::error::Error;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body, Bytes};
use hyper::header::CONTENT_TYPE;

use super::answer::Answer;

pub(super) async fn read<B>(request: Request<B>, limit: usize) -> Result<Bytes, Answer>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    if request.body().size_hint().lower() > limit as u64 {
        return Err(Answer::too_large(limit));
    }
    // A body of any kind may be one that must not be moved while it is read: it is pinned on the heap.
    let limited = Limited::new(Box::pin(request.into_body()), limit);
    match limited.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Answer::too_large(limit)),
        Err(_) => Err(Answer::broken_off()),
    }
}

/// Parameters and case do not matter (E19).
pub(super) fn is_pkcs10<B>(request: &Request<B>) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/pkcs10")
}
