//! Other origins: an exact allow list, pre-flights, caches that tell origins apart; in front of a folder and of an app with words of its own.

use std::time::Duration;

use mainstay_testkit::{Request, Response, Server, Site, Upstream, until};

use crate::launch;

const ALLOWED: &str = "https://app.example";
const SOON: Duration = Duration::from_secs(10);
const LOCAL: &str = "http://localhost:3000";
const LIST: &str = "[cors]\norigins = [\"https://app.example\", \"http://localhost:3000\"]\nmax_age_seconds = 600\n";

/// An app that lets everybody in, with credentials, into its private network, and says so twice.
const OPEN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nVary: Cookie\r\n\
Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Origin: https://evil.example\r\n\
Access-Control-Allow-Credentials: true\r\nAccess-Control-Allow-Methods: PATCH, PURGE\r\n\
Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 86400\r\n\
Access-Control-Allow-Private-Network: true\r\nAccess-Control-Expose-Headers: x-total\r\n\r\n{}";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// The answer is made as ever and its origin may read it, with credentials.
    Read,
    /// The answer is made as ever and says nothing to other origins.
    Kept,
    /// A pre-flight is answered; an app never hears of it.
    Agreed,
}
use Outcome::{Agreed, Kept, Read};

const GET: &[(&str, &str)] = &[];
const WITH_COOKIE: &[(&str, &str)] = &[("cookie", "session=1")];
const PUT: &[(&str, &str)] = &[("access-control-request-method", "PUT")];
const PATCH: &[(&str, &str)] = &[("access-control-request-method", "PATCH")];
const WITH_HEADERS: &[(&str, &str)] = &[
    ("access-control-request-method", "DELETE"),
    ("access-control-request-headers", "x-api-key, authorization"),
];
const PRIVATE: &[(&str, &str)] =
    &[("access-control-request-method", "GET"), ("access-control-request-private-network", "true")];

