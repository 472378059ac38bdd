//! HTTP/2 clients that make work without taking answers: bounded in memory and time, ended, and others are served meanwhile.

use std::time::{Duration, Instant};

use mainstay_testkit::{Server, Site, until};

use crate::h2::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW, PING,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, head,
};
use crate::launch;

const LIMITS: &str = "[edge]\nworkers = 1\nhead_timeout = \"1s\"\nidle_timeout = \"2s\"\nrequest_timeout = \"2s\"\nwrite_timeout = \"1s\"\n\
write_rate_min = \"16KiB\"\ncache_file_max = \"2MiB\"\nh2_streams_max = 200\n";
/// The longest limit, a sweep, and a busy machine.
const SOON: Duration = Duration::from_secs(8);
/// What one connection may cost.
const GROWTH_MAX_KIB: u64 = 64 << 10;
/// `ENHANCE_YOUR_CALM`.
const CALM: u32 = 11;
/// The largest window (RFC 9113 section 6.9.1): added to any other, it is too large.
const WINDOW_MAX: u32 = (1 << 31) - 1;

fn server() -> Server {
    server_with(LIMITS)
}

fn server_with(limits: &str) -> Server {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    site.write("page.bin", vec![7; 1 << 20]);
    site.write("film.mp4", vec![7; 16 << 20]);
    launch().site(site).config(limits).start()
}

/// A size of the process (proc_pid_status(5)).
fn kib(server: &mut Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process().id()))
        .expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The most it had is from now on the most since now (proc_pid_clear_refs(5)).
fn forget_peak(server: &mut Server) {
    std::fs::write(format!("/proc/{}/clear_refs", server.process().id()), "5").expect("reset");
}

/// Lets `abuse` happen: others are answered at once, before, between and after, and memory stays bounded all the time.
fn bounded(server: &mut Server, mut abuse: impl FnMut(&Server)) {
    assert_eq!(server.get("/page.bin").body.len(), 1 << 20);
    forget_peak(server);
    let before = kib(server, "VmRSS:");
    abuse(server);
    let grown = kib(server, "VmHWM:").saturating_sub(before);
    assert!(grown < GROWTH_MAX_KIB, "grew by {grown} KiB");
    assert_eq!(server.get("/").status, 200);
}

fn answered_at_once(server: &Server) {
    let began = Instant::now();
    assert_eq!(server.get("/").status, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

fn refused(server: &Server, reason: &str) -> f64 {
    server.metrics().value("mainstay_requests_refused_total", &[("reason", reason)])
}

fn odd(from: u32, count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(move |n| from + 2 * n)
}

#[test]
fn streams_whose_window_stays_closed_are_reset_one_by_one() {
    for path in ["/page.bin", "/film.mp4"] {
        let mut server = server();
        bounded(&mut server, |server| {
            let mut client = Client::open(server.site_address(), &[(INITIAL_WINDOW, 0)]);
            assert!(odd(1, 200).all(|stream| client.get(stream, path)));
            answered_at_once(server);
            let (mut heads, mut resets) = (0, 0);
            while resets < 200 {
                // Frames of any kind are no progress.
                assert!(client.write(&frame(PING, 0, 0, &[7; 8])));
                let frame = client
                    .find(SOON, |frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY))
                    .unwrap_or_else(|| panic!("{path}: {heads} answers, {resets} resets"));
                assert_ne!(frame.kind, GOAWAY, "the connection itself is well");
                heads += usize::from(frame.kind == HEADERS);
                resets += usize::from(frame.kind == RST_STREAM);
            }
            assert_eq!(heads, 200, "all were answered");
            // The places are free again, and a client that takes its answer gets it.
            assert!(client.get(1_001, "/") && client.window_update(1_001, 1_000));
            let end = |frame: &crate::h2::Frame| {
                frame.stream == 1_001 && frame.kind == DATA && frame.flags & END_STREAM != 0
            };
            assert!(client.find(SOON, end).is_some(), "an answer on the same connection");
            until("counted", SOON, || refused(server, "write_timeout") > 199.5);
        });
    }
}

#[test]
fn a_window_that_opens_byte_by_byte_is_too_slow() {
    let server = server();
    let mut client = Client::open(server.site_address(), &[(INITIAL_WINDOW, 0)]);
    assert!(client.get(1, "/page.bin"));
    let began = Instant::now();
    loop {
        assert!(client.window_update(1, 10), "the connection stays");
        let frame = client.next(Duration::from_millis(20));
        if frame.is_some_and(|frame| frame.kind == RST_STREAM) {
            break;
        }
        assert!(began.elapsed() < SOON, "still sending after {:?}", began.elapsed());
    }
    assert!(began.elapsed() > Duration::from_secs(1), "not before its time: {:?}", began.elapsed());
}

#[test]
fn a_window_that_opens_slowly_but_steadily_is_fast_enough() {
    // A pause of the client itself, on a busy machine, is not to be taken for a slow one.
    let limits = LIMITS.replace("write_timeout = \"1s\"", "write_timeout = \"3s\"");
    let server = server_with(&limits);
    let mut client = Client::open(server.site_address(), &[(INITIAL_WINDOW, 0)]);
    assert!(client.get(1, "/page.bin"));
    let (mut read, began) = (0, Instant::now());
    while read < 400_000 {
        // One piece each quarter of a second or so: five times the least rate, with pauses.
        assert!(client.window_update(1, 20_000) && client.window_update(0, 20_000));
        let mut piece = 0;
        while piece < 20_000 {
            let data = client.find(SOON, |frame| matches!(frame.kind, DATA | RST_STREAM));
            let data = data.expect("data");
            assert_eq!(data.kind, DATA, "reset after {read} bytes and {:?}", began.elapsed());
            piece += data.payload.len();
        }
        read += piece;
        assert!(client.next(Duration::from_millis(250)).is_none_or(|f| f.kind != RST_STREAM));
    }
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(refused(&server, "write_timeout").abs() < 0.1);
}

#[test]
fn answers_stuck_with_their_last_bytes_end_the_connection() {
    let server = server();
    let mut client = Client::open(server.site_address(), &[(INITIAL_WINDOW, 1)]);
    assert!(odd(1, 50).all(|stream| client.get(stream, "/")));
    assert!(client.is_closed_within(SOON), "nothing else frees them");
    until("counted", SOON, || refused(&server, "write_timeout") > 0.5);
    answered_at_once(&server);
}

#[test]
fn a_client_that_only_pings_is_closed_without_blame() {
    let server = server();
    let mut client = Client::open(server.site_address(), &[]);
    assert!(client.get(1, "/"));
    let began = Instant::now();
    while client.write(&frame(PING, 0, 0, &[7; 8])) {
        // The server's own pings are answered: it is not for want of those.
        let _ = client.next(Duration::from_millis(100));
        assert!(began.elapsed() < SOON, "still open after {:?}", began.elapsed());
    }
    assert!(refused(&server, "write_timeout").abs() < 0.1);
    assert!(server.metrics().value("mainstay_connections_idle_closed_total", &[]) > 0.5);
}

/// Asks 10 000 times, each time with a second frame that ends the stream: others are served, and the connection ends.
fn ends_by_resets(second: impl Fn(u32) -> Vec<u8>) {
    let mut server = server();
    bounded(&mut server, |server| {
        let mut client = Client::open(server.site_address(), &[]);
        let mut taken = true;
        for batch in 0..100 {
            let bytes: Vec<u8> = odd(1 + batch * 200, 100)
                .flat_map(|stream| {
                    let open = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("/page.bin"));
                    [open, second(stream)].concat()
                })
                .collect();
            taken = taken && client.write(&bytes);
        }
        answered_at_once(server);
        let goaway = client.find(SOON, |frame| frame.kind == GOAWAY);
        assert!(goaway.is_none_or(|goaway| goaway.reason() == CALM));
        assert!(client.is_closed_within(SOON), "10 000 resets later");
    });
}

