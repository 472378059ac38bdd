//! Contract of the hourly roll-ups.

use std::time::Duration;

use mainstay_base::Timestamp;

use super::fixture::{Fixture, NOON, Sample, day};
use crate::tables::rollup::{
    self, Count, Counted, Dirty, HOUR, HourRollup, KeyRow, Point, TotalRow, Vital, VitalRow, Vitals,
};
use crate::{Bots, Dimension, Engine, Group, KeyCount, Record, Span};

async fn list_dirty(f: &Fixture) -> Vec<(Timestamp, i64)> {
    let dirty = rollup::list_dirty(f.insight(), None, 100).await.unwrap();
    dirty.into_iter().map(|Dirty { hour, marks, .. }| (hour, marks)).collect()
}

pub(super) async fn clear_all(f: &Fixture) {
    for dirty in rollup::list_dirty(f.insight(), None, 100).await.unwrap() {
        assert!(rollup::clear_dirty(f.insight(), &dirty).await.unwrap());
    }
}

pub(super) async fn fill_hour(f: &Fixture, hour: Timestamp) {
    let key = |dimension, key: Option<&str>, bot, pageviews| KeyRow {
        dimension,
        key: key.map(Into::into),
        bot,
        pageviews,
        visitors: 1,
    };
    let total = |bot, pageviews| TotalRow {
        bot,
        pageviews,
        visitors: 2,
        sessions: 3,
        bounces: 1,
        engaged_ms: 500,
    };
    let counted = HourRollup {
        keys: vec![
            key(Dimension::Path, Some("/"), false, 3),
            key(Dimension::Path, Some("/a"), false, 5),
            key(Dimension::Path, Some("/"), true, 9),
            key(Dimension::Source, None, false, 8),
        ],
        totals: vec![total(false, 8), total(true, 9)],
        vitals: vec![VitalRow {
            dimension: Group::Site,
            key: None,
            name: "LCP".into(),
            bot: false,
            sketch: vec![1, 2, 3],
            good: 4,
            needs_improvement: 1,
            poor: 0,
        }],
    };
    replace_hour(f.insight(), hour, &counted).await;
}

pub(crate) async fn replace_hour(db: &Engine, hour: Timestamp, counted: &HourRollup) {
    rollup::mark_dirty(db, "default", hour).await.unwrap();
    assert!(begin(db, &marked(hour)).await.finish(counted).await.unwrap());
}

fn marked(hour: Timestamp) -> Dirty {
    Dirty { site: "default".into(), hour: hour.floor_to(HOUR), marks: 1 }
}

async fn begin<'a>(db: &'a Engine, dirty: &'a Dirty) -> Count<'a> {
    rollup::begin_count(db, dirty).await.unwrap().unwrap()
}

pub(super) async fn advancing_marks_every_hour_once(f: &Fixture) {
    let db = f.insight();
    rollup::advance_watermark(db, "empty", NOON).await.unwrap();
    assert_eq!(list_dirty(f).await, []);
    f.record([Record::PageView(Sample(30).view())], None).await;
    assert_eq!(rollup::watermark(db, "default").await.unwrap(), None);
    rollup::advance_watermark(db, "default", Sample(150).at()).await.unwrap();
    assert_eq!(rollup::watermark(db, "default").await.unwrap(), Some(Sample(120).at()));
    assert_eq!(list_dirty(f).await, [(NOON, 1), (Sample(60).at(), 1)]);
    clear_all(f).await;
    // Not further, then further, then back.
    for (to, expected) in [(121, vec![]), (185, vec![(Sample(120).at(), 1)]), (60, vec![])] {
        rollup::advance_watermark(db, "default", Sample(to).at()).await.unwrap();
        assert_eq!(list_dirty(f).await, expected, "to {to}");
        clear_all(f).await;
    }
    assert_eq!(rollup::watermark(db, "default").await.unwrap(), Some(Sample(180).at()));
}

