//! Tests of `record`.

use mainstay_base::{Coded, ErrorCode};
use mainstay_store::{Written, user_session};

use super::Sender;
use crate::fixture::{DAY, House, SECOND, id};
use crate::intake::Error;

async fn record(house: &House, body: &str) -> Result<Written, Error> {
    let sender = Sender {
        site: "default".into(),
        received: house.clock.now(),
        request_id: 7,
        key: "0a1b2c3d".into(),
    };
    house.insight.record(&sender, body.as_bytes()).await
}

async fn events(house: &House) -> Vec<(String, i64, i64)> {
    let counts = house.insight.count_events(&house.last(DAY), 10).await.expect("counts");
    counts.into_iter().map(|c| (c.name, c.count, c.visitors)).collect()
}

fn everything() -> String {
    let [event, signup, revenue, error] = [1, 2, 3, 4].map(id);
    format!(
        r#"{{"id":"{}","site":"default",
        "metrics":[{{"type":"counter","name":"orders","labels":{{"plan":"pro"}},"value":2}},
            {{"type":"gauge","name":"stock","value":7.5}},
            {{"type":"histogram","name":"wait_seconds","labels":null,"value":0.3}}],
        "events":[{{"id":"{event}","name":"checkout","properties":{{"cart":3,"page":"https://a/x?token=SECRET"}},"user":"u-1",
            "revenue":{{"amount":10,"currency":"EUR"}}}}],
        "signups":[{{"id":"{signup}","source":"newsletter","plan_type":"pro","user":"u-2"}}],
        "revenue":[{{"id":"{revenue}","amount":-2.5,"currency":"EUR"}}],
        "errors":[{{"id":"{error}","name":"TypeError","message":"no cart of ann@example.org","stack":"TypeError: x\n at a (/srv/app.js:1:2)","release":"7"}}],
        "api_usage":[{{"endpoint":"/v1/items","api_key_type":"free","count":3}}]}}"#,
        id(9)
    )
}

#[tokio::test]
async fn everything_is_kept_counted_and_seen_without_a_visitor() {
    let house = House::open().await;
    record(&house, &everything()).await.expect("recorded");
    let kept = [("checkout", 1, 0), ("revenue", 1, 0), ("signup", 1, 0)];
    assert_eq!(events(&house).await, kept.map(|(name, n, v)| (name.to_owned(), n, v)));
    let errors = house.insight.list_errors(&house.last(DAY), None, 10).await.expect("errors");
    assert_eq!((errors.len(), errors[0].error_type.as_str()), (1, "TypeError"));
    assert_eq!((errors[0].count, errors[0].visitors), (1, 0));
    assert!(!errors[0].message.contains("ann@"), "{}", errors[0].message);
    for (series, value) in [
        ("app_orders_total{plan=\"pro\"}", 2.0),
        ("app_stock", 7.5),
        ("app_wait_seconds_count", 1.0),
        ("user_signups_total{source=\"newsletter\",plan_type=\"pro\"}", 1.0),
        ("revenue{currency=\"EUR\"}", 7.5),
        (
            "api_usage_total{endpoint=\"/v1/items\",api_key_type=\"free\",client_type=\"unknown\"}",
            3.0,
        ),
        ("errors_total{type=\"TypeError\",severity=\"error\",component=\"app\"}", 1.0),
        ("mainstay_recorded_total{type=\"metric\"}", 3.0),
        ("mainstay_recorded_total{type=\"event\"}", 1.0),
        ("mainstay_recorded_total{type=\"api_usage\"}", 1.0),
    ] {
        assert_eq!(house.metric(series), Some(value), "{series}");
    }
    // Nobody visited anything.
    let db = house.store.insight();
    let since = house.clock.now().minus(DAY);
    let visits = user_session::list_active_since(db, since, 10).await.expect("visits");
    assert!(visits.is_empty(), "{visits:?}");
    assert_eq!(house.insight.count_visitors_now("default").await.expect("present"), 0);
    let files = house.files();
    let holds = |text: &str| files.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("\"user\":\"u-1\"") && holds("\"cart\":3"), "properties are kept");
    assert!(!holds("SECRET") && !holds("ann@example.org"), "and no secret, as of browsers");
    house.close().await;
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    let house = House::open().await;
    for _ in 0..3 {
        record(&house, &everything()).await.expect("recorded");
        house.clock.advance(SECOND);
    }
    let counted: Vec<_> = events(&house).await.into_iter().map(|(_, n, _)| n).collect();
    assert_eq!(counted, [1, 1, 1]);
    for (series, value) in [
        ("app_orders_total{plan=\"pro\"}", 2.0),
        ("user_signups_total{source=\"newsletter\",plan_type=\"pro\"}", 1.0),
        ("revenue{currency=\"EUR\"}", 7.5),
        (
            "api_usage_total{endpoint=\"/v1/items\",api_key_type=\"free\",client_type=\"unknown\"}",
            3.0,
        ),
    ] {
        assert_eq!(house.metric(series), Some(value), "{series}");
    }
    // Without ids every request is another.
    for _ in 0..2 {
        record(&house, r#"{"signups":[{}],"metrics":[{"type":"counter","name":"orders","labels":{"plan":"pro"},"value":1}]}"#).await.expect("recorded");
    }
    assert_eq!(house.metric("app_orders_total{plan=\"pro\"}"), Some(4.0));
    let unknown = "user_signups_total{source=\"unknown\",plan_type=\"unknown\"}";
    assert_eq!(house.metric(unknown), Some(2.0));
    house.close().await;
}

