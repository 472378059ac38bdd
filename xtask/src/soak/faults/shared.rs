//! Shared state as two processes use it while Redis fails: values, counters, leases and messages, of the same names. Whatever
//! happens, a call is answered in time, later leases have greater tokens, and in the end both see one truth.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_kv::{Error, Freshness, Grant, Kv, Settings, Taken};
use mainstay_telemetry::metrics::Registry;
use mainstay_testkit::{Waits, fresh_id};

use super::WELL;

/// Time between two rounds of both processes; a round has six calls.
const EVERY: Duration = Duration::from_millis(25);
/// What every call is promised that memory may answer.
pub(super) const PROMISE: Duration = Duration::from_millis(50);
const HOUR: Duration = Duration::from_secs(3_600);
/// What asking for a lease is promised, for which nobody else answers: `redis.patience`, and a little.
const LEASE_PROMISE: Duration = Duration::from_millis(2_050);
/// Longer than a call may take.
const LEASE: Duration = Duration::from_secs(5);
/// A generation that another process began is heard of within `probe_every`, a second; then values are set and read.
const AGREED: Duration = Duration::from_secs(3);
/// Values that are compared in the end.
const VALUES: u64 = 100;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Calls, of both.
    pub calls: u64,
    /// Of those, that nobody answered although memory may.
    pub unanswered: u64,
    /// Changes that Redis took.
    pub taken: u64,
    /// Leases that were granted.
    pub leases: u64,
    /// Of those, whose token is not greater than an earlier one's.
    pub disorder: u64,
    /// The longest wait for an answer, beside what the machine was late by.
    pub longest: Duration,
    /// The longest wait for a lease.
    pub longest_for_lease: Duration,
    /// How long after both used Redis again one saw every value that the other set.
    pub agreed: Duration,
    /// Some of the errors.
    pub words: BTreeSet<String>,
}

impl Used {
    /// Whether the promises were kept.
    ///
    /// # Errors
    /// When one was not, or Redis was not used at all.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.unanswered == 0, "calls were not answered: {self:?}");
        ensure!(self.longest <= PROMISE, "a call waited too long: {self:?}");
        let in_time = self.longest_for_lease <= LEASE_PROMISE;
        ensure!(in_time, "asking for a lease took too long: {self:?}");
        ensure!(self.disorder == 0, "a later lease has a smaller token: {self:?}");
        ensure!(self.agreed <= AGREED, "the processes saw different values for long: {self:?}");
        ensure!(self.taken > 0 && self.leases > 0, "Redis was not used: {self:?}");
        Ok(())
    }

    fn note<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        self.calls += 1;
        outcome
            .inspect_err(|error| {
                self.unanswered += 1;
                self.words.insert(error.to_string());
            })
            .ok()
    }

    fn note_taken(&mut self, outcome: Result<Taken, Error>) {
        let taken = self.note(outcome);
        self.taken += u64::from(taken == Some(Taken::Shared));
    }

    /// A lease is granted by the store or not at all.
    fn note_lease(
        &mut self,
        granted: Result<Grant, Error>,
        newest: &mut u64,
    ) -> Option<mainstay_kv::Lease> {
        self.calls += 1;
        let Ok(Grant::Granted(lease)) = granted else { return None };
        self.leases += 1;
        self.disorder += u64::from(lease.token <= *newest);
        *newest = lease.token.max(*newest);
        Some(lease)
    }
}

/// Uses it until `done`, waits until Redis is used again, and compares.
///
/// # Errors
/// When Redis is not used in time, before or after.
pub(super) fn use_until(nodes: &[SocketAddr], done: &AtomicBool) -> anyhow::Result<Used> {
    // What both processes do besides runs on another thread than their calls: its delays are not the machine's.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let (group, namespace) = (Group::new(), fresh_id());
        let pair = [0, 1].map(|_| open(nodes, &namespace, &group));
        wait_ready(&pair).await.context("before the blow")?;
        let (waits, leases) = (Waits::default(), Waits::default());
        let (mut used, mut newest) = (Used::default(), 0);
        let mut round = 0;
        while !done.load(Ordering::Relaxed) {
            for kv in &pair {
                let key = format!("value-{}", round % VALUES);
                let value = Bytes::from(round.to_string());
                let count = waits.time(kv.increment("steps", 1, HOUR)).await;
                used.note_taken(count.map(|count| count.taken));
                used.note_taken(waits.time(kv.set(&key, value.clone(), Some(HOUR))).await);
                used.note(waits.time(kv.get(&key, Freshness::Exact)).await);
                used.note_taken(waits.time(kv.publish("news", value)).await);
                let granted = leases.time(kv.acquire("job", LEASE)).await;
                if let Some(lease) = used.note_lease(granted, &mut newest) {
                    // One that is not given back ends by itself.
                    let _ = waits.time(kv.release(&lease)).await;
                }
                round += 1;
            }
            tokio::time::sleep(EVERY).await;
        }
        wait_ready(&pair).await.context("after the blow")?;
        used.agreed = agree(&pair).await?;
        grant_again(&pair, &mut used, &mut newest).await?;
        (used.longest, used.longest_for_lease) = (waits.longest(), leases.longest());
        group.finish(WELL, WELL).await;
        ensure!(group.crashes().is_empty(), "{:?}", group.crashes());
        Ok(used)
    })
}

/// Each of them gets the lease once more, with a greater token.
async fn grant_again(pair: &[Kv; 2], used: &mut Used, newest: &mut u64) -> anyhow::Result<()> {
    for kv in pair {
        let until = Instant::now() + WELL;
        loop {
            let granted = kv.acquire("job", LEASE).await;
            if let Some(lease) = used.note_lease(granted, newest) {
                ensure!(kv.release(&lease).await == Ok(true), "a lease was not its holder's");
                break;
            }
            ensure!(Instant::now() < until, "no lease is granted any more");
            tokio::time::sleep(EVERY).await;
        }
    }
    Ok(())
}

fn open(nodes: &[SocketAddr], namespace: &str, group: &Group) -> Kv {
    let nodes = nodes.iter().map(ToString::to_string).collect();
    let settings = Settings { nodes, namespace: namespace.into(), ..Settings::default() };
    let registry = Registry::new(&mainstay_telemetry::settings::Metrics::default(), Clock::System);
    let kv = Kv::open(&settings, Clock::System, Entropy::System, &registry);
    kv.start(group);
    kv
}

async fn wait_ready(pair: &[Kv; 2]) -> anyhow::Result<()> {
    for kv in pair {
        ensure!(kv.wait_ready(WELL).await, "Redis is not used: {:?}", kv.health().await);
    }
    Ok(())
}

/// Until all values that Redis takes from one process are what the other reads there: how long that took.
async fn agree(pair: &[Kv; 2]) -> anyhow::Result<Duration> {
    let began = Instant::now();
    loop {
        let mut agreed = true;
        for n in 0..VALUES {
            let (key, value) = (format!("value-{n}"), Bytes::from(format!("end-{n}")));
            let taken = pair[0].set(&key, value.clone(), Some(HOUR)).await == Ok(Taken::Shared);
            let seen = pair[1].get(&key, Freshness::Exact).await;
            agreed &= taken && seen == Ok(Some(value));
        }
        if agreed {
            return Ok(began.elapsed());
        }
        ensure!(began.elapsed() < WELL, "what one process sets the other does not see");
        tokio::time::sleep(EVERY).await;
    }
}