#[test]
fn requests_taken_back_at_once_end_the_connection() {
    let cancel = 8_u32.to_be_bytes();
    ends_by_resets(|stream| frame(RST_STREAM, 0, stream, &cancel));
}

/// The same without a reset of the client's own (CVE-2025-8671): the server itself must reset the stream.
#[test]
fn requests_that_the_server_is_made_to_reset_end_the_connection() {
    let more = WINDOW_MAX.to_be_bytes();
    ends_by_resets(|stream| frame(WINDOW_UPDATE, 0, stream, &more));
}

#[test]
fn a_head_without_an_end_ends_the_connection() {
    let mut server = server();
    bounded(&mut server, |server| {
        let mut client = Client::open(server.site_address(), &[]);
        assert!(client.write(&frame(HEADERS, END_STREAM, 1, &head("/"))));
        // A header that is never indexed, with a value of 16 000 bytes, again and again.
        let mut field = vec![0x10, 1, b'x', 0x7f, 0x81, 0x7c];
        field.resize(field.len() + 16_000, b'y');
        let more = frame(CONTINUATION, 0, 1, &field);
        let sent = (0..4_000).take_while(|_| client.write(&more)).count();
        assert!(sent < 4_000, "64 MB of one head were taken");
        answered_at_once(server);
        assert!(client.is_closed_within(SOON));

        let mut client = Client::open(server.site_address(), &[]);
        assert!(client.write(&frame(HEADERS, END_STREAM, 1, &head("/"))));
        let empty = frame(CONTINUATION, 0, 1, &[]).repeat(1_000);
        let sent = (0..1_000).take_while(|_| client.write(&empty)).count();
        assert!(sent < 1_000, "a million empty frames were taken");
        answered_at_once(server);
    });
}

/// Sends `bytes` again and again without reading the replies they demand: says whether it was ended.
fn flood(server: &Server, bytes: &[u8]) -> bool {
    let mut client = Client::open(server.site_address(), &[]);
    let batch = bytes.repeat(1_000);
    let (began, mut next) = (Instant::now(), Duration::ZERO);
    while client.write(&batch) {
        if began.elapsed() > next {
            answered_at_once(server);
            next = began.elapsed() + Duration::from_millis(500);
        }
        if began.elapsed() > SOON {
            return false;
        }
    }
    true
}

#[test]
fn floods_of_settings_and_pings_whose_replies_nobody_reads_are_ended() {
    let mut server = server();
    bounded(&mut server, |server| {
        let settings = [&3_u16.to_be_bytes()[..], &100_u32.to_be_bytes()].concat();
        assert!(flood(server, &frame(SETTINGS, 0, 0, &settings)), "settings");
        assert!(flood(server, &frame(PING, 0, 0, &[7; 8])), "pings");
    });
}
