//! Contract of `user_sessions`.

use std::time::Duration;

use super::fixture::{Fixture, NOON, Sample, day, visitor};
use crate::Record;
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::tables::user_session::{self, Point};

#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Counts {
    pub(super) page_views: i64,
    pub(super) custom_events: i64,
    pub(super) total_time_seconds: i64,
    pub(super) conversion_events: String,
}

pub(super) async fn find(f: &Fixture, who: u32) -> Counts {
    const COUNTS: Sql = sql!(
        sqlite: "SELECT page_views, custom_events, total_time_seconds, conversion_events
            FROM mainstay.user_sessions WHERE session_id = $1",
        postgres: "SELECT page_views, custom_events, total_time_seconds, conversion_events::text
            FROM mainstay.user_sessions WHERE session_id = $1",
    );
    let row: Result<Counts, _> =
        ask!(f.insight(), "test", query_as(COUNTS).fetch_one, visitor(who));
    row.unwrap()
}

pub(super) async fn counts_grow_only_by_what_is_new(f: &Fixture) {
    let view = |n| Record::PageView(Sample(n).view());
    f.record([view(0)], Some(Sample(0).touch(1))).await;
    f.record([view(1), view(0)], Some(Sample(1).touch(1))).await;
    // A batch that is sent once more, later, says nothing new about the visit.
    f.record([view(1), view(0)], Some(Sample(9).touch(1))).await;
    let counts = find(f, 1).await;
    assert_eq!((counts.page_views, counts.total_time_seconds), (2, 60));
    // An error or a vital says that somebody is still there.
    f.record([Record::Error(Sample(5).error("f", "m"))], Some(Sample(5).touch(1))).await;
    let counts = find(f, 1).await;
    assert_eq!((counts.page_views, counts.total_time_seconds), (2, 300));
}

pub(super) async fn a_second_page_ends_the_bounce(f: &Fixture) {
    let series = async || {
        let step = Duration::from_secs(3_600);
        user_session::series(f.insight(), &day(), step).await.unwrap()
    };
    f.record([Record::PageView(Sample(0).view())], Some(Sample(0).touch(1))).await;
    f.record([Record::PageView(Sample(1).view())], Some(Sample(1).touch(2))).await;
    assert_eq!(series().await, [Point { t: NOON, sessions: 2, bounces: 2 }]);
    f.record([Record::PageView(Sample(2).view())], Some(Sample(2).touch(1))).await;
    f.record([Record::Custom(Sample(3).custom("signup"))], Some(Sample(3).touch(2))).await;
    assert_eq!(series().await, [Point { t: NOON, sessions: 2, bounces: 0 }]);
}

pub(super) async fn event_names_are_a_set(f: &Fixture) {
    let custom = |n, name| Record::Custom(Sample(n).custom(name));
    let batch = [custom(0, "signup"), custom(1, "sign\"up"), custom(2, "signup")];
    f.record(batch, Some(Sample(0).touch(1))).await;
    f.record([custom(3, "download")], Some(Sample(3).touch(1))).await;
    f.record([Record::PageView(Sample(4).view())], Some(Sample(4).touch(1))).await;
    let counts = find(f, 1).await;
    assert_eq!(counts.custom_events, 4);
    let mut names: Vec<String> = serde_json::from_str(&counts.conversion_events).unwrap();
    names.sort();
    assert_eq!(names, ["download", "sign\"up", "signup"]);
}

pub(super) async fn active_visits_are_found_across_sites(f: &Fixture) {
    for (n, site) in ["default", "a", "b", "default"].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let mut touch = Sample(n * 10).touch(n);
        touch.site = site.into();
        f.record([], Some(touch)).await;
    }
    let active = user_session::list_active_since(f.insight(), Sample(10).at(), 10).await.unwrap();
    let found: Vec<_> = active.iter().map(|a| (a.session_id, &*a.site, a.last_activity)).collect();
    assert_eq!(
        found,
        [
            (visitor(3), "default", Sample(30).at()),
            (visitor(2), "b", Sample(20).at()),
            (visitor(1), "a", Sample(10).at()),
        ]
    );
    let one = user_session::list_active_since(f.insight(), Sample(10).at(), 1).await.unwrap();
    assert_eq!(one.len(), 1);
}

pub(super) async fn a_visit_keeps_its_first_source(f: &Fixture) {
    let touch = |n, source: Option<&str>| {
        Some(user_session::Touch { source: source.map(Into::into), ..Sample(n).touch(1) })
    };
    let view = |n| [Record::PageView(Sample(n).view())];
    f.record(view(0), touch(0, Some("letter"))).await;
    f.record(view(1), touch(1, None)).await;
    f.record(view(2), touch(2, Some("other"))).await;
    let active = user_session::list_active_since(f.insight(), NOON, 10).await.unwrap();
    assert_eq!(active.iter().map(|a| a.source.as_deref()).collect::<Vec<_>>(), [Some("letter")]);
}
