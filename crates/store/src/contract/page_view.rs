//! Contract of `page_views`.

use std::time::Duration;

use super::fixture::{Fixture, NOON, Sample, day, site, visitor};
use crate::tables::page_view::{self, Point};
use crate::{Bots, Dimension, KeyCount, Record, Span};

pub(super) async fn a_repeat_changes_nothing(f: &Fixture) {
    let view = Record::PageView(Sample(0).view());
    f.record([view.clone(), view.clone()], None).await;
    f.record([view], None).await;
    let total = page_view::total(f.insight(), &day()).await.unwrap();
    assert_eq!(total, Point { t: day().from, visitors: 1, pageviews: 1 });
}

pub(super) async fn an_event_id_counts_once_whatever_page_it_names(f: &Fixture) {
    let elsewhere = page_view::Row { id: Sample(0).event_id(), ..Sample(1).view() };
    f.record([Record::PageView(Sample(0).view())], Some(Sample(0).touch(1))).await;
    f.record([Record::PageView(elsewhere)], Some(Sample(1).touch(1))).await;
    let total = page_view::total(f.insight(), &day()).await.unwrap();
    assert_eq!(total.pageviews, 1);
    assert_eq!(super::user_session::find(f, 1).await.page_views, 1);
}

pub(super) async fn a_repeat_is_found_among_new_rows(f: &Fixture) {
    let views = |from, to| (from..to).map(|n| Record::PageView(Sample(n).view()));
    f.record(views(0, 40), Some(Sample(0).touch(1))).await;
    // 70 rows take two statements; 20 of them are repeats, spread over the first.
    f.record(views(20, 90), Some(Sample(1).touch(1))).await;
    let total = page_view::total(f.insight(), &day()).await.unwrap();
    assert_eq!(total.pageviews, 90);
    assert_eq!(super::user_session::find(f, 1).await.page_views, 90);
}

pub(super) async fn keys_are_counted_and_paged(f: &Fixture) {
    let mut views = Vec::new();
    for (n, source) in [Some("b"), None, Some("a"), Some("b"), Some("c")].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let mut view = Sample(n).view();
        view.source = source.map(Into::into);
        view.visitor_id = Some(visitor(n % 2));
        views.push(Record::PageView(view));
    }
    f.record(views, None).await;
    let row = |key: Option<&str>, visitors, pageviews| KeyCount {
        key: key.map(Into::into),
        visitors,
        pageviews,
    };
    let expected =
        [row(Some("b"), 2, 2), row(None, 1, 1), row(Some("a"), 1, 1), row(Some("c"), 1, 1)];
    let mut got = Vec::new();
    loop {
        let after = got.last().map(KeyCount::cursor);
        let by = Dimension::Source;
        let page = page_view::count_by_key(f.insight(), &day(), by, after, 1).await.unwrap();
        if page.is_empty() {
            break;
        }
        got.extend(page);
    }
    assert_eq!(got, expected);
    for by in Dimension::ALL {
        let rows = page_view::count_by_key(f.insight(), &day(), by, None, 10).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.pageviews).sum::<i64>(), 5, "{by:?}");
    }
}

pub(super) async fn bots_are_kept_apart(f: &Fixture) {
    let mut bot = Sample(1).view();
    bot.bot_reason = Some("crawler".into());
    f.record([Record::PageView(Sample(0).view()), Record::PageView(bot)], None).await;
    for (bots, expected) in [(Bots::Exclude, 1), (Bots::Only, 1), (Bots::Include, 2)] {
        let total = page_view::total(f.insight(), &Span { bots, ..day() }).await.unwrap();
        assert_eq!(total.pageviews, expected, "{bots:?}");
    }
}

pub(super) async fn series_put_views_into_their_steps(f: &Fixture) {
    let views = [0, 1, 59, 61].map(|n| Record::PageView(Sample(n).view()));
    f.record(views, None).await;
    let hour = Duration::from_secs(3_600);
    let points = page_view::series(f.insight(), &day(), hour).await.unwrap();
    assert_eq!(
        points,
        [
            Point { t: NOON, visitors: 1, pageviews: 3 },
            Point { t: NOON.plus(hour), visitors: 1, pageviews: 1 },
        ]
    );
    let span = Span { from: NOON, to: Sample(3).at(), ..day() };
    assert_eq!(page_view::pageviews_per_minute(f.insight(), &span).await.unwrap(), [1, 1, 0]);
    let since = page_view::visitors_since(f.insight(), "default", Sample(60).at(), Bots::Exclude);
    assert_eq!(since.await.unwrap(), 1);
    let since = page_view::visitors_since(f.insight(), "default", Sample(62).at(), Bots::Exclude);
    assert_eq!(since.await.unwrap(), 0);
}

pub(super) async fn sites_do_not_see_each_other(f: &Fixture) {
    let mut other = Sample(0).view();
    other.site = "other".into();
    // The same page and event id on another site is another event.
    f.record([Record::PageView(Sample(0).view()), Record::PageView(other.clone())], None).await;
    // Among new rows too it is told from a repeat.
    let (mut there, here) = (Sample(1).view(), Sample(1).view());
    there.site = "other".into();
    let again = Record::PageView(other);
    f.record([again, Record::PageView(there), Record::PageView(here)], Some(Sample(1).touch(1)))
        .await;
    assert_eq!(super::user_session::find(f, 1).await.page_views, 2);
    for site in [&*site(), "other"] {
        let total = page_view::total(f.insight(), &Span { site, ..day() }).await.unwrap();
        assert_eq!(total.pageviews, 2, "{site}");
    }
}
