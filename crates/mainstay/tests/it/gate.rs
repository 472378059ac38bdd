//! The private side: what is open, what needs the owner, and browsers of other origins that are sent away.

use mainstay_testkit::{Request, Response, Server, TOKEN};

use crate::{launch, serve};

/// Every read behind the console.
const READS: [&str; 19] = [
    "/api/v1/session",
    "/api/v1/live",
    "/api/v1/traffic",
    "/api/v1/visitors",
    "/api/v1/visitors/now",
    "/api/v1/pages",
    "/api/v1/sources",
    "/api/v1/devices",
    "/api/v1/countries",
    "/api/v1/vitals",
    "/api/v1/events",
    "/api/v1/errors",
    "/api/v1/reports",
    "/api/v1/jobs/queues",
    "/api/v1/jobs",
    "/api/v1/sites",
    "/api/v1/upstreams",
    "/api/v1/nodes",
    "/api/v1/databases",
];
const OPEN: [&str; 4] = ["/livez", "/readyz", "/startupz", "/metrics"];

fn owner(request: Request) -> Request {
    request.header("authorization", &format!("Bearer {TOKEN}"))
}

fn assert_problem(what: &str, response: &Response, status: u16) {
    assert_eq!(response.status, status, "{what}: {}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(response.json()["status"], status, "{what}");
}

#[test]
fn the_list_of_reads_is_complete() {
    let routes = include_str!("../../../api/src/admin.rs");
    let served: Vec<_> = routes
        .split("(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("/api/"))
        .collect();
    assert_eq!(served, READS, "a read was added: refuse it to strangers here");
}

#[test]
fn every_read_needs_the_owner() {
    let server = serve(&[]);
    let worker = crate::keys::make(&server, "jobs,record,limits,cache");
    for path in READS {
        assert_problem(path, &server.admin_stranger(&Request::get(path)), 401);
        for value in [
            "Bearer wrong",
            "Bearer ",
            "Basic dGVzdA==",
            TOKEN,
            &format!("bearer {TOKEN}x"),
            &format!("Bearer {}", &TOKEN[1..]),
        ] {
            let request = Request::get(path).header("authorization", value);
            assert_problem(&format!("{path} {value}"), &server.admin_stranger(&request), 401);
        }
        let scopeless = crate::keys::with(Request::get(path), &worker.text);
        assert_problem(path, &server.admin_stranger(&scopeless), 403);
        let cookie = Request::get(path).header("cookie", "__Host-mainstay_admin=invented");
        assert_problem(path, &server.admin_stranger(&cookie), 401);
        let query = Request::get(&format!("{path}?token={TOKEN}"));
        assert_problem(path, &server.admin_stranger(&query), 401);
        if path != "/api/v1/live" {
            assert_eq!(server.admin(Request::get(path)).status, 200, "{path}");
        }
        assert_eq!(server.admin(Request::post(path)).status, 405, "{path}");
    }
    assert_problem("sign out", &server.admin_stranger(&Request::post("/session/end")), 401);
    assert_eq!(
        server.admin_stranger(&Request::get("/")).status,
        401,
        "the console shows the way in instead"
    );
    for path in OPEN {
        assert_eq!(server.admin_stranger(&Request::get(path)).status, 200, "{path}");
    }
    assert_eq!(server.admin_stranger(&Request::get("/nothing")).status, 404);
}

#[test]
fn the_verdict_is_for_all_and_its_details_for_the_owner() {
    let server = serve(&[]);
    let stranger = server.admin_stranger(&Request::get("/healthz"));
    assert_eq!(
        (stranger.status, stranger.header("content-type")),
        (200, Some("application/health+json"))
    );
    assert_eq!(stranger.json(), serde_json::json!({"status": "pass"}));
    let details = server.admin(Request::get("/healthz")).json();
    assert_eq!(details["status"], "pass");
    assert!(details["checks"]["store:recorder"][0]["status"] == "pass", "{details}");
    assert!(details["version"].is_string() && details["releaseId"].is_string(), "{details}");
}

fn with(server: &Server, path: &str, name: &str, value: &str) -> Response {
    server.admin_stranger(&owner(Request::get(path)).header(name, value))
}

#[test]
fn other_hosts_and_other_origins_are_sent_away_even_with_the_token() {
    let server = serve(&[]);
    let port = server.admin_address().port();
    let mut paths = READS.to_vec();
    paths.retain(|path| *path != "/api/v1/live");
    for path in
        paths.iter().chain(&OPEN).chain(&["/", "/enter?token=x", "/healthz", "/assets/page.css"])
    {
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1:1",
            "localhost:1",
            &format!("evil.example:{port}"),
            "127.0.0.2",
            "",
        ] {
            assert_problem(&format!("{path} {host}"), &with(&server, path, "host", host), 403);
        }
        for origin in [
            "https://evil.example",
            "null",
            &format!("http://evil.example:{port}"),
            "http://127.0.0.1:1",
            &format!("http://localhost:{port}"),
        ] {
            assert_problem(
                &format!("{path} {origin}"),
                &with(&server, path, "origin", origin),
                403,
            );
        }
        for site in ["cross-site", "same-site", "invented"] {
            assert_problem(
                &format!("{path} {site}"),
                &with(&server, path, "sec-fetch-site", site),
                403,
            );
        }
    }
    for (name, value) in [
        ("host", format!("127.0.0.1:{port}")),
        ("host", format!("localhost:{port}")),
        ("host", "localhost".to_owned()),
        ("origin", format!("http://127.0.0.1:{port}")),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-site", "none".to_owned()),
    ] {
        assert_eq!(with(&server, "/api/v1/pages", name, &value).status, 200, "{name}: {value}");
    }
}

#[test]
fn a_host_name_can_be_allowed() {
    let site = mainstay_testkit::Site::new();
    let server = launch().site(site).config("[admin]\nhosts = [\"console.internal\"]\n").start();
    assert_eq!(with(&server, "/api/v1/pages", "host", "console.internal").status, 200);
    assert_eq!(with(&server, "/api/v1/pages", "host", "console.internal:8443").status, 200);
    assert_eq!(with(&server, "/api/v1/pages", "host", "x.console.internal").status, 403);
}

#[test]
fn nothing_of_the_admin_side_is_on_the_public_side() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for path in READS.iter().chain(&OPEN).chain(&[
        "/healthz",
        "/enter",
        "/session/end",
        "/_mainstay/api/v1/pages",
        "/_mainstay/metrics",
    ]) {
        let response = server.send(&owner(Request::get(path)));
        assert_eq!(response.status, 404, "{path}");
    }
}

#[test]
fn the_live_stream_begins_with_history_and_goes_on_with_snapshots() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let mut connection = mainstay_testkit::Connection::open(server.admin_address());
    let request = owner(Request::get("/api/v1/live")).to_bytes(&server.admin_address().to_string());
    connection.write(&request).expect("sent");
    let head = connection.read_head().expect("a head");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let mut text = String::new();
    while text.matches("event: snapshot").count() < 2 || !text.ends_with("\n\n\r\n") {
        let piece = connection.read_some(8_192).expect("more");
        assert!(!piece.is_empty(), "ended early: {text}");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    let history = text.find("event: history").expect("history");
    assert!(history < text.find("event: snapshot").expect("a snapshot"), "{text}");
    for field in ["\"visitors_now\"", "\"rate\"", "\"latency_ms\"", "\"health\":\"pass\"", "id: "] {
        assert!(text.contains(field), "{field}: {text}");
    }
}
