//! Events that are refused: which field, with which status, and that nothing of them is kept; and events that come twice.

use mainstay_testkit::{Batch, Request, Response, Server, fresh_id};
use serde_json::{Value, json};

use crate::serve;

fn server() -> Server {
    serve(&[("index.html", "<p>home</p>")])
}

fn post(server: &Server, body: impl Into<Vec<u8>>) -> Response {
    server.send(&Request::post("/_mainstay/events").header("content-type", "text/plain").body(body))
}

fn page_view() -> Batch {
    Batch::page_view("https://a.example/")
}

/// A batch with one event.
fn one(event: Value) -> String {
    Batch::of("https://a.example/").event(event).body()
}

fn assert_refused(response: &Response, status: u16, field: &str) {
    assert_eq!(response.status, status, "{field}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{field}");
    assert_eq!(response.header("cache-control"), Some("no-store"), "{field}");
    let problem = response.json();
    assert_eq!(problem["field"], field, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert!(
        problem["type"].as_str().is_some_and(|t| t.starts_with("urn:mainstay:problem:")),
        "{problem}"
    );
    assert!(
        problem["detail"].as_str().is_some_and(|detail| detail.len() > field.len()),
        "{problem}"
    );
}

fn assert_nothing_kept(server: &Server) {
    for list in ["pages?bots=include", "vitals?bots=include", "errors?bots=include"] {
        let rows = server.rows(&format!("/api/v1/{list}"));
        assert!(rows.is_empty(), "{list}: {rows:?}");
    }
    let accepted = server.metrics().value("mainstay_events_accepted_total", &[]);
    assert!(accepted.abs() < 0.1, "{accepted}");
}

#[test]
fn every_wrong_field_is_named() {
    let server = server();
    let envelope = |name: &str, value: Value| page_view().field(name, value).body();
    let vital = |name: &str, value: Value| {
        let mut event =
            json!({"type": "vital", "t": 1, "name": "LCP", "value": 1.0, "nav": "navigate"});
        event[name] = value;
        one(event)
    };
    let custom = |name: &str, value: Value| {
        let mut event = json!({"type": "custom", "t": 1, "name": "signup"});
        event[name] = value;
        one(event)
    };
    let cases = [
        ("body", String::new()),
        ("body", "{".to_owned()),
        ("body", "[]".to_owned()),
        ("body", "null".to_owned()),
        ("body", format!("{} trailing", page_view().body())),
        ("body", format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))),
        ("v", envelope("v", json!(2))),
        ("v", envelope("v", Value::Null)),
        ("site", envelope("site", json!("another"))),
        ("site", envelope("site", json!(7))),
        ("page", envelope("page", json!("short"))),
        ("page", envelope("page", json!("x".repeat(33)))),
        ("page", envelope("page", json!("not url safe ------"))),
        ("url", envelope("url", json!("/relative"))),
        ("url", envelope("url", json!("javascript:alert(1)"))),
        ("url", envelope("url", json!("file:///etc/passwd"))),
        ("url", envelope("url", json!(format!("https://a/{}", "x".repeat(9_000))))),
        ("url", envelope("url", Value::Null)),
        ("ref", envelope("ref", json!(["https://a/"]))),
        ("w", envelope("w", json!(-1))),
        ("w", envelope("w", json!("wide"))),
        ("events", envelope("events", json!({}))),
        ("events", Batch::of("https://a.example/").body()),
        ("events[0]", envelope("events", json!(["pageview"]))),
        ("events[0].type", one(json!({"t": 0}))),
        ("events[0].id", one(json!({"type": "pageview", "t": 0, "id": "short"}))),
        ("events[0].id", one(json!({"type": "pageview", "t": 0, "id": 12_345}))),
        ("events[0].t", one(json!({"type": "pageview"}))),
        ("events[0].t", one(json!({"type": "pageview", "t": -5}))),
        ("events[0].t", one(json!({"type": "pageview", "t": 1e12}))),
        ("events[0].name", vital("name", json!("SPEED"))),
        ("events[0].value", vital("value", json!(-1))),
        ("events[0].value", vital("value", json!("fast"))),
        ("events[0].value", vital("value", json!(1e9))),
        ("events[0].attr", vital("attr", json!("element"))),
        ("events[0].ms", one(json!({"type": "engagement", "t": 1, "scroll": 5}))),
        ("events[0].scroll", one(json!({"type": "engagement", "t": 1, "ms": 5, "scroll": 500}))),
        ("events[0].message", one(json!({"type": "error", "t": 1, "message": {}}))),
        ("events[0].line", one(json!({"type": "error", "t": 1, "message": "m", "line": "x"}))),
        ("events[0].name", custom("name", json!(""))),
        ("events[0].name", custom("name", json!("x".repeat(101)))),
        ("events[0].props", custom("props", json!([1]))),
        ("events[0].props", custom("props", json!({"deep": {"er": 1}}))),
        ("events[0].props", custom("props", json!({"long": "x".repeat(3_000)}))),
        ("events[0].revenue", custom("revenue", json!(5))),
        ("events[0].revenue.currency", custom("revenue", json!({"amount": 1, "currency": "euro"}))),
        ("events[0].revenue.amount", custom("revenue", json!({"amount": "1", "currency": "EUR"}))),
        ("events[1].t", page_view().event(json!({"type": "pageview", "t": "x"})).body()),
    ];
    let count = cases.len();
    for (field, body) in cases {
        assert_refused(&post(&server, body), 400, field);
    }
    assert_refused(&post(&server, [0xff, 0xfe, 0x00]), 400, "body");
    assert_nothing_kept(&server);
    let dropped = server.metrics().value("mainstay_events_dropped_total", &[("reason", "invalid")]);
    assert!((dropped - (count + 1) as f64).abs() < 0.1, "{dropped} of {}", count + 1);
}

