//! The admin listeners: https for operators with a certificate, and the local socket of the server's own user.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower_service::Service;

use super::accept::{Context, LONGEST_HEAD, Shared, accept, handshake, rest_after};
use super::heads::Watched;
use super::listeners::Socket;
use super::patient::Patient;
use super::visit::Visit;
use crate::admin::{self, AdminPeer, Stopping};

pub(super) async fn run_tls(context: Context, listener: TcpListener, tls: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(tls);
    let router = admin::router(Arc::clone(&context.shared.authority));
    accept(context, listener, move |shared, visit, stream| {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        async move {
            if let Some((stream, peer)) = handshake(&shared, &visit, &acceptor, stream).await {
                serve(&shared, visit, router, stream, AdminPeer::Tls(peer.chain)).await;
            }
        }
    })
    .await;
}

/// Whoever can open the socket is the server's own user: its mode is 0600.
pub(super) async fn run_socket(context: Context, socket: Socket) {
    let router = admin::router(Arc::clone(&context.shared.authority));
    let mut stopping = context.stopping.clone();
    loop {
        let accepted = tokio::select! {
            _ = stopping.changed() => return,
            accepted = socket.listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (shared, visit) = (context.shared.clone(), Visit::new(&context, None, None));
                let router = router.clone();
                tokio::spawn(async move { serve(&shared, visit, router, stream, AdminPeer::Local).await });
            }
            Err(error) => rest_after(&context.shared, &error).await,
        }
    }
}

async fn serve<I>(shared: &Shared, visit: Visit, router: Router, stream: I, peer: AdminPeer)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let visit = &visit;
    let (stream, heads) = Watched::new(stream);
    let service = service_fn(|request: Request<Incoming>| {
        let mut request = visit.hears(request);
        shared.metrics.admin_answered();
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(Stopping::told_by(visit.stopping()));
        let (mut router, heads) = (router.clone(), heads.clone());
        async move {
            let answer = match visit.turned_away() {
                Some(no_place) => no_place.map(Body::new),
                None => {
                    let answer = heads.guard(request, |request| async move {
                        router.call(request).await.unwrap_or_else(|never| match never {})
                    });
                    answer.await
                }
            };
            // Of an answer without an end in sight the client has not heard all: it keeps its place.
            if answer.body().size_hint().exact().is_some() {
                visit.waits();
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let limits = shared.authority.config().server().limits();
    // HTTP/1.1 alone: HTTP/2 has no time limit for a peer that says nothing, and telling the two apart has none either.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.request_timeout)), service);
    shared.ended(visit, visit.serve(connection).await);
}
