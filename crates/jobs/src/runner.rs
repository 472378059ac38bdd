//! Who works on one queue: claims ahead, begins as many as may run, and says how they ended, many at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use mainstay_base::task::{Group, Stop};
use mainstay_store::job::{self, Ack, Claimed, Hand, Outcome};
use mainstay_store::queue::{self, Queue};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Ended, Handlers, Told, attempt};
use crate::job::{Job, Work};
use crate::jobs::Jobs;

/// Where one hand was used up so soon, the next is twice as large.
const SOON: Duration = Duration::from_millis(100);
/// Between two tries to say how jobs ended, while the store is away.
const TELL_AGAIN: Duration = Duration::from_millis(500);
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
}

/// What is in his hands.
struct Hands {
    number: i32,
    wake: Arc<Notify>,
    waiting: VecDeque<Claimed>,
    running: usize,
    /// How many are claimed next, and when the last ones came.
    ahead: usize,
    came: Instant,
    asked: usize,
    claiming: Option<Claiming>,
    /// How jobs ended that the store has not been told of.
    ended: Vec<Ack>,
    telling: Option<Telling>,
    /// Something may have come since the last claim.
    is_due: bool,
    look_at: Instant,
    done: mpsc::UnboundedSender<Ack>,
}

impl Runner {
    pub(crate) fn new(jobs: Jobs, name: String, handlers: Arc<Handlers>, group: &Group) -> Self {
        let bytes = jobs.0.context.entropy.bytes::<8>().unwrap_or_default();
        let worker = format!("{:016x}", u64::from_be_bytes(bytes)).into();
        let concurrency = jobs.0.settings.concurrency_of(&name);
        Self { jobs, name, handlers, group: group.clone(), concurrency, worker }
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
            ahead: self.concurrency,
            came: now,
            asked: 0,
            claiming: None,
            ended: Vec::new(),
            telling: None,
            is_due: true,
            look_at: now,
            done,
        };
        let mut batch = Vec::new();
        loop {
            self.begin(&mut hands);
            self.claim(&mut hands);
            self.tell(&mut hands);
            let wake = Arc::clone(&hands.wake);
            tokio::select! {
                biased;
                () = stop.soft() => break,
                count = ended.recv_many(&mut batch, 1_024) => {
                    hands.running -= count;
                    hands.ended.append(&mut batch);
                }
                told = maybe(&mut hands.telling) => Self::note_told(&mut hands, told),
                hand = maybe(&mut hands.claiming) => self.take(&mut hands, hand),
                () = wake.notified(), if !hands.is_due => hands.is_due = true,
                () = tokio::time::sleep_until(hands.look_at), if !hands.is_due => self.look(&mut hands).await,
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
        loop {
            if let Ok(number) = self.jobs.number(&self.name).await {
                return Some(number);
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
            let cancel = self.jobs.0.leases.token_of(job.seq, job.token);
            let Some(cancel) = cancel.filter(|cancel| !cancel.is_cancelled()) else {
                // Lost or cancelled before it began.
                hands.ended.push(ack(&job, Outcome::GivenBack));
                continue;
            };
            let Some(kind) =
                self.jobs.0.kinds.get(&job.kind).filter(|kind| kind.queue() == self.name)
            else {
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
        self.jobs.0.leases.note_begun(job.seq, time.map(|time| Instant::now() + time + lease));
        let least = 1.0 - self.jobs.0.settings.backoff_jitter.clamp(0.0, 1.0);
        let entropy = self.jobs.0.context.entropy.clone();
        let (done, queue) = (hands.done.clone(), self.queue().clone());
        let (seq, token) = (job.seq, job.token);
        // Told also where the handler panics, or its thread is taken away.
        let mut told = Told { done, ack: Ack { seq, token, outcome: Outcome::GivenBack } };
        let work = Work { job, cancel: cancel.clone(), queue };
        let handler = async move {
            let ran = std::panic::AssertUnwindSafe(attempt(&*kind, work, time, &cancel));
            let outcome = ran.catch_unwind().await.unwrap_or_else(|_| Ended::panicked(kind.kind()));
            let outcome = outcome.into_outcome(|| {
                let chance = entropy.bytes::<4>().map_or(0, u32::from_be_bytes);
                least + (1.0 - least) * f64::from(chance) / f64::from(u32::MAX)
            });
            told.note(outcome);
        };
        self.handlers.spawn(&self.group, handler);
    }

    /// Asks for more where there is room for it.
    fn claim(&self, hands: &mut Hands) {
        let room = hands.ahead.saturating_sub(hands.waiting.len());
        if !hands.is_due || hands.claiming.is_some() || room * 2 < hands.ahead.max(1) {
            return;
        }
        (hands.is_due, hands.asked) = (false, room);
        let (queue, worker) = (self.queue().clone(), Arc::clone(&self.worker));
        let (number, lease) = (hands.number, self.jobs.0.settings.lease.0);
        let begins = self.concurrency.saturating_sub(hands.running + hands.waiting.len());
        hands.claiming =
            Some(Box::pin(
                async move { queue.claim(number, (room, begins), &worker, lease).await },
            ));
    }

    fn take(&self, hands: &mut Hands, hand: Result<Hand, queue::Error>) {
        let now = Instant::now();
        let poll = self.jobs.0.settings.poll_every.0;
        let Ok(hand) = hand else {
            hands.look_at = now + poll;
            return;
        };
        // Delayed ones are taken when they are due, others that nobody spoke of at the next look.
        hands.look_at = now + hand.next_due.map_or(poll, |due| due.min(poll));
        hands.is_due |= !hand.jobs.is_empty() && hand.jobs.len() >= hands.asked;
        if !hand.jobs.is_empty() {
            let most = (self.jobs.0.settings.prefetch_max as usize).max(self.concurrency);
            hands.ahead = match now - hands.came {
                used if used < SOON => (hands.ahead * 2).min(most),
                _ => self.concurrency,
            };
            hands.came = now;
        }
        for job in &hand.jobs {
            self.jobs.0.leases.hold(job.seq, job.token);
        }
        hands.waiting.extend(hand.jobs);
    }

    /// Whether somebody else has added something, or a delayed one is due: one question.
    async fn look(&self, hands: &mut Hands) {
        let poll = self.jobs.0.settings.poll_every.0;
        let now = self.jobs.0.context.clock.now();
        let due = job::next_due(self.jobs.db(), hands.number, now).await;
        match due {
            Ok(Some(due)) if due.is_zero() => hands.is_due = true,
            Ok(due) => hands.look_at = Instant::now() + due.map_or(poll, |due| due.min(poll)),
            Err(_) => hands.look_at = Instant::now() + poll,
        }
    }

    /// Says how jobs ended, one batch at a time; the next gathers meanwhile.
    fn tell(&self, hands: &mut Hands) {
        if hands.telling.is_some() || hands.ended.is_empty() {
            return;
        }
        let acks = std::mem::take(&mut hands.ended);
        hands.telling = Some(Box::pin(tell(self.jobs.clone(), acks)));
    }

    fn note_told(hands: &mut Hands, (mut untold, _): (Vec<Ack>, bool)) {
        hands.ended.append(&mut untold);
    }

    /// Gives back what did not begin, waits for what runs, and says how it ended.
    async fn finish(&self, mut hands: Hands, mut ended: mpsc::UnboundedReceiver<Ack>, stop: &Stop) {
        if let Some(claiming) = hands.claiming.take()
            && let Ok(hand) = claiming.await
        {
            hands.waiting.extend(hand.jobs);
        }
        let back = hands.waiting.drain(..).map(|job| ack(&job, Outcome::GivenBack));
        hands.ended.extend(back);
        let mut is_hard = false;
        loop {
            self.tell(&mut hands);
            if hands.running == 0 && hands.telling.is_none() && hands.ended.is_empty() {
                return;
            }
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                count = ended.recv_many(&mut batch, 1_024), if hands.running > 0 => {
                    hands.running -= count;
                    hands.ended.append(&mut batch);
                }
                (mut untold, was_told) = maybe(&mut hands.telling) => {
                    if !was_told && is_hard {
                        return;
                    }
                    hands.ended.append(&mut untold);
                }
                () = stop.hard(), if !is_hard => {
                    is_hard = true;
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

/// Answers those that could not be told, after a pause, and whether the store took them.
async fn tell(jobs: Jobs, acks: Vec<Ack>) -> (Vec<Ack>, bool) {
    match jobs.0.queue.finish(acks.clone()).await {
        Ok(settled) => {
            let lost = settled.iter().filter(|status| status.is_none()).count();
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "jobs were somebody else's when they ended here; what was said of them was refused"
                );
            }
            jobs.0.leases.release(acks.iter().map(|ack| (ack.seq, ack.token)));
            (Vec::new(), true)
        }
        Err(queue::Error::Refused) => {
            // What the store does not take will not be taken later either: it is tried again by whoever claims it next.
            jobs.0.leases.release(acks.iter().map(|ack| (ack.seq, ack.token)));
            (Vec::new(), true)
        }
        Err(queue::Error::Full | queue::Error::Unavailable) => {
            tokio::time::sleep(TELL_AGAIN).await;
            (acks, false)
        }
    }
}

fn ack(job: &Claimed, outcome: Outcome) -> Ack {
    Ack { seq: job.seq, token: job.token, outcome }
}

/// Looks for leases that ran out and for what is to be forgotten, now and then.
pub(crate) async fn sweep(queue: Queue, every: Duration, stop: Stop) -> Result<(), Infallible> {
    while stop.rested(every.max(Duration::from_millis(10))).await {
        // Told by whoever writes; the next round tries again.
        while let Ok(tended) = queue.tend().await {
            if tended.stalled + tended.buried > 0 {
                let (again, buried) = (tended.stalled, tended.buried);
                tracing::warn!(again, buried, "jobs whose worker was not heard of again");
            }
            if stop.is_soft() || !tended.is_unfinished() {
                break;
            }
        }
    }
    Ok(())
}
