//! Other origins: an exact allow list, pre-flights, and caches that tell origins apart.

use mainstay_testkit::{Request, Response, Server, Site};

use crate::launch;

const ALLOWED: &str = "https://app.example";
const FOREIGN: [&str; 8] = [
    "https://evil.example",
    "http://app.example",
    "https://app.example.evil.example",
    "https://app.example:8443",
    "https://APP.example",
    "https://app.example/",
    "null",
    "*",
];

fn server() -> Server {
    let long = "words again and again ".repeat(100);
    let site =
        Site::of(&[("data.json", "{}"), ("long.txt", &long), ("docs/index.html", "<p>x</p>")]);
    let config = "[cors]\norigins = [\"https://app.example\", \"http://localhost:3000\"]\nmax_age_seconds = 600\n";
    launch().site(site).config(config).start()
}

fn from(path: &str, origin: &str) -> Request {
    Request::get(path).header("origin", origin)
}

fn varies_by(response: &Response, name: &str) -> bool {
    let values = response.headers.iter().filter(|(header, _)| header == "vary");
    values.flat_map(|(_, value)| value.split(',')).any(|v| v.trim().eq_ignore_ascii_case(name))
}

#[test]
fn listed_origins_may_read_and_others_may_not() {
    let server = server();
    for path in ["/data.json", "/long.txt", "/missing", "/docs", "/docs/"] {
        for origin in [ALLOWED, "http://localhost:3000"] {
            let response = server.send(&from(path, origin).header("accept-encoding", "br"));
            assert_eq!(response.header("access-control-allow-origin"), Some(origin), "{path}");
            assert_eq!(response.header("access-control-allow-credentials"), Some("true"), "{path}");
            assert_eq!(response.count("access-control-allow-origin"), 1);
            assert!(varies_by(&response, "origin"), "{path}: {:?}", response.header("vary"));
        }
        for origin in FOREIGN {
            let response = server.send(&from(path, origin));
            assert_eq!(response.count("access-control-allow-origin"), 0, "{path} {origin}");
            assert_eq!(response.count("access-control-allow-credentials"), 0, "{path} {origin}");
            assert!(
                varies_by(&response, "origin"),
                "{path} {origin}: {:?}",
                response.header("vary")
            );
        }
        assert!(varies_by(&server.get(path), "origin"), "{path}: also without an origin");
    }
    let coded = server.send(&from("/long.txt", ALLOWED).header("accept-encoding", "br"));
    assert!(varies_by(&coded, "accept-encoding"));
    let tag = server.get("/data.json").header("etag").expect("a tag").to_owned();
    let same = server.send(&from("/data.json", ALLOWED).header("if-none-match", &tag));
    assert_eq!((same.status, same.header("access-control-allow-origin")), (304, Some(ALLOWED)));
}

#[test]
fn pre_flights_of_listed_origins_are_answered() {
    let server = server();
    let ask = |origin: &str| {
        let request = Request::new("OPTIONS", "/data.json").header("origin", origin);
        server.send(
            &request
                .header("access-control-request-method", "PUT")
                .header("access-control-request-headers", "x-api-key"),
        )
    };
    let response = ask(ALLOWED);
    assert_eq!((response.status, response.body.len()), (204, 0));
    for (name, value) in [
        ("access-control-allow-origin", ALLOWED),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, POST, PUT, DELETE, OPTIONS"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!((response.count(name), response.header(name)), (1, Some(value)), "{name}");
    }
    let headers = response.header("access-control-allow-headers").unwrap_or_default();
    for name in ["Content-Type", "Authorization", "X-Requested-With", "X-API-Key", "traceparent"] {
        assert!(headers.contains(name), "{headers}");
    }
    assert!(varies_by(&response, "origin"));
    for origin in FOREIGN {
        let refused = ask(origin);
        assert_eq!(refused.count("access-control-allow-origin"), 0, "{origin}");
        assert_eq!(refused.count("access-control-allow-methods"), 0, "{origin}");
    }
}

#[test]
fn without_a_list_nothing_is_said() {
    let server = launch().site(Site::of(&[("data.json", "{}")])).start();
    let response = server.send(&from("/data.json", ALLOWED));
    assert_eq!(response.count("access-control-allow-origin"), 0);
    assert!(!varies_by(&response, "origin"));
}
