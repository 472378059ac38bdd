//! One worker thread: a single-threaded runtime that accepts, answers, and sweeps its own connections. Nothing hops between threads.

use std::net::TcpListener as StdListener;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use arc_swap::ArcSwap;
use http::Method;
use mainstay_base::agent::AgentClass;
use mainstay_base::task::{Group, Stop};
use mainstay_base::units::Span;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_guard::csp::upstream::Nonce;
use mainstay_insight::agent::AgentCache;
use mainstay_telemetry::access::{Buffer, Line};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_upstream::{Connections, Trust};
use rand::rngs::{SmallRng, StdRng};
use rand::{Rng, SeedableRng};
use tokio::net::TcpListener;

use crate::activity::{Activity, Coarse, Verdict};
use crate::addresses::Addresses;
use crate::app::App;
use crate::listen::Listeners;
use crate::phases::ToHttps;
use crate::serve::Ours;
use crate::sites::Sites;
use crate::tls::Tls;
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
    pub(crate) sites: ArcSwap<Sites>,
    pub(crate) trust: Trust,
    pub(crate) ours: Ours,
    pub(crate) http: HttpMetrics,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    /// Tells this process from others.
    pub(crate) process: u64,
    pub(crate) open: AtomicUsize,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) tls: Option<Tls>,
    /// Where visitors of `tls.redirect_listen` are sent.
    pub(crate) https_port: u16,
    /// Zero of the coarse clocks.
    pub(crate) began: Instant,
}

impl Shared {
    /// Counts a request that was sent to https.
    pub(crate) fn count_redirect(&self) {
        if let Some(tls) = &self.tls {
            tls.redirected();
        }
    }

    /// Whether a request is for us and not for a site: below our prefix, or a report by another name.
    pub(crate) fn is_ours(&self, method: &Method, path: &str) -> bool {
        path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.starts_with('/'))
            || (*method == Method::POST && self.settings.report_paths.iter().any(|one| one == path))
    }
}

/// What one worker keeps for itself. The locks are never contended: they satisfy the compiler, not a neighbour.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) coarse: Arc<Coarse>,
    agents: Mutex<AgentCache>,
    access: Mutex<Buffer>,
    ids: Mutex<SmallRng>,
    nonces: Mutex<StdRng>,
    /// The second that was written last, and how.
    date: Mutex<(i64, String)>,
    connections: Mutex<Vec<Arc<Activity>>>,
    /// Connections to apps.
    apps: Mutex<Vec<Connections>>,
    group: Group,
}

impl Worker {
    /// The kind of client behind a `User-Agent` header.
    pub(crate) fn class_of(&self, user_agent: Option<&str>) -> AgentClass {
        user_agent.map_or(AgentClass::Unknown, |text| own(&self.agents).find(text).class)
    }

    /// A request id: random, unique for all practical purposes, not a secret.
    pub(crate) fn next_id(&self) -> u128 {
        let mut ids = own(&self.ids);
        u128::from(ids.next_u64()) << 64 | u128::from(ids.next_u64())
    }

    /// A nonce: from a generator that nobody can guess the state of.
    pub(crate) fn next_nonce(&self) -> Nonce {
        let mut random = [0; 18];
        own(&self.nonces).fill_bytes(&mut random);
        Nonce::of(random)
    }

    /// Appends the value of a `Date` header (RFC 9110 §6.6.1).
    pub(crate) fn write_date(&self, at: Timestamp, out: &mut Vec<u8>) {
        let (second, text) = &mut *own(&self.date);
        if text.is_empty() || *second != at.as_seconds() {
            *second = at.as_seconds();
            let since = Duration::from_secs(u64::try_from(*second).unwrap_or(0));
            *text = httpdate::fmt_http_date(UNIX_EPOCH + since);
        }
        out.extend_from_slice(text.as_bytes());
    }

