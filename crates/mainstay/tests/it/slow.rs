//! Clients that are slow on purpose, and too many of them: cut in time and counted, while others are served.

use std::time::{Duration, Instant};

use mainstay_testkit::{Connection, Request, Server, Site, Upstream, until};

use crate::{h2, launch};

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

/// Two limits of a second over, and a sweep.
const LONGER: Duration = Duration::from_secs(3);

/// In front of an app, under the same limits.
fn before(app: &Upstream) -> Server {
    launch().upstream(&format!("http://{}", app.address)).config(LIMITS).start()
}

#[test]
fn an_app_may_take_longer_than_a_client() {
    let app = Upstream::start(|wire| {
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        while wire.read_request()?.is_some() {
            let _elapsed = never.recv_timeout(LONGER);
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")?;
        }
        Ok(())
    });
    let server = before(&app);
    let mut h2 = h2::Client::open(server.site_address(), &[]);
    assert!(h2.get(1, "/"));
    let data = h2.find(SOON, |frame| frame.stream == 1 && frame.kind != h2::HEADERS);
    assert_eq!(data.map(|frame| (frame.kind, frame.payload)), Some((h2::DATA, b"slow".to_vec())));
    assert_eq!(server.get("/").text(), "slow");
    assert!(refused(&server, "body_timeout").abs() < 0.1);
}

#[test]
fn an_upload_may_go_on_after_its_answer_began() {
    let app = Upstream::start(|wire| {
        let Some(mut heard) = wire.read_head()? else { return Ok(()) };
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n")?;
        wire.read_body(&mut heard)?;
        let got = format!("{:x}\r\n", heard.body.len());
        wire.write(format!("{got}{}\r\n0\r\n\r\n", "x".repeat(heard.body.len())))
    });
    let server = before(&app);
    let mut connection = server.connect();
    connection.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n").expect("sent");
    let head = connection.read_head().expect("a head");
    assert_eq!(head.status, 200);
    for _ in 0..30 {
        connection.write(b"x").expect("sent");
        let began = Instant::now();
        until("the next byte", SOON, || began.elapsed() > DRIP);
    }
    let mut text = String::new();
    while !text.contains(&"x".repeat(30)) {
        let piece = connection.read_some(1 << 10).expect("bytes");
        assert!(!piece.is_empty(), "cut after {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece));
    }
    assert!(refused(&server, "header_timeout").abs() < 0.1);
}
