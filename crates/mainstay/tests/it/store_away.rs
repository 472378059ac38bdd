//! A store that cannot be opened at the start: the site is served, events are refused, health warns, and all is well once it is mended.

use std::path::Path;
use std::time::Duration;

use mainstay_testkit::{Batch, Launch, Request, Server, Site, until};

use crate::launch_bare;

const SOON: Duration = Duration::from_secs(20);

fn on(data: &Path) -> Launch {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    launch_bare()
        .data_dir(data)
        .site(site)
        .config("[store]\nreopen_every = \"100ms\"\nrecorder_probe_every = \"100ms\"\n")
}

fn health(server: &Server) -> serde_json::Value {
    let response = server.admin(Request::get("/healthz"));
    assert_eq!(response.status, 200, "the site is served: {}", response.text());
    response.json()
}

fn damage(file: &Path) -> String {
    let noise = "this is no database. ".repeat(500);
    std::fs::write(file, &noise).expect("written");
    noise
}

#[test]
fn a_damaged_file_costs_events_until_it_is_moved_away() {
    let data = tempfile::tempdir().expect("a temp folder");
    on(data.path()).start().stop();
    let file = data.path().join("insight.db");
    let noise = damage(&file);
    // The question that is asked in vain below.
    let mut server = on(data.path()).expects_error("page_view.count_by_key").start();

    assert_eq!(server.get("/").status, 200);
    let refused = server.post(&Batch::page_view("https://a/lost"));
    assert_eq!(refused.status, 503, "{}", refused.text());
    let wait = refused.header("retry-after").and_then(|value| value.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| seconds > 0), "{:?}", refused.headers);
    assert!(server.metrics().value("mainstay_recorder_shed_total", &[]) > 0.5);
    let report = health(&server);
    assert_eq!(report["status"], "warn", "{report}");
    for check in ["store:files", "store:recorder"] {
        assert_eq!(report["checks"][check][0]["status"], "warn", "{report}");
    }
    assert!(!report.to_string().contains(&data.path().display().to_string()), "{report}");
    assert_eq!(server.admin_stranger(&Request::get("/readyz")).status, 200, "it may take traffic");
    assert_eq!(server.admin(Request::get("/api/v1/pages")).status, 503);
    let log = server.log().text();
    for words in [&*file.display().to_string(), "move it away"] {
        assert!(log.contains(words), "{words:?} is not in: {log}");
    }

    assert_eq!(std::fs::read_to_string(&file).expect("a file"), noise, "left as it is");
    std::fs::rename(&file, data.path().join("insight.db.damaged")).expect("moved");
    until("health passes", SOON, || health(&server)["status"] == "pass");
    server.accept(&Batch::page_view("https://a/kept"));
    assert_eq!(server.rows("/api/v1/pages")[0]["key"], "/kept");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn a_stop_does_not_wait_for_a_damaged_file() {
    let data = tempfile::tempdir().expect("a temp folder");
    on(data.path()).start().stop();
    for name in ["core.db", "insight.db"] {
        damage(&data.path().join(name));
    }
    let mut server = on(data.path()).start();
    assert_eq!(server.get("/").status, 200);
    assert_eq!(server.post(&Batch::page_view("https://a/")).status, 503);
    assert_eq!(health(&server)["status"], "warn");
    assert_eq!(server.stop().code, Some(0));
}
