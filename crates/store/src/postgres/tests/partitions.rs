//! Days: made ahead, moved out of the default partition when they were not, dropped whole.

use std::time::Duration;

use mainstay_testkit::Postgres;

use super::house::database;
use super::*;
use crate::contract::{NOON, Sample};
use crate::postgres::partition::{list_pieces, make_ahead};
use crate::retain::{self, Table};
use crate::{Batch, Record, page_view};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_missing_day_are_kept_told_and_moved() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let primary = servers.primary();
    // A round's last work is to forget old keys: when this one is gone, no round is under way.
    let _ = primary.query(
        &name,
        "INSERT INTO mainstay.event_keys (key, at) VALUES (gen_random_uuid(), '2020-01-01')",
    );
    house.clock.advance(Duration::from_secs(601));
    let old = "SELECT count(*) FROM mainstay.event_keys WHERE at < '2021-01-01'";
    until("a round is over", LONG, || primary.query(&name, old) == "0").await;
    // Maintenance stood still for a month.
    let later = NOON.plus(DAY * 30);
    for n in 0..3 {
        let view = page_view::Row { recorded_at: later.plus(DAY * n), ..Sample(n).view() };
        let batch = Batch { records: vec![Record::PageView(view)], visit: None };
        house.recorder.record(batch).await.unwrap();
    }
    let stray = || primary.query(&name, "SELECT count(*) FROM mainstay.page_views_default");
    assert_eq!(stray(), "3");
    house.clock.advance(DAY * 30);
    until("the next round tells", LONG, || house.store.strays() == 3).await;
    assert!(house.registry.encode_text().contains("mainstay_database_default_partition_rows 3"));
    until("and moves them", LONG, || stray() == "0").await;
    assert_eq!(house.count().await, 3);
    let day = primary.query(&name, "SELECT count(*) FROM mainstay.page_views_p20261222");
    assert_eq!(day, "1");
    house.clock.advance(Duration::from_secs(601));
    until("and then there are none", LONG, || house.store.strays() == 0).await;
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_drops_days_and_leaves_the_rest_alone() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let primary = servers.primary();
    make_ahead(house.store.core(), NOON.minus(DAY * 20), 20).await.unwrap();
    for n in 0..20 {
        let view = page_view::Row { recorded_at: NOON.minus(DAY * n), ..Sample(n).view() };
        let batch = Batch { records: vec![Record::PageView(view)], visit: None };
        house.recorder.record(batch).await.unwrap();
    }
    let pieces = |table: &str| {
        let text = format!(
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'mainstay.{table}'::regclass"
        );
        primary.query(&name, &text).parse::<u32>().unwrap()
    };
    let before = pieces("page_views");
    let load = Load::reads(house.store.insight(), 2);
    let kept_from = NOON.minus(DAY * 10);
    let drop_some = async || {
        retain::delete_before(house.store.insight(), Table::PageViews, kept_from, 100).await
    };
    while drop_some().await.unwrap() > 0 {}
    assert_eq!(house.count().await, 11);
    assert!(before - pieces("page_views") >= 9, "{before} before, {} after", pieces("page_views"));
    let (_, failed, _) = load.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    assert!(list_pieces().count() >= 5);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_made_although_strays_cannot_be_counted() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    let primary = servers.primary();
    // The last table's default is not found: neither counted nor emptied.
    let last = list_pieces().last().unwrap().table;
    let rename = format!("ALTER TABLE mainstay.{last}_default RENAME TO elsewhere");
    let _ = primary.query(&name, &rename);
    house.clock.advance(DAY * 30);
    let day = "SELECT to_regclass('mainstay.page_views_p20261222') IS NOT NULL";
    until("the day is made", LONG, || primary.query(&name, day) == "t").await;
    house.finish().await;
}
