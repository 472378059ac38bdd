//! The attacks of `slowhttptest` (slow heads, slow bodies, slow reads) from one address: others are served as fast as before, and who is merely slow gets everything.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use mainstay_testkit::{Connection, Ended, Process, Request, Server, Site, holds_for, until};
use socket2::SockRef;

use crate::launch;

/// Connections of one attack, which are all made within two seconds.
const ATTACKERS: u32 = 400;
/// How long an attack goes on, in seconds.
const ATTACK_SECONDS: u64 = 8;
/// Until an attack is at its height, and until it is over: the tool ends at the given time.
const SOON: Duration = Duration::from_secs(20);

/// How often others ask while they are measured, and for how long.
const PACE: Duration = Duration::from_millis(15);
const MEASURED: Duration = Duration::from_secs(4);
/// What the 95th percentile of others' waiting stays under.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Where a machine keeps everybody waiting for this long without any attack, only a comparison says something about us.
const BUSY: Duration = Duration::from_millis(50);
const BUSY_FACTOR: u32 = 3;

const DOWNLOAD_BYTES: usize = 5_000_000;
/// 100 KB a second, which makes fifty seconds.
const BYTE_TIME: Duration = Duration::from_micros(10);
const DOWNLOAD_SECONDS: u64 = 50;

/// What the tool is told besides the numbers above: the kind of attack, what is asked for, and how slowly.
const ATTACKS: [(&str, &str, &[&str]); 3] = [
    ("slow heads", "/", &["-H", "-i", "1", "-x", "10"]),
    (
        "slow bodies",
        "/_mainstay/events",
        &["-B", "-i", "1", "-x", "10", "-s", "60000", "-f", "application/json"],
    ),
    (
        "slow reads",
        "/film.mp4",
        &["-X", "-n", "1", "-w", "512", "-y", "1024", "-z", "32", "-k", "3"],
    ),
];

/// With every limit as it is by default. Addresses of this machine are not counted against the share of one address:
/// each connection of the attack has to be borne.
fn server() -> Server {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    site.write("film.mp4", vec![7; 64 << 20]);
    site.write("talk.mp3", vec![9; DOWNLOAD_BYTES]);
    launch().site(site).start()
}

/// Begins an attack and waits until all of its connections are held.
fn attack(server: &Server, path: &str, how: &[&str], seconds: u64) -> Process {
    let mut command = Process::command("slowhttptest");
    let (count, time) = (ATTACKERS.to_string(), seconds.to_string());
    command.args(how).args(["-c", &count, "-r", "200", "-l", &time, "-p", "5"]);
    let mut process = Process::start(command.args(["-u", &server.site_url(path)]));
    until("an attack at its height", SOON, || {
        assert!(process.is_running(), "{}{}", process.stdout.text(), process.stderr.text());
        server.metrics().value("mainstay_connections", &[]) >= f64::from(ATTACKERS)
    });
    process
}

/// The tool's own verdict: it asks now and then whether the site still answers.
fn check_verdict(what: &str, ended: &Ended) {
    let words = plain(&ended.stdout);
    assert_eq!(ended.code, Some(0), "{what}: {words}{}", ended.stderr);
    assert!(words.contains("service available:   YES"), "{what}: {words}");
    assert!(!words.contains("service available:   NO"), "{what}: {words}");
}

/// Text without its colours (ECMA-48 section 8.3.117).
fn plain(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |mut all, piece| {
        all.push_str(piece.split_once(char::is_alphabetic).map_or("", |(_, rest)| rest));
        all
    })
}

/// The 95th percentile of what visitors from another address wait: by turns on a connection that is kept and on a new one.
fn measure_others(server: &Server) -> Duration {
    let open = || Connection::open_from(Ipv4Addr::new(127, 0, 0, 9).into(), server.site_address());
    let mut kept = open();
    let mut waits = Vec::new();
    let began = Instant::now();
    while began.elapsed() < MEASURED {
        let asked = Instant::now();
        let answer = if waits.len() % 2 == 0 {
            kept.send(&Request::get("/"))
        } else {
            open().send(&Request::get("/"))
        };
        waits.push(asked.elapsed());
        assert_eq!(answer.status, 200);
        until("the next turn", SOON, || asked.elapsed() >= PACE);
    }
    waits.sort_unstable();
    waits[waits.len() * 95 / 100]
}

/// The bound is part of the promise; where the machine itself is slower than half of it, the measure is what others waited
/// before the attack.
#[test]
fn others_do_not_notice_slow_heads_bodies_and_reads() {
    let server = server();
    let calm = measure_others(&server);
    let most = if calm > BUSY { calm * BUSY_FACTOR } else { WAIT_MAX };
    for (what, path, how) in ATTACKS {
        let mut process = attack(&server, path, how, ATTACK_SECONDS);
        let wait = measure_others(&server);
        assert!(wait < most, "{what}: others waited {wait:?}, {calm:?} without an attack");
        check_verdict(what, &process.wait(SOON));
        until("the end of all attackers", SOON, || {
            server.metrics().value("mainstay_connections", &[]) < f64::from(ATTACKERS) / 10.0
        });
    }
}

#[test]
fn a_slow_download_is_completed_among_slow_readers() {
    let server = server();
    let mut reader =
        Connection::open_from(Ipv4Addr::new(127, 0, 0, 9).into(), server.site_address());
    // As on a thin line: else the whole file would lie in this machine's buffers at once.
    SockRef::from(reader.socket()).set_recv_buffer_size(16 << 10).expect("a small buffer");
    let (what, path, how) = ATTACKS[2];
    let mut process = attack(&server, path, how, DOWNLOAD_SECONDS);
    reader.write(b"GET /talk.mp3 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let head = reader.read_head().expect("a head");
    assert_eq!((head.status, head.header("content-length")), (200, Some("5000000")));

    let (mut read, began) = (0, Instant::now());
    while read < DOWNLOAD_BYTES {
        let due = BYTE_TIME * u32::try_from(read).expect("a small file");
        holds_for("the line's pace", due.saturating_sub(began.elapsed()), || true);
        let piece = reader.read_some(10_000).expect("a piece");
        assert!(!piece.is_empty(), "cut after {read} bytes and {:?}", began.elapsed());
        assert!(piece.iter().all(|&byte| byte == 9));
        read += piece.len();
    }
    assert!(began.elapsed() >= Duration::from_secs(DOWNLOAD_SECONDS - 1), "that was no slow line");
    check_verdict(what, &process.wait(SOON));
}
