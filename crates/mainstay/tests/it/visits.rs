//! Visits from the browser's events to the owner's answers: every read in its documented shape and with the right numbers.

use std::time::Duration;

use mainstay_testkit::{Batch, CHROME, Request, Server, Site, until};
use serde_json::{Value, json};

use crate::{launch, serve};

const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const ROBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// The user agent of visitor `n`: another browser version is another visitor.
fn visitor(n: usize) -> String {
    CHROME.replace("140.0", &format!("{}.0", 100 + n))
}

fn keys_of(row: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = row.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// Three visitors with six views, one of them a phone; and a robot.
fn visited() -> Server {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let view = |path: &str| Batch::page_view(&format!("https://shop.example{path}"));
    let (ada, bob) = (visitor(1), visitor(2));
    server.accept(&view("/?utm_source=letter&utm_medium=email").by(&ada).engagement(5_000, 80));
    server.accept(&view("/about.html").by(&ada).from("https://shop.example/"));
    server.accept(&view("/about?x=1#y").by(&ada).engagement(7_000, 10));
    server.accept(&view("/").by(&bob).from("https://www.google.com/search?q=x"));
    server.accept(&view("/about").by(&bob));
    server.accept(&view("/").by(PHONE));
    server.accept(&view("/").by(ROBOT));
    server.accept(&view("/robots-only").by(ROBOT));
    server
}

#[test]
fn pages_sources_and_devices_are_counted_by_people() {
    let server = visited();
    let answer = server.read("/api/v1/pages");
    assert_eq!(keys_of(&answer), ["as_of", "data", "next"]);
    assert!(
        answer["as_of"].as_str().is_some_and(|t| t.ends_with('Z') && t.contains('T')),
        "{answer}"
    );
    assert_eq!(
        answer["data"],
        json!([{"key": "/", "visitors": 3, "pageviews": 3}, {"key": "/about", "visitors": 2, "pageviews": 3}])
    );
    assert_eq!(answer["next"], Value::Null);
    // Later views of a visit count under the source that brought it.
    let mut sources = server.rows("/api/v1/sources");
    sources.sort_by_key(|row| row["key"].to_string());
    assert_eq!(
        sources,
        [
            json!({"key": "Direct / none", "visitors": 1, "pageviews": 1}),
            json!({"key": "google.com", "visitors": 1, "pageviews": 2}),
            json!({"key": "letter", "visitors": 1, "pageviews": 3}),
        ]
    );
    assert_eq!(
        server.rows("/api/v1/devices"),
        [
            json!({"key": "desktop", "visitors": 2, "pageviews": 5}),
            json!({"key": "mobile", "visitors": 1, "pageviews": 1})
        ]
    );
    assert_eq!(
        server.rows("/api/v1/countries"),
        [json!({"key": "unknown", "visitors": 3, "pageviews": 6})]
    );
    assert_eq!(server.read("/api/v1/visitors/now"), json!({"now": 3}));
}

#[test]
fn bots_are_kept_apart() {
    let server = visited();
    assert_eq!(
        server.rows("/api/v1/pages?bots=only"),
        [
            json!({"key": "/", "visitors": 1, "pageviews": 1}),
            json!({"key": "/robots-only", "visitors": 1, "pageviews": 1})
        ]
    );
    let all = server.rows("/api/v1/pages?bots=include");
    let views: i64 = all.iter().filter_map(|row| row["pageviews"].as_i64()).sum();
    assert_eq!(views, 8, "{all:?}");
    assert_eq!(server.rows("/api/v1/pages?bots=exclude"), server.rows("/api/v1/pages"));
    let metrics = server.metrics();
    assert!(
        (metrics.value("page_views_total", &[]) - 6.0).abs() < 0.1,
        "bots are left out of the metric"
    );
    let prefetched = Batch::page_view("https://shop.example/prefetched")
        .header("sec-purpose", "prefetch;prerender");
    server.accept(&prefetched);
    let keys = |list: &str| server.rows(list).iter().any(|row| row["key"] == "/prefetched");
    assert!(!keys("/api/v1/pages") && keys("/api/v1/pages?bots=only"));
}

#[test]
fn visitors_over_time_add_up() {
    let server = visited();
    let points = server.rows("/api/v1/visitors?step=3600");
    assert!(points.len() >= 24, "every step of the day has a point: {}", points.len());
    assert_eq!(keys_of(&points[0]), ["bounces", "engaged_ms", "pageviews", "t", "visitors"]);
    let sum = |field: &str| points.iter().filter_map(|point| point[field].as_i64()).sum::<i64>();
    assert_eq!((sum("pageviews"), sum("engaged_ms")), (6, 12_000));
    // The test may run across a full hour; then a visitor is seen in two steps.
    assert!((3..=6).contains(&sum("visitors")), "{}", sum("visitors"));
    assert_eq!(sum("bounces"), 1, "the phone saw one page and left");
    let times: Vec<_> = points.iter().filter_map(|point| point["t"].as_str()).collect();
    assert!(times.is_sorted() && times.len() == points.len());
}

#[test]
fn the_75th_percentile_of_vitals_is_that_of_the_values() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for n in 1..=100_u32 {
        let batch = Batch::page_view("https://a/")
            .vital("LCP", f64::from(n) * 40.0)
            .vital("CLS", f64::from(n) / 1_000.0);
        server.accept(&batch.by(if n % 2 == 0 { CHROME } else { PHONE }));
    }
    server.accept(&Batch::page_view("https://a/slow").vital("LCP", 9_000.0).vital("INP", 300.0));
    let rows = server.rows("/api/v1/vitals?by=page");
    let find = |key: &str, name: &str| {
        rows.iter().find(|row| row["key"] == key && row["name"] == name).expect("a row")
    };
    let lcp = find("/", "LCP");
    assert_eq!(
        keys_of(lcp),
        ["good", "key", "name", "needs_improvement", "p75", "poor", "rating", "samples"]
    );
    let p75 = lcp["p75"].as_f64().expect("a number");
    assert!((p75 / 3_000.0 - 1.0).abs() < 0.03, "{p75}");
    assert_eq!(lcp["rating"], "needs-improvement");
    // 40 ms to 4 000 ms: good up to 2 500, poor above 4 000.
    assert_eq!(
        (&lcp["good"], &lcp["needs_improvement"], &lcp["poor"]),
        (&json!(62), &json!(38), &json!(0))
    );
    assert_eq!(lcp["samples"], 100);
    let cls = find("/", "CLS")["p75"].as_f64().expect("a number");
    assert!((cls / 0.075 - 1.0).abs() < 0.03, "{cls}");
    assert_eq!(
        (&find("/slow", "LCP")["rating"], &find("/slow", "INP")["rating"]),
        (&json!("poor"), &json!("needs-improvement"))
    );

    let devices = server.rows("/api/v1/vitals?by=device");
    let samples = |key: &str| {
        devices
            .iter()
            .find(|row| row["key"] == key && row["name"] == "LCP")
            .map(|row| row["samples"].clone())
    };
    assert_eq!((samples("desktop"), samples("mobile")), (Some(json!(51)), Some(json!(50))));
    let metrics = server.metrics();
    assert!((metrics.value("web_vital_lcp_seconds_count", &[]) - 101.0).abs() < 0.1);
    let sum = metrics.value("web_vital_lcp_seconds_sum", &[("page", "/slow")]);
    assert!((sum - 9.0).abs() < 0.01, "in seconds: {sum}");
}

