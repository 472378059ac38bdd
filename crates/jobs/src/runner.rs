//! Who works on one queue: claims ahead, begins as many as may run, and says how they ended, many at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mainstay_base::task::{Group, Stop};
use mainstay_store::job::{Ack, Claimed, Hand, Outcome};
use mainstay_store::queue::{self, Queue};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Ended, Handlers, Told, attempt};
use crate::job::{Job, Work};
use crate::jobs::Jobs;
use crate::meter::Meter;
use crate::tell::tell;

/// Where one hand was used up so soon, the next is twice as large.
const SOON: Duration = Duration::from_millis(100);
/// Nothing is claimed ahead until a hand was used up soon; in a test the first hand has some, whatever the time.
const AHEAD_AT_FIRST: usize = if cfg!(test) { 4 } else { 0 };
/// What has not begun after so long is given back: others may have hands free for it.
const PARKED: Duration = Duration::from_secs(1);
/// No more is claimed ahead than weighs about so much, in bytes.
const AHEAD_WEIGHT: usize = 8 << 20;
/// Acknowledgements of one batch: so many, and no more once they weigh so much, in bytes.
const BATCH: usize = 1_024;
const BATCH_WEIGHT: usize = 4 << 20;
/// Between two claims where the first found nothing though something was due: somebody else has his hands on it.
const EMPTY_HANDED: Duration = Duration::from_millis(50);
/// After a claim that the store did not answer, at most.
const CLAIM_AGAIN: Duration = Duration::from_secs(2);
/// Between two questions for the queue's number.
const WAIT_FOR_NUMBER: Duration = Duration::from_millis(500);

type Claiming = Pin<Box<dyn Future<Output = Result<Hand, queue::Error>> + Send>>;
type Telling = Pin<Box<dyn Future<Output = (Vec<Ack>, bool)> + Send>>;

/// Who works on one queue.
#[derive(Debug)]
pub(crate) struct Runner {
    jobs: Jobs,
    name: String,
    handlers: Arc<Handlers>,
    group: Group,
    concurrency: usize,
    worker: Arc<str>,
    meter: Option<Meter>,
}

/// What is in his hands.
struct Hands {
    number: i32,
    wake: Arc<Notify>,
    waiting: VecDeque<Claimed>,
    running: usize,
    /// How many are claimed beyond those that begin at once, and when the last ones came.
    ahead: usize,
    came: Option<Instant>,
    asked: usize,
    claiming: Option<Claiming>,
    /// How jobs ended that the store has not been told of.
    ended: Vec<Ack>,
    telling: Option<Telling>,
    /// What of the leases' changes was heard of.
    changes: u64,
    /// Something may have come since the last claim.
    is_due: bool,
    /// Then a delayed one is due, or a claim that failed is tried again.
    due_at: Option<Instant>,
    done: mpsc::UnboundedSender<Ack>,
}

impl Runner {
    pub(crate) fn new(jobs: Jobs, name: String, handlers: Arc<Handlers>, group: &Group) -> Self {
        let bytes = jobs.0.context.entropy.bytes::<8>().unwrap_or_default();
        let worker = format!("{:016x}", u64::from_be_bytes(bytes)).into();
        let concurrency = jobs.0.settings.concurrency_of(&name);
        let meter = jobs.0.meters.get().map(|meters| meters.of(&name));
        Self { jobs, name, handlers, group: group.clone(), concurrency, worker, meter }
    }

    pub(crate) async fn run(self, stop: Stop) -> Result<(), Infallible> {
        let Some(number) = self.wait_for_number(&stop).await else { return Ok(()) };
        // As many as run at a time.
        let (done, mut ended) = mpsc::unbounded_channel();
        let now = Instant::now();
        let mut hands = Hands {
            number,
            wake: self.queue().wake_of(number),
            waiting: VecDeque::new(),
            running: 0,
            ahead: AHEAD_AT_FIRST,
            came: None,
            asked: 0,
            claiming: None,
            ended: Vec::new(),
            telling: None,
            changes: 0,
            is_due: true,
            due_at: None,
            done,
        };
        let mut batch = Vec::new();
        loop {
            self.give_back_unwanted(&mut hands);
            self.begin(&mut hands);
            self.claim(&mut hands);
            self.tell(&mut hands);
            let wake = Arc::clone(&hands.wake);
            let parked_at = hands.came.unwrap_or(now) + PARKED;
            tokio::select! {
                biased;
                () = stop.soft() => break,
                count = ended.recv_many(&mut batch, BATCH) => {
                    hands.running -= count;
                    hands.ended.append(&mut batch);
                }
                told = maybe(&mut hands.telling) => Self::note_told(&mut hands, told),
                hand = maybe(&mut hands.claiming) => self.take(&mut hands, hand),
                () = wake.notified(), if !hands.is_due => hands.is_due = true,
                () = until(hands.due_at), if !hands.is_due => {
                    (hands.is_due, hands.due_at) = (true, None);
                }
                () = tokio::time::sleep_until(parked_at), if !hands.waiting.is_empty() => {
                    Self::give_back_waiting(&mut hands);
                }
            }
        }
        self.finish(hands, ended, &stop).await;
        Ok(())
    }

