//! Requests that are wrong, ambiguous or far too large: refused with 4xx or a closed connection, counted, and without harm to anybody else.

use std::time::Duration;

use mainstay_testkit::{Exchange, Request, Server, Site, until};

use crate::{launch, serve};
use Fate::{Answered, Refused, Rejected};

/// Unfinished requests are cut after this; answers to the others come at once.
const PATIENCE: Duration = Duration::from_secs(4);

/// What must become of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// 4xx or a closed connection, and counted.
    Refused,
    /// 4xx, but our own endpoint's answer: counted there.
    Rejected,
    /// The standard lets a server read it; what it must not do is fail.
    Answered,
}

type Case = (&'static str, Vec<u8>, Fate);

fn get(rest: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}\r\n").into_bytes()
}

fn post(rest: &str) -> Vec<u8> {
    format!("POST /_mainstay/events HTTP/1.1\r\nHost: a\r\n{rest}").into_bytes()
}

fn request_lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n").into_bytes();
    vec![
        ("nothing of HTTP", b"hello, is anybody there?\r\n\r\n".to_vec(), Refused),
        ("no version", b"GET /\r\n\r\n".to_vec(), Refused),
        ("no target", line("GET HTTP/1.1"), Refused),
        ("a version of the future", line("GET / HTTP/9.9"), Refused),
        ("a version nobody knows", line("GET / HTCPCP/1.0"), Refused),
        ("two spaces", line("GET  / HTTP/1.1"), Refused),
        ("a blank in the target", line("GET /a b HTTP/1.1"), Refused),
        ("a method with a bad character", line("GE\"T / HTTP/1.1"), Refused),
        ("NUL in the target", line("GET /\0 HTTP/1.1"), Refused),
        ("a target without a slash", line("GET index.html HTTP/1.1"), Refused),
        ("CONNECT", line("CONNECT a:443 HTTP/1.1"), Refused),
        ("an absolute target elsewhere", line("GET http://b/ HTTP/1.1"), Answered),
        ("a long target", line(&format!("GET /{} HTTP/1.1", "a".repeat(7_000))), Answered),
        (
            "a target beyond the limit",
            line(&format!("GET /{} HTTP/1.1", "a".repeat(100_000))),
            Refused,
        ),
        ("zeros", vec![0; 64], Refused),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\r\n\r\n".to_vec(),
            Refused,
        ),
        ("half of an HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(), Refused),
        (
            "garbage after the preface",
            [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), vec![0xff; 64]].concat(),
            Answered,
        ),
    ]
}

fn header_lines() -> Vec<Case> {
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>();
    vec![
        ("a folded header", get("X-A: b\r\n c\r\n"), Refused),
        ("a folded first header", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n".to_vec(), Refused),
        ("NUL in a value", get("X-A: b\0c\r\n"), Refused),
        ("a bare CR", get("X-A: b\rX-B: c\r\n"), Refused),
        ("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n".to_vec(), Answered),
        ("a name with a blank", get("X A: b\r\n"), Refused),
        ("a blank before the colon", get("X-A : b\r\n"), Refused),
        ("no colon", get("X-A\r\n"), Refused),
        ("an empty name", get(": b\r\n"), Refused),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Refused),
        ("two hosts", get("Host: b\r\n"), Refused),
        ("the same host twice", get("Host: a\r\n"), Refused),
        ("a header beyond the limit", get(&format!("X-A: {}\r\n", "b".repeat(40_000))), Refused),
        ("a name beyond the limit", get(&format!("{}: b\r\n", "X".repeat(40_000))), Refused),
        ("200 headers", get(&many(200)), Refused),
        ("5 000 headers", get(&many(5_000)), Refused),
        ("an upgrade", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), Answered),
    ]
}

