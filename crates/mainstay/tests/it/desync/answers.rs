//! The other direction: answers of an app that are read in two ways. None of them ever becomes the answer to another request.

use std::io::Result;

use mainstay::command::doctor::{Listener, ask};
use mainstay_edge::desync::{self, End, Intended, Target};
use mainstay_testkit::{Connection, Request, Server, Upstream, Wire};

use super::{LIMITS, PATIENCE, before_upstream, echo};

/// What the client may be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// 502: not a byte of it.
    Nothing,
    /// Its head and some of its body, and then the end of the connection: never a whole answer.
    CutOff,
    /// It as it was meant.
    Whole(u16),
    /// Either of the first two, or all.
    Any,
}
use Shown::{Any, CutOff, Nothing, Whole};

/// What must never be shown to anybody.
const POISON: &str = "HTTP/1.1 200 OK\r\nX-Poison: yes\r\nContent-Length: 6\r\n\r\npoison";

type Case = (&'static str, &'static str, String, Shown);

/// Heads with two readings, or none.
const HEADS: [(&str, &str); 19] = [
    ("a length and a coding", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
    ("a coding and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5"),
    ("two lengths", "Content-Length: 5\r\nContent-Length: 6"),
    ("one length twice", "Content-Length: 5\r\nContent-Length: 5"),
    ("a list of lengths", "Content-Length: 5, 5"),
    ("a length with a plus", "Content-Length: +5"),
    ("a length below zero", "Content-Length: -5"),
    ("an empty length", "Content-Length:"),
    ("a hexadecimal length", "Content-Length: 0x5"),
    ("xchunked", "Transfer-Encoding: xchunked"),
    ("identity, then chunked", "Transfer-Encoding: identity, chunked"),
    ("chunked, then identity", "Transfer-Encoding: chunked, identity"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("a blank before the colon of a length", "Content-Length : 5"),
    ("a folded header", "X-A: b\r\n c\r\nContent-Length: 5"),
    ("NUL in a cookie", "Set-Cookie: a=b\0c\r\nContent-Length: 5"),
    ("a bare CR in a location", "Location: /\rSet-Cookie: a=b\r\nContent-Length: 5"),
    ("a bare CR in a cookie", "Set-Cookie: a=b\rX-A: c\r\nContent-Length: 5"),
    ("a header without a colon", "X-A\r\nContent-Length: 5"),
];
/// Chunked bodies without an end.
const CHUNKS: [(&str, &str); 7] = [
    ("a chunk size that is none", "xyz\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size below zero", "-5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size beyond 64 bits", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("a chunk longer than its size", "3\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF behind a chunk size", "5\nhello\r\n0\r\n\r\n"),
    ("no last chunk", "5\r\nhello\r\n"),
];
const CHUNKED: &str = "Transfer-Encoding: chunked";
const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";

fn ok(lines: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{lines}\r\n\r\n{body}")
}

/// Name, method, the app's answer, what is shown.
fn cases() -> Vec<Case> {
    let heads = HEADS.map(|(name, lines)| (name, "GET", ok(lines, HELLO), Nothing));
    let chunks = CHUNKS.map(|(name, body)| (name, "GET", ok(CHUNKED, body), CutOff));
    [heads.to_vec(), chunks.to_vec(), status_lines(), one_too_many()].concat()
}

fn status_lines() -> Vec<Case> {
    let sound = ok("Content-Length: 5", "hello");
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1_000);
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let to = |from: &str, to: &str| sound.replacen(from, to, 1);
    [
        ("chunked in HTTP/1.0", ok(CHUNKED, HELLO).replacen("/1.1", "/1.0", 1), Nothing),
        ("a head that ends early", "HTTP/1.1 200 OK\r\nContent-".into(), Nothing),
        ("no HTTP", "hello\r\n\r\n".into(), Nothing),
        ("HTTP/2", to("/1.1", "/2.0"), Nothing),
        ("a status of four digits", to("200", "2000"), Nothing),
        ("a switch nobody asked for", switch.into(), Nothing),
        ("a body shorter than its length", ok("Content-Length: 50", "hello"), CutOff),
        ("a thousand interim answers", format!("{early}{sound}"), Any),
        ("a status below 100", to("200", "099"), Any),
    ]
    .map(|(name, answer, shown)| (name, "GET", answer, shown))
    .to_vec()
}

/// Bytes behind the end of an answer, on a connection that would be used again.
fn one_too_many() -> Vec<Case> {
    let sound = ok("Content-Length: 5", "hello");
    let bodiless = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n{POISON}");
    let empty = ok("Content-Length: 5", "");
    vec![
        ("an answer behind the answer", "GET", format!("{sound}{POISON}"), Whole(200)),
        (
            "an answer behind the last chunk",
            "GET",
            ok(CHUNKED, &format!("{HELLO}{POISON}")),
            Whole(200),
        ),
        ("an answer behind 204", "GET", bodiless("204 No Content"), Whole(204)),
        ("an answer behind 304", "GET", bodiless("304 Not Modified"), Whole(304)),
        ("a line end behind the answer", "GET", format!("{sound}\r\n"), Whole(200)),
        ("a body to HEAD", "HEAD", sound, Whole(200)),
        ("an answer to HEAD, and another", "HEAD", format!("{empty}{POISON}"), Whole(200)),
    ]
}

/// Answers `/case/<n>` with the bytes of a case, the rest soundly. A case that is cut off ends the connection.
fn answer(wire: &mut Wire) -> Result<()> {
    let cases = cases();
    while let Some(heard) = wire.read_request()? {
        let number = heard.target.strip_prefix("/case/").and_then(|n| n.parse::<usize>().ok());
        let Some((_, _, bytes, shown)) = number.and_then(|n| cases.get(n)) else {
            wire.write(echo(&heard))?;
            continue;
        };
        wire.write(bytes)?;
        if matches!(shown, Nothing | CutOff) {
            return Ok(());
        }
    }
    Ok(())
}

fn check(server: &Server, at: usize, (name, method, _, shown): &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let mut connection = server.connect();
    let asked = connection.try_send(&Request::new(method, &format!("/case/{at}")));
    let fits = match (&asked, shown) {
        (Ok(response), Nothing) => response.status == 502,
        (Ok(response), Whole(status)) => response.status == *status,
        (Err(_), CutOff) | (_, Any) => true,
        _ => false,
    };
    if !fits {
        let seen = asked.as_ref().map(|response| (response.status, response.text()));
        faults.push(format!("{shown:?} was due, seen: {seen:?}"));
    }
    if let Ok(response) = &asked {
        let planted = |(name, value): &(String, String)| {
            name == "x-poison" || value.contains(['\r', '\n', '\0']) || value.starts_with("a=b")
        };
        if response.headers.iter().any(planted) || response.text().contains("poison") {
            faults.push(format!("planted: {response:?}"));
        }
    }
    for visitor in 0..3 {
        let path = format!("/after/{at}/{visitor}");
        let seen = Connection::open(server.site_address()).try_send(&Request::get(&path));
        let echo = seen.as_ref().ok().and_then(|response| response.header("x-echo"));
        if echo != Some(&format!("GET {path}")) {
            faults.push(format!("the next visitor was shown {seen:?}"));
        }
    }
    faults.iter().map(|fault| format!("{name}: {fault}")).collect()
}

#[test]
fn no_answer_of_the_app_becomes_anothers() {
    let app = Upstream::start(answer);
    let server = before_upstream(&app, LIMITS).start();
    let faults: Vec<_> =
        cases().iter().enumerate().flat_map(|(at, case)| check(&server, at, case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Everything that stays on the client's own connection: nothing may stand behind the answer.
#[test]
fn nothing_is_said_behind_an_answer() {
    let app = Upstream::start(answer);
    let server = before_upstream(&app, LIMITS).start();
    let listener = Listener::plain(server.site_address());
    for (at, (name, method, _, shown)) in cases().iter().enumerate() {
        let Whole(status) = *shown else { continue };
        let target = Target { host: "app.test".into(), canary: format!("/behind-{at}") };
        let bytes = format!("{method} /case/{at} HTTP/1.1\r\nHost: app.test\r\n\r\n");
        // What to send and what to wait for; everything else of it is of no matter here.
        let meant = Intended { method, target: String::new(), host: None, body: vec![] };
        let any = desync::cases(&target).swap_remove(0);
        let case =
            desync::Case { sends: vec![bytes.into()], requests: vec![meant], end: End::Any, ..any };
        let client = ask(&listener, &target, &case, PATIENCE).expect("connected");
        let statuses: Vec<_> = client.reading.answers.iter().map(|a| a.status).collect();
        assert_eq!((statuses, client.reading.alien), (vec![status], None), "{name}: {client:?}");
    }
}
