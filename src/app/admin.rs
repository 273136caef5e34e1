//! The admin HTTP: `/metrics`, `/livez`, `/readyz` and an index, for probes and people on the inside.
//!
//! It only reads: nothing of the worker can be changed here, and no order can be looked at. It is bounded in
//! connections and in time, so that a stuck scraper costs nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Meters;

/// How many clients may be connected; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take over its request's head, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may live; a scraper simply connects again. Bounds clients that read too slowly.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// How long answers under way may take after shutdown has begun.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait when the system has no more sockets for us.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the probes ask. Both answers are read from a snapshot: they never wait for the engine.
pub trait Health: Send + Sync {
    /// Whether the worker makes progress; the reasons why not. A worker that waits for a broker is alive.
    fn live(&self) -> Result<(), Vec<String>>;
    /// Whether the worker can do its work now; the reasons why not.
    fn ready(&self) -> Result<(), Vec<String>>;
    /// Every app, and where its circuit stands.
    fn circuits(&self) -> BTreeMap<String, &'static str>;
    /// The apps that have no usable token, with what the last fetch came to, or what is done about one that is refused.
    fn no_tokens(&self) -> BTreeMap<String, String>;
    /// The apps that have a token, with its age in seconds.
    fn token_ages(&self) -> BTreeMap<String, u64>;
    /// The apps that an operator has paused, with how many of this worker's partitions that is.
    fn paused(&self) -> BTreeMap<String, usize>;
}

/// The admin address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Somebody listens there already.
    #[error(
        "{0} is in use by another process; stop it, or set another admin.listen (\"off\" turns the admin HTTP off)"
    )]
    InUse(SocketAddr),
    /// Any other refusal.
    #[error("cannot listen on {address}; set another admin.listen (\"off\" turns the admin HTTP off)")]
    Bind {
        /// `admin.listen`.
        address: SocketAddr,
        /// The system's own words.
        source: io::Error,
    },
}

/// The admin HTTP, bound and not yet serving.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Takes the address. Done before the worker starts, so that two workers on one machine are told at once.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let bound = TcpListener::bind(address).await.and_then(|l| Ok((l.local_addr()?, l)));
        match bound {
            Ok((address, listener)) => Ok(Self { listener, address }),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(AdminError::InUse(address)),
            Err(source) => Err(AdminError::Bind { address, source }),
        }
    }

    /// The address as bound; with port 0, the port that the system gave.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then lets answers under way end, for at most a second.
    pub async fn serve(self, meters: Meters, health: Arc<dyn Health>, shutdown: CancellationToken) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = self.accept(&slots) => accepted,
            };
            let Some((stream, slot)) = accepted else { continue };
            let (meters, health, shutdown) = (meters.clone(), Arc::clone(&health), shutdown.clone());
            connections.spawn(async move {
                serve_connection(stream, meters, health, shutdown).await;
                drop(slot);
            });
        }
        let drained = async { while connections.join_next().await.is_some() {} };
        // What has not ended by then is aborted when the set is dropped.
        drop(tokio::time::timeout(DRAIN_TIMEOUT, drained).await);
    }

    #[expect(clippy::disallowed_methods, reason = "the caller drops this future on shutdown")]
    async fn accept(&self, slots: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        if let Ok((stream, _)) = self.listener.accept().await {
            Some((stream, slot))
        } else {
            // The client is gone again, or the process has no file handle left: both pass.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve_connection(stream: TcpStream, meters: Meters, health: Arc<dyn Health>, shutdown: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), &meters, &*health);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A broken connection is the client's affair: there is nobody to tell.
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
        _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection.as_mut()) => {}
    }
}

fn respond(method: &Method, path: &str, meters: &Meters, health: &dyn Health) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are served here\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match path {
        "/" => response(StatusCode::OK, TEXT, INDEX),
        "/metrics" => response(StatusCode::OK, PROMETHEUS, meters.render()),
        "/livez" => verdict("live", health.live(), json!({})),
        "/readyz" => {
            let (circuits, token_ages) = (health.circuits(), health.token_ages());
            let (paused, no_tokens) = (health.paused(), health.no_tokens());
            let apps = json!({
                "circuits": circuits, "no_token": no_tokens, "paused": paused, "token_age_seconds": token_ages
            });
            verdict("ready", health.ready(), apps)
        }
        _ => response(StatusCode::NOT_FOUND, TEXT, "nothing here; try /\n"),
    }
}

/// `{"ready":true,"reasons":[]}` with 200, or the reasons with 503; and what else there is to say.
fn verdict(question: &str, answer: Result<(), Vec<String>>, mut body: Value) -> Response<Full<Bytes>> {
    let (status, reasons) = match answer {
        Ok(()) => (StatusCode::OK, Vec::new()),
        Err(reasons) => (StatusCode::SERVICE_UNAVAILABLE, reasons),
    };
    body[question] = json!(status == StatusCode::OK);
    body["reasons"] = json!(reasons);
    response(status, JSON, format!("{body}\n"))
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = concat!(
    "order-sync ",
    env!("CARGO_PKG_VERSION"),
    "\n\n\
     /metrics  what is counted, for Prometheus (docs/metrics.md)\n\
     /livez    200 while the worker makes progress, else 503 and why\n\
     /readyz   200 while the worker can do its work, else 503 and why; where each app's circuit stands, which are paused, how old tokens are\n"
);

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
