//! The embedded queue alone, under BullMQ's load and in its words: adding one by one, with 50 in flight and a thousand at a
//! time, working a queue off with 5 and with 50 at a time, and from adding to the beginning at 200 a second.
//!
//! `cargo bench -p mainstay-jobs --bench queue -- [--full | --postgres] [--dir FOLDER] [--jobs N]` prints one line of JSON. Judges nothing.
#![expect(clippy::expect_used, reason = "a bench that cannot go on says why and tells nothing")]
#![expect(clippy::print_stdout, reason = "what a bench has measured")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_jobs::settings::{Durability, Settings};
use mainstay_jobs::{Add, Context, Job, Jobs, Running, Status, Work};
use mainstay_store::{Database, Place, Store};
use mainstay_testkit::Postgres;
use tempfile::TempDir;
use tokio::sync::Notify;

const QUEUE: &str = "bench";
const LAST: Duration = Duration::from_secs(20);
const RATE: u32 = 200;
const SECONDS: u32 = 5;

/// Counts, and notes how late its jobs begin.
#[derive(Debug, Default)]
struct Counter {
    done: AtomicUsize,
    wanted: AtomicUsize,
    reached: Notify,
    begun: Option<Instant>,
    late_us: Mutex<Vec<u64>>,
}

#[derive(Debug)]
struct Kind(Arc<Counter>);

impl Job for Kind {
    fn kind(&self) -> &str {
        "a"
    }

    fn queue(&self) -> &str {
        QUEUE
    }

    fn run(&self, work: Work) -> Running<'_> {
        Box::pin(async move {
            if let Some(begun) = self.0.begun
                && let Ok(due) = work.job.payload.parse::<u64>()
            {
                let late = (begun.elapsed().as_micros() as u64).saturating_sub(due);
                self.0.late_us.lock().expect("nobody panicked").push(late);
            }
            if self.0.done.fetch_add(1, Ordering::Relaxed) + 1
                == self.0.wanted.load(Ordering::Relaxed)
            {
                self.0.reached.notify_one();
            }
            Ok(None)
        })
    }
}

/// Where, and how durable.
struct Site {
    dir: PathBuf,
    durability: Durability,
    /// A server of its own, its log synced.
    server: Option<Postgres>,
}

struct House {
    jobs: Jobs,
    counter: Arc<Counter>,
    workers: Group,
    writers: Group,
    store: Store,
    _dir: TempDir,
}

impl House {
    async fn open(site: &Site, concurrency: u32) -> Self {
        let dir = tempfile::tempdir_in(&site.dir).expect("a folder");
        let of_store = mainstay_store::Settings::default();
        let database = site.server.as_ref().map(|server| {
            let primary = Some(server.primary().url(&server.create_database()));
            Database { primary, ..Database::default() }
        });
        let files = Place::files(&of_store, dir.path(), Clock::System);
        let place = Place { database: database.as_ref(), ..files };
        let store = Store::open(place).await.expect("a store");
        let counter = Arc::new(Counter { begun: Some(Instant::now()), ..Counter::default() });
        let (workers, writers) = (Group::new(), Group::new());
        let durability = site.durability;
        let settings = Settings { durability, concurrency, ..Settings::default() };
        let (clock, entropy) = (Clock::System, Entropy::System);
        let context = Context { store: store.clone(), clock, entropy };
        let kinds: Vec<Arc<dyn Job>> = vec![Arc::new(Kind(Arc::clone(&counter)))];
        let jobs = Jobs::open(context, settings, kinds, &writers);
        Self { jobs, counter, workers, writers, store, _dir: dir }
    }

    async fn fill(&self, count: usize) {
        let added = (0..count).step_by(1_000).map(|_| self.jobs.add_many(QUEUE, many()));
        for added in added {
            added.await.expect("added");
        }
    }

    async fn close(self) {
        assert_eq!(self.workers.finish(LAST, LAST).await, 0);
        assert_eq!(self.writers.finish(LAST, LAST).await, 0);
        assert_eq!((self.workers.crashes(), self.writers.crashes()), (vec![], vec![]));
        self.store.close().await.expect("closed");
    }
}

