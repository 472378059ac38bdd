//! What the app behind us records: by whom it is taken, where it is seen afterwards, and that what was acknowledged stays.

use std::time::Duration;

use mainstay_testkit::{
    Batch, ChaosProxy, Launch, Metrics, Postgres, Request, Response, Server, fresh_id, until,
};
use serde_json::{Value, json};

use crate::keys::{self, Key};
use crate::{launch, launch_bare, serve};

pub(crate) fn send(server: &Server, key: &Key, body: &Value) -> Response {
    server.send(&request(key, &body.to_string()))
}

fn request(key: &Key, body: &str) -> Request {
    let request = Request::post("/_mainstay/record").header("content-type", "application/json");
    keys::with(request, &key.text).body(body)
}

fn rows(server: &Server, path: &str, token: Option<&str>) -> Vec<Value> {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header("x-mainstay-token", token);
    }
    let answer = server.admin(request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"].as_array().expect("rows").clone()
}

fn value(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
    metrics.value(name, labels)
}

fn record_each_kind(launch: Launch) {
    let mut server = launch.start();
    let key = keys::make(&server, "record");
    let body = json!({
        "id": fresh_id(),
        "metrics": [
            {"type": "counter", "name": "orders", "labels": {"plan": "pro"}, "value": 2},
            {"type": "gauge", "name": "stock", "value": -3},
            {"type": "histogram", "name": "wait_seconds", "value": 0.3},
        ],
        "events": [{"id": fresh_id(), "name": "checkout", "properties": {"cart": 3}, "user": "u-1",
            "revenue": {"amount": 10, "currency": "EUR"}}],
        "signups": [{"id": fresh_id(), "source": "newsletter", "plan_type": "pro"}],
        "revenue": [{"id": fresh_id(), "amount": -2.5, "currency": "EUR"}],
        "errors": [{"id": fresh_id(), "name": "TypeError", "message": "no cart", "stack": "at a.js:1:2"}],
        "api_usage": [{"endpoint": "/v1/items", "client_type": "sdk", "count": 4}],
    });
    let mut token = None;
    // A repeat makes no difference.
    for _ in 0..2 {
        let answer = send(&server, &key, &body);
        assert_eq!((answer.status, answer.text().as_str()), (204, ""));
        token = answer.header("x-mainstay-token").map(str::to_owned);
        assert!(token.as_ref().is_some_and(|token| !token.is_empty()), "{:?}", answer.headers);
    }
    let events = rows(&server, "/api/v1/events", token.as_deref());
    let of = |name: &str| json!({"name": name, "count": 1, "visitors": 0});
    assert_eq!(events, [of("checkout"), of("revenue"), of("signup")]);
    let errors = rows(&server, "/api/v1/errors", token.as_deref());
    assert_eq!((errors.len(), &errors[0]["name"]), (1, &json!("TypeError")));
    assert_eq!((&errors[0]["count"], &errors[0]["visitors"]), (&json!(1), &json!(0)));
    assert!(rows(&server, "/api/v1/pages", token.as_deref()).is_empty(), "nobody viewed a page");
    assert_eq!(server.read("/api/v1/visitors/now")["now"], 0);
    let metrics = server.metrics();
    for (name, labels, expected) in [
        ("app_orders_total", &[("plan", "pro")][..], 2.0),
        ("app_stock", &[], -3.0),
        ("app_wait_seconds_count", &[], 1.0),
        ("user_signups_total", &[("source", "newsletter"), ("plan_type", "pro")], 1.0),
        ("revenue", &[("currency", "EUR")], 7.5),
        ("api_usage_total", &[("endpoint", "/v1/items"), ("client_type", "sdk")], 4.0),
        ("errors_total", &[("type", "TypeError"), ("component", "app")], 1.0),
    ] {
        let found = value(&metrics, name, labels);
        assert!((found - expected).abs() < 1e-9, "{name}: {found}\n{}", metrics.text());
    }
    // A line for each business event, without whom it is about.
    let log = server.stop().stderr;
    let lines: Vec<_> = log.lines().filter(|line| line.contains("a business event")).collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, name) in lines.iter().zip(["checkout", "signup", "revenue"]) {
        assert!(line.contains(name) && line.contains(&key.id), "{line}");
        assert!(line.contains("request_id") && line.contains("default"), "{line}");
    }
    assert!(!log.contains("u-1"), "{log}");
}

