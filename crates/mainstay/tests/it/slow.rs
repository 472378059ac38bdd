//! Clients that are slow on purpose, and too many of them: cut in time and counted, while others are served.

use std::time::{Duration, Instant};

use mainstay_testkit::{Connection, Request, Server, Site, until};

use crate::launch;

const LIMITS: &str = "[edge]\nworkers = 1\nhead_timeout = \"1s\"\nidle_timeout = \"1s\"\nrequest_timeout = \"1s\"\nwrite_timeout = \"1s\"\n\
cache_file_max = \"64KiB\"\n";
/// One second of limit, one until the next sweep, and a busy machine.
const SOON: Duration = Duration::from_secs(5);
/// Between two bytes of a client that drips.
const DRIP: Duration = Duration::from_millis(100);

fn server(more: &str) -> Server {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    site.write("film.mp4", vec![7; 64 << 20]);
    launch().site(site).config(&format!("{LIMITS}{more}")).start()
}

fn refused(server: &Server, reason: &str) -> f64 {
    server.metrics().value("mainstay_requests_refused_total", &[("reason", reason)])
}

/// Sends a byte again and again until the server closes; says how long it let that happen.
fn drip(server: &Server, begin: &[u8], byte: u8, at_most: Duration) -> Duration {
    let mut connection = server.connect();
    connection.write(begin).expect("sent");
    let began = Instant::now();
    while connection.write(&[byte]).is_ok() && !connection.is_closed_within(DRIP) {
        assert!(began.elapsed() < at_most, "still open after {at_most:?}");
        assert_eq!(server.get("/").status, 200, "others are served meanwhile");
    }
    began.elapsed()
}

#[test]
fn a_head_that_drips_is_cut() {
    let server = server("");
    let lasted = drip(&server, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b'a', SOON);
    assert!(lasted > Duration::from_millis(700), "not before its time: {lasted:?}");
    let lasted = drip(&server, b"G", b'E', SOON);
    assert!(lasted > Duration::from_millis(700), "not before its time: {lasted:?}");
    until("counted", SOON, || refused(&server, "header_timeout") > 1.5);
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_blame() {
    let server = server("");
    let mut silent = server.connect();
    let mut kept = server.connect();
    assert_eq!(kept.send(&Request::get("/")).status, 200);
    assert!(silent.is_closed_within(SOON) && kept.is_closed_within(SOON));
    let metrics = server.metrics();
    assert!(metrics.value("mainstay_connections_idle_closed_total", &[]) > 1.5);
    assert!(metrics.value("mainstay_requests_refused_total", &[]).abs() < 0.1);
}

#[test]
fn a_body_that_stops_is_cut() {
    let server = server("");
    let mut connection = server.connect();
    connection
        .write(
            b"POST /_mainstay/events HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{\"v\":1,",
        )
        .expect("sent");
    assert!(connection.is_closed_within(SOON));
    until("counted", SOON, || refused(&server, "body_timeout") > 0.5);
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_body_that_drips_is_cut() {
    let server = server("[insight]\nbody_timeout = \"3s\"\n");
    let begin = b"POST /_mainstay/events HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n{";
    // Steady progress is no stall, but the whole body has a time of its own.
    let lasted = drip(&server, begin, b' ', SOON + SOON);
    assert!(lasted > Duration::from_secs(2), "{lasted:?}");
}

#[test]
fn a_reader_that_stops_is_cut() {
    let server = server("");
    let mut reader = server.connect();
    reader.write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    assert_eq!(reader.read_head().expect("a head").status, 200);
    until("counted", SOON * 2, || refused(&server, "write_timeout") > 0.5);
    assert_eq!(server.get("/").status, 200);
    let rest = reader.read_to_end().expect("an end");
    assert!(rest.len() < 64 << 20, "all of it came: nobody was cut");
}

#[test]
fn a_reader_that_is_slow_but_steady_gets_everything() {
    let server = server("");
    let mut reader = server.connect();
    reader
        .write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\nRange: bytes=0-25165823\r\n\r\n")
        .expect("sent");
    assert_eq!(reader.read_head().expect("a head").status, 206);
    let (mut read, began) = (0, Instant::now());
    let mut paused = Instant::now();
    while read < 24 << 20 {
        let piece = reader.read_some(256 << 10).expect("a piece");
        assert!(!piece.is_empty(), "cut after {read} bytes and {:?}", began.elapsed());
        read += piece.len();
        if read / (3 << 20) > (read - piece.len()) / (3 << 20) {
            // Longer than half of the time a reader may stop, again and again: three seconds in all.
            until("a pause", SOON, || paused.elapsed() > Duration::from_millis(400));
            paused = Instant::now();
        }
    }
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(refused(&server, "write_timeout").abs() < 0.1);
}

#[test]
fn connections_beyond_the_cap_are_closed_and_counted() {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let server = launch().site(site).config("[edge]\nconnections_max = 5\n").start();
    let mut open: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for connection in &mut open {
        assert_eq!(connection.send(&Request::get("/")).status, 200);
    }
    for _ in 0..3 {
        let mut further = Connection::open(server.site_address());
        assert!(further.is_closed_within(Duration::from_secs(2)));
    }
    assert!(
        (refused(&server, "connections") - 3.0).abs() < 0.1,
        "and the admin side still answers"
    );
    assert!((server.metrics().value("mainstay_connections", &[]) - 5.0).abs() < 0.1);
    drop(open.pop());
    until("a free place", SOON, || {
        server.connect().try_send(&Request::get("/")).is_ok_and(|response| response.status == 200)
    });
}
