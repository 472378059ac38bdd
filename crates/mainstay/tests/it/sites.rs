//! Several sites in one server: told apart by host name, sent to their canonical name, changed by SIGHUP while they are served.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use mainstay_testkit::{
    Batch, Connection, Request, Response, Server, Site, Upstream, eventually, holds_for,
};

use crate::launch;

const SOON: Duration = Duration::from_secs(20);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\napp";

fn ask(server: &Server, host: &str, path: &str) -> Response {
    server.send(&Request::get(path).header("host", host))
}

/// A settings file with a folder for `example.org` and below it, and an app for `app.test`.
fn settings(folder: &Site, app: &Upstream, more: &str) -> String {
    format!(
        "[[site]]\nname = \"main\"\nhosts = [\"example.org\", \"www.example.org\", \"*.example.org\"]\n\
         canonical = \"example.org\"\ndir = \"{}\"\nheaders = \"roadmap\"\n\
         [[site]]\nname = \"app\"\nhosts = [\"app.test\"]\nupstreams = [\"http://{}\"]\n{more}",
        folder.dir().display(),
        app.address,
    )
}

/// Before an app as before files, and over the short way of plain requests as over the library's.
#[test]
fn errors_of_our_own_are_told_as_the_client_likes() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let server = launch().sites_in_settings().config(&settings(&folder, &app, "")).start();
    let get = |host: &str, path: &str| Request::get(path).header("host", host);
    let post = Request::post("/").header("host", "example.org").body("x");
    let if_match = get("example.org", "/").header("if-match", "\"other\"");
    for (request, status, code) in [
        (get("evil.test", "/"), 421, "not-found"),
        (get("a b", "/"), 400, "invalid"),
        (get("example.org", "/nowhere"), 404, "not-found"),
        (post, 405, "invalid"),
        (if_match, 412, "invalid"),
        (Request::new("TRACE", "/").header("host", "app.test"), 405, "invalid"),
    ] {
        for (accept, is_problem) in [
            (Some("application/json"), true),
            (Some("application/json, text/html;q=0.5"), true),
            (Some("text/html;q=0"), true),
            (Some("text/html, application/json;q=0.5"), false),
            (Some("*/*"), false),
            (None, false),
        ] {
            // Once more: what a folder does not hold is remembered.
            for _again in 0..2 {
                let accepts = |accept| request.clone().header("accept", accept);
                let answer = server.send(&accept.map_or_else(|| request.clone(), accepts));
                let what = format!("{status} for {accept:?}");
                let kind = if is_problem {
                    "application/problem+json"
                } else {
                    "text/html; charset=utf-8"
                };
                assert_eq!(
                    (answer.status, answer.header("content-type")),
                    (status, Some(kind)),
                    "{what}"
                );
                assert_eq!(answer.count("content-security-policy"), 1, "{what}");
                // A page has its style and the site's icon; who keeps it keeps it apart from the problem.
                let policy = answer.header("content-security-policy").unwrap_or_default();
                assert!(policy.contains("style-src 'sha256-"), "{what}: {policy}");
                assert!(policy.contains("; img-src 'self';"), "{what}: {policy}");
                assert_eq!(answer.header("vary"), Some("accept"), "{what}");
                if is_problem {
                    let problem = answer.json();
                    assert_eq!(problem["status"], status, "{what}");
                    assert_eq!(problem["type"], format!("urn:mainstay:problem:{code}"), "{what}");
                }
            }
        }
    }
}

#[test]
fn hosts_decide_which_site_answers_and_with_which_headers() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let server = launch().sites_in_settings().config(&settings(&folder, &app, "")).start();

    for host in ["example.org", "EXAMPLE.org", "example.org.", "example.org:8080"] {
        let page = ask(&server, host, "/");
        assert!(page.text().contains("main"), "{host}: {}", page.status);
        assert_eq!(page.header("cross-origin-embedder-policy"), Some("require-corp"), "{host}");
    }
    let page = ask(&server, "app.test", "/");
    assert_eq!((page.text().as_str(), page.count("cross-origin-embedder-policy")), ("app", 0));
    assert_eq!(
        app.requests().last().and_then(|heard| heard.header("host").map(str::to_owned)),
        Some("app.test".into())
    );

    for host in ["evil.test", "example.org.evil.test", "127.0.0.1", ""] {
        let refused = ask(&server, host, "/");
        assert_eq!(refused.status, 421, "{host}");
        assert_eq!(refused.count("content-security-policy"), 1, "{host}");
    }
    // Nor do our own paths answer under a stranger's name.
    assert_eq!(ask(&server, "evil.test", "/_mainstay/m.js").status, 421);
    assert_eq!(ask(&server, "app.test", "/_mainstay/m.js").status, 200);
    let refused = server.metrics().value("mainstay_requests_refused_total", &[("reason", "host")]);
    assert!((refused - 5.0).abs() < 0.5, "{refused}");
}

