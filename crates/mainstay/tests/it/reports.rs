//! Reports of browsers: both browsers' bodies, what is refused, and what is noise.

mod flood;

use mainstay_testkit::{Request, Response, Server, list_files_with};
use serde_json::{Value, json};

use crate::{launch, serve};

const OLD: &str = "application/csp-report";
const NEW: &str = "application/reports+json";

fn server() -> Server {
    serve(&[("index.html", "<p>home</p>")])
}

fn report(kind: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post("/_mainstay/reports").header("content-type", kind).body(body)
}

fn post(server: &Server, kind: &str, body: &Value) -> Response {
    server.send(&report(kind, body.to_string()))
}

/// What Firefox sends where a policy has `report-uri` alone.
fn firefox(server: &Server, blocked: &str) -> Value {
    let page = server.site_url("/shop/17?session=sesame");
    json!({"csp-report": {
        "blocked-uri": blocked, "column-number": 1, "disposition": "report", "document-uri": page,
        "effective-directive": "script-src-elem", "line-number": 12,
        "original-policy": "script-src 'nonce-c2VzYW1l'; report-uri /_mainstay/reports",
        "referrer": server.site_url("/?q=sesame"), "source-file": page, "status-code": 200,
        "violated-directive": "script-src-elem"}})
}

/// The same as Chromium sends it where a policy has `report-to`.
fn chromium(server: &Server, blocked: &str) -> Value {
    let page = server.site_url("/shop/18?session=sesame");
    json!({"age": 3, "type": "csp-violation", "url": page, "user_agent": "sesame", "body": {
        "blockedURL": blocked, "columnNumber": 5, "disposition": "report", "documentURL": page,
        "effectiveDirective": "script-src-elem", "lineNumber": 14,
        "originalPolicy": "script-src 'nonce-c2VzYW1l'; report-to mainstay",
        "referrer": "", "sample": "", "sourceFile": page, "statusCode": 200}})
}

#[test]
fn both_browsers_reports_are_one_row_without_secrets() {
    let mut server = server();
    // As browsers send them: with the session's cookie, and no sign of where the request comes from.
    let plain = report(OLD, firefox(&server, "inline").to_string())
        .header("cookie", "__Host-session=sesame")
        .header("referer", &server.site_url("/shop/17?session=sesame"))
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        );
    let answer = server.send(&plain);
    assert_eq!((answer.status, answer.count("set-cookie")), (204, 0));
    let several = json!([chromium(&server, "inline"), chromium(&server, "inline")]);
    let kind = format!("{NEW}; charset=utf-8");
    assert_eq!(post(&server, &kind, &several).status, 204);
    let rows = server.rows("/api/v1/reports");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    let words = ["type", "name", "blocked", "document", "source", "disposition"].map(|w| &row[w]);
    assert_eq!(
        words,
        ["csp-violation", "script-src-elem", "inline", "/shop/18", "/shop/18", "report"]
    );
    assert_eq!((&row["count"], &row["line"]), (&json!(3), &json!(14)));
    assert!(row["first_seen"].as_str() <= row["last_seen"].as_str(), "{row}");
    let accepted =
        server.metrics().value("mainstay_reports_accepted_total", &[("type", "csp-violation")]);
    assert!((accepted - 3.0).abs() < 0.1, "{accepted}");
    assert!(!server.read("/api/v1/reports").to_string().contains("sesame"));
    let ended = server.stop();
    assert!(!list_files_with(server.data_dir(), "/_mainstay/reports").is_empty(), "no access log");
    for hidden in ["sesame", "c2VzYW1l"] {
        let holding = list_files_with(server.data_dir(), hidden);
        assert!(holding.is_empty(), "{hidden}: {holding:?}");
        assert!(!ended.stderr.contains(hidden), "{hidden}: {}", ended.stderr);
    }
}

#[test]
fn every_type_of_report_is_kept_and_unknown_ones_as_other() {
    let server = server();
    let page = server.site_url("/");
    let of = |kind: &str, body: Value| json!({"type": kind, "url": page, "age": 1, "body": body});
    let hash = |a: &str, b: &str| json!({a: page, b: "https://cdn.example/x.js?v=1", "hash": "sha256-AbC", "type": "subresource", "destination": "script"});
    let several = json!([
        of("deprecation", json!({"id": "UnloadHandler", "message": "m", "sourceFile": page})),
        of("intervention", json!({"id": "HeavyAd", "message": "m"})),
        of("crash", json!({"reason": "oom"})),
        of("coop", json!({"disposition": "enforce", "type": "navigation-to-response"})),
        of("coep", json!({"type": "corp", "blockedURL": "https://cdn.example/i.png"})),
        of("permissions-policy-violation", json!({"featureId": "camera"})),
        of("integrity-violation", json!({"documentURL": page, "blockedURL": "https://cdn.example/x.js", "destination": "script", "reportOnly": false})),
        of("csp-hash", hash("document_url", "subresource_url")),
        of("csp-hash", hash("documentURL", "subresourceURL")),
        of("network-error", json!({"type": "tcp.reset", "phase": "connection", "server_ip": "192.0.2.9"})),
        of("of-the-future", json!({"deep": [1, {"er": null}]})),
        {"type": "bodiless", "url": "x", "body": null},
        "no report", 7, null, {},
    ]);
    assert_eq!(post(&server, NEW, &several).status, 204);
    let rows = server.rows("/api/v1/reports");
    let mut seen: Vec<_> = rows
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["type"].as_str().unwrap_or(""),
                row["name"].as_str().unwrap_or(""),
                row["count"]
            )
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "coep corp 1",
            "coop navigation-to-response 1",
            "crash oom 1",
            "csp-hash script 2",
            "deprecation UnloadHandler 1",
            "integrity-violation script 1",
            "intervention HeavyAd 1",
            "network-error tcp.reset 1",
            "other bodiless 1",
            "other of-the-future 1",
            "permissions-policy-violation camera 1",
        ]
    );
    let dropped =
        server.metrics().value("mainstay_reports_dropped_total", &[("reason", "invalid")]);
    assert!((dropped - 4.0).abs() < 0.1, "{dropped}");
    assert!(rows.iter().any(|row| row["blocked"] == "https://cdn.example/x.js"), "{rows:?}");
}

