//! The body of a request on its way to an upstream: streamed, watched for progress, held back until asked for. Reads no head.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// A body handed on: nothing, bytes, or a stream.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    upload: Option<Arc<Upload>>,
}

enum Source {
    Empty,
    Whole(Bytes),
    Boxed(Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>),
}

impl RequestBody {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self { source: Source::Empty, upload: None }
    }

    /// Bytes in memory. Sent once: a request with a body is never repeated.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::watched(Source::Whole(bytes))
    }

    /// What anybody sends, as it comes: a client's body with a bound around it.
    #[must_use]
    pub fn boxed(body: Pin<Box<dyn Body<Data = Bytes, Error = io::Error> + Send>>) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::watched(Source::Boxed(body))
    }

    /// Holds the body back until the upstream says `100 Continue`, or long enough nothing (RFC 9110 §10.1.1): for a
    /// request with `Expect: 100-continue`. The client hears its own `100` when its body is first read.
    #[must_use]
    pub fn when_asked_for(self) -> Self {
        if let Some(upload) = &self.upload {
            upload.held.store(true, Relaxed);
        }
        self
    }

    fn watched(source: Source) -> Self {
        Self { source, upload: Some(Arc::new(Upload::new())) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    pub(crate) fn upload(&self) -> Option<Arc<Upload>> {
        self.upload.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(upload) = &this.upload
            && upload.is_held(cx)
        {
            return Poll::Pending;
        }
        let polled = match &mut this.source {
            Source::Empty => Poll::Ready(None),
            Source::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.source = Source::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Source::Boxed(body) => body.as_mut().poll_frame(cx),
        };
        if let Some(upload) = &this.upload {
            upload.note(&polled);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Whole(_) => false,
            Source::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Boxed(body) => body.size_hint(),
        }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Whole(_) => "Whole",
            Self::Boxed(_) => "Boxed",
        })
    }
}

/// What is known of a body while its connection carries it.
#[derive(Debug)]
pub(crate) struct Upload {
    began: Instant,
    /// Milliseconds after `began` of the last piece.
    moved_ms: AtomicU64,
    broken: AtomicBool,
    /// Microseconds after `began` since which the sender has nothing for us; 0: it has.
    awaits_since_us: AtomicU64,
    /// Microseconds in which it had nothing for us, before that.
    awaited_us: AtomicU64,
    held: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Upload {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            moved_ms: AtomicU64::new(0),
            broken: AtomicBool::new(false),
            awaits_since_us: AtomicU64::new(0),
            awaited_us: AtomicU64::new(0),
            held: AtomicBool::new(false),
            waker: Mutex::default(),
        }
    }

    /// Whether the body broke off at its sender's end.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Relaxed)
    }

    /// Whether the body waits for an upstream's `100 Continue`.
    pub(crate) fn waits(&self) -> bool {
        self.held.load(Relaxed)
    }

    /// Whether the sender, not the upstream, keeps us waiting.
    pub(crate) fn awaits_sender(&self) -> bool {
        self.awaits_since_us.load(Relaxed) != 0
    }

    /// How long the sender, not the upstream, kept us waiting so far.
    pub(crate) fn awaited(&self) -> Duration {
        let since = self.awaits_since_us.load(Relaxed);
        let goes_on = if since == 0 { 0 } else { self.now_us().saturating_sub(since) };
        Duration::from_micros(self.awaited_us.load(Relaxed) + goes_on)
    }

    /// When the last piece went on.
    pub(crate) fn moved_at(&self) -> Instant {
        self.began + Duration::from_millis(self.moved_ms.load(Relaxed))
    }

    /// Lets the body go.
    pub(crate) fn release(&self) {
        if self.held.swap(false, Relaxed) {
            self.note_moved();
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn is_held(&self, cx: &Context<'_>) -> bool {
        if !self.waits() {
            return false;
        }
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        // Again: it may have been released while the waker was put down.
        self.waits()
    }

    fn note(&self, polled: &Poll<Option<Result<Frame<Bytes>, io::Error>>>) {
        match polled {
            Poll::Pending if self.awaits_sender() => {}
            Poll::Pending => self.awaits_since_us.store(self.now_us().max(1), Relaxed),
            Poll::Ready(ready) => {
                self.awaited_us.store(self.awaited().as_micros() as u64, Relaxed);
                self.awaits_since_us.store(0, Relaxed);
                match ready {
                    Some(Err(_)) => self.broken.store(true, Relaxed),
                    _ => self.note_moved(),
                }
            }
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn note_moved(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved_ms.store(ms, Relaxed);
    }
}
