//! Stopping: what is in hand is finished, a second signal does not wait, nothing is left behind.

use std::time::{Duration, Instant};

use mainstay_testkit::{Batch, Connection, Process, Request, Server, Site, TOKEN, until};

use crate::{launch, serve};

const FILM: usize = 48 << 20;
const SOON: Duration = Duration::from_secs(10);

/// A server with a download in hand, of which the client has taken one piece.
fn downloading(config: &str) -> (Server, Connection, usize) {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    site.write("film.mp4", vec![7; FILM]);
    let server = launch()
        .site(site)
        .config(&format!("{config}[edge]\ncache_file_max = \"64KiB\"\n"))
        .start();
    let mut connection = server.connect();
    connection.write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    assert_eq!(connection.read_head().expect("a head").status, 200);
    let read = connection.read_some(1_000).expect("a piece").len();
    (server, connection, read)
}

#[test]
fn sigterm_ends_it_with_zero_and_leaves_no_socket() {
    for signal in ["TERM", "INT"] {
        let mut server = serve(&[("index.html", "<p>home</p>")]);
        assert_eq!(server.get("/").status, 200);
        server.process().signal(signal);
        let ended = server.process().wait(SOON);
        assert_eq!((ended.code, ended.signal), (Some(0), None), "{signal}: {}", ended.stderr);
        assert!(!server.data_dir().join("control.sock").exists());
    }
}

#[test]
fn a_download_in_hand_is_finished_and_nothing_new_is_taken() {
    let (mut server, mut download, read) = downloading("");
    let mut idle = server.connect();
    assert_eq!(idle.send(&Request::get("/")).status, 200);
    server.process().signal("TERM");
    until("no new connection", SOON, || {
        Connection::try_open(server.site_address())
            .and_then(|mut connection| connection.try_send(&Request::get("/")))
            .is_err()
    });
    assert!(idle.is_closed_within(SOON), "an idle connection is let go");
    let ready = server.admin_stranger(&Request::get("/readyz"));
    assert_eq!(ready.status, 503, "and the probe says so while it drains");
    assert_eq!(server.admin_stranger(&Request::get("/livez")).status, 200);
    let rest = download.read_to_end().expect("the rest");
    assert_eq!(read + rest.len(), FILM);
    let ended = server.process().wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
}

/// Exit code of `mainstay probe`, and what it printed.
fn probe(server: &Server, question: &str) -> (Option<i32>, String) {
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["probe", question, "--data-dir"]).arg(server.data_dir());
    let ended = Process::run(&mut command, SOON);
    (ended.code, ended.stdout)
}

#[test]
fn probes_that_run_a_program_hear_what_the_private_listener_says() {
    let (mut server, mut download, _) = downloading("");
    for (question, word) in [("livez", "ok"), ("readyz", "ready"), ("startupz", "started")] {
        assert_eq!(probe(&server, question), (Some(0), word.to_owned()), "{question}");
    }
    server.process().signal("TERM");
    until("it is not ready any more", SOON, || {
        probe(&server, "readyz") == (Some(1), "not ready".to_owned())
    });
    assert_eq!(probe(&server, "livez").0, Some(0), "it lives while it drains");
    drop(download.read_to_end());
    assert_eq!(server.process().wait(SOON).code, Some(0));
    assert_eq!(probe(&server, "livez"), (Some(4), String::new()));
}

/// As a pod's probes meet a settings file that was changed under the server.
#[test]
fn a_mistake_in_the_settings_does_not_hide_the_server() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let home = tempfile::tempdir().expect("a temp folder");
    let ask = |words: &[&str], toml: &str| {
        let file = home.path().join("changed.toml");
        std::fs::write(&file, toml).expect("settings");
        let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
        command.args(words).arg("--config").arg(file).current_dir(home.path());
        Process::run(&mut command, SOON)
    };
    let (probe, link): (&[&str], &[&str]) = (&["probe", "livez"], &["admin", "link"]);
    let dir = format!("data_dir = {:?}", server.data_dir());
    for (toml, words) in [
        (format!("{dir}\nshutdown_grace = 7\n"), "shutdown_grace"),
        (format!("{dir}\n[edge\nlisten = \"127.0.0.1:0\"\n"), "changed.toml:2"),
    ] {
        for command in [probe, link] {
            let ended = ask(command, &toml);
            assert_eq!(ended.code, Some(0), "{command:?}: {ended:?}");
            assert!(ended.stderr.contains(words), "{command:?}: {ended:?}");
        }
    }
    // Where the folder itself is not known, nobody knows whether a server runs.
    for command in [probe, link, &["doctor", "--edge"]] {
        let lost = ask(command, "data_dri = \"/data\"\n");
        assert_eq!(lost.code, Some(3), "{lost:?}");
        assert!(lost.stderr.contains("unknown setting \"data_dri\""), "{lost:?}");
        assert!(lost.stderr.contains("no server answers"), "{lost:?}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let (mut server, mut download, read) = downloading("");
    server.process().signal("TERM");
    let _line = server.log().wait_for("stopping", SOON);
    server.process().signal("TERM");
    let began = Instant::now();
    let ended = server.process().wait(SOON);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!((ended.code, ended.signal), (Some(0), None), "{}", ended.stderr);
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
    let rest = download.read_to_end().expect("an end");
    assert!(read + rest.len() < FILM, "all of it came: nobody was cut off");
}

#[test]
fn the_grace_is_as_long_as_it_was_set() {
    let (mut server, mut download, read) = downloading("shutdown_grace = \"1s\"\n");
    let began = Instant::now();
    server.process().signal("TERM");
    let ended = server.process().wait(SOON);
    let took = began.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rest = download.read_to_end().expect("an end");
    assert!(read + rest.len() < FILM, "all of it came: nobody was cut off");
}

#[test]
fn watchers_do_not_hold_it_up() {
    let mut server = serve(&[("index.html", "<p>home</p>")]);
    let mut watcher = Connection::open(server.admin_address());
    let request = Request::get("/api/v1/live").header("authorization", &format!("Bearer {TOKEN}"));
    watcher.write(&request.to_bytes(&server.admin_address().to_string())).expect("sent");
    assert_eq!(watcher.read_head().expect("a head").status, 200);
    let began = Instant::now();
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert!(watcher.is_closed_within(SOON));
}

#[test]
fn events_and_log_lines_of_the_last_moment_are_kept() {
    let data = Site::new();
    let mut server = launch().data_dir(data.dir()).site(Site::of(&[("last.html", "x")])).start();
    server.accept(&Batch::page_view("https://a/last"));
    assert_eq!(server.get("/last").status, 200);
    server.stop();
    let log = std::fs::read_to_string(data.path("logs/access.log")).expect("a log");
    assert!(
        log.lines().any(|line| line.contains("\"path\":\"/last\"") && line.ends_with('}')),
        "{log}"
    );
    let wal = std::fs::metadata(data.path("insight.db-wal")).map_or(0, |metadata| metadata.len());
    assert_eq!(wal, 0, "the log is folded into the database");
    let again = launch().data_dir(data.dir()).start();
    assert_eq!(again.rows("/api/v1/pages")[0]["key"], "/last");
}
