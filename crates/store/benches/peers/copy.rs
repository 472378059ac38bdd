//! Beacons of ten events into PostgreSQL, durable before anybody is answered: 512 callers through the recorder, beside a loop of COPY.
//!
//! The peer writes the same events as text into copies of their tables (the same columns, checks, indexes and daily
//! pieces), as many beacons in one transaction as the recorder takes at most, and does nothing else: it looks for no
//! repeats, keeps no visits and marks no hours. One server for both; the peer reaches it by its Unix socket, because sqlx
//! leaves Nagle's algorithm on, which over TCP holds the end of every COPY back until the server acknowledges late.
//!
//! Once more with two replicas that stream by slots of their own, so that none is lost however far it falls behind. No commit
//! waits for them; they replay what both sides write, on the same machine. Ours is told of them: it keeps what they do not
//! have yet.

use std::fmt::{Display, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use mainstay_base::{Clock, Timestamp};
use mainstay_store::{Database, Record, Settings};
use mainstay_testkit::bench::Ask;
use mainstay_testkit::{Postgres, until};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::events::{EVENTS_PER_BEACON, Events};
use crate::house::{self, House, Rounds, rounds};

const CALLERS: usize = 512;
const DAY: Duration = Duration::from_secs(86_400);
/// Time in which replicas have what was written by the end.
const REPLICATED: Duration = Duration::from_secs(120);

/// Tables, the column of their time, and the columns that are written.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "page_views",
        "recorded_at",
        "id, site, recorded_at, page_id, session_id, visitor_id, path, referrer_host, referrer_path, source, device_type,
         browser, os, country_code, width",
    ),
    (
        "performance_metrics",
        "timestamp",
        "id, site, timestamp, page_id, session_id, metric_type, metric_name, value, page_ms, rating, navigation, url,
         device_type, bot",
    ),
    (
        "engagement",
        "recorded_at",
        "id, site, page_id, recorded_at, session_id, path, engaged_ms, scroll_percent, bot",
    ),
    (
        "custom_events",
        "recorded_at",
        "id, site, recorded_at, page_id, session_id, visitor_id, name, path, bot",
    ),
];

/// A primary alone.
pub(crate) fn measure(ask: &Ask) -> (f64, String) {
    block_on(compare(ask, 0))
}

/// A primary that two replicas follow.
pub(crate) fn measure_beside_replicas(ask: &Ask) -> (f64, String) {
    block_on(compare(ask, 2))
}

fn block_on(comparison: impl Future<Output = (f64, String)>) -> (f64, String) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(comparison)
}

async fn compare(ask: &Ask, replicas: usize) -> (f64, String) {
    let sockets = tempfile::tempdir_in(&ask.dir).expect("a folder");
    // The server runs as somebody else.
    let anybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(sockets.path(), anybody).expect("permissions");
    let folder = sockets.path().display().to_string();
    let launch = house::server().setting("unix_socket_directories", &folder);
    // Each has a socket of its own there, named after its port.
    let server = launch.replicas(replicas).start();
    give_slots(&server);
    let name = server.create_database();
    server.wait_replicated(REPLICATED);
    let url = server.primary().url(&name);
    let beside: PgConnectOptions = url.parse().expect("an address");
    let beside = beside.socket(sockets.path()).disable_statement_logging();
    let replicas = server.replicas().iter().map(|node| node.url(&name)).collect();
    let database = Database { primary: Some(url), replicas, ..Database::default() };
    let house = House::open(&ask.dir, Some(&database)).await;
    let now = Clock::System.now();
    let mut peer = beside.connect().await.expect("a connection");
    copy_tables(&mut peer, now).await;

    let (own_events, their_events) = (Events::new(1, now), Events::new(2, now));
    let together = Settings::default().commit_batches_max as usize;
    let measured = rounds(
        ask,
        async |time| write(&mut peer, time, (together, &their_events)).await,
        async |time| house.load(CALLERS, time, |n| own_events.beacon(n)).await,
    );
    let Rounds { ratio, rates, done: [recorded, written] } = measured.await;
    let behind = behind(&server);
    // Replicas that lost their primary's log would make the rest of a run cheaper.
    server.wait_replicated(REPLICATED);
    for node in std::iter::once(server.primary()).chain(server.replicas()) {
        for (schema, beacons) in [("mainstay", recorded), ("raw", written)] {
            let counts =
                TABLES.map(|(table, ..)| format!("(SELECT count(*) FROM {schema}.{table})"));
            let count = node.query(&name, &format!("SELECT {}", counts.join(" + ")));
            assert_eq!(count, (beacons * EVENTS_PER_BEACON).to_string(), "{schema}");
        }
    }
    peer.close().await.expect("closed");
    house.close().await;
    let [own, theirs] = rates.map(|rate| rate * EVENTS_PER_BEACON as f64);
    (ratio, format!("{own:.0} events/s, COPY {theirs:.0}/s{behind}"))
}

