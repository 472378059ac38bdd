//! Events of the app.

use std::path::PathBuf;

use mainstay_base::Timestamp;
use mainstay_store::tables::custom_event;
use mainstay_store::{Bots, Span as Time};
use mainstay_testkit::list_files_with;
use serde_json::json;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

impl House {
    /// Names and how often, of a site, from one time to another.
    async fn events(&self, site: &str, from: Timestamp, to: Timestamp) -> Vec<(String, i64)> {
        let span = Time { site, from, to, bots: Bots::Include };
        let counts = custom_event::count_by_name(self.store.insight(), &span, 10).await;
        counts.expect("counts").into_iter().map(|count| (count.name, count.count)).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_kept_once_however_often_the_job_is_done() {
    let twice = |kind| Arc::new(Twice(kind)) as Arc<dyn Job>;
    let house = House::open_with(Settings::default(), RESULT_MAX, twice).await;
    let now = Clock::System.now();
    let event = json!({"event": "checkout", "properties": {"cart": 3, "plan": "pro-marker"}});
    assert_eq!(result(&house.run("analytics", &event).await), Value::Null);
    let kept = house.events("default", now.minus(DAY), now.plus(DAY)).await;
    assert_eq!(kept, [("checkout".to_owned(), 1)]);
    // Beside the job itself, which is in another file.
    let files = list_files_with(house.dir.path(), "\"plan\":\"pro-marker\"");
    let is_kept = |path: &PathBuf| path.to_string_lossy().contains("insight.db");
    assert!(files.iter().any(is_kept), "no properties: {files:?}");
    // Another job is another event.
    result(&house.run("analytics", &event).await);
    let kept = house.events("default", now.minus(DAY), now.plus(DAY)).await;
    assert_eq!(kept, [("checkout".to_owned(), 2)]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_of_its_time_and_site() {
    let house = House::open(Settings::default()).await;
    let at = Clock::System.now().minus(3 * DAY);
    let millis = at.as_micros() / 1_000;
    for (event, more) in [
        ("text", json!({"timestamp": at.to_rfc3339()})),
        ("millis", json!({"timestamp": millis})),
        ("other", json!({"timestamp": millis, "site": "other"})),
    ] {
        let mut payload = more;
        payload["event"] = json!(event);
        result(&house.run("analytics", &payload).await);
    }
    let second = Duration::from_secs(1);
    let around = (at.minus(second), at.plus(second));
    let kept = house.events("default", around.0, around.1).await;
    assert_eq!(kept, [("millis".to_owned(), 1), ("text".to_owned(), 1)]);
    assert_eq!(house.events("other", around.0, around.1).await, [("other".to_owned(), 1)]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_event_is_dead_and_says_why() {
    let house = House::open(Settings::default()).await;
    let now = Clock::System.now();
    let ahead = now.plus(Duration::from_secs(3_600)).to_rfc3339();
    let before = now.minus(91 * DAY).to_rfc3339();
    for (payload, reason) in [
        (json!("SECRET"), "must be an object"),
        (json!({"event": "x", "user": "SECRET"}), "unknown field; known are event, properties"),
        (json!({"properties": {"a": "SECRET"}}), "event must be text of 1 to 100 bytes"),
        (json!({"event": ["SECRET"]}), "event must be text of 1 to 100 bytes"),
        (json!({"event": "x", "properties": "SECRET"}), "properties must be an object"),
        (json!({"event": "x", "properties": {"a": ["SECRET"]}}), "properties entry 0 must be text"),
        (json!({"event": "x", "site": "SECRET"}), "site is no site of this server"),
        (json!({"event": "x", "timestamp": "SECRET"}), "timestamp must be an RFC 3339 time"),
        (json!({"event": "x", "timestamp": {}}), "timestamp must be an RFC 3339 time"),
        (json!({"event": "x", "timestamp": i64::MAX}), "timestamp must be an RFC 3339 time"),
        (json!({"event": "x", "timestamp": ahead}), "timestamp lies ahead"),
        (json!({"event": "x", "timestamp": before}), "insight.retain.events"),
    ] {
        house.assert_dead("analytics", &payload, reason).await;
    }
    assert!(house.events("default", now.minus(365 * DAY), now.plus(DAY)).await.is_empty());
    house.close().await;
}
