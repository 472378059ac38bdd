//! Several processes on one database: nothing counts twice, nothing is lost, and nobody waits for ever.

use std::time::Duration;

use mainstay_testkit::Postgres;

use super::house::{database, view};
use super::*;
use crate::contract::{NOON, Sample};
use crate::{Batch, Record, rollup};

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_sent_to_both_counts_once() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    let houses = [House::open(&database).await, House::open(&database).await];
    let recorders = [houses[0].recorder.clone(), houses[1].recorder.clone()];
    // Each batch to both at the same moment, in groups of many.
    let load = Load::of(16, move |n| {
        let recorders = recorders.clone();
        async move {
            let n = u32::try_from(n).unwrap();
            // The same page and visit again and again: rows of both meet.
            let mut batch = view(n);
            batch.records.push(Record::Vital(Sample(n % 5).vital(
                "LCP",
                f64::from(n),
                i64::from(n),
            )));
            batch.records.push(Record::Engagement(Sample(n % 5).engagement(i64::from(n), 50)));
            let mut mirrored = batch.clone();
            mirrored.records.reverse();
            let (one, other) =
                tokio::join!(recorders[0].record(batch), recorders[1].record(mirrored));
            one.and(other).map(drop).map_err(|error| error.to_string())
        }
    });
    load.goes_on(1_500).await;
    let (sent, failed, slowest) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    for house in &houses {
        until("nothing waits", LONG, || house.recorder.spooled() == 0).await;
    }
    assert_eq!(houses[0].count().await, i64::try_from(sent).unwrap());
    let views =
        servers.primary().query(&name, "SELECT sum(page_views) FROM mainstay.user_sessions");
    assert_eq!(views, sent.to_string());
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(servers.primary().query(&name, deadlocks), "0");
    for house in houses {
        house.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_costs_no_connection_and_after_it_each_event_is_asked_of() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let refused = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()";
    let backends = "SELECT string_agg(pid::text, ',' ORDER BY pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name <> 'psql'";
    for n in 0..10 {
        assert!(house.record(n).await);
    }
    let before = servers.primary().query(&name, backends);
    // Each twice more, among new ones.
    for n in (0..10).flat_map(|n| [n, n, 10 + n]) {
        assert!(house.record(n).await);
    }
    assert_eq!(house.count().await, 20);
    let views =
        servers.primary().query(&name, "SELECT sum(page_views) FROM mainstay.user_sessions");
    assert_eq!(views, "20");
    let after = servers.primary().query(&name, backends);
    let mut stayed = before.split(',').map(|pid| after.split(',').any(|other| other == pid));
    assert!(stayed.all(|stayed| stayed), "nobody was sent away: {before}, {after}");
    house.finish().await;
    // Of thirty groups three were written in the hope that all is new, of which one was right: of each event of the others it
    // was asked.
    until("two are told", LONG, || servers.primary().query(&name, refused) == "2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_missed_by_a_watermark_that_moves() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let database = database(&servers, &name);
    let houses = [House::open(&database).await, House::open(&database).await];
    let recorders = [houses[0].recorder.clone(), houses[1].recorder.clone()];
    let writers = Load::of(8, move |n| {
        let recorders = recorders.clone();
        async move {
            let m = u32::try_from(n).unwrap();
            let at = NOON.plus(HOUR * (m % 6));
            let view = crate::page_view::Row {
                id: Sample(m).event_id(),
                recorded_at: at,
                ..Sample(m % 60).view()
            };
            let batch = Batch { records: vec![Record::PageView(view)], visit: None };
            recorders[m as usize % 2].record(batch).await.map(drop).map_err(|e| e.to_string())
        }
    });
    // Hours are declared over while events of theirs arrive; whoever is dirty is cleared, as after counting.
    let engines = [houses[0].store.insight().clone(), houses[1].store.insight().clone()];
    let mut counted = std::collections::HashMap::new();
    for round in 0..60_u32 {
        let engine = &engines[round as usize % 2];
        rollup::advance_watermark(engine, "default", NOON.plus(HOUR * (round % 8))).await.unwrap();
        count_dirty(engine, servers.primary(), &name, &mut counted).await;
    }
    let (sent, failed, _) = writers.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    rollup::advance_watermark(&engines[0], "default", NOON.plus(HOUR * 8)).await.unwrap();
    count_dirty(&engines[1], servers.primary(), &name, &mut counted).await;
    assert_eq!(counted.values().sum::<u64>(), sent, "{counted:?}");
    for house in houses {
        house.finish().await;
    }
}

/// What the reconciler does: takes the hours, counts their rows, clears the marks that did not change meanwhile.
async fn count_dirty(
    engine: &crate::Engine,
    node: &mainstay_testkit::PostgresNode,
    name: &str,
    counted: &mut std::collections::HashMap<i64, u64>,
) {
    let latest = engine.latest();
    for hour in rollup::list_dirty(&latest, None, 100).await.unwrap() {
        let from = hour.hour.to_rfc3339();
        let text = format!(
            "SELECT count(*) FROM mainstay.page_views WHERE recorded_at >= '{from}'
             AND recorded_at < '{from}'::timestamptz + INTERVAL '1 hour'"
        );
        let rows = node.query(name, &text).parse().unwrap();
        counted.insert(hour.hour.as_seconds(), rows);
        let _later = rollup::clear_dirty(engine, &hour).await.unwrap();
    }
}
