//! Contract of `engagement`.

use std::time::Duration;

use super::fixture::{Fixture, NOON, Sample, day};
use crate::Record;
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::tables::engagement::{self, Point};

pub(super) async fn keeps_the_largest_report_at_the_time_of_the_first(f: &Fixture) {
    let report = |at, engaged_ms, scroll| {
        let mut row = Sample(at).engagement(engaged_ms, scroll);
        row.id = format!("report-{engaged_ms:09}");
        row.page_id = Sample(0).page_id();
        Record::Engagement(row)
    };
    f.record([report(0, 5_000, 10), report(0, 9_000, 20)], None).await;
    f.record([report(65, 8_000, 80)], None).await;
    f.record([report(66, 12_000, 30)], None).await;
    f.record([Record::Engagement(Sample(61).engagement(1_000, 0))], None).await;
    let hour = Duration::from_secs(3_600);
    let points = engagement::series(f.insight(), &day(), hour).await.unwrap();
    assert_eq!(
        points,
        [Point { t: NOON, engaged_ms: 12_000 }, Point { t: NOON.plus(hour), engaged_ms: 1_000 },]
    );
    const DEEPEST: Sql = sql!("SELECT max(scroll_percent) FROM mainstay.engagement");
    let deepest: i32 = ask!(f.insight(), "test", query_scalar(DEEPEST).fetch_one).unwrap();
    assert_eq!(deepest, 80);
}

pub(super) async fn an_event_id_counts_once_whatever_page_it_names(f: &Fixture) {
    let first = Sample(0).engagement(5_000, 10);
    let elsewhere = engagement::Row { id: first.id.clone(), ..Sample(1).engagement(7_000, 90) };
    f.record([Record::Engagement(first)], None).await;
    f.record([Record::Engagement(elsewhere)], None).await;
    let points = engagement::series(f.insight(), &day(), Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(points, [Point { t: NOON, engaged_ms: 5_000 }]);
}
