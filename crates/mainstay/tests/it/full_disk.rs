//! A disk that is full: the site is served, events are refused and counted, health warns, and all is well again once there is room.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use mainstay_testkit::{Batch, Process, Request, Server, Site, Tmpfs, eventually, until};

use crate::launch_bare;

const SOON: Duration = Duration::from_secs(20);

/// Writes until there is no byte left.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("a file");
    let mut piece = vec![7_u8; 1 << 16];
    while !piece.is_empty() {
        if file.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

fn view() -> Batch {
    Batch::page_view("https://a/full")
        .custom("padding", &serde_json::json!({"text": "x".repeat(400)}))
}

fn health(server: &Server) -> serde_json::Value {
    let response = server.admin(Request::get("/healthz"));
    assert_eq!(response.status, 200, "the site is served: {}", response.text());
    response.json()
}

/// Posts until the store takes no more; answers how many were taken.
fn exhaust(server: &Server) -> i64 {
    let mut taken = 0;
    let refused = eventually("a refusal", SOON, || {
        let response = server.post(&view());
        taken += i64::from(response.status == 204);
        (response.status != 204).then_some(response)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    let wait = refused.header("retry-after").and_then(|value| value.parse::<u64>().ok());
    assert!(wait.is_some_and(|seconds| seconds > 0), "{:?}", refused.headers);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(
        !refused.text().contains("disk") && !refused.text().contains("detail"),
        "{}",
        refused.text()
    );
    taken
}

fn assert_sheds(server: &Server) {
    let shed = |server: &Server| server.metrics().value("mainstay_recorder_shed_total", &[]);
    let before = shed(server);
    for _ in 0..3 {
        assert_eq!(server.get("/").status, 200);
        assert_eq!(server.get("/missing").status, 404);
        assert_eq!(server.post(&view()).status, 503);
    }
    assert!(shed(server) >= before + 3.0 && before > 0.5);
    let report = health(server);
    assert_eq!(report["status"], "warn", "{report}");
    assert_eq!(report["checks"]["store:recorder"][0]["status"], "warn", "{report}");
    assert_eq!(server.admin_stranger(&Request::get("/readyz")).status, 200, "it may take traffic");
    assert!(
        server.log().text().contains("events cannot be made durable"),
        "{}",
        server.log().text()
    );
}

fn assert_recovers(server: &Server, taken: i64) {
    let taken_after = eventually("room again", SOON, || {
        (server.post(&view()).status == 204).then_some(taken + 1)
    });
    until("health passes", SOON, || health(server)["status"] == "pass");
    let views: i64 =
        server.rows("/api/v1/pages").iter().filter_map(|row| row["pageviews"].as_i64()).sum();
    assert_eq!(views, taken_after, "all that was acknowledged, and nothing else");
}

#[test]
fn a_full_disk_costs_events_and_nothing_else() {
    let Some(disk) = Tmpfs::try_mount(2_048) else {
        return a_file_limit_costs_events_and_nothing_else();
    };
    let mut server = launch_bare()
        .data_dir(&disk.dir().join("data"))
        .site(Site::of(&[("index.html", "<p>home</p>")]))
        .config("[store]\nrecorder_probe_every = \"100ms\"\n")
        .start();
    server.accept(&view());
    fill(&disk.dir().join("filler"));
    let taken = 1 + exhaust(&server);
    assert_sheds(&server);
    until("log lines are dropped and counted", SOON, || {
        assert_eq!(server.get("/").status, 200);
        server.metrics().value("mainstay_access_log_shed_total", &[]) > 0.5
    });
    std::fs::remove_file(disk.dir().join("filler")).expect("removed");
    assert_recovers(&server, taken);
    assert_eq!(server.stop().code, Some(0));
}

/// The nearest thing to a full disk that needs no right to mount: files may not grow beyond a limit, until it is lifted.
#[test]
fn a_file_limit_costs_events_and_nothing_else() {
    let mut server = launch_bare()
        .site(Site::of(&[("index.html", "<p>home</p>")]))
        .config("[store]\nrecorder_probe_every = \"100ms\"\n")
        .wrapper(&["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=700000:unlimited", "--"])
        .start();
    let taken = exhaust(&server);
    assert!(taken > 0, "the limit is below what a start needs");
    assert_sheds(&server);
    let mut lift = Process::command("prlimit");
    lift.args(["--fsize=unlimited", "--pid", &server.process().id().to_string()]);
    assert_eq!(Process::run(&mut lift, SOON).code, Some(0));
    assert_recovers(&server, taken);
}
