//! A request's body that must have come in time, whatever trickles in meanwhile.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The body, with the time that it has.
pub(crate) struct Timed {
    body: Body,
    clock: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

impl Timed {
    pub(crate) fn new(body: Body, most: Duration, late: Arc<AtomicBool>) -> Self {
        Self { body, clock: Box::pin(sleep(most)), late }
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.clock.as_mut().poll(cx).is_ready() {
            this.late.store(true, Ordering::Relaxed);
            let late = io::Error::from(io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
