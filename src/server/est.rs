//! The EST listener: https on hyper directly, HTTP/1.1 only, header names in Title-Case for older clients.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_rustls::rustls::ServerConfig;

use super::accept::{Context, LONGEST_HEAD, Shared, accept};
use super::bindings;
use super::challenge::Challenge;
use super::heads::Watched;
use super::linger::Linger;
use super::patient::Patient;
use super::visit::Visit;
use crate::est;
use crate::telemetry::Shed;

pub(super) async fn run(context: Context, listener: TcpListener, tls: Arc<ServerConfig>) {
    accept(context, listener, move |shared, visit, stream| serve(shared, visit, Arc::clone(&tls), stream))
        .await;
}

async fn serve(shared: Shared, visit: Visit, tls: Arc<ServerConfig>, stream: TcpStream) {
    let Some((stream, peer)) = bindings::accept(&shared, &visit, &tls, stream).await else { return };
    let limits = shared.authority.config().server().limits();
    let (stream, heads) = Watched::new(Linger::new(stream));
    let (peer, heads, visit, shared) = (&peer, &heads, &visit, &shared);
    let service = service_fn(|request: Request<Incoming>| async move {
        let request = visit.hears(request);
        let response = match visit.turned_away() {
            Some(no_place) => no_place,
            None => heads.guard(request, |request| est::handle(&shared.authority, peer, request)).await,
        };
        shared.metrics.est_answered(response.status().as_u16());
        if let Some(why) = response.extensions().get::<Shed>() {
            shared.shed(*why, visit.from);
        }
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
        .serve_connection(TokioIo::new(Challenge(Patient::new(stream, limits.request_timeout))), service);
    shared.ended(visit, visit.serve(connection).await);
}