#[tokio::test]
async fn the_id_of_a_request_makes_items_without_one_harmless_to_repeat() {
    let house = House::open().await;
    let body = format!(
        r#"{{"id":"{}","events":[{{"name":"a"}},{{"name":"a"}}],"signups":[{{}}],"revenue":[{{"amount":5,"currency":"EUR"}}],"errors":[{{"message":"m"}}],"api_usage":[{{"endpoint":"/"}}]}}"#,
        id(9)
    );
    for _ in 0..3 {
        record(&house, &body).await.expect("recorded");
    }
    let kept = [("a", 2, 0), ("revenue", 1, 0), ("signup", 1, 0)];
    assert_eq!(events(&house).await, kept.map(|(name, n, v)| (name.to_owned(), n, v)));
    let errors = house.insight.list_errors(&house.last(DAY), None, 10).await.expect("errors");
    assert_eq!((errors.len(), errors[0].count), (1, 1));
    for (kind, count) in
        [("event", 2.0), ("signup", 1.0), ("revenue", 1.0), ("error", 1.0), ("api_usage", 1.0)]
    {
        let series = format!("mainstay_recorded_total{{type=\"{kind}\"}}");
        assert_eq!(house.metric(&series), Some(count), "{series}");
    }
    assert_eq!(house.metric("revenue{currency=\"EUR\"}"), Some(5.0));
    house.close().await;
}

