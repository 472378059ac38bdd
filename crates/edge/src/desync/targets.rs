//! Targets and hosts: which site a request is for, told twice or in a form that is not for us.

use super::{Case, Intended, Kind, Target};

const HOST: Kind = Kind {
    rfc: "RFC 9112 §3.2",
    risk: "one reader serves another site than the one that was checked, or keeps its answer under that one's name",
};
const FORM: Kind = Kind {
    rfc: "RFC 9112 §3.2.1–§3.2.4",
    risk: "the app serves a path or a host that nobody checked, or becomes a proxy to other machines",
};

pub(super) fn cases(t: &Target) -> Vec<Case> {
    [hosts(t), forms(t), methods(t)].concat()
}

fn hosts(t: &Target) -> Vec<Case> {
    let (host, path) = (&t.host, format!("{}/a", t.canary));
    let named = |lines: &str| format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
    let line = |value: &str| named(&format!("Host: {value}\r\n"));
    vec![
        HOST.declined("no host", named("")),
        HOST.declined("the same host twice", named(&format!("Host: {host}\r\nHost: {host}\r\n"))),
        HOST.declined("two hosts", named(&format!("Host: {host}\r\nHost: other.invalid\r\n"))),
        HOST.declined("a list of hosts", line(&format!("{host}, other.invalid"))),
        HOST.declined("a host with a user", line(&format!("user@{host}"))),
        HOST.declined("a host with a user and a password", line(&format!("a:b@{host}"))),
        HOST.declined("a host with a port that is none", line("app.invalid:80x")),
        HOST.declined("a host with a port beyond all", line("app.invalid:65536")),
        HOST.declined("a host with a path", line(&format!("{host}/x"))),
        HOST.declined("a host with a query", line(&format!("{host}?x"))),
        HOST.declined("a host with a fragment", line(&format!("{host}#x"))),
        HOST.declined("a host with a blank", line("app.invalid x")),
        HOST.declined("a host with a scheme", line(&format!("http://{host}"))),
        HOST.declined("a host in a bracket that is not closed", line("[::1")),
        HOST.declined("a host beyond ASCII", line("äpp.invalid")),
        HOST.declined(
            "an absolute target and no host",
            format!("GET http://{host}{path} HTTP/1.1\r\n\r\n"),
        ),
    ]
}

fn forms(t: &Target) -> Vec<Case> {
    let (host, canary) = (&t.host, &t.canary);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let a = || t.intends("GET", "a", "");
    let at = |target: &str| vec![Intended { target: target.to_owned(), ..a() }];
    vec![
        FORM.either("an absolute target", get(&format!("http://{host}{canary}/a")), vec![a()]),
        FORM.either(
            "an absolute target of another host",
            get(&format!("http://other.invalid{canary}/a")),
            vec![Intended { host: Some("other.invalid".into()), ..a() }],
        ),
        FORM.declined(
            "an absolute target with a user",
            get(&format!("http://user@{host}{canary}/a")),
        ),
        FORM.either("a target with a fragment", get(&format!("{canary}/a#b")), vec![a()]),
        FORM.either(
            "a target of two slashes",
            get(&format!("//other.invalid{canary}/a")),
            at(&format!("//other.invalid{canary}/a")),
        ),
        FORM.either(
            "a target with a line end in its escapes",
            get(&format!("{canary}/a%0d%0aX-A:%20b")),
            at(&format!("{canary}/a%0d%0aX-A:%20b")),
        ),
        FORM.declined("a target without a slash", get("a")),
        FORM.declined("a target that is a host and a port", get("other.invalid:80")),
        FORM.declined("a target that is a star", get("*")),
    ]
}

fn methods(t: &Target) -> Vec<Case> {
    let host = &t.host;
    let ask = |line: &str| format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let star = Intended { method: "OPTIONS", target: "*".into(), ..t.intends("OPTIONS", "a", "") };
    vec![
        FORM.either("OPTIONS of everything", ask("OPTIONS *"), vec![star]),
        FORM.declined("OPTIONS of a host and a port", ask("OPTIONS other.invalid:80")),
        FORM.declined("TRACE", t.ask("TRACE", "\r\n")),
        // What follows CONNECT may be a tunnel's bytes: the connection cannot go on (RFC 9110 §9.3.6).
        FORM.refused(
            "CONNECT with a request behind it",
            format!("{}{}", ask("CONNECT other.invalid:443"), t.smuggled()),
        ),
        FORM.refused(
            "CONNECT with a length",
            format!(
                "CONNECT other.invalid:443 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello{}",
                t.smuggled()
            ),
        ),
    ]
}
