//! Answers that are none: as JSON with what went wrong and what to do, as the programs say it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::tokens::Denied;
use crate::cases::command::Refused;
use crate::store::StoreError;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    message: String,
}

impl Failure {
    /// What was asked for can't be meant so.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// There is no such thing, or not for whoever asked.
    pub(super) fn absent() -> Self {
        Self { status: StatusCode::NOT_FOUND, message: "there is none of that name".into() }
    }

    /// There was one, and it was removed.
    pub(super) fn gone(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// Not with this role.
    pub(super) fn forbidden(needed: &str) -> Self {
        let message = format!("this needs a token of the role {needed}");
        Self { status: StatusCode::FORBIDDEN, message }
    }

    /// Not now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: message.into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.message }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::unavailable(format!("the state can't be read: {error}; ask again"))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self {
                status: StatusCode::UNAUTHORIZED,
                message: "a valid token is needed: Authorization: Bearer weir_…".into(),
            },
            Denied::TooMany => Self {
                status: StatusCode::TOO_MANY_REQUESTS,
                message: "too many wrong tokens came; ask again in ten seconds".into(),
            },
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Absent => StatusCode::NOT_FOUND,
            Refused::Invalid(_) => StatusCode::BAD_REQUEST,
            Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, message: refused.to_string() }
    }
}