#[test]
fn the_last_value_of_a_page_view_is_its_vital() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let vital = |t: u32, value: f64| json!({"type": "vital", "t": t, "name": "CLS", "value": value, "nav": "navigate"});
    let batch = Batch::page_view("https://a/").event(vital(100, 0.01)).event(vital(5_000, 0.3));
    server.accept(&batch);
    let rows = server.rows("/api/v1/vitals");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["samples"], &rows[0]["rating"]), (&json!(1), &json!("poor")));
}

#[test]
fn script_errors_are_grouped_by_fault() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for n in 0..5 {
        let message = format!("cannot read item {n}");
        let stack = format!("TypeError: cannot read\n at f (https://a/js/app.js:{n}:14)");
        server.accept(&Batch::page_view("https://a/").by(&visitor(n % 2)).error(
            "TypeError",
            &message,
            &stack,
        ));
    }
    server.accept(&Batch::page_view("https://a/").error("RangeError", "too deep", ""));
    let rows = server.rows("/api/v1/errors");
    assert_eq!(rows.len(), 2, "{rows:?}");
    let fault = rows.iter().find(|row| row["name"] == "TypeError").expect("a row");
    assert_eq!(
        keys_of(fault),
        [
            "count",
            "fingerprint",
            "first_seen",
            "last_seen",
            "message",
            "name",
            "resolved",
            "visitors"
        ]
    );
    assert_eq!(
        (&fault["count"], &fault["visitors"], &fault["resolved"]),
        (&json!(5), &json!(2), &json!(false))
    );
    assert_eq!(fault["fingerprint"].as_str().map(str::len), Some(32));
    assert!(fault["first_seen"].as_str() <= fault["last_seen"].as_str());
    let metrics = server.metrics();
    assert!((metrics.value("errors_total", &[("type", "TypeError")]) - 5.0).abs() < 0.1);
}

