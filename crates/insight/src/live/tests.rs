//! Tests of `live`.

use crate::fixture::{House, SECOND, events, id, page_view, vital};
use crate::vitals::Vital;

#[tokio::test]
async fn the_overview_shows_the_present_and_is_computed_once() {
    let house = House::open().await;
    let empty = house.insight.find_overview("default").await.expect("an overview");
    assert_eq!((empty.visitors_now, empty.pageviews_30m.len(), empty.vitals.len()), (0, 30, 0));
    let all = [
        format!(r#"{{"id":"{}","type":"pageview","t":0}}"#, id(1)),
        vital(2, "LCP", 900.0, 10),
        vital(3, "CLS", 0.2, 10),
        format!(r#"{{"id":"{}","type":"error","t":5,"name":"TypeError","message":"x"}}"#, id(4)),
    ];
    let url = "https://h/p?utm_source=news";
    assert!(house.send(&events(1, url, &all.join(","))).await.is_ok());
    let again = house.insight.find_overview("default").await.expect("an overview");
    assert_eq!(again, empty, "not more than once a second");
    tokio::time::pause();
    tokio::time::advance(30 * SECOND).await;
    tokio::time::resume();
    let now = house.insight.find_overview("default").await.expect("an overview");
    assert_eq!((now.visitors_now, now.pageviews_30m.last()), (1, Some(&1)));
    assert_eq!(now.pages[0].key.as_deref(), Some("/p"));
    assert_eq!(now.sources[0].key.as_deref(), Some("news"));
    let vitals: Vec<_> =
        now.vitals.iter().map(|v| (v.vital, v.rating.as_str(), v.samples)).collect();
    assert_eq!(vitals, [(Vital::Lcp, "good", 1), (Vital::Cls, "needs-improvement", 1)]);
    assert_eq!((now.js_errors[0].error_type.as_str(), now.js_errors[0].count), ("TypeError", 1));
    house.close().await;
}

#[tokio::test]
async fn names_of_sites_that_are_not_ours_are_not_remembered() {
    let house = House::open().await;
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    for n in 0..50 {
        assert!(house.insight.find_overview(&format!("site{n}")).await.is_ok());
    }
    assert!(house.insight.0.live.0.lock().await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn the_errors_that_matter_most_come_first() {
    let house = House::open().await;
    let error = |n: u64, name: &str| {
        format!(r#"{{"id":"{}","type":"error","t":5,"name":"{name}","message":"x"}}"#, id(n))
    };
    let url = "https://h/";
    let often = [error(1, "TypeError"), error(2, "TypeError"), error(3, "TypeError")].join(",");
    assert!(house.send(&events(1, url, &often)).await.is_ok());
    assert!(house.send(&events(2, url, &error(4, "RangeError"))).await.is_ok());
    house.clock.advance(SECOND);
    assert!(house.send(&events(3, url, &error(5, "SyntaxError"))).await.is_ok());
    let now = house.insight.find_overview("default").await.expect("an overview");
    let ranked: Vec<_> = now.js_errors.iter().map(|e| (e.error_type.as_str(), e.count)).collect();
    assert_eq!(ranked, [("TypeError", 3), ("SyntaxError", 1), ("RangeError", 1)]);
    house.close().await;
}

#[tokio::test]
async fn sites_may_change_while_it_runs() {
    let house = House::open().await;
    assert!(house.insight.find_overview("default").await.is_ok());
    house.insight.set_sites(vec!["shop".into(), "blog".into()]);
    assert_eq!(house.insight.list_sites().to_vec(), ["shop".into(), "blog".into()]);
    assert!(house.insight.find_overview("shop").await.is_ok());
    let kept = house.insight.0.live.0.lock().await.keys().cloned().collect::<Vec<_>>();
    assert_eq!(kept, ["shop"], "one that is gone is forgotten");
    house.close().await;
}
