//! Answers that are none: as JSON with what went wrong and what to do, as the programs say it.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::tokens::{self, Denied};
use crate::cases::command::{Mistake, Refused};
use crate::store::StoreError;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    message: String,
    /// After how many seconds to ask again.
    retry: Option<u64>,
    /// What is wrong with a text that came.
    mistakes: Option<Vec<Mistake>>,
}

impl Failure {
    fn of(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry: None, mistakes: None }
    }

    /// What was asked for can't be meant so.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::of(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing, or not for whoever asked.
    pub(super) fn absent() -> Self {
        Self::of(StatusCode::NOT_FOUND, "there is none of that name")
    }

    /// There was one, and it was removed.
    pub(super) fn gone(message: &str) -> Self {
        Self::of(StatusCode::NOT_FOUND, message)
    }

    /// Not with this role.
    pub(super) fn forbidden(needed: &str) -> Self {
        Self::of(StatusCode::FORBIDDEN, format!("this needs a token of the role {needed}"))
    }

    /// Not now.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::of(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// It can't be told which one is meant.
    pub(super) fn ambiguous(message: &str) -> Self {
        Self::of(StatusCode::CONFLICT, message)
    }

    /// More than is read.
    pub(super) fn too_large() -> Self {
        Self::of(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too long; send less at once")
    }

    /// The request did not come to its end in time.
    pub(crate) fn late() -> Self {
        Self::of(
            StatusCode::REQUEST_TIMEOUT,
            "the request's body did not come in time; send it again",
        )
    }

    /// Not so often.
    pub(crate) fn too_many(what: &str, wait: Duration) -> Self {
        let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
        let message = format!("{what}; ask again in {seconds} s");
        Self { retry: Some(seconds), ..Self::of(StatusCode::TOO_MANY_REQUESTS, message) }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.message });
        if let Some(mistakes) = self.mistakes {
            body["mistakes"] = json!(mistakes);
        }
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
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
            Denied::Unknown => Self::of(
                StatusCode::UNAUTHORIZED,
                "a valid token is needed: Authorization: Bearer weir_…",
            ),
            Denied::TooMany => Self::too_many("too many wrong tokens came", tokens::SPAN),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Absent => StatusCode::NOT_FOUND,
            Refused::Invalid(_) | Refused::Mistakes(_) => StatusCode::BAD_REQUEST,
            Refused::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let failure = Self::of(status, refused.to_string());
        match refused {
            Refused::Mistakes(mistakes) => Self { mistakes: Some(mistakes), ..failure },
            _ => failure,
        }
    }
}
