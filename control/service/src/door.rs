//! The door of control: who may come in, how many at once, and how long they may take. Every
//! client is taken for hostile; what is refused is counted under a reason.

mod body;
mod buckets;
pub(crate) mod guard;
mod meter;
mod patient;
pub mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::live::lock;
use buckets::{Allowance, Buckets, origin};
pub use meter::{Meter, Refused};
use patient::{Patient, Served};
use tls::Tls;

/// Connections of all, and of one address: a proxy is one.
const CONNECTIONS: usize = 512;
const OF_ADDRESS: usize = 128;
/// How long TLS may take to be agreed on.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection may lie idle between two requests.
const IDLE: Duration = Duration::from_secs(75);
/// Octets of a request's head, and its fields.
const HEAD_BYTES: usize = 32 << 10;
const FIELDS: usize = 64;
/// Requests of one address, of one token, and wrong tokens of one address that are compared.
const BY_ADDRESS: Allowance = Allowance { burst: 2_000.0, a_second: 500.0 };
const BY_TOKEN: Allowance = Allowance { burst: 1_000.0, a_second: 400.0 };
const WRONG: Allowance = Allowance { burst: 8.0, a_second: 0.1 };
/// Between two attempts to take a connection that the system has no files for.
const BREATH: Duration = Duration::from_millis(100);

tokio::task_local! {
    /// From where the request comes that the task serves.
    static PEER: IpAddr;
}

/// What is counted of clients, and what they may.
pub struct Limits {
    /// Whatever was refused.
    pub meter: Arc<Meter>,
    connections: Mutex<HashMap<IpAddr, usize>>,
    addresses: Mutex<Buckets<IpAddr>>,
    tokens: Mutex<Buckets<String>>,
    wrong: Mutex<Buckets<IpAddr>>,
}

impl Limits {
    /// Nobody has come yet.
    pub fn new(meter: Arc<Meter>) -> Self {
        let now = Instant::now();
        Self {
            meter,
            connections: Mutex::default(),
            addresses: Mutex::new(Buckets::new(BY_ADDRESS, now)),
            tokens: Mutex::new(Buckets::new(BY_TOKEN, now)),
            wrong: Mutex::new(Buckets::new(WRONG, now)),
        }
    }

    /// Whether the address of the request may ask once more; how long to wait if not.
    pub(crate) fn request(&self) -> Result<(), Duration> {
        self.allow(Refused::RateOfAddress, |now| match PEER.try_with(|peer| *peer) {
            Ok(peer) => lock(&self.addresses).take(peer, now),
            Err(_) => Ok(()),
        })
    }

    /// The same of whose token it is.
    pub(crate) fn token(&self, name: &str) -> Result<(), Duration> {
        self.allow(Refused::RateOfToken, |now| lock(&self.tokens).take(name.to_owned(), now))
    }

    /// Whether a token that may be wrong is compared for the address of the request.
    pub(crate) fn may_guess(&self) -> Result<(), Duration> {
        self.allow(Refused::WrongTokens, |now| match PEER.try_with(|peer| *peer) {
            Ok(peer) => lock(&self.wrong).look(peer, now),
            Err(_) => Ok(()),
        })
    }

    /// It was wrong.
    pub(crate) fn guessed(&self) {
        if let Ok(peer) = PEER.try_with(|peer| *peer) {
            let _ = lock(&self.wrong).take(peer, Instant::now());
        }
    }

    fn allow(
        &self,
        reason: Refused,
        take: impl FnOnce(Instant) -> Result<(), Duration>,
    ) -> Result<(), Duration> {
        let taken = take(Instant::now());
        if taken.is_err() {
            self.meter.refuse(reason);
        }
        taken
    }

    /// A place among the connections, if there is one.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Place, Refused> {
        let mut connections = lock(&self.connections);
        if connections.values().sum::<usize>() >= CONNECTIONS {
            return Err(Refused::Connections);
        }
        let own = connections.entry(peer).or_default();
        if *own >= OF_ADDRESS {
            return Err(Refused::ConnectionsOfAddress);
        }
        *own += 1;
        Ok(Place { limits: Arc::clone(self), peer })
    }
}