#[test]
fn traffic_is_sampled_with_its_latency() {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let server = launch().site(site).config("[insight]\nsample_every = \"1s\"\n").start();
    for _ in 0..20 {
        assert_eq!(server.get("/").status, 200);
    }
    drop(server.send_raw(b"nonsense\r\n\r\n", Duration::from_secs(2)));
    let busy = || {
        let rows = server.rows("/api/v1/traffic?step=60");
        rows.into_iter().filter(|row| row["requests"] != 0).collect::<Vec<_>>()
    };
    let sum = |field: &str| busy().iter().filter_map(|row| row[field].as_i64()).sum::<i64>();
    until("sampled", Duration::from_secs(10), || sum("requests") == 20 && sum("refused") == 1);
    let rows = busy();
    assert_eq!(
        keys_of(&rows[0]),
        [
            "bytes",
            "errors",
            "ours_p50_ms",
            "ours_p95_ms",
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "refused",
            "requests",
            "t",
            "upstream_p50_ms",
            "upstream_p95_ms"
        ]
    );
    let (p50, p99) =
        (rows[0]["p50_ms"].as_f64().expect("p50"), rows[0]["p99_ms"].as_f64().expect("p99"));
    assert!(0.0 < p50 && p50 <= p99 && p99 < 5_000.0, "{p50} {p99}");
    assert_eq!(sum("errors"), 0);
    assert!(sum("bytes") > 20 * 12);
    let quiet = server.rows("/api/v1/traffic?step=60");
    assert!(
        quiet.iter().any(|row| row["requests"] == 0 && row["p50_ms"].is_null()),
        "an empty step has no latency"
    );
    assert!((server.metrics().value("active_users", &[])).abs() < 0.1);
    let nodes = server.rows("/api/v1/nodes");
    let keys = ["checks", "here", "id", "ready", "region", "seen", "started", "version"];
    assert_eq!(keys_of(&nodes[0]), keys);
    assert_eq!(nodes[0]["ready"], true);
}

#[test]
fn long_lists_come_in_pages() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for n in 0..23 {
        for _ in 0..=(n % 3) {
            server.accept(&Batch::page_view(&format!("https://a/page-{n:02}")).error(
                "Error",
                &format!("fault {}", ["x", "y"][n % 2].repeat(n + 1)),
                "",
            ));
        }
    }
    for list in ["pages", "errors"] {
        let whole = server.rows(&format!("/api/v1/{list}?limit=1000"));
        assert_eq!(whole.len(), 23, "{list}");
        let (mut rows, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let answer = server.read(&format!("/api/v1/{list}?limit=5{cursor}"));
            rows.extend(answer["data"].as_array().expect("rows").clone());
            pages += 1;
            assert!(pages < 10, "{list} never ends");
            match answer["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((rows == whole, pages), (true, 5), "{list}: {rows:?}");
    }
}

#[test]
fn questions_that_make_no_sense_are_refused_with_the_parameter() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for (query, field, status) in [
        ("limit=0", "limit", 400),
        ("limit=1001", "limit", 400),
        ("limit=many", "limit", 400),
        ("limit=1&limit=2", "query", 400),
        ("step=x", "step", 400),
        ("cursor=!!", "cursor", 400),
        ("from=yesterday", "from", 400),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from", 400),
        ("bots=some", "bots", 400),
        ("step=0", "step", 400),
        ("site=another", "site", 404),
    ] {
        let response = server.admin(Request::get(&format!("/api/v1/pages?{query}")));
        assert_eq!(response.status, status, "{query}");
        assert_eq!(response.header("content-type"), Some("application/problem+json"), "{query}");
        assert_eq!(response.json()["field"], field, "{query}");
    }
    assert_eq!(server.admin(Request::get("/api/v1/vitals?by=colour")).status, 400);
    assert_eq!(server.admin(Request::get("/api/v1/nothing")).status, 404);
    let past =
        "/api/v1/pages?from=2026-01-01T00:00:00%2B02:00&to=2026-01-02T00:00:00Z&site=default";
    assert!(server.rows(past).is_empty());
}