fn payload() -> Arc<str> {
    format!(r#"{{"to":"user@example.com","body":"{}"}}"#, "x".repeat(200)).into()
}

fn many() -> Vec<Add> {
    let payload = payload();
    (0..1_000).map(|_| Add::new("a", Arc::clone(&payload))).collect()
}

fn rate(count: usize, since: Instant) -> u64 {
    (count as f64 / since.elapsed().as_secs_f64()) as u64
}

async fn add(site: &Site, count: usize) -> [u64; 3] {
    let house = House::open(site, 5).await;
    let payload = payload();
    let one = || house.jobs.add(QUEUE, Add::new("a", Arc::clone(&payload)));
    let serial = (count / 10).max(500);
    let begun = Instant::now();
    for _ in 0..serial {
        one().await.expect("added");
    }
    let serially = rate(serial, begun);
    let begun = Instant::now();
    let callers = (0..50).map(async |_| {
        for _ in 0..count / 50 {
            one().await.expect("added");
        }
    });
    join_all(callers).await;
    let in_flight = rate(count, begun);
    let begun = Instant::now();
    house.fill(count).await;
    let bulk = rate(count, begun);
    house.close().await;
    [serially, in_flight, bulk]
}

async fn drain(site: &Site, (count, at_a_time): (usize, u32)) -> u64 {
    let house = House::open(site, at_a_time).await;
    house.fill(count).await;
    house.counter.wanted.store(count, Ordering::Relaxed);
    let begun = Instant::now();
    house.jobs.start(&house.workers).expect("threads");
    house.counter.reached.notified().await;
    loop {
        let counts = house.jobs.counts(QUEUE).await.expect("counts");
        if counts.of(Status::Waiting) + counts.of(Status::Active) == 0 {
            break;
        }
        // Between two looks.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let drained = rate(count, begun);
    house.close().await;
    drained
}

/// How late jobs begin that are added by a timetable: the median and the 99th of a hundred, in milliseconds.
async fn begin(site: &Site) -> [f64; 2] {
    let house = House::open(site, 50).await;
    house.jobs.start(&house.workers).expect("threads");
    house.counter.wanted.store((RATE * SECONDS) as usize, Ordering::Relaxed);
    let zero = house.counter.begun.expect("a beginning");
    let ahead = zero.elapsed() + Duration::from_millis(200);
    let adds = (0..RATE * SECONDS).map(async |n| {
        let due = ahead + Duration::from_secs(n.into()) / RATE;
        tokio::time::sleep_until((zero + due).into()).await;
        // Timers are coarse: what is late by them is late for both.
        let due = zero.elapsed().as_micros();
        house.jobs.add(QUEUE, Add::new("a", due.to_string())).await.expect("added");
    });
    join_all(adds).await;
    house.counter.reached.notified().await;
    let mut late = std::mem::take(&mut *house.counter.late_us.lock().expect("nobody panicked"));
    late.sort_unstable();
    let at = |part: usize| late[(late.len() * part / 100).min(late.len() - 1)] as f64 / 1_000.0;
    let told = [at(50), at(99)];
    house.close().await;
    told
}

fn main() {
    let said: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        said.iter().position(|word| word == name).and_then(|at| said.get(at + 1)).cloned()
    };
    let full = said.iter().any(|word| word == "--full");
    let durability = if full { Durability::Full } else { Durability::Normal };
    let dir = value("--dir").map_or_else(std::env::temp_dir, PathBuf::from);
    let postgres = said.iter().any(|word| word == "--postgres");
    let server = postgres.then(|| Postgres::launch().durable().start());
    let site = Site { dir, durability, server };
    let count = value("--jobs").and_then(|jobs| jobs.parse().ok()).unwrap_or(50_000);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let [serial, in_flight, bulk] = add(&site, count).await;
        let few = drain(&site, (count, 5)).await;
        let many = drain(&site, (count, 50)).await;
        let [p50, p99] = begin(&site).await;
        println!(
            r#"{{"jobs":{count},"full":{full},"postgres":{postgres},"add_serial_per_s":{serial},"add_50inflight_per_s":{in_flight},"add_bulk1000_per_s":{bulk},"drain_c5_per_s":{few},"drain_c50_per_s":{many},"e2e":{{"rate":{RATE},"p50_ms":{p50:.2},"p99_ms":{p99:.2}}}}}"#
        );
    });
}
