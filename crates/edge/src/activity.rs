//! What each connection is doing and since when, so that one sweep per second can end the slow and the idle ones.
//!
//! A timer per request would cost more than serving a small file. Instead the connection's I/O notes its last
//! progress on a coarse clock, and the worker's sweep compares.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::units::Span;
use mainstay_telemetry::http::Refusal;
use tokio::sync::Notify;

use crate::Settings;
use crate::exchange::Exchange;
use crate::exchanges::{Exchanges, Found};
use crate::patience::{Lag, Limit};

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
const HANDSHAKE: u8 = 3;
/// It left HTTP: whoever carries it on has limits of their own.
const SWITCHED: u8 = 4;
/// An app has the request: the room that asks it has limits of its own.
const IN_APP: u8 = 5;

/// One connection's state, shared between its I/O, its requests and the sweep.
#[derive(Debug)]
pub(crate) struct Activity {
    clock: Arc<Coarse>,
    phase: AtomicU8,
    /// Requests in hand; above one only on HTTP/2.
    in_hand: AtomicU32,
    /// Answers that are being streamed by HTTP/1.1.
    in_answer: AtomicU32,
    since: AtomicU32,
    write_blocked: AtomicBool,
    /// How far the client is behind with what the socket shall take.
    written: Lag,
    /// Those with a state of their own: all of HTTP/2, and requests with a body.
    exchanges: Mutex<Exchanges>,
    /// HTTP/2: frames between requests are not the start of a head.
    multiplexed: AtomicBool,
    /// It waits without buffers.
    parked: AtomicBool,
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
    /// Let go of buffers, if there is still nothing in hand.
    Park,
}

/// Why the sweep ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// Nothing asked for a while: no fault.
    Idle,
    /// Told to finish, nothing in hand, and still here.
    Lingers,
    /// This many exchanges were abandoned for this reason; the connection stays.
    Abandoned(usize, Refusal),
    Refuse(Refusal),
}

impl Activity {
    pub(crate) fn new(clock: Arc<Coarse>) -> Self {
        let since = AtomicU32::new(clock.now());
        Self {
            clock,
            phase: AtomicU8::new(IDLE),
            in_hand: AtomicU32::new(0),
            in_answer: AtomicU32::new(0),
            since,
            write_blocked: AtomicBool::new(false),
            written: Lag::default(),
            exchanges: Mutex::default(),
            multiplexed: AtomicBool::new(false),
            parked: AtomicBool::new(false),
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
        self.written.reset();
        self.progress();
        InHand(self)
    }

    fn request_ended(&self) {
        if self.in_hand.fetch_sub(1, Relaxed) == 1 {
            self.phase.store(IDLE, Relaxed);
        }
        self.progress();
    }

    /// An answer is streamed, until the guard is dropped.
    pub(crate) fn begin_answer(self: Arc<Self>) -> InAnswer {
        self.in_answer.fetch_add(1, Relaxed);
        InAnswer(self)
    }

    /// A TLS handshake begins; all of it has one limit.
    pub(crate) fn begin_handshake(&self) {
        self.phase.store(HANDSHAKE, Relaxed);
        self.progress();
    }

    /// The handshake is done; a request may come.
    pub(crate) fn end_handshake(&self) {
        self.phase.store(IDLE, Relaxed);
        self.progress();
    }

    /// The connection left HTTP.
    pub(crate) fn switched(&self) {
        self.phase.store(SWITCHED, Relaxed);
    }

    /// It waits without buffers now.
    pub(crate) fn parked(&self) {
        self.parked.store(true, Relaxed);
    }

    /// It waits no longer, or not without buffers.
    pub(crate) fn unparked(&self) {
        self.parked.store(false, Relaxed);
    }

    /// Nothing is in hand, on the way or half read: whatever holds the socket may be taken apart.
    pub(crate) fn is_idle(&self) -> bool {
        let counts = self.in_hand.load(Relaxed) + self.in_answer.load(Relaxed);
        self.phase.load(Relaxed) == IDLE
            && counts == 0
            && !self.write_blocked.load(Relaxed)
            && !self.exchanges().has_some()
    }

    /// Tells a connection that has been idle for so long to let go of its buffers.
    pub(crate) fn park_after(&self, limit: Span) {
        let holds_buffers = !self.parked.load(Relaxed) && !self.multiplexed.load(Relaxed);
        if holds_buffers && self.is_quiet(limit) && !self.is_drained() && self.is_idle() {
            self.order.notify_one();
        }
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
        match (self.cut.load(Relaxed), self.drained.load(Relaxed)) {
            (true, _) => Order::Cut,
            (false, true) => Order::Drain,
            (false, false) => Order::Park,
        }
    }

    /// Completes when the connection shall end now, whatever it was told before.
    pub(crate) async fn cut_off(&self) {
        while self.ordered().await != Order::Cut {}
    }

    /// Completes when the connection shall take nothing new. An order to park may be left over from before; whoever
    /// waits for the first byte holds no buffers anyway.
    pub(crate) async fn told_to_leave(&self) {
        while self.ordered().await == Order::Park {}
    }

    /// Whether it was told to finish before.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    pub(crate) fn drain(&self) {
        if !self.drained.swap(true, Relaxed) {
            self.progress();
            self.order.notify_one();
        }
    }