#[test]
fn events_of_strangers_pages_are_refused_where_the_sites_names_are_known() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let more = "[cors]\norigins = [\"https://partner.test\"]\n";
    let server = launch().sites_in_settings().config(&settings(&folder, &app, more)).start();
    let post = |origin: Option<&str>, relation: Option<&str>| {
        let body = Batch::page_view("https://example.org/").field("site", "main".into()).body();
        let request = Request::post("/_mainstay/events").header("host", "example.org");
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let request = match relation {
            Some(relation) => request.header("sec-fetch-site", relation),
            None => request,
        };
        server.send(&request.header("content-type", "text/plain").body(body))
    };
    // Firefox, under `Referrer-Policy: no-referrer`.
    assert_eq!(post(Some("null"), Some("same-origin")).status, 204);
    assert_eq!(post(Some("null"), Some("cross-site")).status, 403);
    let ours = [
        None,
        Some("http://example.org"),
        Some("https://example.org:8443"),
        Some("https://www.example.org"),
        Some("https://a.example.org"),
        Some("https://partner.test"),
    ];
    for origin in ours {
        assert_eq!(post(origin, None).status, 204, "{origin:?}");
    }
    let foreign = [
        "https://evil.test",
        "https://example.org.evil.test",
        "https://evilexample.org",
        "http://partner.test",
        "http://app.test",
        "chrome-extension://example.org",
        "https://example.org@evil.test",
        "",
    ];
    for origin in foreign {
        let refused = post(Some(origin), None);
        assert_eq!(
            (refused.status, refused.json()["field"].as_str()),
            (403, Some("origin")),
            "{origin}"
        );
    }
    let counted = server.metrics().value("mainstay_events_accepted_total", &[]);
    assert!((counted - (1 + ours.len()) as f64).abs() < 0.5, "{counted}");
}

/// The status of an event that a page of this origin sends to a server by a name that it was not told of.
fn post_from(server: &Server, origin: &str) -> u16 {
    let request = Request::post("/_mainstay/events").header("host", "10.0.0.7");
    let body = Batch::page_view("https://example.org/").body();
    let request = request.header("origin", origin).header("content-type", "text/plain");
    server.send(&request.body(body)).status
}

#[test]
fn a_site_without_hosts_takes_no_strangers_events_once_a_name_of_it_is_known() {
    let folder = Site::of(&[("index.html", "<p>main</p>")]);
    let canonical = format!(
        "[[site]]\nname = \"default\"\ncanonical = \"example.org\"\ndir = \"{}\"\n",
        folder.dir().display()
    );
    let servers = [
        launch().argument("--public-url").argument("https://example.org").start(),
        launch().sites_in_settings().config(&canonical).start(),
    ];
    for server in &servers {
        for origin in ["https://example.org", "https://example.org:8443", "http://10.0.0.7"] {
            assert_eq!(post_from(server, origin), 204, "{origin}");
        }
        for origin in ["https://evil.test", "https://www.example.org", "https://10.0.0.8"] {
            assert_eq!(post_from(server, origin), 403, "{origin}");
        }
    }
    let nameless = launch().start();
    assert_eq!(post_from(&nameless, "https://example.org"), 204, "a proxy may have changed it");
}

#[test]
fn other_names_are_sent_to_the_canonical_one_with_path_query_and_port() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let server = launch().sites_in_settings().config(&settings(&folder, &app, "")).start();
    for (host, path, location) in [
        ("www.example.org", "/a?b=c", "http://example.org/a?b=c"),
        ("x.y.example.org", "/", "http://example.org/"),
        ("www.example.org:8080", "/a", "http://example.org:8080/a"),
    ] {
        let sent = ask(&server, host, path);
        assert_eq!((sent.status, sent.header("location")), (308, Some(location)), "{host}");
    }
    assert_eq!(ask(&server, "www.example.org", "/_mainstay/m.js").status, 200);
}

#[test]
fn a_reload_takes_changed_sites_into_use_and_refuses_broken_settings() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let other = Upstream::answering(ANSWER.replace("app", "new"));
    let first = settings(&folder, &app, "");
    let mut server = launch()
        .sites_in_settings()
        .config(&first)
        .expects_error("settings not taken into use")
        .start();
    let mut open = server.connect();
    let request = Request::get("/").header("host", "app.test");
    assert_eq!(open.send(&request).text(), "app");

    let changed = first.replace(&app.address.to_string(), &other.address.to_string());
    server.write_settings(&changed);
    server.process().signal("HUP");
    eventually("the new app", Duration::from_secs(20), || {
        (ask(&server, "app.test", "/").text() == "new").then_some(())
    });
    assert_eq!(open.send(&request).text(), "new", "on a connection that was open");

    server.write_settings(&changed.replace("upstreams", "upstreems"));
    server.process().signal("HUP");
    eventually("the refusal in the log", Duration::from_secs(20), || {
        server.log().text().contains("upstreems").then_some(())
    });
    assert_eq!(ask(&server, "app.test", "/").text(), "new");
}

