//! A connection that waits for nobody longer than it should: the head of a request must come in
//! time once it has begun, and somebody must take what is written.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::meter::{Meter, Refused};

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);
/// How long nobody may take anything of an answer.
const WRITE: Duration = Duration::from_secs(30);

/// Whether a request's head has come whole, so that what is read is its body, or nothing.
pub(super) type Served = Arc<AtomicBool>;

/// The connection.
pub(super) struct Patient<S> {
    stream: S,
    meter: Arc<Meter>,
    served: Served,
    /// Runs while a head is awaited whose first octet has come.
    head: Option<Pin<Box<Sleep>>>,
    /// Runs while nobody takes what is written.
    write: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, meter: Arc<Meter>, served: Served) -> Self {
        Self { stream, meter, served, head: None, write: None }
    }

    /// Whether something that could not be written has waited too long.
    fn wrote<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write = None;
            return written;
        }
        let clock = self.write.get_or_insert_with(|| Box::pin(sleep(WRITE)));
        if clock.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.meter.refuse(Refused::WriteTime);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.served.load(Ordering::Relaxed) {
            this.head = None;
            return read;
        }
        if read.is_ready() && (buffer.filled().len() == before) {
            return read;
        }
        if read.is_ready() && this.head.is_none() {
            this.head = Some(Box::pin(sleep(HEAD)));
        }
        let Some(clock) = &mut this.head else { return read };
        // Who sends an octet now and then is late all the same.
        let is_late = match read {
            Poll::Pending => clock.as_mut().poll(cx).is_ready(),
            Poll::Ready(_) => Instant::now() >= clock.deadline(),
        };
        if is_late {
            this.meter.refuse(Refused::HeadTime);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(cx, written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        this.wrote(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.wrote(cx, shut)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.wrote(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
