//! A process on servers of a test's own, and those who ask it all the time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mainstay_base::task::Group;
use mainstay_base::units::Span as Time;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::settings::Metrics;
use mainstay_testkit::Postgres;
use tempfile::TempDir;

use crate::contract::{NOON, Sample};
use crate::postgres::node::Node;
use crate::postgres::{Db, Role};
use crate::{
    Batch, Bots, Database, Engine, Error, Place, Record, Recorder, Settings, Span, Store, page_view,
};

/// Far more than anything takes.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// One process: a store, its recorder, its tasks.
pub(super) struct House {
    pub(super) store: Store,
    pub(super) recorder: Recorder,
    pub(super) registry: Registry,
    pub(super) group: Group,
    pub(super) dir: Arc<TempDir>,
    pub(super) clock: Clock,
}

/// Addresses of a database on all its servers.
pub(super) fn database(servers: &Postgres, name: &str) -> Database {
    Database {
        primary: Some(servers.primary().url(name)),
        replicas: servers.replicas().iter().map(|replica| replica.url(name)).collect(),
        pool_min: 0,
        pool_max: 16,
        ..Database::default()
    }
}

/// The same behind other ports, in the order primary, replicas.
pub(super) fn behind(ports: &[SocketAddr], name: &str) -> Database {
    let mut urls = ports.iter().map(|port| Postgres::url_at(*port, name));
    Database {
        primary: urls.next(),
        replicas: urls.collect(),
        pool_min: 0,
        pool_max: 16,
        ..Database::default()
    }
}

pub(super) fn settings() -> Settings {
    Settings { reopen_every: Time(Duration::from_millis(50)), ..Settings::default() }
}

impl House {
    pub(super) async fn open(database: &Database) -> Self {
        let house = Self::open_on(Arc::new(tempfile::tempdir().unwrap()), database).await;
        assert!(house.store.is_open(), "{:?}", house.store.list_away());
        house
    }

    /// A process on a primary and replicas that have all of it and are asked; with the name of its database.
    pub(super) async fn with_replicas(replicas: usize) -> (Postgres, String, Self) {
        let servers = Postgres::launch().replicas(replicas).start();
        let name = servers.create_database();
        let house = Self::open(&database(&servers, &name)).await;
        servers.wait_replicated(LONG);
        for place in 1..=replicas {
            house.is_fit(place).await;
        }
        (servers, name, house)
    }

    pub(super) async fn open_on(dir: Arc<TempDir>, database: &Database) -> Self {
        Self::open_with(dir, database, &settings()).await
    }

    pub(super) async fn open_with(
        dir: Arc<TempDir>,
        database: &Database,
        settings: &Settings,
    ) -> Self {
        let clock = Clock::fixed(NOON);
        let place = Place {
            settings,
            database: Some(database),
            data_dir: dir.path(),
            clock: clock.clone(),
            entropy: Entropy::System,
        };
        let store = Store::open_or_away(place).await.unwrap();
        let registry = Registry::new(&Metrics::default(), clock.clone());
        let group = Group::new();
        store.register(&registry);
        store.start_reopening(&group);
        let recorder = store.start_recorder(settings, &group, &registry);
        Self { store, recorder, registry, group, dir, clock }
    }

    pub(super) fn db(&self) -> &Db {
        let Engine::Postgres(db) = self.store.insight() else { panic!("not PostgreSQL") };
        db
    }

    /// The server at this place in the settings.
    pub(super) fn node(&self, place: usize) -> &Arc<Node> {
        &self.db().cluster.nodes[place]
    }

    /// How many reads were answered by whom.
    pub(super) fn answered(&self, by: &str) -> u64 {
        let series = format!("mainstay_database_reads_total{{answered_by=\"{by}\"}} ");
        let text = self.registry.encode_text();
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap_or_else(|| panic!("{series}")).parse::<f64>().unwrap() as u64
    }