#[test]
fn what_is_too_large_or_of_another_kind_is_refused() {
    let server = server();
    let many = (0..51)
        .fold(Batch::of("https://a/"), |batch, _| batch.event(json!({"type": "pageview", "t": 0})));
    assert_refused(&post(&server, many.body()), 413, "events");
    for length in [65_537, 1 << 20] {
        let mut body = page_view().body().into_bytes();
        body.resize(length, b' ');
        let response = post(&server, body);
        assert_eq!(
            (response.status, response.header("content-type")),
            (413, Some("application/problem+json"))
        );
    }
    let mut whole = page_view().body().into_bytes();
    whole.resize(65_536, b' ');
    assert_eq!(post(&server, whole).status, 204, "exactly the limit");
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/html",
        "application/jsonx",
    ] {
        let request = Request::post("/_mainstay/events")
            .header("content-type", kind)
            .body(page_view().body());
        assert_refused(&server.send(&request), 415, "content-type");
    }
    let bare = Request::post("/_mainstay/events").body(page_view().body());
    assert_eq!(server.send(&bare).status, 204, "a beacon may come without a type");
    let json = Request::post("/_mainstay/events")
        .header("content-type", "application/json; charset=utf-8")
        .body(page_view().body());
    assert_eq!(server.send(&json).status, 204);
}

#[test]
fn a_refusal_never_repeats_what_was_sent() {
    let server = server();
    let secret = "sesame-5d41402abc4b2a76";
    for body in [
        page_view().field("page", json!(secret)).body().replace("https", secret),
        one(json!({"type": "vital", "t": 1, "name": secret, "value": 1})),
        one(json!({"type": "custom", "t": 1, "name": "n", "props": {secret: {}}})),
        format!("{{\"{secret}"),
    ] {
        let response = post(&server, body);
        assert_eq!(response.status, 400);
        assert!(!response.text().contains(secret), "{}", response.text());
    }
    assert!(!server.log().text().contains(secret));
}

#[test]
fn unknown_types_are_counted_and_dropped_and_unknown_fields_ignored() {
    let server = server();
    let batch = page_view()
        .field("colour", json!({"deep": [1, 2, {"er": null}]}))
        .event(json!({"type": "scroll-of-the-future", "what": ["ever"]}))
        .event(json!({"type": "pageview", "t": 3, "more": [1]}));
    server.accept(&batch);
    let dropped =
        server.metrics().value("mainstay_events_dropped_total", &[("reason", "unknown_type")]);
    assert!((dropped - 1.0).abs() < 0.1, "{dropped}");
    assert_eq!(server.rows("/api/v1/pages")[0]["pageviews"], 2);
}

#[test]
fn an_event_that_comes_twice_counts_once() {
    let server = server();
    let id = fresh_id();
    let batch = Batch::of("https://a.example/")
        .event(json!({"type": "pageview", "t": 0, "id": id}))
        .event(json!({"type": "pageview", "t": 0, "id": id}))
        .vital("LCP", 900.0)
        .error("TypeError", "x is not a function", "at f (https://a.example/app.js:1:2)")
        .custom("signup", &json!({"plan": "pro"}))
        .engagement(4_000, 50);
    for _ in 0..3 {
        server.accept(&batch);
    }
    // The same event in another company, as when a batch is sent again with what came since.
    let later = batch.clone().vital("CLS", 0.05);
    server.accept(&later);
    server.accept(&batch);
    assert_eq!(server.rows("/api/v1/pages"), [json!({"key": "/", "visitors": 1, "pageviews": 1})]);
    let errors = server.rows("/api/v1/errors");
    assert_eq!((errors.len(), &errors[0]["count"]), (1, &json!(1)), "{errors:?}");
    let vitals = server.rows("/api/v1/vitals");
    assert!(vitals.iter().all(|row| row["samples"] == 1), "{vitals:?}");
    let metrics = server.metrics();
    assert!((metrics.value("page_views_total", &[]) - 1.0).abs() < 0.1);
    assert!((metrics.value("web_vital_lcp_seconds_count", &[]) - 1.0).abs() < 0.1);
    let points = server.rows("/api/v1/visitors?step=86400");
    let engaged: i64 = points.iter().filter_map(|point| point["engaged_ms"].as_i64()).sum();
    assert_eq!(engaged, 4_000, "{points:?}");
}