pub(super) async fn late_changes_mark_their_hour(f: &Fixture) {
    let vital = |at, value, page_ms| {
        let mut row = Sample(at).vital("LCP", value, page_ms);
        row.page_id = Sample(0).page_id();
        Record::Vital(row)
    };
    let engaged = |at, ms| {
        let mut row = Sample(at).engagement(ms, 0);
        row.page_id = Sample(0).page_id();
        Record::Engagement(row)
    };
    f.record([vital(0, 1.0, 1), engaged(0, 5)], None).await;
    f.record([Record::PageView(Sample(0).view())], Some(Sample(0).touch(1))).await;
    f.clock.advance(HOUR);
    rollup::advance_watermark(f.insight(), "default", Sample(60).at()).await.unwrap();
    clear_all(f).await;

    let check = async |what: &str, record: Record, marks: i64| {
        f.record([record], Some(Sample(65).touch(1))).await;
        let expected = if marks > 0 { vec![(NOON, marks)] } else { vec![] };
        assert_eq!(list_dirty(f).await, expected, "{what}");
        clear_all(f).await;
    };
    check("a later value", vital(65, 2.0, 9), 1).await;
    check("the same value again", vital(66, 2.0, 9), 0).await;
    check("an outdated value", vital(66, 7.0, 3), 0).await;
    check("more engagement", engaged(65, 6), 1).await;
    check("less engagement", engaged(65, 4), 0).await;
    check("the end of a bounce", Record::PageView(Sample(66).view()), 1).await;
    check("a third page", Record::PageView(Sample(67).view()), 0).await;
    check("a row that comes late", Record::PageView(Sample(2).view()), 1).await;
    check("a row of this hour", Record::PageView(Sample(68).view()), 0).await;
}

pub(super) async fn a_change_while_counting_is_not_forgotten(f: &Fixture) {
    let db = f.insight();
    rollup::mark_dirty(db, "default", Sample(7).at()).await.unwrap();
    let listed = rollup::list_dirty(db, None, 1).await.unwrap();
    assert_eq!(listed, [Dirty { site: "default".into(), hour: NOON, marks: 1 }]);
    rollup::mark_dirty(db, "default", NOON).await.unwrap();
    assert!(!rollup::clear_dirty(db, &listed[0]).await.unwrap());
    assert_eq!(list_dirty(f).await, [(NOON, 2)]);
    clear_all(f).await;
    assert_eq!(list_dirty(f).await, []);
}

/// Page views of the hours from [`NOON`] on.
async fn list_views(f: &Fixture) -> Vec<i64> {
    let points = rollup::series(f.insight(), &day(), HOUR).await.unwrap();
    points.iter().map(|point| point.pageviews).collect()
}

fn views(pageviews: i64) -> HourRollup {
    let (visitors, sessions, bounces, engaged_ms) = (1, 1, 1, 0);
    let total = TotalRow { bot: false, pageviews, visitors, sessions, bounces, engaged_ms };
    HourRollup { totals: vec![total], ..HourRollup::default() }
}

/// Of two servers the one that read the hour's events first comes last.
pub(super) async fn an_older_count_replaces_no_newer_one(f: &Fixture) {
    let (db, dirty, later) = (f.insight(), marked(NOON), marked(NOON.plus(HOUR)));
    let mark = async || rollup::mark_dirty(db, "default", NOON).await.unwrap();
    for turn in 0..2 {
        // The first hour of the day, then one that was counted before.
        mark().await;
        let older = begin(db, &dirty).await;
        mark().await;
        assert!(begin(db, &dirty).await.finish(&views(2)).await.unwrap());
        assert_eq!(list_dirty(f).await, []);
        assert!(!older.finish(&views(1)).await.unwrap(), "{turn}");
        assert_eq!((list_views(f).await, list_dirty(f).await), (vec![2], vec![]));
    }
    // Its mark was taken away, and another has its number.
    mark().await;
    let older = begin(db, &dirty).await;
    assert!(begin(db, &dirty).await.finish(&views(3)).await.unwrap());
    mark().await;
    assert!(!older.finish(&views(1)).await.unwrap());
    assert_eq!((list_views(f).await, list_dirty(f).await), (vec![3], vec![(NOON, 1)]));
    // What changed while it was counted is counted, and to be counted again.
    let count = begin(db, &dirty).await;
    mark().await;
    assert!(count.finish(&views(4)).await.unwrap());
    assert_eq!((list_views(f).await, list_dirty(f).await), (vec![4], vec![(NOON, 2)]));
    clear_all(f).await;
    assert!(rollup::begin_count(db, &dirty).await.unwrap().is_none());
    // It knows its own changes from those of others.
    rollup::mark_dirty(db, "default", later.hour).await.unwrap();
    mark().await;
    let (mut first, mut other) = (begin(db, &dirty).await, begin(db, &later).await);
    assert!(first.replace(later.hour, &views(5)).await.unwrap());
    assert!(!other.replace(NOON, &views(1)).await.unwrap());
    assert!(!other.finish(&views(1)).await.unwrap());
    assert!(first.finish(&views(6)).await.unwrap());
    assert_eq!((list_views(f).await, list_dirty(f).await), (vec![6, 5], vec![(later.hour, 1)]));
}