/// Visitors who ask one after the other until it is over: how often, and how often in vain.
fn visit(address: SocketAddr, over: &AtomicBool) -> (usize, usize) {
    let request = Request::get("/").header("host", "app.test");
    let (mut connection, mut asked, mut failed) = (Connection::open(address), 0, 0);
    while !over.load(SeqCst) {
        asked += 1;
        failed += usize::from(connection.send(&request).status != 200);
    }
    (asked, failed)
}

#[test]
fn copies_that_are_exchanged_all_at_once_fail_no_request() {
    let folder = Site::of(&[("index.html", "<p>main</p>")]);
    let apps = [Upstream::answering(ANSWER), Upstream::answering(ANSWER)];
    let mut server = launch().sites_in_settings().config(&settings(&folder, &apps[0], "")).start();
    let (over, address) = (AtomicBool::new(false), server.site_address());
    let served = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4).map(|_| scope.spawn(|| visit(address, &over))).collect();
        for round in 1..8 {
            let app = &apps[round % 2];
            let before = app.requests().len();
            server.write_settings(&settings(&folder, app, ""));
            server.process().signal("HUP");
            eventually("requests to the other copy", SOON, || {
                (app.requests().len() > before + 20).then_some(())
            });
        }
        over.store(true, SeqCst);
        visitors.into_iter().map(|visitor| visitor.join().expect("a visitor")).collect::<Vec<_>>()
    });
    assert!(served.iter().all(|(asked, failed)| *asked > 20 && *failed == 0), "{served:?}");
}

#[test]
fn a_reload_that_is_refused_because_of_one_site_leaves_the_others_as_they_were() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let other = Upstream::answering(ANSWER.replace("app", "new"));
    let often = "[upstream]\nhealth_interval = \"50ms\"\n";
    let mut server = launch()
        .sites_in_settings()
        .config(&settings(&folder, &app, often))
        .expects_error("settings not taken into use")
        .start();
    assert_eq!(ask(&server, "app.test", "/").text(), "app");
    let secured = "[[site]]\nname = \"secured\"\nhosts = [\"secured.test\"]\n\
                   upstreams = [\"https://127.0.0.1:9\"]\n";
    let more = format!("{secured}{often}ca_file = \"missing.pem\"\n");
    server.write_settings(&settings(&folder, &other, &more));
    server.process().signal("HUP");
    let line = server.log().wait_for("missing.pem", SOON);
    assert!(line.contains("settings not taken into use"), "{line}");
    for _ in 0..3 {
        assert_eq!(ask(&server, "app.test", "/").text(), "app");
    }
    let before = app.connections();
    eventually("checks that go on", SOON, || (app.connections() > before + 3).then_some(()));
}

#[test]
fn the_app_of_a_site_that_was_removed_is_left_alone() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let often = "[upstream]\nhealth_interval = \"50ms\"\n";
    let with = settings(&folder, &app, often);
    let mut server = launch().sites_in_settings().config(&with).start();
    assert_eq!(ask(&server, "app.test", "/").text(), "app");
    let begin = with.find("[[site]]\nname = \"app\"").expect("the site");
    let without = format!("{}{often}", &with[..begin]);
    server.write_settings(&without);
    server.process().signal("HUP");
    eventually("nobody by that name", SOON, || {
        (ask(&server, "app.test", "/").status == 421).then_some(())
    });
    // One check may be on its way.
    let before = app.connections();
    holds_for("no checks", Duration::from_secs(1), || app.connections() <= before + 1);
}

#[test]
fn a_canonical_name_with_the_default_port_is_no_loop() {
    let folder = Site::of(&[("index.html", "<p>main</p>")]);
    let config = format!(
        "[[site]]\nname = \"main\"\nhosts = [\"example.org\", \"www.example.org\"]\n\
         canonical = \"example.org:80\"\ndir = \"{}\"\n",
        folder.dir().display()
    );
    let server = launch().sites_in_settings().config(&config).start();
    assert_eq!(ask(&server, "example.org", "/").status, 200);
    let sent = ask(&server, "www.example.org", "/a");
    assert_eq!((sent.status, sent.header("location")), (308, Some("http://example.org/a")));
    let star = server.send(&Request::new("OPTIONS", "*").header("host", "www.example.org"));
    assert_eq!((star.status, star.header("location")), (308, Some("http://example.org/")));
}