/// A place among the connections, for as long as it is held.
struct Place {
    limits: Arc<Limits>,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = lock(&self.limits.connections);
        if let Some(own) = connections.get_mut(&self.peer) {
            *own -= 1;
            if *own == 0 {
                connections.remove(&self.peer);
            }
        }
    }
}

/// Lets clients in, for as long as the process lives.
pub(crate) async fn open(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: Arc<Limits>,
    router: Router,
) {
    loop {
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Mostly that there are no files left; clients wait in the system's queue.
                sleep(BREATH).await;
                continue;
            }
        };
        let peer = origin(SocketAddr::ip(&address));
        let place = match limits.enter(peer) {
            Ok(place) => place,
            Err(reason) => {
                limits.meter.refuse(reason);
                continue;
            }
        };
        let (tls, meter, router) = (tls.clone(), Arc::clone(&limits.meter), router.clone());
        tokio::spawn(PEER.scope(peer, async move {
            admit(stream, tls, &meter, router).await;
            drop(place);
        }));
    }
}

async fn admit(stream: TcpStream, tls: Option<Arc<Tls>>, meter: &Arc<Meter>, router: Router) {
    // Each event of a stream is a small segment that somebody waits for.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return serve(stream, meter, router).await };
    let acceptor = tokio_rustls::TlsAcceptor::from(tls.config());
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, meter, router).await,
        Ok(Err(error)) => meter.refuse(handshake(&error)),
        Err(_) => meter.refuse(Refused::Handshake),
    }
}

/// Whether it was the client's certificate.
fn handshake(error: &io::Error) -> Refused {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(NoCertificatesPresented | InvalidCertificate(_)) => Refused::ClientCertificate,
        _ => Refused::Handshake,
    }
}

async fn serve<S>(stream: S, meter: &Arc<Meter>, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let served: Served = Arc::new(AtomicBool::new(false));
    let stream = Patient::new(stream, Arc::clone(meter), Arc::clone(&served));
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        served.store(true, Ordering::Relaxed);
        let (served, answer) = (Arc::clone(&served), router.call(request.map(Body::new)));
        async move {
            let answer = answer.await;
            // The next head may begin while the answer is still on its way.
            served.store(false, Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS)
        .serve_connection(TokioIo::new(stream), service);
    match connection.await {
        Err(error) if error.is_parse_too_large() => meter.refuse(Refused::HeadSize),
        Err(error) if error.is_parse() => meter.refuse(Refused::Malformed),
        // Clients that went away, idle connections, and what is counted where it was noticed.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_for_all_and_for_one_address_and_given_back() {
        let limits = Arc::new(Limits::new(Arc::default()));
        let address = |number: u8| IpAddr::from([192, 0, 2, number]);
        let own: Vec<Place> = (0..OF_ADDRESS).map(|_| limits.enter(address(1)).unwrap()).collect();
        assert_eq!(limits.enter(address(1)).err(), Some(Refused::ConnectionsOfAddress));
        let others = (0..CONNECTIONS - OF_ADDRESS).map(|place| address(2 + (place / 100) as u8));
        let others: Vec<Place> = others.map(|peer| limits.enter(peer).unwrap()).collect();
        assert_eq!(limits.enter(address(99)).err(), Some(Refused::Connections));
        drop((own, others));
        assert!(lock(&limits.connections).is_empty());
    }

    #[test]
    fn a_clients_certificate_is_told_from_all_else_that_fails() {
        let of = |error: rustls::Error| handshake(&io::Error::other(error));
        assert_eq!(of(rustls::Error::NoCertificatesPresented), Refused::ClientCertificate);
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        assert_eq!(of(expired), Refused::ClientCertificate);
        assert_eq!(of(rustls::Error::DecryptError), Refused::Handshake);
        assert_eq!(handshake(&io::ErrorKind::UnexpectedEof.into()), Refused::Handshake);
    }
}
