//! One request and its answer where a connection carries many: what it waits for, and how it alone is ended. Never touches the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use mainstay_base::units::Span;
use mainstay_telemetry::http::Refusal;
use tokio::sync::Notify;

use crate::Settings;
use crate::activity::Coarse;
use crate::patience::{Lag, Limit};

/// Its connection carries one at a time and is judged as a whole, but for the request's body.
const ALONE: u8 = 3;
/// Its request is being answered.
const ASKED: u8 = 0;
/// Its answer is on the way, through a future of its own.
const ANSWERING: u8 = 1;
/// That future is done; what is left of the answer is in the protocol's own queue.
const HANDED_OVER: u8 = 2;
/// An app has the request: the room that asks it has limits of its own.
const IN_APP: u8 = 4;

/// State of one exchange, shared between its request, its answer's bytes and the sweep. One thread writes it.
#[derive(Debug)]
pub(crate) struct Exchange {
    clock: Arc<Coarse>,
    phase: AtomicU8,
    /// Coarse time of its begin or of the last byte of its request.
    since: AtomicU32,
    /// Bytes of the answer that were produced and that the client has not taken.
    held: AtomicUsize,
    /// The request has a body, and nobody tells when its bytes come.
    unwatched: AtomicBool,
    awaits_body: AtomicBool,
    answer: Lag,
    body: Lag,
    abandoned: AtomicBool,
    order: Notify,
    /// The body that waits for its last piece to be taken.
    body_waits: AtomicWaker,
}

/// What the sweep finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It moves, or waits for us.
    Fine,
    /// The client lags: this exchange is to be abandoned.
    Lags(Refusal),
    /// The client lags with the last bytes, which nobody but the whole connection can take back.
    Stuck,
}

impl Exchange {
    /// One of many on its connection.
    pub(crate) fn among_many(clock: Arc<Coarse>) -> Self {
        Self::new(clock, ASKED)
    }

    /// The only one that its connection carries at its time.
    pub(crate) fn alone(clock: Arc<Coarse>) -> Self {
        Self::new(clock, ALONE)
    }

    fn new(clock: Arc<Coarse>, phase: u8) -> Self {
        let since = AtomicU32::new(clock.now());
        Self {
            clock,
            phase: AtomicU8::new(phase),
            since,
            held: AtomicUsize::new(0),
            unwatched: AtomicBool::new(false),
            awaits_body: AtomicBool::new(false),
            answer: Lag::default(),
            body: Lag::default(),
            abandoned: AtomicBool::new(false),
            order: Notify::new(),
            body_waits: AtomicWaker::new(),
        }
    }

    /// An app has the request.
    pub(crate) fn hand_over(&self) {
        self.phase.store(IN_APP, Relaxed);
    }

    /// The answer's head is ready.
    pub(crate) fn answered(&self) {
        self.phase.store(ANSWERING, Relaxed);
    }

    /// Bytes of the answer were produced.
    pub(crate) fn hold(&self, bytes: usize) {
        self.held.store(self.held.load(Relaxed).saturating_add(bytes), Relaxed);
    }

    /// Ready once the client took all that was produced so far.
    pub(crate) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.held.load(Relaxed) == 0 {
            return Poll::Ready(());
        }
        self.body_waits.register(cx.waker());
        Poll::Pending
    }

    /// Bytes of the answer went out.
    pub(crate) fn took(&self, bytes: usize) {
        self.let_go(bytes);
        self.answer.moved(bytes);
    }

    /// Bytes of the answer will never go out.
    pub(crate) fn let_go(&self, bytes: usize) {
        let held = self.held.load(Relaxed).saturating_sub(bytes);
        self.held.store(held, Relaxed);
        if held == 0 {
            self.body_waits.wake();
        }
    }

    /// The request has a body; until it is watched, whoever reads it sets its own limits.
    pub(crate) fn has_body(&self) {
        self.unwatched.store(true, Relaxed);
    }

    /// From now on it is told when bytes of the request's body come.
    pub(crate) fn watched(&self) {
        self.unwatched.store(false, Relaxed);
    }

    /// Somebody waits for the request's body.
    pub(crate) fn awaits_body(&self) {
        self.awaits_body.store(true, Relaxed);
    }

    /// Bytes of the request's body came; none = its end.
    pub(crate) fn received(&self, bytes: usize) {
        self.awaits_body.store(false, Relaxed);
        self.body.moved(bytes);
        self.since.store(self.clock.now(), Relaxed);
    }

    /// Compares with the limits, `elapsed_ms` after the last time.
    pub(crate) fn judge(&self, settings: &Settings, elapsed_ms: u32) -> Finding {
        let body = Limit { within: settings.body_timeout, rate_min: settings.body_rate_min };
        if self.body.is_over(self.awaits_body.load(Relaxed), elapsed_ms, body) {
            return Finding::Lags(Refusal::BodyTimeout);
        }
        let answer = Limit { within: settings.write_timeout, rate_min: settings.write_rate_min };
        let waiting = self.held.load(Relaxed) > 0;
        let lags = self.answer.is_over(waiting, elapsed_ms, answer);
        match self.phase.load(Relaxed) {
            HANDED_OVER if lags => Finding::Stuck,
            ANSWERING if lags => Finding::Lags(Refusal::WriteTimeout),
            ASKED if self.is_quiet(settings.request_timeout) => Finding::Lags(Refusal::BodyTimeout),
            _ => Finding::Fine,
        }
    }

    fn is_quiet(&self, limit: Span) -> bool {
        let quiet = self.clock.now().wrapping_sub(self.since.load(Relaxed));
        !self.unwatched.load(Relaxed) && u128::from(quiet) > limit.0.as_millis()
    }

    /// Ends it: its body breaks off, or the future that carries it is dropped; the protocol resets its stream.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Relaxed);
        self.body_waits.wake();
        self.order.notify_one();
    }

    /// Carries the future of this exchange until it is done or abandoned.
    pub(crate) async fn carry(self: Arc<Self>, stream: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = stream => self.phase.store(HANDED_OVER, Relaxed),
            () = self.order.notified() => {}
        }
    }

    /// Whether it was ended by the sweep.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Relaxed)
    }
}