    fn queue(&self) -> &Queue {
        &self.jobs.0.queue
    }

    /// The store may be away when the process starts.
    async fn wait_for_number(&self, stop: &Stop) -> Option<i32> {
        let mut is_first = true;
        loop {
            match self.jobs.number(&self.name).await {
                Ok(number) => return Some(number),
                Err(error) if std::mem::take(&mut is_first) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        queue = self.name,
                        error,
                        "nobody works on it until the store answers"
                    );
                }
                Err(_) => {}
            }
            if !stop.rested(WAIT_FOR_NUMBER).await {
                return None;
            }
        }
    }

    /// Begins what may run.
    fn begin(&self, hands: &mut Hands) {
        while hands.running < self.concurrency
            && let Some(job) = hands.waiting.pop_front()
        {
            let Some(cancel) = self.jobs.0.leases.may_begin((job.seq, job.token)) else {
                // Lost, cancelled or paused before it began.
                hands.ended.push(ack(&job, Outcome::GivenBack));
                continue;
            };
            let Some(kind) = self.jobs.find_kind(&self.name, &job.kind) else {
                let reason =
                    format!("no handler of queue {} knows the kind {:?}", self.name, job.kind);
                hands.ended.push(ack(&job, Outcome::Dead { reason }));
                continue;
            };
            self.spawn(hands, Arc::clone(kind), job, cancel);
        }
    }

    fn spawn(
        &self,
        hands: &mut Hands,
        kind: Arc<dyn Job>,
        job: Claimed,
        cancel: CancellationToken,
    ) {
        hands.running += 1;
        let lease = self.jobs.0.settings.lease.0;
        let time = Some(job.timeout).filter(|time| !time.is_zero());
        let (leases, settings) = (self.jobs.0.leases.clone(), Arc::clone(&self.jobs.0.settings));
        let least = 1.0 - self.jobs.0.settings.backoff_jitter.clamp(0.0, 1.0);
        let entropy = self.jobs.0.context.entropy.clone();
        let (done, queue) = (hands.done.clone(), self.queue().clone());
        let (seq, token) = (job.seq, job.token);
        let (meter, clock, run_at) =
            (self.meter.clone(), self.jobs.0.context.clock.clone(), job.run_at);
        // Told also where the handler panics, or its thread is taken away.
        let mut told = Told { done, ack: Ack { seq, token, outcome: Outcome::GivenBack } };
        let work = Work { job, cancel: cancel.clone(), queue, settings: Arc::clone(&settings) };
        let handler = async move {
            // From here on it has its time: until a thread was free for it, it had none.
            let over = time.map(|time| Instant::now() + time);
            if !leases.begin((seq, token), over, lease) {
                return;
            }
            let began = Instant::now();
            if let Some(meter) = &meter {
                meter.begin(clock.now().since(run_at));
            }
            let ran = std::panic::AssertUnwindSafe(attempt(&*kind, work, (time, over), &cancel));
            let outcome = ran.catch_unwind().await.unwrap_or_else(|_| Ended::panicked(kind.kind()));
            let outcome = outcome.into_outcome(&settings, || {
                let chance = entropy.bytes::<4>().map_or(0, u32::from_be_bytes);
                least + (1.0 - least) * f64::from(chance) / f64::from(u32::MAX)
            });
            if let Some(meter) = &meter {
                meter.end(&outcome, began.elapsed());
            }
            told.note(outcome);
        };
        self.handlers.spawn(&self.group, handler);
    }

    /// Gives back what was claimed ahead and shall not begin any more.
    fn give_back_unwanted(&self, hands: &mut Hands) {
        let leases = &self.jobs.0.leases;
        let changes = leases.changes();
        if std::mem::replace(&mut hands.changes, changes) == changes {
            return;
        }
        let (ended, waiting) = (&mut hands.ended, &mut hands.waiting);
        waiting.retain(|job| {
            let may = leases.may_begin((job.seq, job.token)).is_some();
            if !may {
                ended.push(ack(job, Outcome::GivenBack));
            }
            may
        });
    }

    /// Gives back what was claimed ahead.
    fn give_back_waiting(hands: &mut Hands) {
        hands.ahead = 0;
        let back = hands.waiting.drain(..).map(|job| ack(&job, Outcome::GivenBack));
        hands.ended.extend(back);
    }

    /// Asks for more where there is room for it.
    fn claim(&self, hands: &mut Hands) {
        let free = self.concurrency.saturating_sub(hands.running);
        let room = (free + hands.ahead).saturating_sub(hands.waiting.len());
        // While all have something to do, half of what is ahead is claimed at a time.
        let is_worth_it = hands.waiting.len() < free || room * 2 >= hands.ahead;
        if !hands.is_due || hands.claiming.is_some() || room == 0 || !is_worth_it {
            return;
        }
        (hands.is_due, hands.asked) = (false, room);
        let (queue, worker) = (self.queue().clone(), Arc::clone(&self.worker));
        let (number, lease) = (hands.number, self.jobs.0.settings.lease.0);
        let begins = free.saturating_sub(hands.waiting.len());
        let limits = (room, begins);
        hands.claiming =
            Some(Box::pin(async move { queue.claim(number, limits, &worker, lease).await }));
    }

    fn take(&self, hands: &mut Hands, hand: Result<Hand, queue::Error>) {
        let now = Instant::now();
        let Ok(hand) = hand else {
            let again = now + self.jobs.0.settings.poll_every.0.min(CLAIM_AGAIN);
            hands.due_at = Some(hands.due_at.map_or(again, |due| due.min(again)));
            return;
        };
        // Delayed ones are taken when they are due; what others add, the look finds.
        let least = if hand.jobs.is_empty() { EMPTY_HANDED } else { Duration::ZERO };
        hands.due_at = hand.next_due.and_then(|due| now.checked_add(due.max(least)));
        hands.is_due |= !hand.jobs.is_empty() && hand.jobs.len() >= hands.asked;
        if !hand.jobs.is_empty() {
            // A database that is let sleep is worth keeping awake while there is work.
            self.jobs.0.context.store.note_use();
            let was_soon = hands.came.is_some_and(|came| now - came < SOON);
            hands.ahead = if was_soon {
                let weight: usize = hand.jobs.iter().map(|job| job.payload.len()).sum();
                let most = AHEAD_WEIGHT / (weight / hand.jobs.len()).max(1);
                let most = most.min(self.jobs.0.settings.prefetch_max as usize);
                (hands.ahead * 2).max(self.concurrency).min(most)
            } else {
                0
            };
            hands.came = Some(now);
        }
        for job in &hand.jobs {
            self.jobs.0.leases.hold(hands.number, (job.seq, job.token));
        }
        hands.waiting.extend(hand.jobs);
    }

    /// Says how jobs ended, one batch at a time; the next gathers meanwhile.
    fn tell(&self, hands: &mut Hands) {
        if hands.telling.is_some() || hands.ended.is_empty() {
            return;
        }
        let mut weight = 0;
        let fits = hands.ended.iter().take(BATCH).take_while(|ack| {
            let before = weight;
            weight += ack.outcome.weight();
            before < BATCH_WEIGHT
        });
        let rest = hands.ended.split_off(fits.count());
        let acks = std::mem::replace(&mut hands.ended, rest);
        hands.telling = Some(Box::pin(tell(self.jobs.clone(), acks)));
    }

    fn note_told(hands: &mut Hands, (mut untold, _): (Vec<Ack>, bool)) {
        hands.ended.append(&mut untold);
    }

    /// Gives back what did not begin, waits for what runs, and says how it ended.
    async fn finish(&self, mut hands: Hands, mut ended: mpsc::UnboundedReceiver<Ack>, stop: &Stop) {
        Self::give_back_waiting(&mut hands);
        let mut is_hard = false;
        loop {
            self.tell(&mut hands);
            let is_told = hands.telling.is_none() && hands.ended.is_empty();
            if hands.running == 0 && is_told && hands.claiming.is_none() {
                return;
            }
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                count = ended.recv_many(&mut batch, BATCH), if hands.running > 0 => {
                    hands.running -= count;
                    hands.ended.append(&mut batch);
                }
                (mut untold, was_told) = maybe(&mut hands.telling) => {
                    if !was_told && is_hard {
                        return;
                    }
                    hands.ended.append(&mut untold);
                }
                hand = maybe(&mut hands.claiming) => {
                    let jobs = hand.map(|hand| hand.jobs).unwrap_or_default();
                    hands.ended.extend(jobs.iter().map(|job| ack(job, Outcome::GivenBack)));
                }
                () = stop.hard(), if !is_hard => {
                    is_hard = true;
                    // What is claimed by nobody who waits for it is given back by the store's line.
                    hands.claiming = None;
                    self.jobs.0.leases.stop_all();
                }
            }
        }
    }
}

/// What is in hand, or for ever.
async fn maybe<T>(slot: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match slot {
        Some(future) => {
            let answer = future.await;
            *slot = None;
            answer
        }
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn ack(job: &Claimed, outcome: Outcome) -> Ack {
    Ack { seq: job.seq, token: job.token, outcome }
}