fn lose_nothing_to_who_knows_the_ids(launch: Launch) {
    let server = launch.start();
    let key = keys::make(&server, "record");
    let id = "order-2026-00017";
    let taken = json!({"id": id, "type": "custom", "t": 1, "name": "taken", "props": {}});
    server.accept(&Batch::page_view(&server.site_url("/")).event(taken));
    let body = json!({"events": [{"id": id, "name": "checkout", "revenue": {"amount": 5, "currency": "EUR"}}],
        "signups": [{"id": id}]});
    for _ in 0..2 {
        let answer = send(&server, &key, &body);
        assert_eq!(answer.status, 204, "{}", answer.text());
        let events = rows(&server, "/api/v1/events", answer.header("x-mainstay-token"));
        let names: Vec<_> = events.iter().map(|event| (&event["name"], &event["count"])).collect();
        for name in ["checkout", "signup", "taken"] {
            assert!(names.contains(&(&json!(name), &json!(1))), "{names:?}");
        }
    }
    assert!((server.metrics().value("revenue", &[("currency", "EUR")]) - 5.0).abs() < 1e-9);
}

#[test]
fn nothing_is_lost_to_who_knows_the_apps_ids_on_files() {
    lose_nothing_to_who_knows_the_ids(launch_bare());
}

#[test]
fn nothing_is_lost_to_who_knows_the_apps_ids_on_a_database() {
    lose_nothing_to_who_knows_the_ids(launch_bare().shared_engines());
}

#[test]
fn each_kind_is_seen_where_it_belongs_on_files() {
    record_each_kind(launch_bare());
}

#[test]
fn each_kind_is_seen_where_it_belongs_on_a_database() {
    record_each_kind(launch_bare().shared_engines());
}

