//! Contract of day rows: when they answer, and which folds are refused.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_base::Timestamp;

use super::fixture::{Fixture, NOON, day};
use super::rollup::{clear_all, fill_hour, hourly, list_vitals, replace_hour};
use super::rollup_claim::{a_lease_passes, claim_at};
use crate::ask::{ask, run};
use crate::sql::{Sql, sql};
use crate::tables::rollup::{
    self, Counted, DAY, DayVitalRow, Fold, HOUR, HourRollup, KeyRow, TotalRow, Unfolded, Vital,
    VitalRow,
};
use crate::{Bots, Dimension, Group, KeyCount, Span, Ts};

/// What a fold of the day of [`fill_hour`] writes.
const SHEET: [u8; 2] = [7, 7];

pub(super) fn midnight() -> Timestamp {
    NOON.floor_to(DAY)
}

pub(super) async fn fold(f: &Fixture, unfolded: &Unfolded) -> bool {
    match claim(f, unfolded).await {
        Some(mut fold) => fill_day(&mut fold).await && fold.finish().await.unwrap(),
        None => false,
    }
}

pub(super) async fn claim<'f>(f: &'f Fixture, unfolded: &Unfolded) -> Option<Fold<'f>> {
    claim_at(f, &f.clock, unfolded).await
}

pub(super) async fn fill_day(fold: &mut Fold<'_>) -> bool {
    for by in Dimension::ALL {
        if !fold.add_keys(by).await.unwrap() {
            return false;
        }
    }
    for group in Group::ALL {
        if !fold.remove_vitals(group).await.unwrap() {
            return false;
        }
    }
    let vitals = SHEET.to_vec();
    let row = DayVitalRow { dimension: Group::Site, key: None, bot: false, vitals };
    fold.insert_vitals(&[row]).await.unwrap()
}

pub(super) async fn list_unfolded(f: &Fixture, mark: Timestamp) -> Vec<Unfolded> {
    rollup::list_unfolded(f.insight(), "default", mark, 10).await.unwrap()
}

/// Views of the pages, people only, and what the vitals are read from.
pub(super) async fn look(f: &Fixture, span: &Span<'_>) -> (Vec<(String, i64, i64)>, Vec<Vital>) {
    let keys = rollup::count_by_key(f.insight(), span, Dimension::Path, None, 10).await.unwrap();
    let row = |row: KeyCount| (row.key.unwrap_or_default(), row.visitors, row.pageviews);
    (keys.into_iter().map(row).collect(), list_vitals(f, span).await)
}

pub(super) fn folded() -> Vital {
    let counted = Counted::Day(SHEET.to_vec());
    Vital { at: midnight(), key: None, bot: false, counted }
}

/// Pages as so many filled hours have them.
pub(super) fn pages(hours: i64) -> Vec<(String, i64, i64)> {
    vec![("/a".into(), hours, 5 * hours), ("/".into(), hours, 3 * hours)]
}

pub(super) async fn day_rows_answer_for_their_hours(f: &Fixture) {
    let midnight = midnight();
    for hour in [midnight, NOON, NOON.plus(HOUR)] {
        fill_hour(f, hour).await;
    }
    let whole = day();
    let before = look(f, &whole).await;
    assert_eq!(before.0, pages(3));
    // Two of them are over.
    let unfolded = list_unfolded(f, NOON.plus(HOUR)).await;
    let (begin, end) = (unfolded[0].day, unfolded[0].to);
    assert_eq!((unfolded.len(), begin, end), (1, midnight, NOON.plus(HOUR)));
    assert!(fold(f, &unfolded[0]).await);
    assert_eq!(list_unfolded(f, NOON.plus(HOUR)).await, []);
    let last = hourly(NOON.plus(HOUR));
    assert_eq!(look(f, &whole).await, (pages(3), vec![folded(), last.clone()]));
    // The rest of the day is added to it.
    let unfolded = list_unfolded(f, midnight.plus(DAY)).await;
    assert!(fold(f, &unfolded[0]).await);
    assert_eq!(list_unfolded(f, midnight.plus(10 * DAY)).await, []);
    assert_eq!(look(f, &whole).await, (pages(3), vec![folded()]));
    // Of a day that is asked for in part hours are read.
    let ending = Span { to: NOON.plus(HOUR), ..whole };
    let two = vec![hourly(midnight), hourly(NOON)];
    assert_eq!(look(f, &ending).await, (pages(2), two));
    let beginning = Span { from: midnight.plus(HOUR), ..whole };
    assert_eq!(look(f, &beginning).await, (pages(2), vec![hourly(NOON), last]));
    let both = Span { from: midnight.plus(HOUR), to: NOON.plus(HOUR), ..whole };
    assert_eq!(look(f, &both).await, (pages(1), vec![hourly(NOON)]));
    // Bots are folded apart.
    let bots = Span { bots: Bots::Only, ..whole };
    assert_eq!(look(f, &bots).await.0, [("/".to_owned(), 3, 27)]);
}

