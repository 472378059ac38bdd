//! Security headers: the whole set, once each, on every kind of answer; what the presets and environments change.

use mainstay_testkit::{Batch, Request, Response, Server, Site};

use crate::{launch, markup, serve};

const PAGE: &str =
    "<!doctype html><html lang=en><head><title>t</title></head><body><p>hello</p></body></html>\n";

/// Headers of every answer, with their value where it does not depend on what is answered.
const SET: [(&str, Option<&str>); 10] = [
    ("x-content-type-options", Some("nosniff")),
    ("x-frame-options", Some("DENY")),
    ("x-xss-protection", Some("0")),
    ("referrer-policy", Some("strict-origin-when-cross-origin")),
    (
        "permissions-policy",
        Some("camera=(), microphone=(), geolocation=(), payment=(), browsing-topics=()"),
    ),
    ("cross-origin-opener-policy", Some("same-origin")),
    ("cross-origin-resource-policy", Some("same-origin")),
    ("origin-agent-cluster", Some("?1")),
    ("content-security-policy", None),
    ("x-request-id", None),
];

fn assert_full_set(what: &str, response: &Response) {
    for (name, value) in SET {
        assert_eq!(response.count(name), 1, "{what}: {name}");
        if value.is_some() {
            assert_eq!(response.header(name), value, "{what}: {name}");
        }
    }
    for absent in [
        "strict-transport-security",
        "content-security-policy-report-only",
        "server",
        "x-powered-by",
    ] {
        assert_eq!(response.count(absent), 0, "{what}: {absent}");
    }
    let mut names: Vec<_> = response.headers.iter().map(|(name, _)| name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "{what}: a header came twice: {:?}", response.headers);
    let id = response.header("x-request-id").unwrap_or_default();
    assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{what}: {id}");
}

fn answers(server: &Server) -> Vec<(&'static str, u16, Request)> {
    let tag = server.get("/a.txt").header("etag").unwrap_or_default().to_owned();
    let event = |batch: Batch| batch.request();
    vec![
        ("page", 200, Request::get("/")),
        ("file", 200, Request::get("/a.txt")),
        ("head", 200, Request::head("/")),
        ("compressed", 200, Request::get("/long.txt").header("accept-encoding", "br")),
        ("not modified", 304, Request::get("/a.txt").header("if-none-match", &tag)),
        ("part", 206, Request::get("/a.txt").header("range", "bytes=0-1")),
        ("streamed", 200, Request::get("/large.bin")),
        ("redirect", 308, Request::get("/docs")),
        ("bad request", 400, Request::get("/").header("host", "a").header("host", "b")),
        ("missing", 404, Request::get("/missing")),
        ("method", 405, Request::post("/")),
        ("options", 204, Request::new("OPTIONS", "/")),
        ("precondition", 412, Request::get("/a.txt").header("if-match", "\"x\"")),
        ("unsatisfiable", 416, Request::get("/a.txt").header("range", "bytes=900-")),
        ("script", 200, Request::get("/_mainstay/m.js")),
        (
            "lite script",
            200,
            Request::get("/_mainstay/m.lite.js").header("accept-encoding", "gzip"),
        ),
        ("events", 204, event(Batch::page_view("http://a/"))),
        ("bad events", 400, event(Batch::of("http://a/"))),
        ("events method", 405, Request::get("/_mainstay/events")),
        ("events too large", 413, Request::post("/_mainstay/events").body("x".repeat(70_000))),
        (
            "events type",
            415,
            Request::post("/_mainstay/events").header("content-type", "image/png").body("x"),
        ),
        ("ours missing", 404, Request::get("/_mainstay/nothing")),
    ]
}

fn site() -> Site {
    let long = "words again and again ".repeat(100);
    let site = Site::of(&[
        ("index.html", PAGE),
        ("a.txt", "four"),
        ("long.txt", &long),
        ("docs/index.html", PAGE),
    ]);
    site.write("large.bin", vec![7; 200_000]);
    site
}

#[test]
fn every_answer_carries_the_whole_set_once() {
    let server = launch().site(site()).config("[edge]\ncache_file_max = \"64KiB\"\n").start();
    let mut ids = std::collections::HashSet::new();
    for (what, status, request) in answers(&server) {
        let response = server.send(&request);
        assert_eq!(response.status, status, "{what}: {}", response.text());
        assert_full_set(what, &response);
        ids.insert(response.header("x-request-id").map(str::to_owned));
    }
    assert_eq!(ids.len(), answers(&server).len(), "every answer has an id of its own");
}

#[test]
fn with_a_404_page_of_its_own_the_set_is_the_same() {
    let server = serve(&[("404.html", PAGE)]);
    let response = server.get("/missing");
    assert_eq!(response.status, 404);
    assert_full_set("own 404", &response);
}