type Case = (&'static str, Option<&'static str>, &'static [(&'static str, &'static str)], Outcome);

const CASES: &[Case] = &[
    // exactly the list
    ("GET", Some(ALLOWED), GET, Read),
    ("GET", Some(LOCAL), GET, Read),
    ("GET", Some(ALLOWED), WITH_COOKIE, Read),
    ("HEAD", Some(ALLOWED), GET, Read),
    // no origin: a page of the site itself, or no browser
    ("GET", None, GET, Kept),
    ("GET", None, WITH_COOKIE, Kept),
    // another scheme
    ("GET", Some("http://app.example"), GET, Kept),
    ("GET", Some("https://localhost:3000"), GET, Kept),
    ("GET", Some("ws://app.example"), GET, Kept),
    // another port
    ("GET", Some("https://app.example:8443"), GET, Kept),
    ("GET", Some("https://app.example:443"), GET, Kept),
    ("GET", Some("http://localhost:3001"), GET, Kept),
    ("GET", Some("http://localhost"), GET, Kept),
    ("GET", Some("http://localhost:30000"), GET, Kept),
    // another host
    ("GET", Some("https://evil.example"), GET, Kept),
    ("GET", Some("https://evil.app.example"), GET, Kept),
    ("GET", Some("https://example"), GET, Kept),
    ("GET", Some("https://evil-app.example"), GET, Kept),
    ("GET", Some("https://evilapp.example"), GET, Kept),
    ("GET", Some("https://app.example.evil.example"), GET, Kept),
    ("GET", Some("https://app.examples"), GET, Kept),
    ("GET", Some("https://app.exampl"), GET, Kept),
    ("GET", Some("https://app-example"), GET, Kept),
    ("GET", Some("https://appxexample"), GET, Kept),
    ("GET", Some("https://app.example."), GET, Kept),
    ("GET", Some("https://127.0.0.1:3000"), GET, Kept),
    // other spellings
    ("GET", Some("https://APP.example"), GET, Kept),
    ("GET", Some("HTTPS://app.example"), GET, Kept),
    ("GET", Some("https://app.example/"), GET, Kept),
    ("GET", Some("https://app.example/path"), GET, Kept),
    ("GET", Some("https://user@app.example"), GET, Kept),
    ("GET", Some("https://evil.example@app.example"), GET, Kept),
    ("GET", Some("https://app.example@evil.example"), GET, Kept),
    ("GET", Some("https://app.example#evil.example"), GET, Kept),
    ("GET", Some("https://app.example%2eevil.example"), GET, Kept),
    ("GET", Some("https://app.example https://evil.example"), GET, Kept),
    ("GET", Some("https://app.example, https://evil.example"), GET, Kept),
    ("GET", Some("app.example"), GET, Kept),
    ("GET", Some("//app.example"), GET, Kept),
    // no origin at all
    ("GET", Some("null"), GET, Kept),
    ("GET", Some("NULL"), GET, Kept),
    ("GET", Some("*"), GET, Kept),
    ("GET", Some(""), GET, Kept),
    ("GET", Some("file://"), GET, Kept),
    ("GET", Some("null"), WITH_COOKIE, Kept),
    // two lines: nobody can say which one asks
    ("GET", Some(ALLOWED), &[("origin", "https://evil.example")], Kept),
    ("GET", Some("https://evil.example"), &[("origin", ALLOWED)], Kept),
    ("GET", Some(ALLOWED), &[("origin", ALLOWED)], Kept),
    // pre-flights
    ("OPTIONS", Some(ALLOWED), PUT, Agreed),
    ("OPTIONS", Some(LOCAL), PUT, Agreed),
    ("OPTIONS", Some(ALLOWED), PATCH, Agreed),
    ("OPTIONS", Some(ALLOWED), WITH_HEADERS, Agreed),
    ("OPTIONS", Some(ALLOWED), PRIVATE, Agreed),
    ("OPTIONS", Some("https://evil.example"), PUT, Kept),
    ("OPTIONS", Some("https://evil-app.example"), WITH_HEADERS, Kept),
    ("OPTIONS", Some("http://app.example"), PUT, Kept),
    ("OPTIONS", Some("https://app.example:8443"), PUT, Kept),
    ("OPTIONS", Some("https://evil.app.example"), PRIVATE, Kept),
    ("OPTIONS", Some("null"), PUT, Kept),
    ("OPTIONS", Some("null"), PRIVATE, Kept),
    ("OPTIONS", None, PUT, Kept),
    // no pre-flight: nothing is asked for, or by another method
    ("OPTIONS", Some(ALLOWED), GET, Read),
    ("GET", Some(ALLOWED), PUT, Read),
    ("POST", Some(ALLOWED), GET, Read),
    ("POST", Some("https://evil.example"), GET, Kept),
    ("PUT", Some(ALLOWED), GET, Read),
    ("DELETE", Some("null"), GET, Kept),
];

/// Every header by which an answer lets another origin in.
const LETS_IN: [&str; 6] = [
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "access-control-allow-private-network",
];
const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const HEADERS: &str =
    "Content-Type, Authorization, X-Requested-With, X-API-Key, traceparent, sentry-trace, baggage";

fn request((method, origin, more, _): &Case, path: &str) -> Request {
    let mut request = Request::new(method, path);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    more.iter().fold(request, |request, (name, value)| request.header(name, value))
}

fn varies_by(response: &Response, name: &str) -> bool {
    let values = response.headers.iter().filter(|(header, _)| header == "vary");
    values.flat_map(|(_, value)| value.split(',')).any(|v| v.trim().eq_ignore_ascii_case(name))
}

fn check(response: &Response, case: &Case, path: &str) {
    let (_, origin, _, outcome) = case;
    let expected = match outcome {
        Kept => [None; 6],
        Read => [*origin, Some("true"), None, None, None, None],
        Agreed => [*origin, Some("true"), Some(METHODS), Some(HEADERS), Some("600"), None],
    };
    for (name, expected) in LETS_IN.into_iter().zip(expected) {
        let said = (response.count(name), response.header(name));
        assert_eq!(said, (usize::from(expected.is_some()), expected), "{name}: {case:?} {path}");
    }
    assert!(varies_by(response, "origin"), "{case:?} {path}: {:?}", response.header("vary"));
    if *outcome == Agreed {
        assert_eq!((response.status, response.body.len()), (204, 0), "{case:?} {path}");
        assert!(varies_by(response, "access-control-request-method"), "{case:?} {path}");
        assert!(varies_by(response, "access-control-request-headers"), "{case:?} {path}");
    }
}

fn folder(config: &str) -> Server {
    let long = "words again and again ".repeat(100);
    let files = [("data.json", "{}"), ("long.txt", &long), ("docs/index.html", "<p>x</p>")];
    launch().site(Site::of(&files)).config(config).start()
}

fn before(app: &Upstream, config: &str) -> Server {
    launch().upstream(&format!("http://{}", app.address)).config(config).start()
}

#[test]
fn a_folder_is_read_by_listed_origins_alone() {
    let server = folder(LIST);
    for case in CASES {
        // A file, a compressible one, none, a redirect, a page.
        // And what is ours.
        for path in [
            "/data.json",
            "/long.txt",
            "/missing",
            "/docs",
            "/docs/",
            "/_mainstay/m.js",
            "/_mainstay/events",
        ] {
            check(&server.send(&request(case, path)), case, path);
        }
    }
}

#[test]
fn a_preflight_of_what_is_ours_is_no_traffic_of_the_site() {
    let app = Upstream::answering(OPEN);
    let config = format!("{LIST}\n[edge]\nreport_paths = [\"/csp\"]\n");
    for server in [folder(&config), before(&app, &config)] {
        let ask = |path: &str| {
            let request = Request::new("OPTIONS", path).header("origin", ALLOWED);
            let answer = server.send(&request.header("access-control-request-method", "POST"));
            assert_eq!(answer.status, 204, "{path}");
            answer.count("allow")
        };
        // What may be done there is said by the pre-flight's own headers: GET and HEAD may not.
        assert_eq!([ask("/_mainstay/events"), ask("/csp")], [0, 0]);
        let of = |route: &str| server.metrics().value("http_requests_total", &[("route", route)]);
        until("they are counted", SOON, || of("{mainstay}") > 1.5);
        let _site = ask("/data.json");
        until("and the site's", SOON, || of("{unmatched}") > 0.5);
        assert!(of("{mainstay}") < 2.5 && of("{unmatched}") < 1.5, "{}", of("{unmatched}"));
    }
}

#[test]
fn an_apps_own_word_is_replaced() {
    let app = Upstream::answering(OPEN);
    let server = before(&app, LIST);
    for case @ (method, _, _, outcome) in CASES {
        let heard = app.requests().len();
        let response = server.send(&request(case, "/data"));
        check(&response, case, "/data");
        let asked = usize::from(*outcome != Agreed);
        assert_eq!(app.requests().len() - heard, asked, "{case:?}");
        if asked == 1 {
            // What is not CORS's own stays the app's.
            assert_eq!(response.status, 200, "{case:?}");
            assert!(varies_by(&response, "cookie"), "{case:?}: {:?}", response.header("vary"));
            assert_eq!(response.header("access-control-expose-headers"), Some("x-total"));
            assert_eq!(response.body.is_empty(), *method == "HEAD", "{case:?}");
        } else {
            assert_eq!(response.count("allow"), 0, "an app's methods are its own affair");
        }
    }
    app.kill();
    let away = ("GET", Some("https://evil.example"), GET, Kept);
    let failed = server.send(&request(&away, "/data"));
    assert_eq!(failed.status, 502);
    check(&failed, &away, "/data");
}

#[test]
fn coded_and_unchanged_answers_say_it_too() {
    let server = folder(LIST);
    let from = |path: &str| Request::get(path).header("origin", ALLOWED);
    let coded = server.send(&from("/long.txt").header("accept-encoding", "br"));
    assert_eq!(coded.header("content-encoding"), Some("br"));
    assert_eq!(coded.header("access-control-allow-origin"), Some(ALLOWED));
    assert!(varies_by(&coded, "accept-encoding") && varies_by(&coded, "origin"));
    let tag = server.get("/data.json").header("etag").expect("a tag").to_owned();
    let same = server.send(&from("/data.json").header("if-none-match", &tag));
    assert_eq!((same.status, same.header("access-control-allow-origin")), (304, Some(ALLOWED)));
}

#[test]
fn credentials_are_a_choice() {
    let app = Upstream::answering(OPEN);
    let list = format!("{LIST}credentials = false\n");
    for server in [folder(&list), before(&app, &list)] {
        for (method, more) in [("GET", GET), ("OPTIONS", PUT)] {
            let response =
                server.send(&request(&(method, Some(ALLOWED), more, Read), "/data.json"));
            assert_eq!(response.header("access-control-allow-origin"), Some(ALLOWED), "{method}");
            assert_eq!(response.count("access-control-allow-credentials"), 0, "{method}");
        }
    }
}

#[test]
fn without_a_list_nothing_is_said_and_an_app_speaks_for_itself() {
    let server = folder("");
    let response = server.send(&Request::get("/data.json").header("origin", ALLOWED));
    assert!(LETS_IN.iter().all(|name| response.count(name) == 0));
    assert!(!varies_by(&response, "origin"));

    let app = Upstream::answering(OPEN);
    let server = before(&app, "");
    for (method, more) in [("GET", GET), ("OPTIONS", PUT)] {
        let response = server.send(&request(&(method, Some(ALLOWED), more, Kept), "/data"));
        assert_eq!(response.count("access-control-allow-origin"), 2, "{method}");
        assert_eq!(response.header("access-control-allow-methods"), Some("PATCH, PURGE"));
        assert!(!varies_by(&response, "origin"), "{method}");
    }
    assert_eq!(app.requests().len(), 2);
}
