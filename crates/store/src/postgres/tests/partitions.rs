//! Days: made ahead, moved out of the default partition when they were not, dropped whole.

use std::time::Duration;

use mainstay_base::units::Span as Time;
use mainstay_testkit::{Postgres, PostgresNode};

use super::house::database;
use super::*;
use crate::contract::{Fixture, NOON, Sample};
use crate::postgres::partition::split::{self, Step};
use crate::postgres::partition::{Pieces, list_pieces, make_ahead};
use crate::retain::{self, Table};
use crate::{Batch, Database, Engine, Record, Settings, page_view};

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

/// Forgotten too early, an event that is sent again counts twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_fast_forgets_no_key_that_is_young() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = House::open(&database(&servers, &name)).await;
    house.is_upkept().await;
    let primary = servers.primary();
    let _ = primary.query(
        &name,
        "INSERT INTO mainstay.event_keys (key, at)
         SELECT gen_random_uuid(), now() - n * INTERVAL '1 hour' FROM unnest(ARRAY[0, 47, 49]) AS n",
    );
    house.clock.advance(DAY * 36_500);
    let keys = "SELECT count(*) FILTER (WHERE at < now() - INTERVAL '48 hours'), count(*) FROM mainstay.event_keys";
    until("the old one is forgotten", LONG, || primary.query(&name, keys).starts_with("0|")).await;
    assert_eq!(primary.query(&name, keys), "0|2");
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

pub(super) const VIEWS: Pieces = Pieces { table: "page_views", at: "recorded_at" };

/// Rows of three days from a month on, in no partition of theirs.
pub(super) fn stray(primary: &PostgresNode, name: &str, rows: u32) {
    let text = format!(
        "INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
         SELECT 'stray-' || to_char(n, 'FM00000000000'), 'default',
            '2026-12-22T12:00:00Z'::timestamptz + (n % 3) * INTERVAL '1 day', 'page', '/', 'desktop'
         FROM generate_series(1, {rows}) AS n"
    );
    let _ = primary.query(name, &text);
}

/// What is in the table, however it lies there.
pub(super) fn digest(primary: &PostgresNode, name: &str) -> String {
    let text = "SELECT count(*), sum(hashtextextended(v::text, 0)) FROM mainstay.page_views v";
    primary.query(name, text)
}

