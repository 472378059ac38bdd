//! What becomes of a body: cut where only its beginning is wanted, none where nothing came, not read where the answer only sends on.

use mainstay_telemetry::outbound::{Answer, Error, Excess, Limits, Purpose, Request};
use mainstay_testkit::{Authority, Upstream};

use crate::caps::{SHORT, answer, gzip, here, send};
use crate::{client, ours};

const MAX: usize = SHORT.body_bytes_max;

fn get(server: &Upstream, limits: Limits) -> Result<Answer, Error> {
    let (client, _) = client(here(), &Authority::new());
    let url = format!("http://site.example:{}/", server.address.port());
    send(&client, Request { limits, ..Request::get(Purpose::Scan, ours(&url), &url) })
}

#[test]
fn of_a_body_over_the_limit_the_beginning_is_the_answer_where_that_is_wanted() {
    let body: Vec<_> = (0..=MAX).map(|at| b'a' + (at % 26) as u8).collect();
    let whole = body.get(..MAX).expect("a beginning");
    let packed = "Content-Encoding: gzip\r\n";
    let bomb = gzip(&vec![0; 64 << 20]);
    for (what, bytes, begins, is_cut) in [
        ("as long as it may be", answer("", whole), whole, false),
        ("one byte more", answer("", &body), whole, true),
        ("packed", answer(packed, &gzip(whole)), whole, false),
        ("packed, one byte more", answer(packed, &gzip(&body)), whole, true),
        ("a bomb", answer(packed, &bomb), &[0; MAX][..], true),
        ("nothing, packed again and again", answer(packed, &gzip(b"").repeat(MAX / 8)), b"", true),
    ] {
        let server = Upstream::start(move |wire| {
            wire.read_request()?;
            // A client that has read enough is gone.
            drop(wire.write(&bytes));
            Ok(())
        });
        let answer = get(&server, Limits { excess: Excess::Cut, ..SHORT }).expect(what);
        assert!(answer.body == begins, "{what}: {} bytes", answer.body.len());
        assert_eq!(answer.is_cut, is_cut, "{what}");
    }
}

#[test]
fn what_never_ends_is_left_after_its_beginning() {
    let server = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        while wire.write([b'x'; 1 << 10]).is_ok() {}
        Ok(())
    });
    let answer = get(&server, Limits { excess: Excess::Cut, ..SHORT }).expect("an answer");
    assert_eq!((answer.body.len(), answer.is_cut), (MAX, true));
}

#[test]
fn nothing_is_nothing_whatever_it_is_said_to_be_packed_in() {
    for status in ["200 OK", "204 No Content", "304 Not Modified", "404 Not Found"] {
        for coding in ["gzip", "br", "gzip, gzip"] {
            let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
            let head = format!("HTTP/1.1 {status}\r\nContent-Encoding: {coding}\r\n{length}");
            let server = Upstream::answering(format!("{head}Connection: close\r\n\r\n"));
            let answer = get(&server, SHORT);
            let answer = answer.unwrap_or_else(|error| panic!("{status}, {coding}: {error}"));
            assert!(answer.body.is_empty() && !answer.is_cut, "{status}, {coding}");
        }
    }
}

#[test]
fn an_answer_that_only_sends_on_is_not_read() {
    for (what, headers, body) in [
        ("undecodable", "Content-Encoding: br\r\n", vec![b'x'; 10]),
        ("no gzip", "Content-Encoding: gzip\r\n", vec![b'x'; 10]),
        ("too long", "", vec![b'x'; MAX + 1]),
    ] {
        let server = Upstream::start(move |wire| {
            let Some(heard) = wire.read_request()? else { return Ok(()) };
            if heard.target == "/there" {
                return wire.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
            }
            let length = body.len();
            let head = format!(
                "HTTP/1.1 302 x\r\nLocation: /there\r\n{headers}Content-Length: {length}\r\n\r\n"
            );
            wire.write(head)?;
            drop(wire.write(&body));
            Ok(())
        });
        let answer = get(&server, SHORT).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!((&*answer.body, answer.hops.len()), (&b"hello"[..], 1), "{what}");
        // Where it is the answer, it is read like any other.
        let last = get(&server, Limits { redirects_max: 0, ..SHORT });
        assert!(last.is_err(), "{what}");
    }
}