    /// Whoever carries the connection next is told once more.
    pub(crate) fn repeat_order(&self) {
        self.order.notify_one();
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Relaxed);
        self.order.notify_one();
    }

    /// A request with a state of its own begins.
    pub(crate) fn begin_exchange(&self) -> Arc<Exchange> {
        let clock = Arc::clone(&self.clock);
        let exchange = Arc::new(if self.multiplexed.load(Relaxed) {
            Exchange::among_many(clock)
        } else {
            Exchange::alone(clock)
        });
        self.exchanges().add(&exchange);
        exchange
    }

    /// The socket took bytes.
    pub(crate) fn wrote(&self, bytes: usize) {
        if self.write_blocked.load(Relaxed) {
            self.write_blocked.store(false, Relaxed);
        }
        self.written.moved(bytes);
        // Answers to a client's frames are no progress: it could ask for them forever. Nor is half a handshake.
        if !self.multiplexed.load(Relaxed) && self.phase.load(Relaxed) != HANDSHAKE {
            self.progress();
        }
    }

    /// The socket takes no more for now.
    pub(crate) fn write_blocked(&self) {
        self.write_blocked.store(true, Relaxed);
    }

    /// Bytes were read, or the end.
    pub(crate) fn read_some(&self) {
        if self.multiplexed.load(Relaxed) {
            return;
        }
        // The head's clock starts with its first byte and is not pushed on by later ones: a drip is no progress.
        match self.phase.load(Relaxed) {
            IDLE => {
                self.phase.store(HEAD, Relaxed);
                self.progress();
            }
            REQUEST => self.progress(),
            _ => {}
        }
    }

    /// Compares with the limits, `elapsed_ms` after the last time.
    pub(crate) fn judge(&self, settings: &Settings, handshake: Span, elapsed_ms: u32) -> Verdict {
        let write = Limit { within: settings.write_timeout, rate_min: settings.write_rate_min };
        let blocked = self.write_blocked.load(Relaxed);
        if self.written.is_over(blocked, elapsed_ms, write) {
            return Verdict::Refuse(Refusal::WriteTimeout);
        }
        let found = self.exchanges().judge(settings, elapsed_ms);
        if self.multiplexed.load(Relaxed) {
            return self.judge_multiplexed(settings, found);
        }
        let is_busy = found.moving > 0 || self.in_answer.load(Relaxed) > 0;
        match (found.lagging, self.phase.load(Relaxed)) {
            (Some((_, refusal)), _) => Verdict::Refuse(refusal),
            (None, HANDSHAKE) if self.is_quiet(handshake) => {
                Verdict::Refuse(Refusal::HandshakeTimeout)
            }
            _ if blocked => Verdict::Keep,
            // Bytes of a body whose answer began already, or of a request behind it: nobody waits for a head yet.
            (None, HEAD) if is_busy => {
                self.begin_waiting();
                Verdict::Keep
            }
            (None, HEAD) if self.is_quiet(settings.head_timeout) => {
                Verdict::Refuse(Refusal::HeaderTimeout)
            }
            (None, REQUEST) if self.is_quiet(settings.request_timeout) => {
                Verdict::Refuse(Refusal::BodyTimeout)
            }
            (None, IDLE) if self.is_quiet(settings.idle_timeout) => Verdict::Idle,
            _ => Verdict::Keep,
        }
    }

    /// Requests and answers are judged one by one; what is left is a connection that nobody uses.
    fn judge_multiplexed(&self, settings: &Settings, found: Found) -> Verdict {
        if let Some((count, refusal)) = found.lagging {
            return Verdict::Abandoned(count, refusal);
        }
        if found.stuck {
            // Their last bytes are in the protocol's queue: only the end of the connection frees them. Others finish first.
            self.drain();
            return if found.moving == 0 {
                Verdict::Refuse(Refusal::WriteTimeout)
            } else {
                Verdict::Keep
            };
        }
        if found.moving > 0 {
            self.progress();
            return Verdict::Keep;
        }
        if self.is_drained() && self.is_quiet(settings.write_timeout) {
            Verdict::Lingers
        } else if !self.is_drained() && self.is_quiet(settings.idle_timeout) {
            Verdict::Idle
        } else {
            Verdict::Keep
        }
    }

    fn is_quiet(&self, limit: Span) -> bool {
        let quiet = self.clock.now().wrapping_sub(self.since.load(Relaxed));
        u128::from(quiet) > limit.0.as_millis()
    }

    /// From here on the next byte is a head's first.
    fn begin_waiting(&self) {
        self.phase.store(IDLE, Relaxed);
        self.progress();
    }

    fn progress(&self) {
        self.since.store(self.clock.now(), Relaxed);
    }

    fn exchanges(&self) -> std::sync::MutexGuard<'_, Exchanges> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer being streamed.
pub(crate) struct InAnswer(Arc<Activity>);

impl Drop for InAnswer {
    fn drop(&mut self) {
        let is_last = self.0.in_answer.fetch_sub(1, Relaxed) == 1;
        if is_last && self.0.phase.load(Relaxed) == HEAD {
            self.0.begin_waiting();
        } else {
            self.0.progress();
        }
    }
}

/// A request being answered.
pub(crate) struct InHand(Arc<Activity>);

impl InHand {
    /// An app has the request.
    pub(crate) fn hand_over(&self) {
        self.0.phase.store(IN_APP, Relaxed);
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

#[cfg(test)]
mod tests;