    /// The value of a series without labels.
    pub(super) fn metric(&self, name: &str) -> u64 {
        let text = self.registry.encode_text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("{name}")).parse::<f64>().unwrap() as u64
    }

    pub(super) async fn is_fit(&self, place: usize) {
        until("a replica that is asked", LONG, || self.node(place).is_fit()).await;
    }

    pub(super) async fn primary_is(&self, place: usize) {
        let is = || {
            let cluster = &self.db().cluster;
            cluster.primary().is_some_and(|node| Arc::ptr_eq(node, self.node(place)))
        };
        until("the primary is known", LONG, is).await;
    }

    /// What a process does first is over: nobody but the test takes connections for the next seconds.
    pub(super) async fn is_upkept(&self) {
        let rounds = &self.db().cluster.upkept;
        until("the first round of upkeep", LONG, || rounds.load(Ordering::Relaxed) > 0).await;
    }

    pub(super) fn role(&self, place: usize) -> Role {
        self.node(place).state().role
    }

    /// Records one page view with its visit; true when it was acknowledged.
    pub(super) async fn record(&self, n: u32) -> bool {
        self.recorder.record(view(n)).await.is_ok()
    }

    /// A round of confirmation that begins after this was heard by the recorder. One may have been on its way to it, and
    /// another one under way: the third is new. Over at once when nothing is left to be confirmed.
    pub(super) async fn confirmed_again(&self) {
        let cluster = &self.db().cluster;
        let from = cluster.rounds.load(Ordering::Relaxed);
        until("rounds of confirmation", LONG, || {
            cluster.rounds.load(Ordering::Relaxed) >= from + 3 || self.unconfirmed() == 0
        })
        .await;
    }

    /// Bytes of events that only the primary is known to have.
    pub(super) fn unconfirmed(&self) -> u64 {
        let files = std::fs::read_dir(self.path().join("spool").join("unconfirmed"));
        let files = files.into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|of| of.len()).sum()
    }

    pub(super) async fn count(&self) -> i64 {
        count(&self.store.insight().latest()).await.unwrap()
    }

    /// Ends it in order.
    pub(super) async fn finish(self) {
        assert_eq!(self.group.finish(LONG, LONG).await, 0);
        assert_eq!(self.group.crashes(), []);
        self.store.close().await.unwrap();
    }

    /// Ends it as a process is killed: nothing is finished.
    pub(super) async fn kill(self) -> Arc<TempDir> {
        self.group.finish(Duration::ZERO, Duration::ZERO).await;
        self.dir
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

pub(super) fn view(n: u32) -> Batch {
    // All within one day, each with an id of its own.
    let view = page_view::Row { id: Sample(n).event_id(), ..Sample(n % 600).view() };
    Batch { records: vec![Record::PageView(view)], visit: Some(Sample(n % 600).touch(n % 7)) }
}

pub(super) fn always() -> Span<'static> {
    Span {
        site: "default",
        from: Timestamp::EPOCH,
        to: Timestamp::from_seconds(4_000_000_000),
        bots: Bots::Include,
    }
}

pub(super) async fn count(engine: &Engine) -> Result<i64, Error> {
    page_view::total(engine, &always()).await.map(|totals| totals.pageviews)
}

/// Looks until it is so.
pub(super) async fn until(what: &str, within: Duration, mut look: impl FnMut() -> bool) {
    let began = Instant::now();
    while !look() {
        assert!(began.elapsed() < within, "{what}: not within {within:?}");
        // The pause between two looks: what is awaited is another process's, which tells nobody.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Readers or writers that never rest.
pub(super) struct Load {
    group: Group,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
    slowest: Arc<Mutex<Duration>>,
}

impl Load {
    /// `tasks` that do it again and again, each told how often it was done before.
    pub(super) fn of<F>(
        tasks: usize,
        work: impl Fn(u64) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), String>> + Send,
    {
        let load = Self {
            group: Group::new(),
            stop: Arc::default(),
            done: Arc::default(),
            failed: Arc::default(),
            slowest: Arc::default(),
        };
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..tasks {
            let (work, next, stop) = (work.clone(), Arc::clone(&next), Arc::clone(&load.stop));
            let (done, failed) = (Arc::clone(&load.done), Arc::clone(&load.failed));
            let slowest = Arc::clone(&load.slowest);
            load.group.spawn_child("load", async move {
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let outcome = work(next.fetch_add(1, Ordering::Relaxed)).await;
                    let took = began.elapsed();
                    let slower = |worst: &mut Duration| *worst = took.max(*worst);
                    slower(&mut slowest.lock().unwrap());
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Err(error) = outcome {
                        failed.lock().unwrap().push(error);
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        load
    }

    /// Readers of a store.
    pub(super) fn reads(engine: &Engine, tasks: usize) -> Self {
        let engine = engine.clone();
        Self::of(tasks, move |_| {
            let engine = engine.clone();
            async move { count(&engine).await.map(drop).map_err(|error| words(&error)) }
        })
    }

    /// Waits until it was done so often again.
    pub(super) async fn goes_on(&self, times: u64) {
        let from = self.done.load(Ordering::Relaxed);
        until("the load goes on", LONG, || self.done.load(Ordering::Relaxed) >= from + times).await;
    }

    /// How often it was done, what failed, and how long the slowest took.
    pub(super) async fn finish(self) -> (u64, Vec<String>, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        assert_eq!(self.group.finish(LONG, LONG).await, 0);
        assert_eq!(self.group.child_panics(), 0);
        let failed = self.failed.lock().unwrap().clone();
        (self.done.load(Ordering::Relaxed), failed, *self.slowest.lock().unwrap())
    }
}

/// An error with all its causes.
pub(super) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        next = cause.source();
    }
    words
}
