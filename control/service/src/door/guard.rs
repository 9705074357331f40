//! What is done to every request before anybody answers it, and to every answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::body::Timed;
use super::{Limits, Refused};
use crate::api::Failure;

/// How long a request's body may take.
const BODY: Duration = Duration::from_secs(30);
/// Browsers that once came by TLS come by nothing else for a year.
const STRICT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What every request meets.
#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) limits: Arc<Limits>,
    pub(crate) is_tls: bool,
}

/// Refuses who asks too often, and whose body does not come; counts what was too long.
pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut answer = match guard.limits.request() {
        Ok(()) => guard.pass(request, next).await,
        Err(wait) => {
            Failure::too_many("too many requests come from this address", wait).into_response()
        }
    };
    if guard.is_tls {
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, STRICT);
    }
    answer
}

impl Guard {
    async fn pass(&self, request: Request, next: Next) -> Response {
        let late = Arc::new(AtomicBool::new(false));
        let timed = |body| Body::new(Timed::new(body, BODY, Arc::clone(&late)));
        let mut answer = next.run(request.map(timed)).await;
        if late.load(Ordering::Relaxed) {
            self.limits.meter.refuse(Refused::BodyTime);
            answer = Failure::late().into_response();
            // The rest of the body may still come.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        } else if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
            self.limits.meter.refuse(Refused::BodySize);
        }
        answer
    }
}