pub(super) async fn a_replaced_hour_takes_its_day_rows_back(f: &Fixture) {
    let next = midnight().plus(DAY);
    for hour in [NOON, NOON.plus(HOUR), next] {
        fill_hour(f, hour).await;
    }
    let unfolded = list_unfolded(f, NOON.plus(HOUR)).await;
    assert!(fold(f, &unfolded[0]).await);
    assert!(!fold(f, &unfolded[0]).await, "folded once");
    // An hour that is not folded, and one of another day.
    fill_hour(f, NOON.plus(HOUR)).await;
    fill_hour(f, next).await;
    let one = Span { to: next, ..day() };
    let last = hourly(NOON.plus(HOUR));
    assert_eq!(look(f, &one).await, (pages(2), vec![folded(), last.clone()]));
    fill_hour(f, NOON).await;
    assert_eq!(look(f, &one).await, (pages(2), vec![hourly(NOON), last]));
    // Folded anew, nothing is left of what was folded before.
    replace_hour(f.insight(), NOON, &HourRollup::default()).await;
    let unfolded = list_unfolded(f, next).await;
    assert!(fold(f, &unfolded[0]).await);
    assert_eq!(look(f, &one).await, (pages(1), vec![folded()]));
}

pub(super) async fn a_fold_of_what_changed_meanwhile_is_refused(f: &Fixture) {
    fill_hour(f, NOON).await;
    let listed = list_unfolded(f, NOON.plus(DAY)).await;
    assert_eq!(listed[0].day, midnight());
    fill_hour(f, NOON).await;
    assert!(!fold(f, &listed[0]).await);
    assert_eq!(look(f, &day()).await, (pages(1), vec![hourly(NOON)]));

    // The change is under way and not committed while the day is claimed: the claim waits for it.
    const COUNT: Sql = sql!(
        "INSERT INTO mainstay.rollup_total
         (site, hour, bot, pageviews, visitors, sessions, bounces, engaged_ms)
         VALUES ('default', $1, FALSE, 0, 0, 0, 0, 0)"
    );
    let listed = list_unfolded(f, NOON.plus(DAY)).await;
    let mut tx = f.insight().begin("test").await.unwrap();
    run!(tx, COUNT, Ts(NOON.plus(HOUR))).unwrap();
    let mut folding = std::pin::pin!(fold(f, &listed[0]));
    tokio::select! {
        biased;
        was_folded = folding.as_mut() => panic!("folded beside a change: {was_folded}"),
        () = until_somebody_waits(f) => {}
    }
    tx.commit().await.unwrap();
    assert!(!folding.await);
    let listed = list_unfolded(f, NOON.plus(DAY)).await;
    assert!(fold(f, &listed[0]).await);
}

