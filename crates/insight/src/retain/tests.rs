//! Tests of `retain`.

use mainstay_base::Clock;

use super::*;
use crate::fixture::{DAY, HOUR, House, SECOND, page_view};
use crate::rollup;
use crate::settings::Settings;

#[tokio::test]
async fn old_events_go_and_their_counted_hours_stay() {
    let house = House::open().await;
    for n in 0..5 {
        assert!(house.send(&page_view(n, "https://h/old")).await.is_ok());
    }
    house.clock.advance(2 * HOUR);
    rollup::reconcile(&house.insight, &Stop::default()).await.expect("counted");
    house.clock.advance(91 * DAY);
    assert!(house.send(&page_view(9, "https://h/new")).await.is_ok());
    let small_bites = Settings { retain_rows_max: 2, ..Settings::default() };
    let insight = house.with_settings(small_bites).await;
    reconcile(&insight, &Stop::default()).await.expect("reconciled");

    let all = house.last(100 * DAY);
    let db = house.store.insight();
    let raw = mainstay_store::page_view::total(db, &all).await.expect("total");
    assert_eq!(raw.pageviews, 1);
    rollup::reconcile(&insight, &Stop::default()).await.expect("counted");
    let pages = insight.list_pages(&all, None, 9).await.expect("pages");
    let pages: Vec<_> =
        pages.iter().map(|p| (p.key.as_deref().unwrap_or(""), p.pageviews)).collect();
    assert_eq!(pages, [("/old", 5), ("/new", 1)]);
    // A short span so long ago is answered from counted hours, because its events are gone.
    let then =
        mainstay_store::Span { to: all.to.minus(91 * DAY), from: all.to.minus(92 * DAY), ..all };
    assert_eq!(insight.list_pages(&then, None, 9).await.expect("pages").len(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_stop_ends_the_work_between_two_bites() {
    let house = House::open().await;
    for n in 0..5 {
        assert!(house.send(&page_view(n, "https://h/old")).await.is_ok());
    }
    house.clock.advance(91 * DAY);
    let group = mainstay_base::task::Group::new();
    group.stop_softly();
    reconcile(&house.insight, group.stop()).await.expect("reconciled");
    let raw = mainstay_store::page_view::total(house.store.insight(), &house.last(100 * DAY)).await;
    assert_eq!(raw.expect("total").pageviews, 5);
    house.close().await;
}

#[tokio::test]
async fn the_reconcilers_live_until_they_are_stopped() {
    let house = House::open().await;
    let group = mainstay_base::task::Group::new();
    house.insight.spawn(&group);
    assert!(matches!(house.clock, Clock::Fixed(_)));
    assert_eq!(group.finish(10 * SECOND, SECOND).await, 0);
    assert_eq!(group.crashes(), []);
    house.close().await;
}

#[tokio::test]
async fn bots_go_first_and_their_counted_hours_are_final() {
    let house = House::open().await;
    let robot = house.sender("192.0.2.9", crate::fixture::CURL);
    let body = page_view(1, "https://h/robots");
    assert!(house.insight.accept(&robot, body.as_bytes()).await.is_ok());
    assert!(house.send(&page_view(2, "https://h/people")).await.is_ok());
    house.clock.advance(2 * HOUR);
    rollup::reconcile(&house.insight, &Stop::default()).await.expect("counted");
    house.clock.advance(31 * DAY);
    reconcile(&house.insight, &Stop::default()).await.expect("reconciled");

    let (db, all) = (house.store.insight(), house.last(40 * DAY));
    let bots = mainstay_store::Span { bots: mainstay_store::Bots::Only, ..all };
    let raw = async |span| mainstay_store::page_view::total(db, &span).await.expect("total");
    assert_eq!((raw(all).await.pageviews, raw(bots).await.pageviews), (1, 0));
    // Something late must not count the hour without its bots.
    let then = house.clock.now().minus(31 * DAY + 2 * HOUR);
    mainstay_store::rollup::mark_dirty(db, "default", then).await.expect("marked");
    // A room that was opened anew begins with the oldest hour.
    let insight = house.with_settings(Settings::default()).await;
    rollup::reconcile(&insight, &Stop::default()).await.expect("counted");
    let dirty = mainstay_store::rollup::list_dirty(db, None, 1).await.expect("dirty");
    assert!(dirty.iter().all(|dirty| dirty.hour > then), "{dirty:?}");
    // A short span is answered from counted hours, because its bots are gone.
    let hours = mainstay_store::Span { from: then.minus(HOUR), to: then.plus(HOUR), ..bots };
    let pages = house.insight.list_pages(&hours, None, 9).await.expect("pages");
    assert_eq!(
        pages.iter().map(|p| (p.key.as_deref(), p.pageviews)).collect::<Vec<_>>(),
        [(Some("/robots"), 1)]
    );
    house.close().await;
}
