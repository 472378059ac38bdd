//! What the console's panels read of several sites: traffic of each, where an app's time goes, how its copies are, new names after a reload.

use std::time::Duration;

use mainstay_testkit::{Connection, Request, Response, Server, Site, TOKEN, Upstream, eventually};
use serde_json::Value;

use crate::launch;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\napp";
const SOON: Duration = Duration::from_secs(20);
/// Time the app takes for each answer.
const APP_TAKES: Duration = Duration::from_millis(30);

fn settings(folder: &Site, app: &Upstream) -> String {
    format!(
        "[insight]\nsample_every = \"1s\"\n[upstream]\nhealth_interval = \"100ms\"\nfail_after = 1\n\
         [[site]]\nname = \"main\"\nhosts = [\"example.org\"]\ndir = \"{}\"\n\
         [[site]]\nname = \"app\"\nhosts = [\"app.test\"]\nupstreams = [\"http://{}\"]\n",
        folder.dir().display(),
        app.address,
    )
}

/// An app that thinks before it answers.
fn slow_app() -> Upstream {
    Upstream::start(|wire| {
        while wire.read_request()?.is_some() {
            think();
            wire.write(ANSWER)?;
        }
        Ok(())
    })
}

#[expect(clippy::disallowed_methods, reason = "the time it takes is what is measured")]
fn think() {
    // No wait for an event: the console must show this time as the app's.
    std::thread::sleep(APP_TAKES);
}

fn ask(server: &Server, host: &str) -> Response {
    server.send(&Request::get("/").header("host", host))
}

/// Sum of a column of `/api/v1/traffic`, of one site or of all.
fn sum(server: &Server, query: &str, column: &str) -> i64 {
    let rows = server.rows(&format!("/api/v1/traffic?step=60{query}"));
    rows.iter().map(|row| row[column].as_i64().expect("a count")).sum()
}

/// The last value of a column that is not null.
fn last(server: &Server, query: &str, column: &str) -> Option<f64> {
    let rows = server.rows(&format!("/api/v1/traffic?step=60{query}"));
    rows.iter().rev().find_map(|row| row[column].as_f64())
}

/// A row by the value of one of its columns.
fn find<'a>(rows: &'a [Value], column: &str, value: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row[column] == value)
}

/// An open live stream.
struct Live {
    connection: Connection,
    text: String,
}

impl Live {
    fn open(server: &Server, query: &str) -> Self {
        let mut connection = Connection::open(server.admin_address());
        // HTTP/1.0: the body comes as it is, without chunks around it.
        let request = format!(
            "GET /api/v1/live{query} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
            server.admin_address()
        );
        connection.write(request.as_bytes()).expect("sent");
        assert_eq!(connection.read_head().expect("a head").status, 200);
        Self { connection, text: String::new() }
    }

    /// The data of the next event; none once the stream has ended.
    fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                let data = data.map(|data| serde_json::from_str(data).expect("JSON"));
                self.text = rest.to_owned();
                if data.is_some() {
                    return data;
                }
                continue;
            }
            let piece = self.connection.read_some(8_192).expect("more");
            if piece.is_empty() {
                return None;
            }
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    /// The next snapshot that is as wanted.
    fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        // One event a second.
        eventually(what, Duration::from_secs(30), || self.next().filter(&wanted))
    }
}