    /// This worker's connections to an app.
    pub(crate) fn connections_to(&self, app: &App) -> Connections {
        let mut apps = own(&self.apps);
        if let Some(known) = apps.iter().find(|known| known.lead_to(&app.upstreams)) {
            return known.clone();
        }
        let connections = app.upstreams.connections(&self.group);
        apps.push(connections.clone());
        connections
    }

    /// Lets go of connections to apps that are no longer served.
    fn forget_retired(&self) {
        own(&self.apps).retain(|connections| !connections.are_retired());
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

    /// Connections that nobody uses let go of their buffers.
    fn park_idle(&self) {
        for connection in own(&self.connections).iter() {
            connection.park_after(self.shared.settings.park_after);
        }
    }

    fn sweep(&self, elapsed_ms: u32) {
        let mut connections = own(&self.connections);
        connections.retain(|c| !c.is_closed());
        let handshake = self
            .shared
            .tls
            .as_ref()
            .map_or(Span(Duration::MAX), |tls| tls.settings().handshake_timeout);
        for connection in connections.iter() {
            match connection.judge(&self.shared.settings, handshake, elapsed_ms) {
                Verdict::Keep => {}
                Verdict::Idle if connection.is_drained() => {}
                Verdict::Idle => {
                    self.shared.http.idle_closed();
                    connection.drain();
                }
                Verdict::Lingers => {
                    connection.cut();
                    connection.closed();
                }
                Verdict::Abandoned(count, refusal) => {
                    (0..count).for_each(|_| self.shared.http.refused(refusal));
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
    listeners: Listeners<StdListener>,
    access: Buffer,
    connections: &Group,
    stop: &Stop,
) -> Result<(), std::io::Error> {
    let seed = shared.entropy.bytes().map_err(std::io::Error::other)?;
    let nonce_seed = shared.entropy.bytes().map_err(std::io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(shared.settings.file_threads_max.max(1))
        .build()?;
    let worker = Arc::new(Worker {
        coarse: Arc::new(Coarse::default()),
        agents: Mutex::new(AgentCache::new(AGENTS_REMEMBERED)),
        access: Mutex::new(access),
        ids: Mutex::new(SmallRng::from_seed(seed)),
        nonces: Mutex::new(StdRng::from_seed(nonce_seed)),
        date: Mutex::default(),
        connections: Mutex::default(),
        apps: Mutex::default(),
        group: connections.clone(),
        shared,
    });
    let outcome = runtime.block_on(async {
        tokio::select! {
            served = serve(&worker, listeners, connections, stop) => served,
            () = tick(&worker) => Ok(()),
        }
    });
    own(&worker.access).flush();
    outcome
}

/// Accepts until the soft stop, then lets every connection finish what it has in hand, until the hard stop.
async fn serve(
    worker: &Arc<Worker>,
    listeners: Listeners<StdListener>,
    connections: &Group,
    stop: &Stop,
) -> Result<(), std::io::Error> {
    let Listeners { site, redirect } = listeners.map(TcpListener::from_std)?;
    let accept = |listener, to_https| listen::accept(worker, listener, to_https, connections, stop);
    let to_https = ToHttps::Port(worker.shared.https_port);
    match redirect {
        None => accept(site, None).await,
        Some(redirect) => {
            tokio::join!(accept(site, None), accept(redirect, Some(to_https)));
        }
    }
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
    let (mut count, mut swept_ms) = (0_u32, 0);
    loop {
        ticks.tick().await;
        let now_ms = worker.shared.began.elapsed().as_millis() as u32;
        worker.coarse.set(now_ms);
        worker.park_idle();
        count = count.wrapping_add(1);
        if count.is_multiple_of(TICKS_PER_SWEEP) {
            worker.sweep(now_ms.wrapping_sub(swept_ms));
            worker.forget_retired();
            swept_ms = now_ms;
        }
        own(&worker.access).flush_due(worker.shared.clock.now());
    }
}
