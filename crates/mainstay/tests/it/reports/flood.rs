//! A flood of reports from one address, which must not silence others.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay_testkit::{Batch, Connection, Server};

use super::{OLD, firefox, report};
use crate::{asked_for, launch};

/// Connections of the flood.
const LANES: u32 = 8;
/// Reports that a connection of the flood sends before it reads their answers.
const AHEAD: u32 = 16;
/// How long a flood goes on.
const SHORT: Duration = Duration::from_secs(3);
/// The long form, for a build that was optimised: `MAINSTAY_FLOOD_SECONDS=60 MAINSTAY_BINARY=target/release/mainstay`.
const LONG: &str = "MAINSTAY_FLOOD_SECONDS";
/// Reports per second in the long form; the short form, of a build that was not optimised, sends what it can.
const LONG_RATE_MIN: u64 = 5_000;
/// Of a hundred reports of others, how many may be lost.
const DROPPED_PERCENT_MAX: u64 = 1;

/// Reports that were answered, and how many of them were refused.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    answered: u64,
    refused: u64,
}

impl Sent {
    fn add(&mut self, status: u16) {
        assert!(matches!(status, 204 | 429 | 503), "{status}");
        self.answered += 1;
        self.refused += u64::from(status != 204);
    }

    fn taken(self) -> u64 {
        self.answered - self.refused
    }
}

/// One address sends as fast as it can, of ever new kinds; meanwhile four others report and a visitor's events come in.
/// What the flood and the others sent.
fn flood(server: &Server, time: Duration) -> (Sent, Sent) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let lanes: Vec<_> =
            (0..LANES).map(|lane| scope.spawn(move || send_ahead(server, lane, stop))).collect();
        let others = ask_meanwhile(server, time);
        stop.store(true, Ordering::Relaxed);
        let counts = lanes.into_iter().map(|lane| lane.join().expect("no surprise"));
        let flood = counts.fold(Sent::default(), |sum, lane| Sent {
            answered: sum.answered + lane.answered,
            refused: sum.refused + lane.refused,
        });
        (flood, others)
    })
}

fn client(server: &Server, last: u8) -> Connection {
    Connection::open_from(Ipv4Addr::new(127, 0, 0, last).into(), server.site_address())
}

/// Sends until told to stop.
fn send_ahead(server: &Server, lane: u32, stop: &AtomicBool) -> Sent {
    let (mut connection, mut sent, mut kinds) = (client(server, 66), Sent::default(), 0);
    let host = server.site_address().to_string();
    // What tells a kind from others stands in place of this.
    let body = firefox(server, "https://KIND.example/").to_string();
    while !stop.load(Ordering::Relaxed) {
        let mut bytes = Vec::new();
        for _ in 0..AHEAD {
            let kind = letters(lane * 100_000_000 + kinds);
            bytes.extend(report(OLD, body.replace("KIND", &kind)).to_bytes(&host));
            kinds += 1;
        }
        connection.write(&bytes).expect("sent");
        for _ in 0..AHEAD {
            let answer = connection.read("POST").expect("an answer");
            assert_eq!(answer.header("retry-after").is_some(), answer.status != 204);
            sent.add(answer.status);
        }
    }
    sent
}

/// Four other addresses report, and a visitor looks at pages, whose events must all be taken.
fn ask_meanwhile(server: &Server, time: Duration) -> Sent {
    let mut others: Vec<_> = (2..6).map(|last| client(server, last)).collect();
    let (began, mut sent) = (Instant::now(), Sent::default());
    while began.elapsed() < time {
        for connection in &mut others {
            let request = report(OLD, firefox(server, "eval").to_string());
            sent.add(connection.send(&request).status);
        }
        server.accept(&Batch::page_view("https://a.example/"));
    }
    sent
}

/// How many of others' reports are on the owner's screen.
fn count_heard(server: &Server) -> u64 {
    let rows = server.rows("/api/v1/reports?limit=1000");
    let evals = rows.iter().filter(|row| row["blocked"] == "eval");
    evals.filter_map(|row| row["count"].as_u64()).sum()
}

/// A number as letters, because digits do not tell reports apart.
fn letters(mut n: u32) -> String {
    let mut out = String::new();
    while n > 0 || out.is_empty() {
        out.push(char::from(b'a' + u8::try_from(n % 26).expect("a letter")));
        n /= 26;
    }
    out
}

#[test]
fn a_flood_from_one_address_silences_nobody_else() {
    let config = "[insight.reports]\nburst = 500\nper_second = 50\nkinds_max = 200\nkinds_per_address_max = 50\n";
    let server = launch().config(config).start();
    let (flood, others) = flood(&server, SHORT);
    assert_eq!((others.refused, count_heard(&server)), (0, others.answered), "all are there");
    let rows = server.rows("/api/v1/reports?limit=1000");
    assert_eq!(rows.len(), 52, "the flood's kinds beyond its share are one row");
    assert!(flood.answered > 1_500 && flood.refused > flood.answered / 3, "{flood:?}");
    assert!(flood.taken() >= 500, "the bucket was not used up: {flood:?}");
}

/// With every limit as it is by default.
#[test]
fn a_flood_of_thousands_a_second_costs_others_next_to_nothing() {
    let long = asked_for(LONG).map(|seconds| seconds.parse().expect("seconds"));
    let time = long.map_or(SHORT, Duration::from_secs);
    let server = launch().start();
    let (flood, others) = flood(&server, time);
    let rate = flood.answered / time.as_secs();
    let facts = format!("{rate} reports/s for {time:?}: {flood:?}, others: {others:?}");
    assert!(others.refused * 100 <= others.answered * DROPPED_PERCENT_MAX, "{facts}");
    assert_eq!(count_heard(&server), others.taken(), "what was taken is there: {facts}");
    if long.is_some() {
        assert!(rate >= LONG_RATE_MIN, "{facts}");
        assert!(flood.refused > 0, "the flood was held back: {facts}");
        // The figures are what the long form is run for.
        drop(writeln!(std::io::stderr(), "{facts}"));
    }
}