pub(super) async fn marked_hours_are_listed_after_any_of_them(f: &Fixture) {
    let db = f.insight();
    for (site, hour) in [("b", 1), ("a", 1), ("a", 0), ("c", 0), ("a", 2)] {
        rollup::mark_dirty(db, site, NOON.plus(HOUR * hour)).await.unwrap();
    }
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(dirty) = rollup::list_dirty(db, after.as_ref(), 1).await.unwrap().pop() {
        found.push((dirty.site.clone(), dirty.hour.since(NOON).as_secs() / HOUR.as_secs()));
        after = Some(dirty);
    }
    let expected = [("a", 0), ("c", 0), ("a", 1), ("b", 1), ("a", 2)];
    assert_eq!(found, expected.map(|(site, hour)| (site.to_owned(), hour)));
}

pub(super) async fn an_hour_is_replaced_as_a_whole(f: &Fixture) {
    let db = f.insight();
    fill_hour(f, Sample(30).at()).await;
    fill_hour(f, NOON).await;
    let step = rollup::series(db, &day(), HOUR).await.unwrap();
    assert_eq!(step.len(), 1);
    assert_eq!(step[0].pageviews, 8);
    replace_hour(db, NOON, &HourRollup::default()).await;
    assert_eq!(rollup::series(db, &day(), HOUR).await.unwrap(), []);
    let keys = rollup::count_by_key(db, &day(), Dimension::Path, None, 10).await.unwrap();
    assert_eq!(keys, []);
    assert_eq!(list_vitals(f, &day()).await, []);
}

pub(super) async fn counted_hours_add_up(f: &Fixture) {
    let db = f.insight();
    fill_hour(f, NOON).await;
    fill_hour(f, Sample(60).at()).await;
    let key = |key: Option<&str>, visitors, pageviews| KeyCount {
        key: key.map(Into::into),
        visitors,
        pageviews,
    };
    let count = async |by, bots, after: Option<&KeyCount>| {
        let span = Span { bots, ..day() };
        rollup::count_by_key(db, &span, by, after.map(KeyCount::cursor), 1).await.unwrap()
    };
    let first = count(Dimension::Path, Bots::Exclude, None).await;
    assert_eq!(first, [key(Some("/a"), 2, 10)]);
    assert_eq!(count(Dimension::Path, Bots::Exclude, first.first()).await, [key(Some("/"), 2, 6)]);
    assert_eq!(count(Dimension::Path, Bots::Include, None).await, [key(Some("/"), 4, 24)]);
    assert_eq!(count(Dimension::Source, Bots::Exclude, None).await, [key(None, 2, 16)]);
    let day_step = Duration::from_secs(86_400);
    let expected = Point {
        t: NOON.floor_to(day_step),
        visitors: 4,
        pageviews: 16,
        sessions: 6,
        bounces: 2,
        engaged_ms: 1_000,
    };
    assert_eq!(rollup::series(db, &day(), day_step).await.unwrap(), [expected]);
    assert_eq!(list_vitals(f, &day()).await, [hourly(NOON), hourly(Sample(60).at())]);
}

/// What [`fill_hour`] says of an hour.
pub(super) fn hourly(at: Timestamp) -> Vital {
    let counted = Counted::Hour { name: "LCP".into(), sketch: vec![1, 2, 3], counts: [4, 1, 0] };
    Vital { at, key: None, bot: false, counted }
}

pub(super) async fn list_vitals(f: &Fixture, span: &Span<'_>) -> Vec<Vital> {
    let mut vitals = rollup::stream_vitals(f.insight(), span, Group::Site);
    let mut all = Vec::new();
    while let Some(window) = next_window(&mut vitals).await {
        all.extend(window);
    }
    all.sort_by_key(|vital| vital.at);
    all
}

async fn next_window(vitals: &mut Vitals<'_>) -> Option<Vec<Vital>> {
    let mut window: Vec<Vital> = Vec::new();
    while let Some(page) = vitals.next_page().await.unwrap() {
        assert!(page.vitals.len() <= vitals.rows_max as usize);
        assert!(page.vitals.is_sorted_by_key(|vital| &vital.key));
        window.extend(page.vitals);
        window.retain(|vital| page.before.is_none() || vital.key < page.before);
        if page.is_last {
            return Some(window);
        }
    }
    None
}
