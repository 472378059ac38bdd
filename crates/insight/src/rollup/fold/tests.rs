//! Tests of `rollup/fold`.

use mainstay_base::units::Span as Time;
use mainstay_store::rollup::{Counted, Dirty, HourRollup, KeyRow, TotalRow, VitalRow};
use mainstay_store::{Bots, Span};

use super::super::tests::{open_on, sql_on};
use super::super::{DAY, GRACE, reconcile};
use super::*;
use crate::Settings;
use crate::fixture::{House, midnight};
use crate::query::Windows;
use crate::vitals::{Distribution, Vital as Name};

const NO_DAYS: [u64; 0] = [];

/// A counted hour in which these pages were measured so often.
fn hour(pages: &[(&str, u32)]) -> HourRollup {
    let path = KeyRow {
        dimension: Dimension::Path,
        key: Some("/".into()),
        bot: false,
        pageviews: 1,
        visitors: 1,
    };
    let total =
        TotalRow { bot: false, pageviews: 1, visitors: 1, sessions: 1, bounces: 1, engaged_ms: 0 };
    let measured = |(page, times): &(&str, u32)| {
        let mut all = Distribution::default();
        (0..*times).for_each(|_| all.add(Name::Lcp, 1.0));
        VitalRow {
            dimension: Group::Page,
            key: Some((*page).into()),
            name: "LCP".into(),
            bot: false,
            sketch: all.encode_sketch(),
            good: all.good as i64,
            needs_improvement: 0,
            poor: 0,
        }
    };
    let vitals = pages.iter().map(measured).collect();
    HourRollup { keys: vec![path], totals: vec![total], vitals }
}

async fn fill(house: &House, site: &str, at: Timestamp, pages: &[(&str, u32)]) {
    replace_hour(house.store.insight(), site, at, &hour(pages)).await;
}

async fn replace_hour(db: &Engine, site: &str, hour: Timestamp, counted: &HourRollup) {
    rollup::mark_dirty(db, site, hour).await.expect("marked");
    let dirty = Dirty { site: site.into(), hour, marks: 1 };
    let count = rollup::begin_count(db, &dirty).await.expect("begun").expect("marked");
    assert!(count.finish(counted).await.expect("replaced"));
}

/// Days whose hours have settled and are not folded, oldest first, counted from midnight.
async fn unfolded(house: &House, site: &str) -> Vec<u64> {
    let to = house.clock.now().minus(GRACE).floor_to(HOUR).minus(SETTLED);
    let listed = rollup::list_unfolded(house.store.insight(), site, to, 99).await.expect("days");
    listed.iter().rev().map(|u| u.day.since(midnight()).as_secs() / DAY.as_secs()).collect()
}

#[tokio::test]
async fn days_that_change_all_the_time_hold_up_no_others() {
    let house = House::open_at(midnight().plus(5 * DAY + 12 * HOUR)).await;
    let day = |n: u32| midnight().plus(DAY * n);
    for n in 0..6 {
        fill(&house, "default", day(n), &[]).await;
    }
    let few = house.with_settings(Settings { rollup_hours_max: 1, ..Settings::default() }).await;
    let mut left = Vec::new();
    for _ in 0..5 {
        fill(&house, "default", day(5), &[]).await;
        fill(&house, "default", day(4), &[]).await;
        reconcile(&few, &Stop::default()).await.expect("reconciled");
        left.push(unfolded(&house, "default").await);
    }
    let expected: [&[u64]; 5] = [&[0, 1, 2, 3], &[0, 1, 2, 4], &[0, 1, 4], &[0, 4], &[4]];
    assert_eq!(left, expected);
    reconcile(&few, &Stop::default()).await.expect("reconciled");
    assert_eq!(unfolded(&house, "default").await, NO_DAYS);
    house.close().await;
}

#[tokio::test]
async fn hours_that_may_still_change_are_not_folded() {
    let house = House::open_at(midnight().plus(12 * HOUR)).await;
    let at = |n: u32| midnight().plus(HOUR * n);
    for n in 0..11 {
        fill(&house, "default", at(n), &[("/", 1)]).await;
    }
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    let hours_beside_days = async || {
        let to = house.clock.now();
        let span = Span { site: "default", from: midnight(), to, bots: Bots::Exclude };
        let mut vitals = rollup::stream_vitals(house.store.insight(), &span, Group::Page);
        let (mut days, mut hours) = (0, 0);
        while let Some(page) = vitals.next_page().await.expect("vitals") {
            for row in page.vitals {
                match row.counted {
                    Counted::Day(_) => days += 1,
                    Counted::Hour { .. } => hours += 1,
                }
            }
        }
        (days, hours)
    };
    assert_eq!(hours_beside_days().await, (1, 2), "nine of them have settled");
    fill(&house, "default", at(10), &[("/", 1)]).await;
    assert_eq!(hours_beside_days().await, (1, 2), "the last hours change");
    house.clock.advance(HOUR);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(hours_beside_days().await, (1, 1), "another has settled");
    fill(&house, "default", at(1), &[("/", 1)]).await;
    assert_eq!(hours_beside_days().await, (0, 11));
    house.close().await;
}