#[test]
fn traffic_is_told_by_site_and_an_apps_time_in_two_parts() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), slow_app());
    let server = launch().sites_in_settings().config(&settings(&folder, &app)).start();
    let (mut of_app, mut of_main) =
        (Live::open(&server, "?site=app"), Live::open(&server, "?site=main"));
    for _ in 0..3 {
        assert_eq!(ask(&server, "example.org").status, 200);
    }
    for _ in 0..4 {
        assert_eq!(ask(&server, "app.test").text(), "app");
    }
    assert_eq!(ask(&server, "evil.test").status, 421);

    eventually("the samples", SOON, || (sum(&server, "", "requests") == 8).then_some(()));
    assert_eq!(sum(&server, "&site=main", "requests"), 3);
    assert_eq!(sum(&server, "&site=app", "requests"), 4);
    assert_eq!(sum(&server, "&site=app", "bytes"), 12);
    for query in ["", "&site=main", "&site=app"] {
        assert_eq!(sum(&server, query, "refused"), 1, "{query}: the stranger reached none of them");
    }
    for column in ["upstream_p50_ms", "upstream_p95_ms", "ours_p50_ms", "ours_p95_ms"] {
        assert_eq!(last(&server, "&site=main", column), None, "{column}: no app answered");
        assert_eq!(last(&server, "", column), last(&server, "&site=app", column), "{column}");
    }
    let takes = APP_TAKES.as_secs_f64() * 1_000.0;
    let upstream = last(&server, "&site=app", "upstream_p50_ms").expect("the app answered");
    let ours = last(&server, "&site=app", "ours_p50_ms").expect("the app answered");
    assert!(upstream > takes * 0.97, "{upstream} ms of an app that takes {takes}");
    assert!(ours < upstream, "{ours} ms of our own");
    let strange = server.admin(Request::get("/api/v1/traffic?site=other"));
    assert_eq!((strange.status, &strange.json()["field"]), (404, &"site".into()));

    let seen = of_app.wait("the app's requests", |now| now["split_1m_ms"].is_object());
    assert!(seen["split_1m_ms"]["upstream_p50"].as_f64().expect("ms") > takes * 0.97, "{seen}");
    assert_eq!(
        find(seen["upstreams"].as_array().expect("rows"), "site", "app").map(|_| ()),
        Some(())
    );
    let seen = of_main.wait("the folder's requests", |now| now["latency_1m_ms"]["p50"].is_f64());
    assert!(seen["split_1m_ms"].is_null(), "no app answered: {seen}");
    assert_eq!((&seen["site"], &seen["apps"]), (&"main".into(), &1.into()));
    assert_eq!(seen["upstreams"], serde_json::json!([]));
}

#[test]
fn a_copy_that_dies_is_seen_to_and_sites_come_and_go_with_a_reload() {
    let (folder, app) = (Site::of(&[("index.html", "<p>main</p>")]), Upstream::answering(ANSWER));
    let first = settings(&folder, &app);
    let mut server = launch().sites_in_settings().config(&first).start();
    assert_eq!(ask(&server, "app.test").text(), "app");
    let sites = server.rows("/api/v1/sites");
    let kind = |name| find(&sites, "name", name).expect(name)["kind"].clone();
    assert_eq!((kind("main"), kind("app")), ("folder".into(), "app".into()));
    let row = find(&sites, "name", "app").expect("the app");
    assert_eq!((&row["copies"], &row["healthy"]), (&1.into(), &1.into()));
    assert_eq!(row["hosts"], serde_json::json!(["app.test"]));
    assert!(find(&sites, "name", "main").expect("main")["healthy"].is_null());
    let copy = server.rows("/api/v1/upstreams?site=app").remove(0);
    assert_eq!(copy["url"], format!("http://{}", app.address));
    assert_eq!((&copy["state"], &copy["requests"]), (&"healthy".into(), &1.into()));
    assert!(copy["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{copy}");
    assert!(server.rows("/api/v1/upstreams?site=main").is_empty());

    let health = || server.admin(Request::get("/healthz")).json();
    assert_eq!(health()["status"], "pass");
    let mut live = Live::open(&server, "?site=app");
    app.kill();
    eventually("the failing copy", SOON, || {
        let _unanswered = ask(&server, "app.test");
        (server.rows("/api/v1/upstreams").first()?["state"] == "failing").then_some(())
    });
    assert_eq!(find(&server.rows("/api/v1/sites"), "name", "app").expect("app")["healthy"], 0);
    live.wait("the failing copy", |now| now["upstreams"][0]["state"] == "failing");
    let said = health();
    let check = &said["checks"]["upstream:copies"][0];
    assert_eq!((&said["status"], &check["componentId"]), (&"warn".into(), &"app".into()), "{said}");
    assert_eq!(check["output"], "the app does not answer");
    assert_eq!(
        server.admin(Request::get("/readyz")).status,
        200,
        "visitors find it away elsewhere, too"
    );

    assert_eq!(server.admin(Request::get("/api/v1/visitors?site=shop")).status, 404);
    server.write_settings(&first.replace("\"app\"", "\"shop\""));
    server.process().signal("HUP");
    eventually("the new site", SOON, || {
        find(&server.rows("/api/v1/sites"), "name", "shop").map(|_| ())
    });
    eventually("its numbers", SOON, || {
        (server.admin(Request::get("/api/v1/visitors?site=shop")).status == 200).then_some(())
    });
    assert_eq!(server.read("/api/v1/session")["sites"], serde_json::json!(["main", "shop"]));
    assert_eq!(server.admin(Request::get("/api/v1/traffic?site=app")).status, 404);
    assert_eq!(ask(&server, "app.test").status, 502);
    eventually("its traffic", SOON, || (sum(&server, "&site=shop", "errors") == 1).then_some(()));
    while live.next().is_some() {}
    assert_eq!(
        Live::open(&server, "?site=shop").next().map(|history| history["step_s"].clone()),
        Some(1.into())
    );
}
