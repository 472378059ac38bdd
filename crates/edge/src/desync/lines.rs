//! Request lines and header lines: what ends them, what they may hold, how many there may be.

use super::{Case, End, Kind, Target};

const LINE: Kind = Kind {
    rfc: "RFC 9112 §2.2, §3",
    risk: "readers that split the request line differently serve different requests",
};
const FIELD: Kind = Kind {
    rfc: "RFC 9112 §5, RFC 9110 §5.5",
    risk: "a header that only one of two readers sees decides the length, the host or the client for that one alone",
};

/// Header lines that are none.
const FIELDS: [(&str, &str); 17] = [
    ("a folded header", "X-A: b\r\n c"),
    ("a header folded with a tab", "X-A: b\r\n\tc"),
    ("a blank before a colon", "X-A : b"),
    ("a tab before a colon", "X-A\t: b"),
    ("a blank within a name", "X A: b"),
    ("a name in brackets", "X(A): b"),
    ("a name with NUL", "X\0A: b"),
    ("a name beyond ASCII", "X-Ä: b"),
    ("no name", ": b"),
    ("no colon", "X-A"),
    ("NUL in a value", "X-A: b\0c"),
    ("a bare CR in a value", "X-A: b\rc"),
    ("a header behind a bare CR", "X-A: b\rContent-Length: 5"),
    ("an escape in a value", "X-A: b\x1bc"),
    ("a bell in a value", "X-A: b\x07c"),
    ("a delete in a value", "X-A: b\x7fc"),
    ("two bare CRs before LF", "X-A: b\r\r"),
];

/// Request lines that are none; `@` stands for the target.
const LINES: [(&str, &str); 16] = [
    ("a method in brackets", "(GET) @ HTTP/1.1"),
    ("a method with NUL", "G\0ET @ HTTP/1.1"),
    ("a method with a colon", "GET: @ HTTP/1.1"),
    ("no method", " @ HTTP/1.1"),
    ("no version", "GET @"),
    ("two blanks before the target", "GET  @ HTTP/1.1"),
    ("two blanks behind the target", "GET @  HTTP/1.1"),
    ("tabs for blanks", "GET\t@\tHTTP/1.1"),
    ("a blank in the target", "GET @ b HTTP/1.1"),
    ("a version in the target", "GET @ HTTP/1.1 HTTP/1.1"),
    ("a tab in the target", "GET @\tb HTTP/1.1"),
    ("NUL in the target", "GET @\0 HTTP/1.1"),
    ("a bare CR in the target", "GET @\rb HTTP/1.1"),
    ("a version of two digits", "GET @ HTTP/1.10"),
    ("a version in small letters", "GET @ http/1.1"),
    ("a version of the future", "GET @ HTTP/3.0"),
];

pub(super) fn cases(t: &Target) -> Vec<Case> {
    let (host, smuggled) = (&t.host, t.smuggled());
    let path = format!("{}/a", t.canary);
    let a = || vec![t.intends("GET", "a", "")];
    let fields = FIELDS.map(|(name, line)| {
        FIELD.refused(name, t.ask("GET", &format!("{line}\r\n\r\n{smuggled}")))
    });
    let lines = LINES.map(|(name, line)| {
        let line = line.replace('@', &path);
        LINE.refused(name, format!("{line}\r\nHost: {host}\r\n\r\n{smuggled}"))
    });
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>();
    let get = t.ask("GET", "\r\n");
    let rest = [
        LINE.either("bare LF ends every line", get.replace("\r\n", "\n"), a()),
        LINE.either("bare LF ends the request line", get.replacen("\r\n", "\n", 1), a()),
        LINE.either("bare LF ends the head", format!("{}\n", get.trim_end_matches("\r\n")), a()),
        LINE.refused("bare CR ends every line", get.replace("\r\n", "\r")),
        LINE.either("empty lines before the request", format!("\r\n\r\n{get}"), a()),
        LINE.refused("a blank line before the request", format!(" \r\n{get}")),
        LINE.either("HTTP/1.2", get.replacen("HTTP/1.1", "HTTP/1.2", 1), a()),
        FIELD.refused(
            "a blank before the first header",
            format!("GET {path} HTTP/1.1\r\n Host: {host}\r\n\r\n"),
        ),
        Case {
            end: End::Open,
            ..FIELD.either(
                "names with underscores and dots",
                t.ask("GET", "X_Forwarded_For: 192.0.2.1\r\nX.Real.Ip: 192.0.2.1\r\nContent_Length: 5\r\n\r\n"),
                a(),
            )
        },
        FIELD.refused("5 000 headers", t.ask("GET", &format!("{}\r\n", many(5_000)))),
        FIELD.refused(
            "a header of 100 000 bytes",
            t.ask("GET", &format!("X-A: {}\r\n\r\n", "b".repeat(100_000))),
        ),
        LINE.refused(
            "a target of 200 000 bytes",
            format!("GET {path}{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(200_000)),
        ),
        // Nothing of it can be answered early.
        Case {
            early: 0,
            ..FIELD.waits("a head that does not end", t.ask("GET", "X-A: b\r\n"))
        },
    ];
    [fields.to_vec(), lines.to_vec(), rest.to_vec()].concat()
}
