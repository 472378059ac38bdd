//! Large batches of reports: taken as browsers send them, bounded in number and memory, and counted when they are refused.

use std::net::Ipv4Addr;
use std::time::Duration;

use mainstay_testkit::{Connection, Request, Server, until};
use serde_json::{Value, json};

use crate::launch;

const NEW: &str = "application/reports+json";
const PATIENCE: Duration = Duration::from_secs(20);

/// As Chromium sends it: each report with the whole policy.
fn chromium(server: &Server, policy_bytes: usize) -> Value {
    let page = server.site_url("/");
    json!({"age": 3, "type": "csp-violation", "url": page, "user_agent": "x", "body": {
        "blockedURL": "inline", "columnNumber": 5, "disposition": "report", "documentURL": page,
        "effectiveDirective": "script-src-elem", "lineNumber": 14,
        "originalPolicy": "x".repeat(policy_bytes), "referrer": "", "sample": "", "sourceFile": page,
        "statusCode": 200}})
}

fn post(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/_mainstay/reports").header("content-type", NEW).body(body)
}

fn dropped(server: &Server, reason: &str) -> u64 {
    let metrics = server.metrics();
    let line = format!("mainstay_reports_dropped_total{{reason=\"{reason}\"}} ");
    let found = metrics.text().lines().find_map(|l| l.strip_prefix(&line)?.parse().ok());
    found.unwrap_or(0)
}

#[test]
fn all_reports_of_a_page_with_a_long_policy_are_taken() {
    let server = launch().start();
    let batch = Value::from(vec![chromium(&server, 2_000); 90]).to_string();
    assert!(batch.len() > 200_000, "{}", batch.len());
    let answer = server.send(&post(batch));
    assert_eq!(answer.status, 204, "{}", answer.text());
    let rows = server.rows("/api/v1/reports");
    assert_eq!((rows.len(), &rows[0]["count"]), (1, &json!(90)));
}

#[test]
fn a_batch_of_more_reports_than_are_read_is_taken_as_far_as_it_goes() {
    let server = launch().config("[insight.reports]\nreports_max = 50\n").start();
    let batch = Value::from(vec![chromium(&server, 1_000); 90]).to_string();
    assert_eq!(server.send(&post(batch)).status, 204);
    assert_eq!(server.rows("/api/v1/reports")[0]["count"], 50);
    assert_eq!(dropped(&server, "too_many"), 40);
}

#[test]
fn what_is_refused_unread_is_counted_by_its_reason() {
    let config = "[insight]\nbody_timeout = \"300ms\"\n[insight.reports]\nbody_max = \"100KiB\"\n";
    let server = launch().config(config).start();
    assert_eq!(server.send(&post("x".repeat((100 << 10) + 1))).status, 413);
    assert_eq!(dropped(&server, "too_large"), 1);
    // Of unknown length: refused as soon as it is too long.
    let mut endless = server.connect();
    let head = format!(
        "POST /_mainstay/reports HTTP/1.1\r\nHost: a\r\nContent-Type: {NEW}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    endless.write(head.as_bytes()).expect("sent");
    while endless.write(piece.as_bytes()).is_ok() && dropped(&server, "too_large") < 2 {}
    assert_eq!(dropped(&server, "too_large"), 2);

    let html = Request::post("/_mainstay/reports").header("content-type", "text/html").body("x");
    assert_eq!(server.send(&html).status, 415);
    assert_eq!(dropped(&server, "media_type"), 1);

    let (mut slow, mut gone) = (server.connect(), server.connect());
    let head = head.replace("Transfer-Encoding: chunked", "Content-Length: 9");
    slow.write(head.as_bytes()).expect("sent");
    assert_eq!(slow.read("POST").expect("an answer").status, 408);
    assert_eq!(dropped(&server, "timeout"), 1);
    gone.write(head.as_bytes()).expect("sent");
    drop(gone);
    until("the body that broke off", PATIENCE, || dropped(&server, "incomplete") == 1);
    assert_eq!(dropped(&server, "too_large") + dropped(&server, "invalid"), 2);
}

/// Sends the head of a large body and nothing of the body.
fn begin(server: &Server, last: u8) -> Connection {
    let mut connection =
        Connection::open_from(Ipv4Addr::new(127, 0, 0, last).into(), server.site_address());
    let head = format!(
        "POST /_mainstay/reports HTTP/1.1\r\nHost: a\r\nContent-Type: {NEW}\r\nContent-Length: 100000\r\n\r\n"
    );
    connection.write(head.as_bytes()).expect("sent");
    connection
}

#[test]
fn who_sends_many_large_batches_at_once_keeps_nobody_else_from_it() {
    let server = launch().config("[insight.reports]\nlarge_bodies_max = 8\n").start();
    let mut held: Vec<_> = (0..3).map(|_| begin(&server, 66)).collect();
    until("a third batch of one address is refused", PATIENCE, || dropped(&server, "limited") == 1);
    // Small ones are taken as before, whoever sends them, and large ones of others.
    let from = |last: u8| {
        Connection::open_from(Ipv4Addr::new(127, 0, 0, last).into(), server.site_address())
    };
    let small = post(chromium(&server, 10).to_string());
    assert_eq!(from(66).send(&small).status, 204);
    let large = post(Value::from(vec![chromium(&server, 2_000); 60]).to_string());
    assert_eq!(from(2).send(&large).status, 204);
    held.extend([3, 3, 4, 4, 5, 5].map(|last| begin(&server, last)));
    let mut others = 7..=u8::MAX;
    until("all places are taken", PATIENCE, || {
        let answer = from(6).send(&large);
        assert!(matches!(answer.status, 204 | 503), "{}", answer.text());
        // One of those that were to hold a place may have come while the one before it still had its own.
        held.extend(
            others.next().filter(|_| answer.status == 204).map(|last| begin(&server, last)),
        );
        answer.status == 503 && answer.header("retry-after").is_some()
    });
    assert_eq!(from(6).send(&small).status, 204);
    drop(held);
    until("places are free again", PATIENCE, || from(6).send(&large).status == 204);
}
