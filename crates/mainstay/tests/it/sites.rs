//! Several sites in one server: told apart by host name, sent to their canonical name, changed by SIGHUP while they are served.

use std::time::Duration;

use mainstay_testkit::{Request, Response, Server, Site, Upstream, eventually};

use crate::launch;

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
