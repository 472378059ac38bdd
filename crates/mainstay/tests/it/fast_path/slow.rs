//! Clients that take nothing, take it slowly, or never stop asking, of what memory holds.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use mainstay_testkit::{Authority, Connection, Request, Server, Site, holds_for, until};

use super::{NAME, SOON, is_short, the_long_way};
use crate::launch;

const LIMITS: &str = "[edge]\nrevalidate_after = \"1h\"\nworkers = 1\nhead_timeout = \"1s\"\nwrite_timeout = \"1s\"\n\
cache_file_max = \"8MiB\"\n";
const FILM: usize = 3 << 20;
/// More than the sockets of both ends hold.
const FILMS: usize = 20;
const PAUSE: Duration = Duration::from_millis(100);

fn site() -> Site {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    site.write("film.bin", vec![7; FILM]);
    site
}

/// A server that has the film in memory.
fn server(config: &str) -> Server {
    start(&format!("{config}{LIMITS}"))
}

/// The same for clients that may be as slow as they like.
fn patient(config: &str) -> Server {
    start(&format!(
        "{config}{}",
        LIMITS.replace("write_timeout = \"1s\"", "write_timeout = \"60s\"")
    ))
}

fn start(config: &str) -> Server {
    let server = launch().site(site()).config(config).start();
    let answers = [(); 2].map(|()| server.get("/film.bin"));
    assert!(is_short(&answers[1]), "{:?}", answers[1].headers);
    server
}

fn refused(server: &Server, reason: &str) -> f64 {
    server.metrics().value("mainstay_requests_refused_total", &[("reason", reason)])
}

fn films(count: usize) -> Vec<u8> {
    Request::get("/film.bin").to_bytes(NAME).repeat(count)
}

/// Both kinds of socket take and lose their films alike.
fn with_each(check: impl Fn(&Server, Connection)) {
    let plain = server("");
    check(&plain, plain.connect());
    let (authority, keys) = (Authority::new(), Site::new());
    authority.issue(&[NAME]).write(keys.dir());
    let path = |name: &str| keys.path(name).display().to_string();
    let tls = format!("[tls]\ncert = {:?}\nkey = {:?}\n", path("cert.pem"), path("key.pem"));
    let secured = launch().site(site()).config(&format!("{LIMITS}{tls}")).start();
    let client = authority.client(NAME, &["http/1.1"]);
    for short in [false, true] {
        let mut first = client.open(secured.site_address());
        assert_eq!(is_short(&first.send(&Request::get("/film.bin"))), short);
    }
    check(&secured, client.open(secured.site_address()));
}

#[test]
fn who_takes_nothing_is_cut_and_counted_once() {
    with_each(|server, mut greedy| {
        greedy.write(&films(FILMS)).expect("sent");
        until("it is cut", SOON, || refused(server, "write_timeout") > 0.5);
        assert!(greedy.read_to_end().expect("what the sockets held").len() < FILMS * FILM);
        holds_for("counted once", PAUSE, || (refused(server, "write_timeout") - 1.0).abs() < 0.1);
    });
}

#[test]
fn who_is_slow_and_steady_gets_it_all() {
    with_each(|server, mut steady| {
        steady.write(&films(FILMS)).expect("sent");
        // Twice as long as a client may take nothing.
        for _ in 0..FILMS {
            let fine = || refused(server, "write_timeout") < 0.5;
            holds_for("it takes its time", PAUSE, fine);
            assert_eq!(steady.read("GET").expect("a film").body.len(), FILM);
        }
    });
}

#[test]
fn an_answer_in_hand_is_finished_when_the_server_stops() {
    let mut server = patient("");
    let mut client = server.connect();
    client.write(&films(2)).expect("sent");
    assert_eq!(client.read_head().expect("a head").status, 200);
    server.process().signal("TERM");
    let _line = server.log().wait_for("stopping", SOON);
    let rest = client.read_to_end().expect("both");
    assert!(rest.len() > 2 * FILM, "{}", rest.len());
    let ended = server.process().wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_second_signal_cuts_an_answer_that_is_not_taken() {
    let mut server = patient("shutdown_grace = \"60s\"\n");
    let mut client = server.connect();
    client.write(&films(FILMS)).expect("sent");
    assert_eq!(client.read_head().expect("a head").status, 200);
    server.process().signal("TERM");
    let _line = server.log().wait_for("stopping", SOON);
    server.process().signal("TERM");
    let ended = server.process().wait(SOON);
    assert!(ended.stderr.contains("second signal"), "{}", ended.stderr);
    assert!(client.read_to_end().expect("a part").len() < FILMS * FILM);
}

/// Closes it when the test is over.
struct Closed<'a>(&'a TcpStream);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        drop(self.0.shutdown(Shutdown::Both));
    }
}

/// More at once than the library answers in one go, again and again.
#[test]
fn who_never_stops_asking_does_not_hold_up_a_stop() {
    let mut server = server("shutdown_grace = \"60s\"\n");
    let short = Request::get("/").to_bytes(NAME);
    let long = the_long_way(&Request::get("/")).to_bytes(NAME);
    let batch = [short, long.repeat(64)].concat();
    let client = server.connect();
    let (mut asks, mut reads) = (
        client.socket().try_clone().expect("a second handle"),
        client.socket().try_clone().expect("a third"),
    );
    std::thread::scope(|threads| {
        // Whatever fails, both threads end.
        let _closed = Closed(client.socket());
        threads.spawn(move || while asks.write_all(&batch).is_ok() {});
        threads.spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while reads.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
        });
        let answered = |server: &Server| server.metrics().value("http_requests_total", &[]);
        until("it asks and asks", SOON, || answered(&server) > 2_000.0);
        server.process().signal("TERM");
        let ended = server.process().wait(SOON);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(!ended.stderr.contains("cut off"), "{}", ended.stderr);
    });
}

#[test]
fn half_a_head_behind_a_plain_request_has_its_own_time() {
    let server = server("");
    let mut client = server.connect();
    let half = b"GET / HTTP/1.1\r\nHost: a\r\nX-Half";
    client.write(&[&*Request::get("/").to_bytes("a"), half].concat()).expect("sent");
    assert_eq!(client.read("GET").expect("an answer").status, 200);
    assert!(client.is_closed_within(SOON));
    until("counted", SOON, || (refused(&server, "header_timeout") - 1.0).abs() < 0.1);
}