#[test]
fn only_an_app_with_the_scope_is_taken_and_every_refusal_says_why() {
    let server = serve(&[]);
    let (key, reader) = (keys::make(&server, "record"), keys::make(&server, "read,admin"));
    let good = json!({"events": [{"name": "checkout"}]}).to_string();
    let nobody = Request::post("/_mainstay/record").header("content-type", "application/json");
    let answer = server.send(&nobody.body(good.as_bytes()));
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
    assert!(answer.text().contains("mainstay key create"), "{}", answer.text());
    let answer = server.send(&request(&reader, &good));
    assert_eq!(answer.status, 403);
    let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("\"record\"") && detail.contains(&reader.id), "{detail}");
    assert!(
        !detail.contains("the worker"),
        "what people call it is not for who found it: {detail}"
    );
    let cut = Key { text: key.text[..50].to_owned(), ..key.clone() };
    assert_eq!(server.send(&request(&cut, &good)).status, 401);
    let token = Key { text: mainstay_testkit::TOKEN.to_owned(), ..key.clone() };
    assert_eq!(server.send(&request(&token, &good)).status, 401, "the admin's is no app's");

    let read = server.send(&keys::with(Request::get("/_mainstay/record"), &key.text));
    assert_eq!((read.status, read.header("allow")), (405, Some("POST")));
    let form = Request::post("/_mainstay/record").header("content-type", "text/plain");
    let form = server.send(&keys::with(form, &key.text).body(good.as_bytes()));
    assert_eq!((form.status, &form.json()["field"]), (415, &json!("content-type")));
    let long = json!({"events": [{"name": "x".repeat(300_000)}]}).to_string();
    assert_eq!(server.send(&request(&key, &long)).status, 413);
    let metrics = server.metrics();
    for (reason, count) in [("media_type", 1.0), ("too_large", 1.0), ("invalid", 0.0)] {
        let found = metrics.value("mainstay_record_refused_total", &[("reason", reason)]);
        assert!((found - count).abs() < 1e-9, "{reason}: {found}");
    }
    for (body, field) in [
        ("{", "body"),
        ("{}", "body"),
        (r#"{"evnts":[{"name":"x"}]}"#, "body"),
        (r#"{"site":"nobody","events":[{"name":"x"}]}"#, "site"),
        (r#"{"events":[{"name":"x","props":{}}]}"#, "events[0]"),
        (r#"{"metrics":[{"type":"counter","name":"x","value":-1}]}"#, "metrics[0].value"),
        (r#"{"metrics":[{"type":"gauge","name":"x-y","value":1}]}"#, "metrics[0].name"),
        (r#"{"revenue":[{"amount":1,"currency":"€"}]}"#, "revenue[0].currency"),
    ] {
        let answer = server.send(&request(&key, body));
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{body}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let invalid = [("reason", "invalid")];
    let invalid = server.metrics().value("mainstay_record_refused_total", &invalid);
    assert!((invalid - 8.0).abs() < 1e-9, "{invalid}");
    assert!(server.rows("/api/v1/events").is_empty(), "nothing of all that was kept");
    assert_eq!(server.send(&request(&key, &good)).status, 204);
    assert_eq!(server.rows("/api/v1/events").len(), 1);
}

#[test]
fn what_was_acknowledged_survives_a_sudden_death_and_repeats_are_known_after_it() {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let start = || launch().data_dir(&data).start();
    let mut server = start();
    let key = keys::make(&server, "record");
    let body = json!({
        "signups": [{"id": fresh_id(), "source": "newsletter"}],
        "errors": [{"id": fresh_id(), "name": "E", "message": "m"}],
    });
    assert_eq!(send(&server, &key, &body).status, 204);
    assert_eq!(server.kill(), Some(9), "by the signal");
    drop(server);
    let server = start();
    for _ in 0..2 {
        assert_eq!(server.rows("/api/v1/events")[0]["count"], 1);
        assert_eq!(server.rows("/api/v1/errors")[0]["count"], 1);
        assert_eq!(send(&server, &key, &body).status, 204, "sent again");
    }
}

#[test]
fn where_nothing_can_be_kept_nothing_is_acknowledged() {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let mut server = launch_bare().data_dir(&data).start();
    let key = keys::make(&server, "record");
    server.stop();
    drop(server);
    std::fs::write(data.join("insight.db"), "this is no database. ".repeat(500)).expect("written");
    let server = launch_bare().data_dir(&data).start();
    let body = json!({"signups": [{"source": "s"}],
        "metrics": [{"type": "gauge", "name": "stock", "value": 1}]});
    let refused = send(&server, &key, &body);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(
        !server.metrics().has("app_stock") && !server.metrics().text().contains("source=\"s\"")
    );
    let metrics = json!({"metrics": [{"type": "gauge", "name": "stock", "value": 1}]});
    assert_eq!(send(&server, &key, &metrics).status, 204, "metrics need no disk");
}

#[test]
fn an_app_goes_on_while_the_database_is_away() {
    let postgres = Postgres::shared();
    let database = postgres.create_database();
    let address = postgres.primary_url(&database);
    let address = address.split(['@', '/']).find_map(|part| part.parse().ok()).expect("an address");
    let network = ChaosProxy::start(address);
    let config = "[identity]\nkey_cache = \"1ms\"\n[database]\npool_min = 1\npool_max = 4\n";
    let url = Postgres::url_at(network.address(), &database);
    let server = launch_bare().variable("DATABASE_PRIMARY_URL", &url).config(config).start();
    let (key, unused) = (keys::make(&server, "record"), keys::make(&server, "record"));
    let sign_up = |key: &Key| send(&server, key, &json!({"signups": [{"id": fresh_id()}]}));
    assert_eq!(sign_up(&key).status, 204);
    network.cut();
    // What was read of the keys is older by then than it counts; known they are all the same.
    for n in 0..4 {
        let answer = sign_up(&key);
        assert_eq!(answer.status, 204, "{n}: {}", answer.text());
    }
    assert_eq!(sign_up(&unused).status, 204, "all were read together");
    let invented = Key { text: keys::invent(7), ..unused.clone() };
    let refused = sign_up(&invented);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    network.heal();
    until("all that was acknowledged", Duration::from_secs(30), || {
        postgres.query(&database, "SELECT count(*) FROM mainstay.custom_events").trim() == "6"
    });
    assert_eq!(sign_up(&invented).status, 401, "and it is asked again");
}
