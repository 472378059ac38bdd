//! Events into a file, on disk before anybody is answered: 64 callers through the recorder's group commit, beside a loop of rusqlite that has 64 events at hand for each transaction.
//!
//! Both write a page view and its visit per event, on the same schema (the peer's is read from our file), with
//! `synchronous=FULL`, a page cache of 4 MiB and a log that is copied from 32 MiB on.

use std::path::Path;
use std::time::{Duration, Instant};

use mainstay_base::Clock;
use mainstay_store::{Batch, Record};
use mainstay_testkit::bench::Ask;
use rusqlite::{Connection, params};

use crate::events::Events;
use crate::house::{House, Rounds, rounds};

const CALLERS: usize = 64;

const VIEW: &str = "INSERT INTO page_views (id, site, recorded_at, page_id, session_id, visitor_id, path, referrer_host,
    referrer_path, source, campaign, device_type, browser, os, country_code, width, release, bot_reason)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
const VISIT: &str = "INSERT INTO user_sessions (session_id, site, visitor_id, started_at, last_activity, ip_address,
    user_agent, referrer, source, country_code, device_type, browser, os, page_views)
    VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 1)
    ON CONFLICT (session_id) DO UPDATE SET last_activity = max(last_activity, excluded.last_activity),
    page_views = page_views + 1";

pub(crate) fn measure(ask: &Ask) -> (f64, String) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(compare(ask))
}

async fn compare(ask: &Ask) -> (f64, String) {
    let house = House::open(&ask.dir, None).await;
    let mut peer = open_beside(house.dir.path());
    let now = Clock::System.now();
    let (own_events, their_events) = (Events::new(1, now), Events::new(2, now));
    let measured = rounds(
        ask,
        async |time| write(&mut peer, time, &their_events),
        async |time| house.load(CALLERS, time, |n| own_events.view(n)).await,
    );
    let Rounds { ratio, rates: [own, theirs], done: [recorded, written] } = measured.await;
    let beside = Connection::open(house.dir.path().join("insight.db")).expect("our file");
    assert_eq!((stored(&beside), stored(&peer)), (recorded, written));
    drop(beside);
    house.close().await;
    (ratio, format!("{own:.0} events/s, rusqlite {theirs:.0}/s"))
}

/// A file beside ours, with all that is in its schema.
fn open_beside(dir: &Path) -> Connection {
    let ours = Connection::open(dir.join("insight.db")).expect("our file");
    let mut schema = ours
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        .expect("a schema");
    let schema: Result<Vec<String>, _> =
        schema.query_map([], |row| row.get(0)).expect("rows").collect();
    let peer = Connection::open(dir.join("peer.db")).expect("a file");
    peer.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 8192;",
    )
    .expect("pragmas");
    peer.execute_batch(&schema.expect("texts").join(";\n")).expect("the same schema");
    peer
}

/// Transactions of 64 events one after the other; events, and how many a second.
fn write(peer: &mut Connection, time: Duration, events: &Events) -> (u64, f64) {
    let (begun, mut count) = (Instant::now(), 0);
    while begun.elapsed() < time {
        let batches: Vec<_> = (0..CALLERS).map(|visitor| events.view(visitor)).collect();
        let tx = peer.transaction().expect("begun");
        batches.iter().for_each(|batch| insert(&tx, batch));
        tx.commit().expect("committed");
        count += CALLERS as u64;
    }
    (count, count as f64 / begun.elapsed().as_secs_f64())
}

fn insert(tx: &Connection, batch: &Batch) {
    let (Some(Record::PageView(row)), Some(visit)) = (batch.records.first(), &batch.visit) else {
        return;
    };
    let mut view = tx.prepare_cached(VIEW).expect("prepared");
    view.execute(params![
        row.id,
        &*row.site,
        row.recorded_at.as_micros(),
        row.page_id,
        row.session_id.map(uuid::Uuid::into_bytes),
        row.visitor_id.map(uuid::Uuid::into_bytes),
        row.path,
        row.referrer_host,
        row.referrer_path,
        row.source.as_deref(),
        row.campaign,
        row.device.as_str(),
        row.browser,
        row.os,
        row.country,
        row.width,
        row.release,
        row.bot_reason,
    ])
    .expect("inserted");
    let mut touch = tx.prepare_cached(VISIT).expect("prepared");
    touch
        .execute(params![
            visit.session_id.into_bytes(),
            &*visit.site,
            visit.visitor_id.into_bytes(),
            visit.at.as_micros(),
            visit.ip_address,
            visit.user_agent,
            visit.referrer,
            visit.source.as_deref(),
            visit.country_code,
            visit.device.as_str(),
            visit.browser,
            visit.os,
        ])
        .expect("inserted");
}

fn stored(file: &Connection) -> u64 {
    let count: i64 =
        file.query_row("SELECT count(*) FROM page_views", [], |row| row.get(0)).expect("a count");
    count.unsigned_abs()
}