pub(super) fn in_default(primary: &PostgresNode, name: &str) -> u32 {
    primary.query(name, "SELECT count(*) FROM mainstay.page_views_default").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_default_keeps_nobody_out_while_it_is_split() {
    const STRAYS: u32 = 300_000;
    let servers = Postgres::start();
    let name = servers.create_database();
    let primary = servers.primary();
    // Less than the whole takes by far; who counts everything has more.
    let patient = database(&servers, &name);
    let database =
        Database { statement_timeout: Time(Duration::from_millis(500)), ..patient.clone() };
    Fixture::open(&Settings::default(), &database).await.finish().await;
    stray(primary, &name, STRAYS);
    let opened = Fixture::open(&Settings::default(), &database).await;
    assert_eq!(in_default(primary, &name), STRAYS, "opening moves nothing");
    opened.finish().await;
    let house = House::open(&database).await;
    house.clock.advance(DAY * 30);
    let (recorder, began) = (house.recorder.clone(), NOON.plus(DAY * 30));
    let writers = Load::of(8, move |n| {
        let (recorder, n) = (recorder.clone(), u32::try_from(n).unwrap());
        async move {
            // Every third one of each of the three days, and all of them in the way.
            let recorded_at = began.plus(DAY * (n % 3)).plus(Duration::from_millis(n.into()));
            let id = Sample(n).event_id();
            let view = page_view::Row { id, recorded_at, ..Sample(n % 600).view() };
            let batch = Batch { records: vec![Record::PageView(view)], visit: None };
            recorder.record(batch).await.map(drop).map_err(|error| error.to_string())
        }
    });
    let reader = Fixture::open(&Settings::default(), &patient).await;
    let engine = reader.insight().clone();
    let readers = Load::of(1, move |_| {
        let engine = engine.clone();
        async move {
            let views = house::count(&engine).await.map_err(|error| house::words(&error))?;
            (views >= i64::from(STRAYS)).then_some(()).ok_or(format!("{views} are seen"))
        }
    });
    until("the default is empty", LONG * 4, || in_default(primary, &name) == 0).await;
    writers.goes_on(100).await;
    let (sent, failed, slowest) = writers.finish().await;
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(readers.finish().await.1, Vec::<String>::new());
    reader.finish().await;
    assert_eq!(house.recorder.spooled(), 0);
    assert_eq!(house.count().await, i64::from(STRAYS) + i64::try_from(sent).unwrap());
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let of_day = "SELECT count(*) >= 100000 FROM mainstay.page_views_p20261224";
    assert_eq!(primary.query(&name, of_day), "t");
    let left =
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'page_views_default_%' AND relkind = 'r'";
    assert_eq!(primary.query(&name, left), "0");
    house.finish().await;
}

/// What changes between any two steps, in rows that were copied, that were not yet, and that are of a day without a table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_that_dies_at_every_step_loses_and_repeats_nothing() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = Fixture::open(&Settings::default(), &database(&servers, &name)).await;
    let Engine::Postgres(db) = house.insight().clone() else { panic!("not PostgreSQL") };
    let primary = servers.primary();
    stray(primary, &name, 60_000);
    let mut steps = Vec::new();
    for round in 1_u32.. {
        // Nobody else changes anything from here to the look at the end.
        let before = digest(primary, &name);
        // Given up in the middle of a step, twice in three; and one that lasts.
        for part in [2, 5] {
            let patience = Duration::from_millis(u64::from(round % 4 * part));
            drop(tokio::time::timeout(patience, split::step(&db, VIEWS)).await);
        }
        let step = split::step(&db, VIEWS).await.unwrap();
        assert_eq!(digest(primary, &name), before, "{step:?}");
        steps.push(step);
        if matches!(step, Step::Nothing | Step::Done(_)) {
            break;
        }
        let change = format!(
            "UPDATE mainstay.page_views SET path = path || '/{round}' WHERE hashtext(id) % 97 = {round} % 97;
             DELETE FROM mainstay.page_views WHERE hashtext(id) % 101 = {round} % 101;
             INSERT INTO mainstay.page_views (id, site, recorded_at, page_id, path, device_type)
             VALUES ('later-{round:011}', 'default', '2027-01-01'::timestamptz + {round} % 5 * INTERVAL '1 day', 'page', '/', 'desktop')"
        );
        if round < 30 {
            let _ = primary.query(&name, &change);
        }
        if round == 3 {
            // Rows of blocks that were not copied yet lie where others were copied from afterwards.
            let half = "DELETE FROM mainstay.page_views WHERE hashtext(id) % 2 = 0";
            let _ = primary.query(&name, half);
            let _ = primary.query(&name, "VACUUM FULL mainstay.page_views_default");
        }
    }
    assert!(steps.iter().filter(|step| **step == Step::Went).count() > 10, "{steps:?}");
    assert_eq!(in_default(primary, &name), 0);
    house.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_table_that_is_held_keeps_no_other_from_its_days() {
    let servers = Postgres::start();
    let name = servers.create_database();
    let house = Fixture::open(&Settings::default(), &database(&servers, &name)).await;
    let Engine::Postgres(db) = house.insight().clone() else { panic!("not PostgreSQL") };
    let primary = servers.primary();
    // Somebody who looks at the first table's default for long.
    let mut holder = db.begin("test.hold").await.unwrap();
    let hold = "LOCK TABLE mainstay.page_views_default IN ACCESS SHARE MODE";
    sqlx::query(hold).execute(holder.conn()).await.unwrap();
    let later = NOON.plus(DAY * 30);
    let began = std::time::Instant::now();
    let refused = make_ahead(house.insight(), later, 1).await.unwrap_err();
    assert!(house::words(&refused).contains("lock timeout"), "{refused:?}");
    assert!(began.elapsed() < LONG, "it was not waited for");
    let day = |table: &str| {
        let text = format!("SELECT to_regclass('mainstay.{table}_p20261222') IS NOT NULL");
        primary.query(&name, &text) == "t"
    };
    let is_made: Vec<_> = list_pieces().map(|pieces| (pieces.table, day(pieces.table))).collect();
    assert!(is_made.iter().all(|(table, made)| *made == (*table != "page_views")), "{is_made:?}");
    let _ = primary.query(&name, "DROP TABLE mainstay.engagement_p20261125");
    let hold = "LOCK TABLE mainstay.engagement_default IN ACCESS SHARE MODE";
    sqlx::query(hold).execute(holder.conn()).await.unwrap();
    // Whoever starts meanwhile goes without that day.
    Fixture::open(&Settings::default(), &database(&servers, &name)).await.finish().await;
    drop(holder);
    make_ahead(house.insight(), later, 1).await.unwrap();
    assert!(day("page_views"));
    house.finish().await;
}
