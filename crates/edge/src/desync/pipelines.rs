//! Several requests in one go: all served in order, none made of another's rest.

use super::{Case, Kind, Target};

const PIPELINE: Kind = Kind {
    rfc: "RFC 9112 §9.3.2",
    risk: "answers and requests get out of step, and a visitor is shown what was meant for another",
};
const UNREAD: Kind = Kind {
    rfc: "RFC 9112 §9.3",
    risk: "a body that the server answered without reading is taken for the next request",
};

pub(super) fn cases(t: &Target) -> Vec<Case> {
    [in_order(t), cut_off(t), unread(t)].concat()
}

fn in_order(t: &Target) -> Vec<Case> {
    let (get, next) = (t.ask("GET", "\r\n"), t.next());
    let (a, b) = (t.intends("GET", "a", ""), t.intends("GET", "b", ""));
    let third = next.replacen("/b ", "/c ", 1);
    let post = |rest: &str| t.ask("POST", rest);
    let hello = || t.intends("POST", "a", "hello");
    let with_length = post("Content-Length: 5\r\n\r\nhello");
    vec![
        PIPELINE.passes(
            "three requests",
            format!("{get}{next}{third}"),
            vec![a.clone(), b.clone(), t.intends("GET", "c", "")],
        ),
        PIPELINE.passes(
            "a body with a length, then a request",
            format!("{with_length}{next}"),
            vec![hello(), b.clone()],
        ),
        PIPELINE.passes(
            "a chunked body, then a request",
            format!("{}{next}", post("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")),
            vec![hello(), b.clone()],
        ),
        PIPELINE.passes(
            "HEAD, then GET",
            format!("{}{next}", t.ask("HEAD", "\r\n")),
            vec![t.intends("HEAD", "a", ""), b.clone()],
        ),
        PIPELINE.either(
            "an empty line behind a body",
            format!("{with_length}\r\n{next}"),
            vec![hello(), b.clone()],
        ),
        PIPELINE.either(
            "HTTP/1.0 that stays, then a request",
            format!(
                "{}{next}",
                t.ask("GET", "Connection: keep-alive\r\n\r\n").replacen("/1.1", "/1.0", 1)
            ),
            vec![a, b],
        ),
    ]
}

fn cut_off(t: &Target) -> Vec<Case> {
    let (get, smuggled) = (t.ask("GET", "\r\n"), t.smuggled());
    let a = || vec![t.intends("GET", "a", "")];
    let first = |case: Case| Case { least: 1, ..case };
    vec![
        first(PIPELINE.closing(
            "rubbish between requests",
            format!("{get}\x00\x01\x02\r\n{smuggled}"),
            a(),
        )),
        first(PIPELINE.closing(
            "a line of text between requests",
            format!("{get}hello\r\n{smuggled}"),
            a(),
        )),
        first(PIPELINE.closing(
            "rubbish behind a request",
            format!("{get}{{\"a\": 1}}\r\n\r\n"),
            a(),
        )),
        first(PIPELINE.closing(
            "a request behind the last one",
            format!("{}{smuggled}", t.ask("GET", "Connection: close\r\n\r\n")),
            a(),
        )),
        first(PIPELINE.closing(
            "a request behind the last one, which says so twice",
            format!(
                "{}{smuggled}",
                t.ask("GET", "Connection: close\r\nConnection: keep-alive\r\n\r\n")
            ),
            a(),
        )),
        first(PIPELINE.closing(
            "a request behind HTTP/1.0",
            format!("{}{smuggled}", get.replacen("/1.1", "/1.0", 1)),
            a(),
        )),
    ]
}

fn unread(t: &Target) -> Vec<Case> {
    let (host, smuggled) = (&t.host, t.smuggled());
    let long = format!("{}{smuggled}", "a".repeat(300_000));
    let with = |line: &str, body: &str| {
        format!("{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let trace = format!("TRACE {}/a", t.canary);
    let misdirected = |body: &str| {
        with(&format!("POST {}/a", t.canary), body).replacen(
            &format!("Host: {host}"),
            "Host: a b",
            1,
        )
    };
    vec![
        UNREAD.declined("a request as body of a refused method", with(&trace, &smuggled)),
        UNREAD.declined("a long body of a refused method, a request at its end", with(&trace, &long)),
        UNREAD.declined("a request as body of a request to no host", misdirected(&smuggled)),
        UNREAD.declined("a long body of a request to no host, a request at its end", misdirected(&long)),
        UNREAD.declined(
            "a request as chunk of a refused method",
            format!(
                "{trace} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n",
                smuggled.len()
            ),
        ),
    ]
}