/// Until a statement waits for a lock. Of a file whoever is second waits before it asks.
async fn until_somebody_waits(f: &Fixture) {
    const WAITING: Sql = sql!(
        sqlite: "SELECT 1",
        postgres: "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    let mut waiting: i64 = 0;
    while waiting == 0 {
        waiting = ask!(f.insight(), "test", query_scalar(WAITING).fetch_one).unwrap();
    }
}

pub(super) async fn what_changes_while_a_day_is_folded_ends_the_fold(f: &Fixture) {
    let whole = day();
    for n in 0..4 {
        fill_hour(f, NOON).await;
        let mut fold = claim(f, &list_unfolded(f, NOON.plus(DAY)).await[0]).await.unwrap();
        if n > 0 {
            assert!(fold.add_keys(Dimension::Path).await.unwrap());
        }
        if n > 1 {
            assert!(fold.list_vitals(Group::Site, false, "").await.unwrap().is_some());
        }
        if n > 2 {
            assert!(fill_day(&mut fold).await);
        }
        assert_eq!(look(f, &whole).await, (pages(1), vec![hourly(NOON)]), "half a fold is read");
        fill_hour(f, NOON).await;
        assert!(!fold.add_keys(Dimension::Path).await.unwrap());
        assert_eq!(fold.list_vitals(Group::Site, false, "").await.unwrap(), None);
        assert!(!fold.remove_vitals(Group::Site).await.unwrap());
        assert!(!fold.insert_vitals(&[]).await.unwrap());
        assert!(!fold.finish().await.unwrap());
        a_lease_passes(f).await;
    }
    let listed = list_unfolded(f, NOON.plus(DAY)).await;
    assert!(fold(f, &listed[0]).await);
    assert_eq!(look(f, &whole).await, (pages(1), vec![folded()]));
}

/// What is added to folded hours is not read until it is whole, nor kept when it is not.
pub(super) async fn a_day_that_had_folded_hours_is_read_by_hours_while_it_is_folded(f: &Fixture) {
    let hours = [midnight(), NOON, NOON.plus(HOUR)];
    for hour in &hours[..2] {
        fill_hour(f, *hour).await;
    }
    assert!(fold(f, &list_unfolded(f, NOON.plus(HOUR)).await[0]).await);
    fill_hour(f, hours[2]).await;
    let listed = list_unfolded(f, NOON.plus(2 * HOUR)).await[0];
    let mut half = claim(f, &listed).await.unwrap();
    assert!(half.add_keys(Dimension::Path).await.unwrap());
    assert_eq!(look(f, &day()).await, (pages(3), hours.map(hourly).to_vec()));
    a_lease_passes(f).await;
    assert!(fold(f, &list_unfolded(f, NOON.plus(2 * HOUR)).await[0]).await);
    assert_eq!(look(f, &day()).await, (pages(3), vec![folded()]));
}

/// An hour with a page of its own, and vitals of some pages.
async fn fill_pages(f: &Fixture, hour: Timestamp, measured: &[&str]) {
    let page = hour.since(midnight()).as_secs() / HOUR.as_secs();
    let total =
        TotalRow { bot: false, pageviews: 1, visitors: 1, sessions: 1, bounces: 1, engaged_ms: 0 };
    let vital = |key: &&str| VitalRow {
        dimension: Group::Page,
        key: Some((*key).into()),
        name: "LCP".into(),
        bot: false,
        sketch: vec![1],
        good: 1,
        needs_improvement: 0,
        poor: 0,
    };
    let counted = HourRollup {
        keys: vec![KeyRow {
            dimension: Dimension::Path,
            key: Some(format!("/{page}")),
            bot: false,
            pageviews: 1,
            visitors: 1,
        }],
        totals: vec![total],
        vitals: measured.iter().map(vital).collect(),
    };
    replace_hour(f.insight(), hour, &counted).await;
}

/// No statement of a fold writes more rows than a few hours have.
pub(super) async fn a_day_is_folded_a_few_hours_at_a_time(f: &Fixture) {
    const FEW: Sql = sql!(
        sqlite: "SELECT 1",
        postgres: "CREATE FUNCTION mainstay.few() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT count(*) FROM written) > 4 THEN RAISE 'too many'; END IF; RETURN NULL; END $$",
    );
    const GUARD: Sql = sql!(
        sqlite: "SELECT 1",
        postgres: "CREATE TRIGGER few AFTER INSERT ON mainstay.rollup_day_key
            REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION mainstay.few()",
    );
    let mut tx = f.insight().begin("test").await.unwrap();
    run!(tx, FEW).unwrap();
    run!(tx, GUARD).unwrap();
    tx.commit().await.unwrap();
    for hour in 0..24 {
        fill_pages(f, midnight().plus(HOUR * hour), &[]).await;
    }
    let unfolded = list_unfolded(f, midnight().plus(DAY)).await;
    assert!(fold(f, &unfolded[0]).await);
    let keys = rollup::count_by_key(f.insight(), &day(), Dimension::Path, None, 99).await.unwrap();
    assert_eq!((keys.len(), keys[0].pageviews), (24, 1));
}

pub(super) async fn vitals_of_hours_are_listed_by_key(f: &Fixture) {
    for (hour, keys) in [(0, &["/a", "/c"][..]), (5, &["/a", "/b", "/c"]), (9, &["/a", "/c"])] {
        fill_pages(f, midnight().plus(HOUR * hour), keys).await;
    }
    let unfolded = list_unfolded(f, midnight().plus(HOUR * 9)).await;
    let mut fold = claim(f, &unfolded[0]).await.unwrap();
    fold.hour_rows_max = 2;
    let mut pages = Vec::new();
    let mut from = Some(String::new());
    while let Some(key) = from {
        let page = fold.list_vitals(Group::Page, false, &key).await.unwrap().unwrap();
        pages.push(page.vitals.into_iter().map(|v| v.key.unwrap()).collect::<Vec<_>>());
        from = page.next;
    }
    assert_eq!(pages, [vec!["/a", "/a"], vec!["/b"], vec!["/c", "/c"]]);
    let bots = fold.list_vitals(Group::Page, true, "").await.unwrap().unwrap();
    assert_eq!((bots.vitals, bots.next), (vec![], None));
}

/// How often each key was measured, read in pages of few rows while days are folded and changed between any two.
pub(super) async fn vitals_are_read_in_bounded_pages_whatever_is_folded_meanwhile(f: &Fixture) {
    let keys: Vec<String> = (0..9).map(|n| format!("/{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let hours = [(0, 2), (3, 9), (24, 9), (30, 4), (49, 1)];
    for (hour, count) in hours {
        fill_pages(f, midnight().plus(HOUR * hour), &keys[..count]).await;
    }
    let (span, later) = (Span { to: midnight().plus(3 * DAY), ..day() }, midnight().plus(9 * DAY));
    let mut vitals = rollup::stream_vitals(f.insight(), &span, Group::Page);
    vitals.rows_max = 5;
    let mut times = BTreeMap::new();
    let (mut window, mut turn) = (Vec::new(), 0);
    while let Some(page) = vitals.next_page().await.unwrap() {
        assert!(page.vitals.len() <= 5);
        window.extend(page.vitals);
        window.retain(|vital: &Vital| page.before.is_none() || vital.key < page.before);
        // Whoever reads them may have no room for so many keys, in the middle of a window or at its end.
        let read: BTreeSet<_> = window.iter().map(|vital| vital.key.clone()).collect();
        if turn % 2 == 0 && read.len() > 2 {
            let middle = read.into_iter().nth(1).flatten().unwrap();
            vitals.narrow(middle.clone());
            window.retain(|vital| vital.key.as_ref() < Some(&middle));
        }
        if page.is_last {
            for vital in window.drain(..) {
                let times = times.entry(vital.key.unwrap()).or_insert(0);
                *times += match vital.counted {
                    Counted::Hour { .. } => 1,
                    Counted::Day(hours) => hours[0],
                };
            }
        }
        // Day rows that say of how many hours they are, or hours again.
        turn += 1;
        if turn % 3 == 0 {
            fill_pages(f, midnight().plus(HOUR * 3), &keys).await;
            continue;
        }
        for unfolded in list_unfolded(f, later).await {
            let mut fold = claim(f, &unfolded).await.unwrap();
            assert!(fold.remove_vitals(Group::Page).await.unwrap());
            let measured = fold.list_vitals(Group::Page, false, "").await.unwrap().unwrap().vitals;
            let rows: Vec<_> = measured
                .chunk_by(|one, other| one.key == other.key)
                .map(|hours| DayVitalRow {
                    dimension: Group::Page,
                    key: hours[0].key.clone(),
                    bot: false,
                    vitals: vec![hours.len() as u8],
                })
                .collect();
            assert!(fold.insert_vitals(&rows).await.unwrap() && fold.finish().await.unwrap());
        }
    }
    assert!(turn > 6, "{turn}");
    let expected = keys.iter().enumerate().map(|(at, key)| {
        let times = hours.iter().filter(|(_, count)| at < *count).count();
        ((*key).to_owned(), times as u8)
    });
    assert_eq!(times, expected.collect());
}

pub(super) async fn a_day_with_an_hour_to_count_waits(f: &Fixture) {
    let (db, later) = (f.insight(), midnight().plus(10 * DAY));
    fill_hour(f, NOON).await;
    fill_hour(f, NOON.plus(2 * DAY)).await;
    rollup::mark_dirty(db, "default", NOON.plus(HOUR)).await.unwrap();
    rollup::mark_dirty(db, "other", NOON.plus(2 * DAY)).await.unwrap();
    let days = async || -> Vec<_> { list_unfolded(f, later).await.iter().map(|u| u.day).collect() };
    let newest = midnight().plus(2 * DAY);
    assert_eq!(days().await, [newest]);
    // One that is to be counted again does not wait: busy days always have some.
    clear_all(f).await;
    rollup::mark_dirty(db, "default", NOON).await.unwrap();
    assert_eq!(days().await, [newest, midnight()]);
}
