//! The status listener: plain http on hyper directly.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use tokio::net::TcpStream;

use super::accept::{Context, LONGEST_HEAD, Shared, accept};
use super::heads::Watched;
use super::linger::Linger;
use super::patient::Patient;
use crate::status::Status;

pub(super) async fn run(context: Context, listener: TcpListener) {
    let door =
        Arc::new(Status::new(Arc::clone(&context.shared.authority), Arc::clone(&context.shared.metrics)));
    accept(context, listener, move |shared, watcher, stream| {
        serve(shared, watcher, Arc::clone(&door), stream)
    })
    .await;
}

async fn serve(shared: Shared, watcher: Watcher, door: Arc<Status>, stream: TcpStream) {
    let door = &*door;
    let limits = shared.authority.config().server().limits();
    let request_timeout = limits.request_timeout;
    let (stream, heads) = Watched::new(Linger::new(stream));
    let heads = &heads;
    let service = service_fn(|request| async move {
        let answer = heads.guard(request, |request| async move {
            // A body that never comes would keep its place for ever.
            let answer = tokio::time::timeout(request_timeout, door.handle(request)).await;
            answer.unwrap_or_else(|_| crate::status::timed_out())
        });
        Ok::<_, Infallible>(answer.await)
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        // A client may say all it has to say and close its side before it reads: `gnutls-cli <request` does.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, request_timeout)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a status connection broke off");
    }
}
