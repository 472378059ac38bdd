//! What the way to a server costs: the same read through the store's routing (a primary and two replicas, its own pool) and through sqlx's pool on one of those replicas.
//!
//! sqlx's pool is asked without its ping before each statement. The ping with which it takes a connection back cannot be
//! turned off: it is a second round trip, and most of the difference. Neither side logs statements. One caller, so that
//! both wait for a server in the same way; windows of 50 ms follow each other.

use std::time::{Duration, Instant};

use mainstay_base::{Clock, Timestamp};
use mainstay_store::{Database, Ts, rollup};
use mainstay_testkit::bench::{Ask, median};
use rustix::time::{ClockId, clock_gettime};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use crate::house::{self, House};

const SITE: &str = "default";
/// The statement of [`rollup::watermark`].
const TEXT: &str = "SELECT hour FROM mainstay.rollup_watermark WHERE site = $1";
const WINDOW: Duration = Duration::from_millis(50);
const REPLICATED: Duration = Duration::from_secs(20);

/// Processor time and reads.
#[derive(Clone, Copy, Default)]
struct Spent {
    cpu: Duration,
    reads: u64,
}

impl Spent {
    fn add(&mut self, window: Self) {
        self.cpu += window.cpu;
        self.reads += window.reads;
    }

    fn each_us(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.reads as f64
    }
}

pub(crate) fn measure(ask: &Ask) -> (f64, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(compare(ask))
}

async fn compare(ask: &Ask) -> (f64, String) {
    let servers = house::server().replicas(2).start();
    let name = servers.create_database();
    servers.wait_replicated(REPLICATED);
    let replicas: Vec<_> = servers.replicas().iter().map(|node| node.url(&name)).collect();
    let options: PgConnectOptions = replicas[0].parse().expect("an address");
    let database =
        Database { primary: Some(servers.primary().url(&name)), replicas, ..Database::default() };
    let house = House::open(&ask.dir, Some(&database)).await;
    let db = house.store.insight();
    let hour = Clock::System.now().floor_to(Duration::from_secs(3_600));
    rollup::advance_watermark(db, SITE, hour).await.expect("a row to be read");
    servers.wait_replicated(REPLICATED);
    let peer = PgPoolOptions::new().max_connections(5).test_before_acquire(false);
    let peer = peer.connect_with(options.disable_statement_logging()).await.expect("a pool");

    let ours = async || rollup::watermark(db, SITE).await.expect("an answer");
    let theirs = async || read(&peer).await;
    assert_eq!((ours().await, theirs().await), (Some(hour), Some(hour)));
    let elsewhere = || ["single", "latest", "token", "no_replica"].map(|who| answered(&house, who));
    let before = elsewhere();
    let (mut ratios, mut all) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..ask.rounds {
        let mut spent = [Spent::default(); 2];
        let windows = Duration::from_secs(ask.seconds.into()).as_millis() / WINDOW.as_millis();
        for number in 0..windows {
            // Who is first changes, so that what one leaves behind meets both.
            for side in if number % 2 == 0 { [0, 1] } else { [1, 0] } {
                let window = if side == 0 { spend(&ours).await } else { spend(&theirs).await };
                spent[side].add(window);
            }
        }
        let [own, theirs] = spent.map(Spent::each_us);
        ratios.push(own / theirs);
        all[0].push(own);
        all[1].push(theirs);
    }
    assert_eq!(elsewhere(), before, "reads that no replica answered");
    let reads = answered(&house, "replica");
    house.close().await;
    let [own, theirs] = all.map(median);
    let detail =
        format!("{own:.2} µs over {reads:.0} reads of 2 replicas, sqlx's pool {theirs:.2} µs");
    (median(ratios), detail)
}

async fn read(pool: &PgPool) -> Option<Timestamp> {
    let hour: Option<Ts> =
        sqlx::query_scalar(TEXT).bind(SITE).fetch_optional(pool).await.expect("an answer");
    hour.map(Timestamp::from)
}

async fn spend(read: impl AsyncFn() -> Option<Timestamp>) -> Spent {
    let (begun, before) = (Instant::now(), cpu());
    let mut reads = 0;
    while begun.elapsed() < WINDOW {
        read().await;
        reads += 1;
    }
    Spent { cpu: cpu().saturating_sub(before), reads }
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Reads that the product says this kind of server answered.
fn answered(house: &House, who: &str) -> f64 {
    let text = house.registry.encode_text();
    let name = format!("mainstay_database_reads_total{{answered_by=\"{who}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
    value.expect("a metric")
}