#[tokio::test]
async fn nobody_can_take_the_id_of_what_an_app_will_record() {
    let house = House::open().await;
    // Whoever knows how the app makes its ids posts them first, as a browser may, in every form that a browser may send.
    for taken in [id(1), super::id::of_sent("events", &id(1))[1..].to_owned()] {
        let of_a_page = format!(
            r#"{{"v":1,"page":"{}","url":"https://a/","events":[{{"id":"{taken}","type":"custom","t":0,"name":"taken"}},{{"id":"{taken}","type":"error","t":0,"name":"TypeError","message":"x"}}]}}"#,
            id(50),
        );
        house.send(&of_a_page).await.expect("accepted");
    }
    let as_kept = super::id::of_sent("events", &id(1));
    let refused = house
        .send(&crate::fixture::events(
            50,
            "https://a/",
            &format!(r#"{{"id":"{as_kept}","type":"custom","t":0,"name":"taken"}}"#),
        ))
        .await;
    assert!(refused.is_err(), "no browser's id begins as the app's do");
    let body = format!(
        r#"{{"events":[{{"id":"{0}","name":"checkout","revenue":{{"amount":10,"currency":"EUR"}}}}],"signups":[{{"id":"{0}"}}],"errors":[{{"id":"{0}","message":"m"}}]}}"#,
        id(1)
    );
    record(&house, &body).await.expect("recorded");
    let kept = [("taken", 2, 1), ("checkout", 1, 0), ("signup", 1, 0)];
    assert_eq!(events(&house).await, kept.map(|(name, n, v)| (name.to_owned(), n, v)));
    let errors = house.insight.list_errors(&house.last(DAY), None, 10).await.expect("errors");
    assert_eq!(errors.iter().map(|error| error.count).sum::<i64>(), 3);
    assert_eq!(house.metric("revenue{currency=\"EUR\"}"), Some(10.0));
    assert_eq!(house.metric("mainstay_recorded_total{type=\"error\"}"), Some(1.0));
    house.close().await;
}

#[tokio::test]
async fn whom_an_event_is_about_is_kept_before_what_was_sent_with_it() {
    let house = House::open().await;
    let long = |n| format!("\"k{n}\":\"{}\"", "x".repeat(494));
    let long = (0..4).map(long).collect::<Vec<_>>().join(",");
    let body =
        |user| format!(r#"{{"events":[{{"name":"x","user":"{user}","properties":{{{long}}}}}]}}"#);
    record(&house, &body("u-1")).await.expect("it fits");
    let files = house.files();
    let rendered = b"{\"user\":\"u-1\",\"k0\":";
    assert!(files.windows(rendered.len()).any(|part| part == rendered), "first of all");
    let error = record(&house, &body(&"u".repeat(100))).await.expect_err("it does not fit");
    assert_eq!(error.field().map(|(field, _)| field), Some("events[0].properties"));
    assert_eq!(error.code(), ErrorCode::Invalid);
    house.close().await;
}

#[tokio::test]
async fn no_secret_of_an_address_stands_in_the_metrics() {
    let house = House::open().await;
    let body = r#"{"signups":[{"source":"https://a/in?token=SECRET","plan_type":"of ann@example.org"}],
        "api_usage":[{"endpoint":"/v1/items/8731?key=SECRET","client_type":"https://b/?c=SECRET"}],
        "metrics":[{"type":"gauge","name":"stock","labels":{"of":"https://a/?d=SECRET"},"value":1}],
        "errors":[{"message":"m","release":"https://a/?e=SECRET"}]}"#;
    record(&house, body).await.expect("recorded");
    let text = house.registry.encode_text();
    assert!(
        text.contains("app_stock{of=\"https://a/") && text.contains("endpoint=\"/v1/items/{id}")
    );
    let kept = house.files();
    let in_files = kept.windows(6).any(|part| part == b"SECRET");
    assert!(!text.contains("SECRET") && !in_files, "{text}");
    house.close().await;
}

/// Each line: a body, and the field the refusal must name.
const BAD: &[(&str, &str)] = &[
    ("", "body"),
    ("{", "body"),
    ("[]", "body"),
    ("{}", "body"),
    (r#"{"events":[]}"#, "body"),
    (r#"{"event":[{"name":"x"}]}"#, "body"),
    (r#"{"events":{}}"#, "events"),
    (r#"{"id":"short","events":[{"name":"x"}]}"#, "id"),
    (r#"{"site":"elsewhere","events":[{"name":"x"}]}"#, "site"),
    (r#"{"site":7,"events":[{"name":"x"}]}"#, "site"),
    (r#"{"metrics":[7]}"#, "metrics[0]"),
    (r#"{"metrics":[{"type":"summary","name":"x","value":1}]}"#, "metrics[0].type"),
    (r#"{"metrics":[{"name":"x","value":1}]}"#, "metrics[0].type"),
    (r#"{"metrics":[{"type":"gauge","value":1}]}"#, "metrics[0].name"),
    (r#"{"metrics":[{"type":"gauge","name":"a b","value":1}]}"#, "metrics[0].name"),
    (r#"{"metrics":[{"type":"gauge","name":"x"}]}"#, "metrics[0].value"),
    (r#"{"metrics":[{"type":"gauge","name":"x","value":"1"}]}"#, "metrics[0].value"),
    (r#"{"metrics":[{"type":"counter","name":"x","value":-1}]}"#, "metrics[0].value"),
    (r#"{"metrics":[{"type":"gauge","name":"x","value":1,"labels":[]}]}"#, "metrics[0].labels"),
    (
        r#"{"metrics":[{"type":"gauge","name":"x","value":1,"labels":{"a":1}}]}"#,
        "metrics[0].labels",
    ),
    (
        r#"{"metrics":[{"type":"gauge","name":"x","value":1,"labels":{"le":"1"}}]}"#,
        "metrics[0].labels",
    ),
    (r#"{"metrics":[{"type":"gauge","name":"x","value":1,"lables":{}}]}"#, "metrics[0]"),
    (
        r#"{"metrics":[{"type":"gauge","name":"x","value":1},{"type":"counter","name":"x","value":1}]}"#,
        "metrics[1].type",
    ),
    (r#"{"events":[{"name":""}]}"#, "events[0].name"),
    (r#"{"events":[{"name":"x","id":7}]}"#, "events[0].id"),
    (r#"{"events":[{"name":"x"},{"name":"x","properties":{"a":{}}}]}"#, "events[1].properties"),
    (r#"{"events":[{"name":"x","properties":{"a":"LONG"}}]}"#, "events[0].properties"),
    (r#"{"events":[{"name":"x","properties":{MANY}}]}"#, "events[0].properties"),
    (r#"{"events":[{"name":"x","user":["u"]}]}"#, "events[0].user"),
    (r#"{"events":[{"name":"x","revenue":5}]}"#, "events[0].revenue"),
    (r#"{"events":[{"name":"x","revenue":{"amount":5}}]}"#, "events[0].revenue.currency"),
    (
        r#"{"events":[{"name":"x","revenue":{"amount":5,"currency":"EUR","vat":1}}]}"#,
        "events[0].revenue",
    ),
    (r#"{"signups":[{"source":7}]}"#, "signups[0].source"),
    (r#"{"signups":[{"plan":"pro"}]}"#, "signups[0]"),
    (r#"{"revenue":[{"currency":"EUR"}]}"#, "revenue[0].amount"),
    (r#"{"revenue":[{"amount":1e13,"currency":"EUR"}]}"#, "revenue[0].amount"),
    (r#"{"revenue":[{"amount":1,"currency":"euro"}]}"#, "revenue[0].currency"),
    (r#"{"errors":[{"name":"E"}]}"#, "errors[0].message"),
    (r#"{"errors":[{"message":{}}]}"#, "errors[0].message"),
    (r#"{"errors":[{"message":"m","stack":1}]}"#, "errors[0].stack"),
    (r#"{"errors":[{"message":"m","release":1}]}"#, "errors[0].release"),
    (r#"{"api_usage":[{"count":1}]}"#, "api_usage[0].endpoint"),
    (r#"{"api_usage":[{"endpoint":"/","count":0}]}"#, "api_usage[0].count"),
    (r#"{"api_usage":[{"endpoint":"/","count":1.5}]}"#, "api_usage[0].count"),
];

#[tokio::test]
async fn a_body_that_breaks_a_rule_is_refused_with_the_field_and_keeps_nothing() {
    let house = House::open().await;
    let many: Vec<_> = (0..21).map(|n| format!("\"k{n}\":1")).collect();
    let good = format!("{{\"events\":[{{\"id\":\"{}\",\"name\":\"good\"}}],", id(70));
    for (body, expected) in BAD {
        let body = body.replace("LONG", &"x".repeat(2_048)).replace("MANY", &many.join(","));
        // Beside something that is right, where the list is another.
        let beside = body.strip_prefix('{').filter(|_| !body.contains("event") && body.len() > 2);
        let body = beside.map_or(body.clone(), |rest| format!("{good}{rest}"));
        let error = record(&house, &body).await.expect_err(&body);
        let field = error.field().map(|(field, _)| field.to_owned());
        assert_eq!(field.as_deref(), Some(*expected), "{body}: {error}");
        assert_eq!(error.code(), ErrorCode::Invalid, "{body}");
        assert!(!error.public().contains("lables") && !error.public().contains("elsewhere"));
    }
    assert!(events(&house).await.is_empty());
    assert!(!house.registry.encode_text().contains("\napp_"));
    let items = vec![r#"{"name":"x"}"#; 501].join(",");
    let long = format!(r#"{{"events":[{{"name":"{}"}}]}}"#, "x".repeat(256 << 10));
    for body in [format!("{{\"events\":[{items}]}}"), long] {
        let error = record(&house, &body).await.expect_err("too much");
        assert_eq!(error.code(), ErrorCode::TooLarge);
    }
    house.close().await;
}

#[tokio::test]
async fn labels_that_apps_choose_are_bounded() {
    let house = House::open().await;
    for n in 0..120_u8 {
        let currency: String =
            [b'A', b'A' + n / 26, b'A' + n % 26].map(char::from).iter().collect();
        let body = format!(
            r#"{{"signups":[{{"source":"s{n}","plan_type":"p"}}],"api_usage":[{{"endpoint":"/a{n}b"}}],"revenue":[{{"amount":1,"currency":"{currency}"}}]}}"#
        );
        record(&house, &body).await.expect("recorded");
    }
    let text = house.registry.encode_text();
    let count = |family| text.lines().filter(|line| line.starts_with(family)).count();
    for (family, other) in [
        ("user_signups_total{", "user_signups_total{source=\"other\",plan_type=\"other\"}"),
        (
            "api_usage_total{",
            "api_usage_total{endpoint=\"other\",api_key_type=\"other\",client_type=\"other\"}",
        ),
    ] {
        assert_eq!(count(family), 51);
        assert_eq!(house.metric(other), Some(70.0));
    }
    // Amounts of many currencies have no sum.
    assert_eq!((count("revenue{"), house.metric("revenue{currency=\"other\"}")), (50, None));
    let dropped = "mainstay_app_metrics_dropped_total{reason=\"series\"}";
    assert_eq!(house.metric(dropped), Some(210.0));
    house.close().await;
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_durable() {
    let house = House::open().await;
    house.stop_recorder().await;
    let error = record(&house, &everything()).await.expect_err("nobody writes");
    assert_eq!((error.code(), error.retry_after()), (ErrorCode::Unavailable, Some(30)));
    assert_eq!(house.metric("app_orders_total{plan=\"pro\"}"), None, "and nothing is counted");
    assert_eq!(house.metric("user_signups_total{source=\"newsletter\",plan_type=\"pro\"}"), None);
}
