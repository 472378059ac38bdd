//! What the way to a server costs: the same read through the store's routing (a primary and two replicas, its own pool) and through the plainest pool there is, over the same replicas.
//!
//! That pool is a list of connections, one to each replica: the first is taken, asked, and put back last. So both wake two
//! processes in turn; one that is always the same may answer sooner than who asks it has gone to sleep. sqlx's own pool is
//! asked as well, for a word beside the figure: it pings a connection that it takes back, which cannot be turned off and is
//! a second round trip. Nobody logs statements. One caller, so that all wait for a server in the same way; windows of 50 ms
//! follow each other, and who is first changes. What our probes and our upkeep do now and then falls into anybody's window.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mainstay_base::{Clock, Timestamp};
use mainstay_store::{Database, Ts, rollup};
use mainstay_testkit::bench::{Ask, median};
use rustix::time::{ClockId, clock_gettime};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};

use crate::house::{self, House};

const SITE: &str = "default";
/// The statement of [`rollup::watermark`].
const TEXT: &str = "SELECT hour FROM mainstay.rollup_watermark WHERE site = $1";
/// Of sqlx's pool.
const CONNECTIONS: u32 = 5;
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
    let options = replicas.iter().map(|url| {
        let options: PgConnectOptions = url.parse().expect("an address");
        options.disable_statement_logging()
    });
    let options: Vec<_> = options.collect();
    let database =
        Database { primary: Some(servers.primary().url(&name)), replicas, ..Database::default() };
    let house = House::open(&ask.dir, Some(&database)).await;
    let db = house.store.insight();
    let hour = Clock::System.now().floor_to(Duration::from_secs(3_600));
    rollup::advance_watermark(db, SITE, hour).await.expect("a row to be read");
    servers.wait_replicated(REPLICATED);
    let plain = Plain::open(&options).await;
    let pinging = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    let pinging = pinging.connect_with(options[0].clone()).await.expect("a pool");

    let ours = async || rollup::watermark(db, SITE).await.expect("an answer");
    let theirs = async || plain.read().await;
    let sqlx = async || read(&pinging).await;
    // All three are warm when it counts.
    let _warm = [spend(&ours).await, spend(&theirs).await, spend(&sqlx).await];
    assert_eq!([ours().await, theirs().await, sqlx().await], [Some(hour); 3]);
    // The upkeep asks the primary for what is newest; nobody else does.
    let elsewhere = || ["single", "token", "no_replica"].map(|who| answered(&house, who));
    let before = elsewhere();
    let (mut ratios, mut all) = (Vec::new(), [const { Vec::new() }; 3]);
    for _ in 0..ask.rounds {
        let mut spent = [Spent::default(); 3];
        let windows = Duration::from_secs(ask.seconds.into()).as_millis() / WINDOW.as_millis();
        for number in 0..windows {
            // What one leaves behind meets all of them.
            let mut order = [0, 1, 2];
            order.rotate_left((number % 3) as usize);
            if number % 2 == 1 {
                order.reverse();
            }
            for side in order {
                spent[side].add(match side {
                    0 => spend(&ours).await,
                    1 => spend(&theirs).await,
                    _ => spend(&sqlx).await,
                });
            }
        }
        let each = spent.map(Spent::each_us);
        ratios.push(each[0] / each[1]);
        all.iter_mut().zip(each).for_each(|(all, each)| all.push(each));
    }
    assert_eq!(elsewhere(), before, "reads that no replica answered");
    let reads = answered(&house, "replica");
    house.close().await;
    let [own, plain, sqlx] = all.map(median);
    let detail = format!(
        "{own:.2} µs over {reads:.0} reads of 2 replicas, a plain pool {plain:.2} µs, sqlx's with its ping {sqlx:.2} µs"
    );
    (median(ratios), detail)
}

/// Connections that are taken and put back.
struct Plain(Mutex<VecDeque<PgConnection>>);

impl Plain {
    async fn open(servers: &[PgConnectOptions]) -> Self {
        let connections = servers.iter().map(PgConnectOptions::connect);
        let connections = futures_util::future::try_join_all(connections).await;
        Self(Mutex::new(connections.expect("connections").into()))
    }

    async fn read(&self) -> Option<Timestamp> {
        let mut conn = self.0.lock().expect("nobody panics").pop_front().expect("one that rests");
        let hour: Result<Option<Ts>, _> =
            sqlx::query_scalar(TEXT).bind(SITE).fetch_optional(&mut conn).await;
        self.0.lock().expect("nobody panics").push_back(conn);
        hour.expect("an answer").map(Timestamp::from)
    }
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