/// The time of a lease passes by the server's clock.
const NO_LEASES: &str = "UPDATE mainstay.rollup_day SET leased_until = 'epoch'";

#[tokio::test]
async fn a_day_that_fails_stops_no_other_day_and_no_other_site() {
    let server = mainstay_testkit::Postgres::start();
    let name = server.create_database();
    let house = open_on(&server, &name).await;
    house.insight.set_sites(vec!["default".into(), "other".into()]);
    for n in 0..3 {
        for site in ["default", "other"] {
            fill(&house, site, midnight().plus(DAY * n), &[]).await;
        }
    }
    let sql = sql_on(&server, &name);
    sql("ALTER TABLE mainstay.rollup_day_key ADD CONSTRAINT odd
         CHECK (site <> 'default' OR day <> '2026-11-23T00:00:00Z')");
    let failing = || house.metric("mainstay_rollup_folds_failing");
    for _ in 0..2 {
        reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
        assert_eq!(unfolded(&house, "default").await, [1]);
        assert_eq!(unfolded(&house, "other").await, NO_DAYS);
        assert_eq!(failing(), Some(1.0));
        sql(NO_LEASES);
    }
    sql("ALTER TABLE mainstay.rollup_day_key DROP CONSTRAINT odd");
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(unfolded(&house, "default").await, NO_DAYS);
    assert_eq!(failing(), Some(0.0));
    house.close().await;
}

/// Statements after which every fold fails with this condition, by a trigger called `failing`.
fn fail_folds(condition: &str) -> String {
    format!(
        "CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql
         AS $$ BEGIN RAISE 'on purpose' USING ERRCODE = '{condition}'; END $$;
         CREATE TRIGGER failing BEFORE INSERT ON mainstay.rollup_day_key
         FOR EACH STATEMENT EXECUTE FUNCTION failing()"
    )
}

#[tokio::test]
async fn a_store_that_is_full_is_no_day_that_fails() {
    let server = mainstay_testkit::Postgres::start();
    let name = server.create_database();
    let house = open_on(&server, &name).await;
    for n in 0..2 {
        fill(&house, "default", midnight().plus(DAY * n), &[]).await;
    }
    let sql = sql_on(&server, &name);
    sql(&fail_folds("disk_full"));
    reconcile(&house.insight, &Stop::default()).await.expect_err("full");
    assert_eq!(house.metric("mainstay_rollup_folds_failing"), Some(0.0));
    sql("DROP TRIGGER failing ON mainstay.rollup_day_key");
    sql(NO_LEASES);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");
    assert_eq!(unfolded(&house, "default").await, NO_DAYS);
    house.close().await;
}

#[tokio::test]
async fn who_is_told_to_stop_begins_no_fold() {
    let house = House::open_at(midnight().plus(2 * DAY)).await;
    fill(&house, "default", midnight(), &[]).await;
    let group = mainstay_base::task::Group::new();
    group.stop_softly();
    reconcile(&house.insight, group.stop()).await.expect("reconciled");
    assert_eq!(unfolded(&house, "default").await, [0]);
    house.close().await;
}

#[tokio::test]
async fn who_is_told_to_stop_leaves_a_fold() {
    let house = House::open_at(midnight().plus(2 * DAY)).await;
    fill(&house, "default", midnight(), &[("/", 1)]).await;
    let group = mainstay_base::task::Group::new();
    group.stop_softly();
    assert!(!fold_first(&house, group.stop()).await.expect("left"));
    house.clock.advance(Duration::from_secs(60));
    let db = house.store.insight();
    let unfolded = rollup::list_unfolded(db, "default", midnight().plus(DAY), 1).await;
    let unfolded = unfolded.expect("days")[0];
    let Context { clock, entropy, .. } = &house.insight.0.context;
    let mut fold = rollup::claim_day(db, clock, entropy, "default", &unfolded)
        .await
        .expect("claimed")
        .expect("nobody else's");
    assert!(!fold_vitals(&mut fold, Group::Page, group.stop()).await.expect("left"));
    assert!(fold_vitals(&mut fold, Group::Page, &Stop::default()).await.expect("folded"));
    house.close().await;
}

/// The only day that is not folded.
async fn fold_first(house: &House, stop: &Stop) -> Result<bool, Error> {
    let db = house.insight.latest();
    let listed = rollup::list_unfolded(&db, "default", midnight().plus(DAY), 1).await;
    fold(&house.insight, &db, "default", &listed.expect("days")[0], stop).await
}

/// The server says of a statement that it takes too long; of a server that says nothing nobody knows why.
#[tokio::test]
async fn a_day_that_takes_too_long_fails_and_not_one_whose_store_is_silent() {
    let server = mainstay_testkit::Postgres::start();
    let name = server.create_database();
    let house = open_on(&server, &name).await;
    fill(&house, "default", midnight(), &[]).await;
    let sql = sql_on(&server, &name);
    sql(&fail_folds("query_canceled"));
    let error = fold_first(&house, &Stop::default()).await.expect_err("too long");
    assert!(!is_away(&error), "{error:?}");
    sql(NO_LEASES);
    let db = house.insight.latest();
    let listed = rollup::list_unfolded(&db, "default", midnight().plus(DAY), 1).await;
    server.primary().pause();
    let unfolded = &listed.expect("days")[0];
    let folded = fold(&house.insight, &db, "default", unfolded, &Stop::default()).await;
    server.primary().resume();
    let error = folded.expect_err("silent");
    assert!(is_away(&error), "{error:?}");
    house.close().await;
}

/// More keys than a window may have, in hours and in days: of both there are several pages with keys of their own.
#[tokio::test]
async fn a_window_holds_no_more_keys_than_it_may() {
    let house = House::open_at(midnight().plus(11 * DAY)).await;
    let page = |n: u32| format!("/{n:03}");
    for n in 0..40 {
        let pages: Vec<_> = (3 * n..3 * n + 5).map(page).collect();
        let pages: Vec<_> = pages.iter().map(|page| (page.as_str(), 1)).collect();
        let at = midnight().plus(DAY * (n / 4) + HOUR * (n % 4));
        fill(&house, "default", at, &pages).await;
    }
    let span = house.last(11 * DAY);
    let read = async |keys_max: usize| {
        let counted = rollup::stream_vitals(house.store.insight(), &span, Group::Page);
        let mut counted = Windows::of(counted);
        counted.keys_max = keys_max;
        let (mut all, mut most) = (Vec::new(), 0);
        while let Some(window) = counted.next_window().await.expect("vitals") {
            most = most.max(window.len());
            all.extend(window.into_iter().map(|(key, vitals)| (key, vitals.samples())));
        }
        (all, most)
    };
    let many = Settings { rollup_hours_max: 11 * 24, ..Settings::default() };
    let many = house.with_settings(many).await;
    // By those of the last page: four hours, or four days.
    for page_keys in [14, 50] {
        let (whole, most) = read(200).await;
        assert_eq!((whole.len(), most), (122, 122));
        assert_eq!(whole.iter().map(|(_, samples)| samples).sum::<u64>(), 200);
        for keys_max in [1, 7, 30, 60] {
            let (all, most) = read(keys_max).await;
            assert_eq!(all, whole, "{keys_max}");
            assert!(most <= keys_max + page_keys, "{most} of {keys_max}");
        }
        reconcile(&many, &Stop::default()).await.expect("reconciled");
        assert_eq!(unfolded(&house, "default").await, NO_DAYS);
    }
    house.close().await;
}

/// The site has more pages than are told apart.
#[tokio::test]
async fn the_pages_measured_most_are_shown_whatever_is_folded() {
    let house = House::open_at(midnight().plus(2 * DAY)).await;
    fill(&house, "default", midnight(), &[("/a", 1), ("/b", 1), ("/d", 2)]).await;
    fill(&house, "default", midnight().plus(HOUR), &[("/b", 2), ("/c", 2)]).await;
    rollup::advance_watermark(house.store.insight(), "default", midnight().plus(DAY))
        .await
        .expect("moved");
    let raw_range_max = Time::seconds(0);
    let settings = Settings { raw_range_max, vital_keys_max: 2, ..Settings::default() };
    let few = house.with_settings(settings).await;
    let shown = async || {
        let span = house.last(2 * DAY);
        let rows = few.list_vitals(&span, Group::Page).await.expect("vitals");
        rows.into_iter().map(|row| (row.key.expect("a page"), row.samples)).collect::<Vec<_>>()
    };
    let most = [("/b".to_owned(), 3), ("/c".to_owned(), 2)];
    assert_eq!(shown().await, most);
    reconcile(&few, &Stop::default()).await.expect("reconciled");
    assert_eq!(unfolded(&house, "default").await, NO_DAYS);
    assert_eq!(shown().await, most);
    house.close().await;
}