fn lengths_and_chunks() -> Vec<Case> {
    let chunked = |rest: &str| post(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    vec![
        ("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), Refused),
        ("a list of lengths", post("Content-Length: 3, 4\r\n\r\nabc"), Refused),
        ("a length below zero", post("Content-Length: -1\r\n\r\n"), Refused),
        ("a length with a sign", post("Content-Length: +3\r\n\r\nabc"), Refused),
        ("a hexadecimal length", post("Content-Length: 0x3\r\n\r\nabc"), Refused),
        ("a length beyond all", post("Content-Length: 99999999999999999999999\r\n\r\n"), Refused),
        ("a length beyond the limit", post("Content-Length: 999999999\r\n\r\n{"), Rejected),
        (
            "chunked and length",
            post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"),
            Rejected,
        ),
        (
            "length and chunked",
            post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            Rejected,
        ),
        ("chunked not last", post("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"), Refused),
        ("an invented coding", post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), Refused),
        (
            "chunked on HTTP/1.0",
            b"POST /_mainstay/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                .to_vec(),
            Refused,
        ),
        ("a chunk without a size", chunked("xyz\r\n\r\n"), Rejected),
        ("a chunk beyond all", chunked("fffffffffffffffffff\r\n"), Rejected),
        ("a chunk below zero", chunked("-1\r\nabc\r\n"), Rejected),
        ("a chunk longer than it says", chunked("2\r\nabcdef\r\n0\r\n\r\n"), Rejected),
        ("endless extensions", chunked(&format!("1;{}", "x".repeat(60_000))), Rejected),
    ]
}

fn refused(server: &Server) -> f64 {
    server.metrics().value("mainstay_requests_refused_total", &[])
}

fn check(what: &str, fate: Fate, exchange: &Exchange) {
    let status = exchange.response.as_ref().map(|response| response.status);
    assert!(status.is_some() || exchange.closed, "{what}: neither answered nor closed");
    assert!(status.is_none_or(|status| status < 500), "{what}: {status:?}");
    if fate != Answered {
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{what}: {status:?}");
    }
}

#[test]
fn malformed_requests_are_refused_and_counted_and_harm_nobody() {
    let config = "[edge]\nhead_timeout = \"1s\"\nidle_timeout = \"1s\"\nrequest_timeout = \"1s\"\n";
    let server = launch().site(Site::of(&[("index.html", "<p>home</p>")])).config(config).start();
    let mut bystander = server.connect();
    for (what, bytes, fate) in [request_lines(), header_lines(), lengths_and_chunks()].concat() {
        let before = refused(&server);
        let exchange = server.send_raw(&bytes, PATIENCE);
        check(what, fate, &exchange);
        if fate == Refused {
            until(&format!("{what}: counted"), PATIENCE, || refused(&server) > before);
        }
        let kept = bystander.try_send(&Request::get("/"));
        // A kept connection may be closed for idleness in between; then a new one must do.
        if !kept.is_ok_and(|response| response.status == 200) {
            bystander = server.connect();
            assert_eq!(bystander.send(&Request::get("/")).status, 200, "after {what}");
        }
    }
    assert!(server.rows("/api/v1/pages").is_empty());
    let errors = server.metrics().value("http_requests_total", &[("status_code", "500")]);
    assert!(errors.abs() < 0.1);
}

#[test]
fn too_much_head_is_431() {
    let server = serve(&[("index.html", "x")]);
    for bytes in [
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "b".repeat(17_000)),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(200)),
    ] {
        let exchange = server.send_raw(bytes.as_bytes(), PATIENCE);
        assert_eq!(exchange.response.map(|r| r.status), Some(431));
        assert!(exchange.closed);
    }
    // The answer is on its way before the connection's end is counted.
    until("both are counted", PATIENCE, || {
        let reason = [("reason", "header_too_large")];
        (server.metrics().value("mainstay_requests_refused_total", &reason) - 2.0).abs() < 0.1
    });
    let fits = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\nConnection: close\r\n\r\n",
        "b".repeat(8_000)
    );
    assert_eq!(server.send_raw(fits.as_bytes(), PATIENCE).response.map(|r| r.status), Some(200));
}

#[test]
fn nothing_is_read_from_a_connection_whose_framing_is_ambiguous() {
    let server = serve(&[("index.html", "x"), ("smuggled.txt", "smuggled")]);
    let inner = "GET /smuggled.txt HTTP/1.1\r\nHost: a\r\n\r\n";
    for lengths in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", inner.len() + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", inner.len() + 5),
    ] {
        for target in ["/", "/_mainstay/events"] {
            let request =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\n{lengths}\r\n0\r\n\r\n{inner}");
            let mut connection = server.connect();
            connection.write(request.as_bytes()).expect("sent");
            let answers = connection.read_to_end().expect("an end");
            let text = String::from_utf8_lossy(&answers);
            assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
            assert!(!text.contains("smuggled"), "{text}");
        }
    }
}