#[test]
fn what_is_no_report_is_refused_with_its_reason() {
    let server = server();
    let refused = |response: &Response, status: u16, field: Option<&str>| {
        assert_eq!(response.status, status, "{}", response.text());
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert_eq!(response.json()["field"].as_str(), field);
    };
    for body in ["", "{", "null", "7", "\"x\"", "\u{0}"] {
        refused(&server.send(&report(NEW, body)), 400, Some("body"));
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "text/html", ""] {
        let response = post(&server, kind, &firefox(&server, "inline"));
        refused(&response, 415, Some("content-type"));
    }
    let mut whole = firefox(&server, "inline").to_string().into_bytes();
    whole.resize((1 << 20) + 1, b' ');
    refused(&server.send(&report(OLD, whole.clone())), 413, None);
    assert_eq!(server.rows("/api/v1/reports"), [] as [Value; 0]);
    whole.truncate(1 << 20);
    assert_eq!(server.send(&report(OLD, whole)).status, 204, "exactly the limit");
    let wrong = server.get("/_mainstay/reports");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    assert_eq!(server.rows("/api/v1/reports").len(), 1);
    assert_eq!(server.admin_stranger(&Request::get("/api/v1/reports")).status, 401);
}

#[test]
fn older_policies_may_name_an_address_of_their_own() {
    let path = "/api/security/csp-report";
    let to = |server: &Server| {
        let body = firefox(server, "inline").to_string();
        server.send(&Request::post(path).header("content-type", OLD).body(body))
    };
    let server = server();
    assert_eq!(to(&server).status, 204);
    assert_eq!(server.rows("/api/v1/reports")[0]["count"], 1);
    assert_eq!(server.get(path).status, 404, "only posts are ours");
    let without = launch().config("[edge]\nreport_paths = []\n").start();
    assert_eq!(to(&without).status, 405, "the site's own");
}

#[test]
fn noise_of_extensions_is_dropped_unless_it_is_wanted() {
    let noise = ["chrome-extension", "moz-extension://0000/x.js", "safari-web-extension", "about"];
    let server = server();
    for word in noise {
        assert_eq!(post(&server, OLD, &firefox(&server, word)).status, 204, "{word}");
        let mut source = chromium(&server, "inline");
        source["body"]["sourceFile"] = json!(word);
        assert_eq!(post(&server, NEW, &json!([source])).status, 204, "{word}");
    }
    // `about` as a source is nothing a site has either.
    assert_eq!(server.rows("/api/v1/reports"), [] as [Value; 0]);
    let dropped = server.metrics().value("mainstay_reports_dropped_total", &[("reason", "noise")]);
    assert!((dropped - 8.0).abs() < 0.1, "{dropped}");
    let keeping = launch().config("[insight.reports]\nnoise = \"keep\"\n").start();
    assert_eq!(post(&keeping, OLD, &firefox(&keeping, "chrome-extension")).status, 204);
    assert_eq!(keeping.rows("/api/v1/reports")[0]["blocked"], "chrome-extension");
}

#[test]
fn ten_thousand_alike_are_one_row_and_every_one_is_counted() {
    let server = server();
    let body = firefox(&server, "inline").to_string();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..500 {
                    assert_eq!(connection.send(&report(OLD, body.as_str())).status, 204);
                }
            });
        }
    });
    let rows = server.rows("/api/v1/reports");
    assert_eq!((rows.len(), &rows[0]["count"]), (1, &json!(10_000)), "{rows:?}");
}

#[test]
fn pages_of_rows_follow_each_other() {
    let server = server();
    for n in ["a", "b", "c", "d", "e"] {
        let blocked = format!("https://{n}.example/x.js");
        assert_eq!(post(&server, OLD, &firefox(&server, &blocked)).status, 204);
    }
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let page = server.read(&format!("/api/v1/reports?limit=2{next}"));
        let rows = page["data"].as_array().expect("rows").iter();
        seen.extend(rows.map(|row| row["blocked"].as_str().unwrap_or("").to_owned()));
        let Some(cursor) = page["next"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    let all = ["e", "d", "c", "b", "a"].map(|n| format!("https://{n}.example/x.js"));
    assert_eq!(seen, all);
    let wrong = server.admin(Request::get("/api/v1/reports?cursor=e30"));
    assert_eq!(wrong.status, 400);
}
