//! One worker thread: a single-threaded runtime that accepts, answers, and sweeps its own connections. Nothing hops between threads.

use std::net::TcpListener as StdListener;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderValue, Request};
use mainstay_base::agent::AgentClass;
use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Entropy};
use mainstay_insight::agent::AgentCache;
use mainstay_telemetry::access::{Buffer, Line};
use mainstay_telemetry::http::HttpMetrics;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::activity::{Activity, Coarse, Verdict};
use crate::serve::Ours;
use crate::site::Site;
use crate::{Settings, listen};

/// How often the coarse clock moves on.
const TICK: Duration = Duration::from_millis(250);
/// Connections are swept every this many ticks.
const TICKS_PER_SWEEP: u32 = 4;

/// User agents each worker remembers the class of.
const AGENTS_REMEMBERED: usize = 1_024;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Path prefix of what is ours, without a trailing slash.
    pub(crate) prefix: Box<str>,
    pub(crate) site: Site,
    pub(crate) ours: Ours,
    pub(crate) http: HttpMetrics,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    pub(crate) open: AtomicUsize,
    /// Zero of the coarse clocks.
    pub(crate) began: Instant,
}

impl Shared {
    /// The site that answers a request.
    pub(crate) fn site_for<B>(&self, _request: &Request<B>) -> &Site {
        &self.site
    }
}

/// What one worker keeps for itself. The locks are never contended: they satisfy the compiler, not a neighbour.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) coarse: Arc<Coarse>,
    agents: Mutex<AgentCache>,
    access: Mutex<Buffer>,
    ids: Mutex<SmallRng>,
    connections: Mutex<Vec<Arc<Activity>>>,
}

impl Worker {
    /// The kind of client behind a `User-Agent` header.
    pub(crate) fn class_of(&self, user_agent: Option<&HeaderValue>) -> AgentClass {
        let Some(text) = user_agent.and_then(|value| value.to_str().ok()) else {
            return AgentClass::Unknown;
        };
        own(&self.agents).find(text).class
    }

    /// A request id: random, unique for all practical purposes, not a secret.
    pub(crate) fn next_id(&self) -> u128 {
        let mut ids = own(&self.ids);
        u128::from(ids.next_u64()) << 64 | u128::from(ids.next_u64())
    }

    pub(crate) fn log(&self, line: &Line<'_>) {
        own(&self.access).push(line);
    }

    pub(crate) fn adopt(&self, activity: Arc<Activity>) {
        own(&self.connections).push(activity);
    }

    fn drain_all(&self) {
        for connection in own(&self.connections).iter() {
            connection.drain();
        }
    }

    fn sweep(&self) {
        let mut connections = own(&self.connections);
        connections.retain(|c| !c.is_closed());
        for connection in connections.iter() {
            match connection.judge(&self.shared.settings) {
                Verdict::Keep => {}
                Verdict::Idle if connection.is_drained() => {}
                Verdict::Idle => {
                    self.shared.http.idle_closed();
                    connection.drain();
                }
                Verdict::Refuse(refusal) => {
                    self.shared.http.refused(refusal);
                    connection.cut();
                    connection.closed();
                }
            }
        }
    }
}

fn own<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs one worker until its connections are drained.
pub(crate) fn run(
    shared: Arc<Shared>,
    listener: StdListener,
    access: Buffer,
    connections: &Group,
    stop: &Stop,
) -> Result<(), std::io::Error> {
    let seed = shared.entropy.bytes().map_err(std::io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let worker = Arc::new(Worker {
        coarse: Arc::new(Coarse::default()),
        agents: Mutex::new(AgentCache::new(AGENTS_REMEMBERED)),
        access: Mutex::new(access),
        ids: Mutex::new(SmallRng::from_seed(seed)),
        connections: Mutex::default(),
        shared,
    });
    let outcome = runtime.block_on(async {
        tokio::select! {
            served = serve(&worker, listener, connections, stop) => served,
            () = tick(&worker) => Ok(()),
        }
    });
    own(&worker.access).flush();
    outcome
}

/// Accepts until the soft stop, then lets every connection finish what it has in hand, until the hard stop.
async fn serve(
    worker: &Arc<Worker>,
    listener: StdListener,
    connections: &Group,
    stop: &Stop,
) -> Result<(), std::io::Error> {
    listen::accept(worker, tokio::net::TcpListener::from_std(listener)?, connections, stop).await;
    worker.drain_all();
    tokio::select! {
        _ = connections.finish(Duration::MAX, Duration::ZERO) => {}
        () = stop.hard() => {}
    }
    Ok(())
}

/// Moves the coarse clock on, sweeps, flushes the access log. Never ends: the worker drops it.
async fn tick(worker: &Worker) {
    let mut ticks = tokio::time::interval(TICK);
    let mut count = 0_u32;
    loop {
        ticks.tick().await;
        worker.coarse.set(worker.shared.began.elapsed().as_millis() as u32);
        count = count.wrapping_add(1);
        if count.is_multiple_of(TICKS_PER_SWEEP) {
            worker.sweep();
        }
        own(&worker.access).flush_due(worker.shared.clock.now());
    }
}
