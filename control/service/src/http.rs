//! HTTP: metrics for Prometheus, whether the process is alive and ready, and the interface.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::api::{Api, Failure};
use crate::door::guard::{Guard, guard};
use crate::door::tls::Tls;
use crate::door::{self, Limits};
use crate::live::{Shared, lock};
use crate::metrics::Exposition;
use crate::refusal::Refusal;
use crate::ui;

/// Binds the address, so that a port in use stops the start.
///
/// # Errors
/// What the system says.
pub fn bind(address: SocketAddr) -> Result<TcpListener, Refusal> {
    TcpListener::bind(address).map_err(|error| {
        let what = format!("can't serve HTTP: {error}");
        Refusal::new(
            &what,
            &address.to_string(),
            "stop what uses the port or choose another with --listen",
        )
    })
}

/// Serves in a thread of its own, for as long as the process lives.
///
/// # Errors
/// If the system gives no runtime.
pub fn serve(
    listener: TcpListener,
    shared: Shared,
    api: Api,
    (tls, limits): (Option<Arc<Tls>>, Arc<Limits>),
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scraped = Scraped {
        exposition: Exposition::of(shared.clone()),
        api: api.clone(),
        is_open: api.is_local() || tls.as_ref().is_some_and(|tls| tls.asks_clients()),
    };
    let guarding = Guard { limits: Arc::clone(&limits), is_tls: tls.is_some() };
    let router = Router::new()
        .route("/metrics", get(metrics).with_state(scraped))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready).with_state(shared))
        .merge(api.router())
        .merge(ui::router())
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "there are /, /metrics, /healthz, /readyz and /api/v1/openapi.json\n",
            )
        })
        .layer(middleware::from_fn_with_state(guarding, guard));
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::spawn(api.herald());
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => door::open(listener, tls, limits, router).await,
                Err(error) => eprintln!("error: HTTP ended: {error}; weir-control; restart it"),
            }
        });
    });
    Ok(())
}

/// What Prometheus reads.
#[derive(Clone)]
struct Scraped {
    exposition: Exposition,
    api: Api,
    /// Whether nobody gets here who may not look: on this machine, or with a certificate.
    is_open: bool,
}

async fn metrics(
    State(scraped): State<Scraped>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Failure> {
    if !scraped.is_open {
        scraped.api.person(&headers).await?;
    }
    Ok(match scraped.exposition.text() {
        Ok(text) => {
            let format = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            (StatusCode::OK, format, text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    })
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    let mut live = lock(&shared);
    live.refresh();
    match live.unready() {
        None => (StatusCode::OK, "ready\n".into()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
