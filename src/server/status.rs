//! The status listener: plain http on hyper directly.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::accept::{Context, LONGEST_HEAD, Shared, accept};
use super::heads::Watched;
use super::linger::Linger;
use super::patient::Patient;
use super::visit::Visit;
use crate::status::Status;
use crate::telemetry::Shed;

pub(super) async fn run(context: Context, listener: TcpListener) {
    let door =
        Arc::new(Status::new(Arc::clone(&context.shared.authority), Arc::clone(&context.shared.metrics)));
    accept(context, listener, move |shared, visit, stream| serve(shared, visit, Arc::clone(&door), stream))
        .await;
}

async fn serve(shared: Shared, visit: Visit, door: Arc<Status>, stream: TcpStream) {
    let (door, visit, shared) = (&*door, &visit, &shared);
    let limits = shared.authority.config().server().limits();
    let request_timeout = limits.request_timeout;
    let (stream, heads) = Watched::new(Linger::new(stream));
    let heads = &heads;
    visit.waits();
    let service = service_fn(|request: Request<Incoming>| async move {
        let request = visit.hears(request);
        let response = match visit.turned_away() {
            Some(no_place) => no_place.map(Into::into),
            None => {
                let answer = heads.guard(request, |request| async move {
                    // A body that never comes would keep its place for ever.
                    let answer = tokio::time::timeout(request_timeout, door.handle(request)).await;
                    answer.unwrap_or_else(|_| {
                        shared.shed(Shed::SlowBody, visit.from);
                        crate::status::timed_out().map(Into::into)
                    })
                });
                answer.await
            }
        };
        visit.waits();
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        // A client may say all it has to say and close its side before it reads: `gnutls-cli <request` does.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, request_timeout)), service);
    shared.ended(visit, visit.serve(connection).await);
}
