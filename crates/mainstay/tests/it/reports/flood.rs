//! A flood of reports from one address, which must not silence others.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mainstay_testkit::{Batch, Connection, Request, Server};
use serde_json::Value;

use super::{NEW, OLD, chromium, firefox, report};
use crate::{asked_for, launch};

/// Connections of the flood.
const LANES: u32 = 8;
/// Bodies that a connection of the flood sends before it reads their answers.
const AHEAD: u32 = 16;
/// How long a flood goes on.
const SHORT: Duration = Duration::from_secs(3);
/// How long it takes at the least rate to use up what one address may send at once by default, and then some.
const EXHAUSTING: Duration = Duration::from_secs(5);
/// Reports in a body of the short form: a build that was not optimised cannot answer as many requests.
const BATCH: u32 = 50;
/// The long form, for a build that was optimised: `MAINSTAY_FLOOD_SECONDS=60 MAINSTAY_BINARY=target/release/mainstay`.
const LONG: &str = "MAINSTAY_FLOOD_SECONDS";
/// Reports per second, of one address.
const RATE_MIN: u64 = 5_000;
/// Of a hundred reports of others, how many may be lost.
const DROPPED_PERCENT_MAX: u64 = 1;

/// Reports that were answered, and how many of them were refused.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    answered: u64,
    refused: u64,
}

impl Sent {
    fn add(&mut self, status: u16, reports: u32) {
        assert!(matches!(status, 204 | 429 | 503), "{status}");
        self.answered += u64::from(reports);
        self.refused += u64::from(if status == 204 { 0 } else { reports });
    }

    fn taken(self) -> u64 {
        self.answered - self.refused
    }
}

/// One address sends as fast as it can, of ever new kinds, so many in a body; meanwhile four others report and a visitor's
/// events come in. What the flood and the others sent.
fn flood(server: &Server, batch: u32, time: Duration) -> (Sent, Sent) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        let lane = |lane| scope.spawn(move || send_ahead(server, lane, batch, stop));
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
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
fn send_ahead(server: &Server, lane: u32, batch: u32, stop: &AtomicBool) -> Sent {
    let (mut connection, mut sent, mut kinds) = (client(server, 66), Sent::default(), 0);
    let host = server.site_address().to_string();
    while !stop.load(Ordering::Relaxed) {
        let mut bytes = Vec::new();
        for _ in 0..AHEAD {
            bytes.extend(body_of(server, lane * 100_000_000 + kinds, batch).to_bytes(&host));
            kinds += batch;
        }
        let is_sent = connection.write(&bytes).is_ok();
        let mut heard = 0;
        while heard < AHEAD
            && let Ok(answer) = connection.read("POST")
        {
            assert_eq!(answer.header("retry-after").is_some(), answer.status != 204);
            sent.add(answer.status, batch);
            heard += 1;
        }
        if heard < AHEAD {
            // Who is refused before a long body was read is disconnected; what was under way counts for nothing.
            assert!(batch > 1, "{heard} answers, sent: {is_sent}");
            connection = client(server, 66);
        }
    }
    sent
}

/// A report of its own kind as Firefox sends it, or several as Chromium does.
fn body_of(server: &Server, first: u32, batch: u32) -> Request {
    let blocked = |kind: u32| format!("https://{}.example/", letters(kind));
    if batch == 1 {
        return report(OLD, firefox(server, &blocked(first)).to_string());
    }
    let reports = (first..first + batch).map(|kind| chromium(server, &blocked(kind)));
    report(NEW, Value::Array(reports.collect()).to_string())
}

/// Four other addresses report, and a visitor looks at pages, whose events must all be taken.
fn ask_meanwhile(server: &Server, time: Duration) -> Sent {
    let mut others: Vec<_> = (2..6).map(|last| client(server, last)).collect();
    let (began, mut sent) = (Instant::now(), Sent::default());
    while began.elapsed() < time {
        for connection in &mut others {
            let request = report(OLD, firefox(server, "eval").to_string());
            sent.add(connection.send(&request).status, 1);
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
    let (flood, others) = flood(&server, 1, SHORT);
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
    let (batch, time) =
        long.map_or((BATCH, EXHAUSTING), |seconds| (1, Duration::from_secs(seconds)));
    let server = launch().start();
    let (flood, others) = flood(&server, batch, time);
    let rate = flood.answered / time.as_secs();
    let facts = format!("{rate} reports/s for {time:?}: {flood:?}, others: {others:?}");
    assert!(others.refused * 100 <= others.answered * DROPPED_PERCENT_MAX, "{facts}");
    assert_eq!(count_heard(&server), others.taken(), "what was taken is there: {facts}");
    assert!(rate >= RATE_MIN, "{facts}");
    assert!(flood.refused > 0, "the flood was held back: {facts}");
    if long.is_some() {
        // The figures are what the long form is run for.
        drop(writeln!(std::io::stderr(), "{facts}"));
    }
}
