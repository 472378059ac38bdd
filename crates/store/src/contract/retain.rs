//! Contract of retention.

use super::fixture::{Fixture, NOON, Sample, day};
use crate::tables::retain::{self, Table};
use crate::tables::rollup::{DAY, HOUR};
use crate::tables::{custom_event, engagement, error_event, page_view, performance_metric, rollup};
use crate::{Bots, Dimension, Record, Span};

pub(super) async fn deletes_whole_hours_in_chunks(f: &Fixture) {
    let mut other = Sample(5).view();
    other.site = "other".into();
    let views = [0, 1, 2, 59, 60, 61].map(|n| Record::PageView(Sample(n).view()));
    f.record(views.into_iter().chain([Record::PageView(other)]), None).await;
    rollup::advance_watermark(f.insight(), "default", Sample(120).at()).await.unwrap();
    // Half past is within the first hour, which therefore stays whole.
    let cut = async |n, max| {
        retain::delete_before(f.insight(), Table::PageViews, Sample(n).at(), max).await.unwrap()
    };
    assert_eq!(cut(30, 100).await, 0);
    let mut chunks = Vec::new();
    loop {
        chunks.push(cut(90, 2).await);
        if chunks.last() < Some(&2) {
            break;
        }
    }
    assert_eq!(chunks, [2, 2, 1]);
    let total = page_view::total(f.insight(), &day()).await.unwrap();
    assert_eq!(total.pageviews, 2);
    let other = Span { site: "other", ..day() };
    assert_eq!(page_view::total(f.insight(), &other).await.unwrap().pageviews, 0);
    // An hour without its rows must not be counted again.
    let dirty = rollup::list_dirty(f.insight(), None, 10).await.unwrap();
    assert_eq!(dirty.iter().map(|d| d.hour).collect::<Vec<_>>(), [Sample(60).at()]);
}

pub(super) async fn every_table_can_be_cut(f: &Fixture) {
    let records = [
        Record::PageView(Sample(0).view()),
        Record::Engagement(Sample(0).engagement(1, 1)),
        Record::Vital(Sample(0).vital("LCP", 1.0, 1)),
        Record::Error(Sample(0).error("f", "m")),
        Record::Custom(Sample(0).custom("signup")),
        Record::Report(Sample(0).report(1)),
    ];
    f.record(records, Some(Sample(0).touch(1))).await;
    super::rollup::fill_hour(f, Sample(0).at()).await;
    let later = Sample(3 * 24 * 60).at();
    for unfolded in super::rollup_day::list_unfolded(f, later).await {
        assert!(super::rollup_day::fold(f, &unfolded).await);
    }
    super::traffic::fill(f, &[Sample(0).at()]).await;
    super::metric_series::fill(f, &[Sample(0).at()]).await;
    for table in Table::ALL {
        let core = matches!(table, Table::SecurityEvents | Table::ScalingEvents);
        let db = if core { f.core() } else { f.insight() };
        let gone = retain::delete_before(db, table, later, 100).await.unwrap();
        assert_eq!(gone > 0, !core, "{table:?}");
        assert_eq!(retain::delete_before(db, table, later, 100).await.unwrap(), 0);
    }
}

pub(super) async fn of_roll_ups_whole_days_go_and_do_not_come_back(f: &Fixture) {
    let midnight = NOON.floor_to(DAY);
    super::rollup::fill_hour(f, NOON).await;
    super::rollup::fill_hour(f, NOON.plus(DAY)).await;
    let cut =
        async |table, before| retain::delete_before(f.insight(), table, before, 100).await.unwrap();
    let tables = [Table::RollupDay, Table::RollupTotal, Table::RollupKey, Table::RollupVital];
    for table in tables {
        assert_eq!(cut(table, midnight.plus(DAY).minus(HOUR)).await, 0, "{table:?}");
    }
    let both = Span { to: midnight.plus(2 * DAY), ..day() };
    let views = async || -> i64 {
        let by = Dimension::Path;
        let keys = rollup::count_by_key(f.insight(), &both, by, None, 9).await.unwrap();
        keys.iter().map(|key| key.pageviews).sum()
    };
    assert_eq!(views().await, 16);
    for table in tables {
        assert!(cut(table, midnight.plus(DAY)).await > 0, "{table:?}");
        assert_eq!(views().await, 8, "{table:?}");
    }
    let left = super::rollup_day::list_unfolded(f, midnight.plus(9 * DAY)).await;
    assert_eq!(left.iter().map(|left| left.day).collect::<Vec<_>>(), [midnight.plus(DAY)]);
}

pub(super) async fn bots_go_before_people(f: &Fixture) {
    let people = |n| {
        [
            Record::PageView(Sample(n).view()),
            Record::Engagement(Sample(n).engagement(1, 1)),
            Record::Vital(Sample(n).vital("LCP", 1.0, 1)),
            Record::Error(Sample(n).error("f", "m")),
            Record::Custom(Sample(n).custom("signup")),
        ]
    };
    let bots = |n| {
        people(n).map(|record| match record {
            Record::PageView(row) => {
                Record::PageView(page_view::Row { bot_reason: Some("crawler".into()), ..row })
            }
            Record::Engagement(row) => Record::Engagement(engagement::Row { bot: true, ..row }),
            Record::Vital(row) => Record::Vital(performance_metric::Row { bot: true, ..row }),
            Record::Error(row) => Record::Error(error_event::Row { bot: true, ..row }),
            Record::Custom(row) => Record::Custom(custom_event::Row { bot: true, ..row }),
            Record::Report(row) => Record::Report(row),
        })
    };
    let records = [people(0), bots(1), bots(2), bots(3), bots(70)].concat();
    f.record(records, None).await;
    let cut = async |table, max| {
        retain::delete_bots_before(f.insight(), table, Sample(60).at(), max).await.unwrap()
    };
    for table in Table::WITH_BOTS {
        assert_eq!([cut(table, 2).await, cut(table, 2).await, cut(table, 2).await], [2, 1, 0]);
    }
    assert_eq!(cut(Table::UserSessions, 2).await, 0);
    for (bots, left) in [(Bots::Exclude, 1), (Bots::Only, 1)] {
        let total = page_view::total(f.insight(), &Span { bots, ..day() }).await.unwrap();
        assert_eq!(total.pageviews, left, "{bots:?}");
    }
}
