//! What HTTP/2 writes in one turn of its connection, sent together at the turn's end. Knows no frame.
//!
//! The library flushes after every frame. Sending each by itself costs a call to the system and a wake-up of the client
//! for every answer; kept encrypted until the turn is over, the answers of all streams leave as one piece.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::ReadBufCursor;

use crate::watched::Watched;

/// A stream that the protocol writes to and that whoever carries it sends. The lock is never contended: it satisfies the
/// compiler, not a neighbour.
#[derive(Clone)]
pub(crate) struct Gathered(Arc<Mutex<Inner>>);

struct Inner {
    stream: Watched,
    /// The network did not take all of the last turn: until it does, nothing more is gathered.
    behind: bool,
}

impl Gathered {
    pub(crate) fn new(stream: Watched) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, behind: false })))
    }

    /// Sends what the turn wrote, as far as the network takes it. An error is left to be found by the protocol, which is
    /// given another turn.
    pub(crate) fn send(&self, cx: &mut Context<'_>) {
        let mut inner = self.lock();
        let sent = inner.stream.poll_send(cx);
        inner.behind = !matches!(sent, Poll::Ready(Ok(())));
        if matches!(sent, Poll::Ready(Err(_))) {
            cx.waker().wake_by_ref();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::rt::Read for Gathered {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.lock().stream).poll_read(cx, cursor)
    }
}

impl hyper::rt::Write for Gathered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let mut inner = self.lock();
        if !inner.behind
            && let Some(kept) = inner.stream.keep(cx, parts)
        {
            return kept;
        }
        Pin::new(&mut inner.stream).poll_write_vectored(cx, parts)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut inner = self.lock();
        if inner.behind { inner.stream.poll_send(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