#[test]
fn a_policy_is_only_reported_in_development() {
    let server = launch().site(site()).environment("development").start();
    for path in ["/", "/a.txt", "/missing", "/docs"] {
        let response = server.get(path);
        assert_eq!(response.count("content-security-policy-report-only"), 1, "{path}");
        assert_eq!(response.count("content-security-policy"), 0, "{path}");
        assert_eq!(response.count("strict-transport-security"), 0, "{path}");
    }
    assert_eq!(
        server.get("/_mainstay/m.js").count("content-security-policy"),
        1,
        "ours needs no trial"
    );
}

#[test]
fn the_policy_can_be_enforced_reported_or_left_out() {
    for (setting, enforced, reported) in [("enforce", 1, 0), ("report", 0, 1), ("off", 0, 0)] {
        let config = format!("[headers]\ncsp = \"{setting}\"\n");
        let server = launch().site(site()).environment("development").config(&config).start();
        let response = server.get("/");
        let seen = (
            response.count("content-security-policy"),
            response.count("content-security-policy-report-only"),
        );
        assert_eq!(seen, (enforced, reported), "{setting}");
    }
}

#[test]
fn windows_that_a_site_opens_may_report_back_where_the_settings_say_so() {
    let (folder, other) = (site(), site());
    let config = format!(
        "[headers]\nopener = \"same-origin-allow-popups\"\n\
         [[site]]\nname = \"one\"\nhosts = [\"one.test\"]\ndir = {:?}\n\
         [[site]]\nname = \"two\"\nhosts = [\"two.test\"]\ndir = {:?}\nopener = \"unsafe-none\"\n",
        folder.dir().display().to_string(),
        other.dir().display().to_string(),
    );
    let server = launch().sites_in_settings().config(&config).start();
    for (host, expected) in [("one.test", "same-origin-allow-popups"), ("two.test", "unsafe-none")]
    {
        for path in ["/", "/a.txt", "/missing", "/docs"] {
            let answer = server.send(&Request::get(path).header("host", host));
            let name = "cross-origin-opener-policy";
            assert_eq!((answer.count(name), answer.header(name)), (1, Some(expected)), "{path}");
        }
    }
}

#[test]
fn the_preset_roadmap_sends_its_values() {
    let config = "[headers]\nheaders = \"roadmap\"\n";
    let server = launch().site(site()).config(config).start();
    let response = server.get("/");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "strict-origin-when-cross-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        assert_eq!((response.count(name), response.header(name)), (1, Some(value)), "{name}");
    }
    assert_eq!(
        response.count("strict-transport-security"),
        0,
        "never over plain http (RFC 6797 section 7.2)"
    );
    let policy = response.header("content-security-policy").expect("a policy");
    let script = markup::directive(policy, "script-src");
    for source in
        ["'self'", "https://cdn.jsdelivr.net", "https://unpkg.com", "https://cdnjs.cloudflare.com"]
    {
        assert!(script.contains(source), "{script}");
    }
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains("upgrade-insecure-requests"),
        "{policy}"
    );
    for (name, value) in [
        ("default-src", "'self'"),
        ("object-src", "'none'"),
        ("base-uri", "'self'"),
        ("frame-ancestors", "'none'"),
    ] {
        assert_eq!(markup::directive(policy, name), value, "{name}");
    }
    assert!(markup::directive(policy, "font-src").contains("https://fonts.gstatic.com"));
}

#[test]
fn a_site_can_say_who_may_frame_and_load_it() {
    let config = "[headers]\nframe = \"same-origin\"\nresource = \"cross-origin\"\nreferrer = \"no-referrer\"\n";
    let server = launch().site(site()).config(config).start();
    let file = server.get("/a.txt");
    assert_eq!(file.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(file.header("cross-origin-resource-policy"), Some("cross-origin"));
    assert_eq!(file.header("referrer-policy"), Some("no-referrer"));
    let page = server.get("/");
    let policy = page.header("content-security-policy").expect("a policy");
    assert_eq!(markup::directive(policy, "frame-ancestors"), "'self'");
    let ours = server.get("/_mainstay/nothing");
    assert_eq!(
        ours.header("cross-origin-resource-policy"),
        Some("same-origin"),
        "answers of ours are for nobody else"
    );
}

#[test]
fn the_admin_side_is_dressed_too() {
    let server = serve(&[]);
    for path in ["/", "/livez", "/metrics", "/api/v1/pages", "/nothing", "/enter?token=x"] {
        let response = server.admin_stranger(&Request::get(path));
        for (name, _) in SET.iter().filter(|(name, _)| *name != "x-request-id") {
            assert_eq!(response.count(name), 1, "{path}: {name}");
        }
        let policy = response.header("content-security-policy").expect("a policy");
        assert!(
            !policy.contains("unsafe-inline") && policy.contains("default-src 'none'"),
            "{path}: {policy}"
        );
        assert!(policy.contains("require-trusted-types-for 'script'"), "{path}: {policy}");
    }
}
