//! Connections: accepted, encrypted where asked, and closed when a client is too slow or the server ends. It must not know what is
//! asked over them.

mod patience;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::app::App;
use crate::front::hosts::OwnMachine;
use crate::life::{Life, Phase};
use patience::{TimedBody, Unstalled};

/// Bytes that a connection may hold of a request's head or of an answer that the client has not taken yet.
const BUFFER_BYTES: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 128;

/// The place that a connection has among those that may be open. What takes the connection over, takes its place over.
#[derive(Clone)]
pub(crate) struct Held {
    _place: Arc<OwnedSemaphorePermit>,
}

/// Where to listen and how patient to be.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Files in PEM: certificates and private key. With them, HTTPS is served.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Open connections; more wait to be accepted.
    pub connections_max: usize,
    /// Time for a request's head, for the handshake of TLS, and for silence between requests.
    pub header_time: Duration,
    /// Longest silence while a body is sent.
    pub body_time: Duration,
    /// Longest time in which a client takes nothing of its answer.
    pub write_time: Duration,
    /// Time for running requests once the server drains.
    pub drain_time: Duration,
}

/// Why the server cannot begin: its port, certificate, keys or collector of traces.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; choose another --host or --port, or end what listens there")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("{}: {what}; give certificates and their private key in PEM", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The keys file cannot be used.
    #[error("{place}: {what}")]
    Keys {
        /// File and line.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The collector's address cannot be used.
    #[error("telemetry.otlp_endpoint {endpoint:?}: {what}")]
    Collector {
        /// As it was given.
        endpoint: String,
        /// What is wrong.
        what: &'static str,
    },
}

/// A server that has its port and does not answer yet.
pub struct Bound {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    listen: Listen,
    address: SocketAddr,
}

impl Bound {
    /// Takes the port and reads the certificate.
    ///
    /// # Errors
    /// When the port is taken or the certificate cannot be used.
    pub async fn new(listen: Listen) -> Result<Self, ServeError> {
        let tls = listen.tls.as_ref().map(|(certificate, key)| tls::acceptor(certificate, key)).transpose()?;
        let refused = |source| ServeError::Bind { address: listen.address, source };
        let listener = TcpListener::bind(listen.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, tls, listen, address })
    }

    /// Where it listens, as `http://127.0.0.1:8080`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    /// Answers until the server's life ends: until [`Life::drain`] and the end of what runs (or of the time for that), or until
    /// [`Life::stop`]. Whatever still runs then is dropped, which cancels it.
    pub async fn serve(self, app: App) {
        let Self { listener, tls, listen, address } = self;
        let life = app.life().clone();
        let router = crate::routes::router(app.clone());
        let is_own = address.ip().is_loopback();
        let connection = Arc::new(Connection { router, tls, listen: listen.clone(), life: life.clone(), is_own });
        let places = Arc::new(Semaphore::new(listen.connections_max));
        let mut connections = JoinSet::new();
        let end = end(&life, listen.drain_time);
        tokio::pin!(end);
        let answered = async {
            life.reached(Phase::Draining).await;
            life.idle().await;
        };
        tokio::pin!(answered);
        let is_late = loop {
            let accepted = tokio::select! {
                () = &mut end => break true,
                () = &mut answered => break false,
                accepted = accept(&listener, &places) => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let (stream, peer, place) = accepted;
            let connection = Arc::clone(&connection);
            connections.spawn(async move { connection.answer(stream, peer, place).await });
        };
        if !is_late {
            // The last answers may be on their way still. Connections without a request close by themselves now.
            tokio::select! {
                () = async { while connections.join_next().await.is_some() {} } => {}
                () = &mut end => {}
            }
        }
        life.stop();
        connections.shutdown().await;
        if let Some(traces) = app.traces() {
            traces.flush().await;
        }
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Held) {
    let place = Arc::clone(places).acquire_owned().await.expect("nobody closes it");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, Held { _place: Arc::new(place) }),
            Err(error) => {
                // Too many open files, or a client that is gone already. Waiting lets others end.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Ends when the server is to end, whatever still runs.
async fn end(life: &Life, drain_time: Duration) {
    life.reached(Phase::Draining).await;
    tokio::select! {
        () = life.reached(Phase::Stopped) => {}
        () = tokio::time::sleep(drain_time) => {
            tracing::warn!(requests = life.running(), "the time to drain is over; what runs is cancelled");
        }
    }
}

/// What every connection is answered by.
struct Connection {
    router: Router,
    tls: Option<TlsAcceptor>,
    listen: Listen,
    life: Life,
    /// Whether only this machine reaches it.
    is_own: bool,
}

impl Connection {
    async fn answer(&self, stream: TcpStream, peer: SocketAddr, held: Held) {
        // Tokens are small and should not wait for more to come.
        let _ = stream.set_nodelay(true);
        let stream = Unstalled::new(stream, self.listen.write_time);
        match &self.tls {
            None => self.http(stream, peer, held).await,
            Some(acceptor) => match tokio::time::timeout(self.listen.header_time, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => self.http(stream, peer, held).await,
                Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS"),
                Err(_) => tracing::debug!(%peer, "no TLS in time"),
            },
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S, peer: SocketAddr, held: Held) {
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let body_time = self.listen.body_time;
            let mut request = request.map(|body| Body::new(TimedBody::new(body, body_time)));
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(held.clone());
            if self.is_own {
                request.extensions_mut().insert(OwnMachine);
            }
            self.router.clone().oneshot(request)
        });
        let mut http = hyper::server::conn::http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.listen.header_time)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES);
        let answering = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::pin!(answering);
        let ended = tokio::select! {
            ended = &mut answering => ended,
            () = self.life.reached(Phase::Draining) => {
                answering.as_mut().graceful_shutdown();
                answering.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests;
