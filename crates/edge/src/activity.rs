//! What each connection is doing and since when, so that one sweep per second can end the slow and the idle ones.
//!
//! A timer per request would cost more than serving a small file. Instead the connection's I/O notes its last
//! progress on a coarse clock, and the worker's sweep compares.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use mainstay_telemetry::http::Refusal;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::Settings;

/// Milliseconds on a worker's coarse clock (advanced by its tick), wrapping after 49 days.
#[derive(Debug, Default)]
pub(crate) struct Coarse(AtomicU32);

impl Coarse {
    pub(crate) fn now(&self) -> u32 {
        self.0.load(Relaxed)
    }

    pub(crate) fn set(&self, ms: u32) {
        self.0.store(ms, Relaxed);
    }
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const REQUEST: u8 = 2;

/// One connection's state, shared between its I/O, its requests and the sweep.
#[derive(Debug)]
pub(crate) struct Activity {
    clock: Arc<Coarse>,
    phase: AtomicU8,
    /// Requests in hand; above one only on HTTP/2.
    in_hand: AtomicU32,
    since: AtomicU32,
    write_blocked: AtomicBool,
    /// HTTP/2: frames between requests are not the start of a head.
    multiplexed: AtomicBool,
    closed: AtomicBool,
    cut: AtomicBool,
    drained: AtomicBool,
    order: Notify,
}

/// What a connection is told to do. One wake-up for both: each further thing to wait for costs every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Finish what is in hand, take nothing new.
    Drain,
    /// End now.
    Cut,
}

/// Why the sweep ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// Nothing asked for a while: no fault.
    Idle,
    Refuse(Refusal),
}

impl Activity {
    pub(crate) fn new(clock: Arc<Coarse>) -> Self {
        let since = AtomicU32::new(clock.now());
        Self {
            clock,
            phase: AtomicU8::new(IDLE),
            in_hand: AtomicU32::new(0),
            since,
            write_blocked: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            order: Notify::new(),
        }
    }

    /// A request's head is complete and it is being answered, until the guard is dropped: with its answer, or
    /// because the client took the request back.
    pub(crate) fn begin_request(self: Arc<Self>) -> InHand {
        self.in_hand.fetch_add(1, Relaxed);
        self.phase.store(REQUEST, Relaxed);
        self.progress();
        InHand(self)
    }

    fn request_ended(&self) {
        if self.in_hand.fetch_sub(1, Relaxed) == 1 {
            self.phase.store(IDLE, Relaxed);
        }
        self.progress();
    }

    /// First bytes came while the protocol was not known yet: the head's clock runs from here.
    pub(crate) fn sniffed(&self) {
        self.read_some();
    }

    /// The connection speaks HTTP/2.
    pub(crate) fn multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.phase.store(IDLE, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.closed.store(true, Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Completes when the connection is told something.
    pub(crate) async fn ordered(&self) -> Order {
        self.order.notified().await;
        if self.cut.load(Relaxed) { Order::Cut } else { Order::Drain }
    }

    /// Completes when the connection shall end now, whatever it was told before.
    pub(crate) async fn cut_off(&self) {
        while self.ordered().await != Order::Cut {}
    }

    /// Whether it was told to finish before.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    pub(crate) fn drain(&self) {
        self.drained.store(true, Relaxed);
        self.order.notify_one();
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
        self.order.notify_one();
    }

    /// Compares with the limits; `now` is the coarse clock's.
    pub(crate) fn judge(&self, settings: &Settings) -> Verdict {
        let quiet = u128::from(self.clock.now().wrapping_sub(self.since.load(Relaxed)));
        let over = |limit: mainstay_base::units::Span| quiet > limit.0.as_millis();
        if self.write_blocked.load(Relaxed) {
            return if over(settings.write_timeout) {
                Verdict::Refuse(Refusal::WriteTimeout)
            } else {
                Verdict::Keep
            };
        }
        match self.phase.load(Relaxed) {
            HEAD if over(settings.head_timeout) => Verdict::Refuse(Refusal::HeaderTimeout),
            REQUEST if over(settings.request_timeout) => Verdict::Refuse(Refusal::BodyTimeout),
            IDLE if over(settings.idle_timeout) => Verdict::Idle,
            _ => Verdict::Keep,
        }
    }

    fn progress(&self) {
        self.since.store(self.clock.now(), Relaxed);
    }

    fn read_some(&self) {
        // The head's clock starts with its first byte and is not pushed on by later ones: a drip is no progress.
        match self.phase.load(Relaxed) {
            IDLE if !self.multiplexed.load(Relaxed) => {
                self.phase.store(HEAD, Relaxed);
                self.progress();
            }
            IDLE | REQUEST => self.progress(),
            _ => {}
        }
    }
}

/// A request being answered.
pub(crate) struct InHand(Arc<Activity>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

/// A TCP stream that reports its progress; `prefix` holds bytes read while sniffing the protocol.
pub(crate) struct Watched {
    io: TokioIo<TcpStream>,
    prefix: Bytes,
    activity: Arc<Activity>,
}

impl Watched {
    pub(crate) fn new(io: TcpStream, prefix: Bytes, activity: Arc<Activity>) -> Self {
        Self { io: TokioIo::new(io), prefix, activity }
    }

    fn wrote<T>(&self, poll: Poll<std::io::Result<T>>) -> Poll<std::io::Result<T>> {
        let blocked = poll.is_pending();
        if blocked != self.activity.write_blocked.load(Relaxed) {
            self.activity.write_blocked.store(blocked, Relaxed);
        }
        if !blocked {
            self.activity.progress();
        }
        poll
    }
}

impl hyper::rt::Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.prefix.has_remaining() {
            let take = self.prefix.len().min(cursor.remaining());
            let head = self.prefix.split_to(take);
            cursor.put_slice(&head);
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.io).poll_read(cx, cursor);
        if poll.is_ready() {
            self.activity.read_some();
        }
        poll
    }
}

impl hyper::rt::Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.wrote(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, parts);
        self.wrote(poll)
    }
}
