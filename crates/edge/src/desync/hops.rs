//! `Connection` and its company: headers of one connection that would change the request on the next.

use super::{Case, Kind, Target};

const HOP: Kind = Kind {
    rfc: "RFC 9110 §7.6.1",
    risk: "a proxy that deletes what it is told to delete takes away the length, the host or its own word about the client",
};

/// Lines of a POST of five bytes.
const LINES: [(&str, &str); 11] = [
    ("a length named as of the connection", "Connection: Content-Length"),
    ("a host named as of the connection", "Connection: Host"),
    (
        "addresses named as of the connection",
        "Connection: X-Forwarded-For, X-Real-IP, Forwarded, X-Forwarded-Proto",
    ),
    ("an id named as of the connection", "Connection: X-Request-Id, Traceparent"),
    ("a coding named as of the connection, and not there", "Connection: Transfer-Encoding"),
    ("the connection named as of the connection", "Connection: Connection"),
    ("TE with chunked", "TE: trailers, chunked\r\nConnection: TE"),
    ("the connection of proxies of old", "Proxy-Connection: keep-alive"),
    ("keep-alive with parameters", "Keep-Alive: timeout=5, max=1000\r\nConnection: Keep-Alive"),
    ("settings of HTTP/2 alone", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    ("a request made for another target", "X-Original-URL: /admin\r\nX-Rewrite-URL: /admin"),
];

pub(super) fn cases(t: &Target) -> Vec<Case> {
    let hello = || vec![t.intends("POST", "a", "hello")];
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    let mut cases: Vec<Case> = LINES
        .into_iter()
        .map(|(name, lines)| {
            let rest = format!("{lines}\r\nContent-Length: 5\r\n\r\nhello");
            HOP.passes(name, t.ask("POST", &rest), hello())
        })
        .collect();
    let coding = "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked";
    let closing = format!(
        "Connection: close, Content-Length\r\nContent-Length: 5\r\n\r\nhello{}",
        t.smuggled()
    );
    cases.push(HOP.passes(
        "a coding named as of the connection",
        t.ask("POST", &format!("{coding}\r\n\r\n{chunked}")),
        hello(),
    ));
    cases.push(Case {
        least: 1,
        ..HOP.closing(
            "close, and a length named as of the connection",
            t.ask("POST", &closing),
            hello(),
        )
    });
    cases
}