/// The primary keeps what a replica has not received.
fn give_slots(server: &Postgres) {
    for (number, replica) in server.replicas().iter().enumerate() {
        let slot = format!("replica_{number}");
        let make = format!("SELECT pg_create_physical_replication_slot('{slot}', true)");
        let _ = server.primary().query("postgres", &make);
        replica.alter("primary_slot_name", &slot);
    }
    let wanted = server.replicas().len().to_string();
    let active = "SELECT count(*) FROM pg_replication_slots WHERE active";
    until("slots in use", REPLICATED, || server.primary().query("postgres", active) == wanted);
}

/// How far the replicas are behind, in words; nothing without any.
fn behind(server: &Postgres) -> String {
    let behind =
        "SELECT round(max(pg_current_wal_lsn() - replay_lsn) / 1048576.0) FROM pg_stat_replication";
    match server.replicas().len() {
        0 => String::new(),
        count => {
            let mebibytes = server.primary().query("postgres", behind);
            format!("; {count} replicas, at the end up to {mebibytes} MiB behind")
        }
    }
}

/// Tables like ours in another schema.
async fn copy_tables(peer: &mut PgConnection, now: Timestamp) {
    let from = now.floor_to(DAY);
    let (from, to) = (from.to_rfc3339(), from.plus(2 * DAY).to_rfc3339());
    let mut text = String::from("CREATE SCHEMA raw;");
    for (table, at, _) in TABLES {
        let _infallible = write!(
            text,
            "CREATE TABLE raw.{table} (LIKE mainstay.{table} INCLUDING ALL) PARTITION BY RANGE ({at});
             CREATE TABLE raw.{table}_day PARTITION OF raw.{table} FOR VALUES FROM ('{from}') TO ('{to}');
             CREATE TABLE raw.{table}_default PARTITION OF raw.{table} DEFAULT;"
        );
    }
    sqlx::raw_sql(AssertSqlSafe(text)).execute(peer).await.expect("tables");
}

/// Transactions one after the other; beacons, and how many a second.
async fn write(
    peer: &mut PgConnection,
    time: Duration,
    (together, events): (usize, &Events),
) -> (u64, f64) {
    let copies =
        TABLES.map(|(table, _, columns)| format!("COPY raw.{table} ({columns}) FROM STDIN"));
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let beacons: Vec<_> = (0..together).map(|visitor| events.beacon(visitor)).collect();
        let mut texts = TABLES.map(|_| String::new());
        for record in beacons.iter().flat_map(|beacon| &beacon.records) {
            add_line(&mut texts, record);
        }
        sqlx::raw_sql("BEGIN").execute(&mut *peer).await.expect("begun");
        for (copy, text) in copies.iter().zip(texts) {
            let mut into = peer.copy_in_raw(copy).await.expect("a copy");
            into.send(text.into_bytes()).await.expect("sent");
            into.finish().await.expect("copied");
        }
        sqlx::raw_sql("COMMIT").execute(&mut *peer).await.expect("committed");
        count += together as u64;
    }
    (count, count as f64 / begun.elapsed().as_secs_f64())
}

fn add_line([views, vitals, engaged, customs]: &mut [String; 4], record: &Record) {
    let maybe = |value: Option<&str>| value.unwrap_or("\\N").to_owned();
    let id = |value: Option<uuid::Uuid>| value.map_or_else(|| "\\N".into(), |id| id.to_string());
    match record {
        Record::PageView(row) => line(
            views,
            &[
                &row.id,
                &row.site,
                &row.recorded_at.to_rfc3339(),
                &row.page_id,
                &id(row.session_id),
                &id(row.visitor_id),
                &row.path,
                &maybe(row.referrer_host.as_deref()),
                &maybe(row.referrer_path.as_deref()),
                &maybe(row.source.as_deref()),
                &row.device.as_str(),
                &maybe(row.browser.as_deref()),
                &maybe(row.os.as_deref()),
                &maybe(row.country.as_deref()),
                &row.width.unwrap_or(0),
            ],
        ),
        Record::Vital(row) => line(
            vitals,
            &[
                &row.id,
                &row.site,
                &row.timestamp.to_rfc3339(),
                &row.page_id,
                &id(row.session_id),
                &row.metric_type,
                &row.metric_name,
                &row.value,
                &row.page_ms,
                &row.rating,
                &row.navigation,
                &row.url,
                &row.device.as_str(),
                &row.bot,
            ],
        ),
        Record::Engagement(row) => line(
            engaged,
            &[
                &row.id,
                &row.site,
                &row.page_id,
                &row.recorded_at.to_rfc3339(),
                &id(row.session_id),
                &row.path,
                &row.engaged_ms,
                &row.scroll_percent,
                &row.bot,
            ],
        ),
        Record::Custom(row) => line(
            customs,
            &[
                &row.id,
                &row.site,
                &row.recorded_at.to_rfc3339(),
                &row.page_id,
                &id(row.session_id),
                &id(row.visitor_id),
                &row.name,
                &row.path,
                &row.bot,
            ],
        ),
        Record::Error(_) | Record::Report(_) => {}
    }
}

/// A line of the text format; nothing that is written needs to be escaped.
fn line(out: &mut String, values: &[&dyn Display]) {
    for (at, value) in values.iter().enumerate() {
        let before = if at == 0 { "" } else { "\t" };
        let _infallible = write!(out, "{before}{value}");
    }
    out.push('\n');
}
