//! Ways out of HTTP/1.1 and pauses within it: upgrades, the preface of HTTP/2, bodies that wait to be asked for.

use super::{Case, End, Kind, Target};

const UPGRADE: Kind = Kind {
    rfc: "RFC 9110 §7.8",
    risk: "a proxy that stops reading HTTP before the app agreed to an upgrade hands over requests that nobody checked",
};
const EXPECT: Kind = Kind {
    rfc: "RFC 9110 §10.1.1",
    risk: "a body that was never sent is awaited, and the next visitor's request is taken for it",
};
const WEBSOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const H2C: &str =
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) fn cases(t: &Target) -> Vec<Case> {
    [upgrades(t), prefaces(t), expectations(t)].concat()
}

fn upgrades(t: &Target) -> Vec<Case> {
    let get = |lines: &str, rest: &str| t.ask("GET", &format!("{lines}\r\n{rest}"));
    let (a, b) = (t.intends("GET", "a", ""), t.intends("GET", "b", ""));
    // The app may refuse the upgrade: then what follows is a request like any other.
    let first = |case: Case| Case { least: 1, ..case };
    // Or it may agree, and then they are its own.
    let leaves = |case: Case| Case { end: End::MayLeave, ..first(case) };
    vec![
        leaves(UPGRADE.either(
            "a WebSocket with a request behind it",
            get(WEBSOCKET, &t.next()),
            vec![a.clone(), b.clone()],
        )),
        leaves(UPGRADE.either(
            "a WebSocket of no version with a request behind it",
            get(&WEBSOCKET.replace("Version: 13", "Version: 777"), &t.next()),
            vec![a.clone(), b.clone()],
        )),
        first(UPGRADE.either(
            "an unknown protocol with a request behind it",
            get("Connection: Upgrade\r\nUpgrade: other/1\r\n", &t.next()),
            vec![a.clone(), b.clone()],
        )),
        first(UPGRADE.either("h2c", get(H2C, ""), vec![a.clone()])),
        first(UPGRADE.either(
            "h2c with the preface of HTTP/2 behind it",
            get(H2C, PREFACE),
            vec![a.clone()],
        )),
        leaves(UPGRADE.either(
            "h2c in the company of a WebSocket",
            get(&WEBSOCKET.replace("Upgrade: websocket", "Upgrade: websocket, h2c"), &t.next()),
            vec![a.clone(), b.clone()],
        )),
        UPGRADE.either(
            "a WebSocket with a length",
            get(&format!("{WEBSOCKET}Content-Length: 5\r\n"), "hello"),
            vec![t.intends("GET", "a", "hello")],
        ),
        UPGRADE.either(
            "a WebSocket with a coding",
            get(&format!("{WEBSOCKET}Transfer-Encoding: chunked\r\n"), "5\r\nhello\r\n0\r\n\r\n"),
            vec![t.intends("GET", "a", "hello")],
        ),
        UPGRADE.either(
            "a WebSocket by POST",
            t.ask("POST", &format!("{WEBSOCKET}Content-Length: 5\r\n\r\nhello")),
            vec![t.intends("POST", "a", "hello")],
        ),
        UPGRADE.closing(
            "a WebSocket in HTTP/1.0",
            get(WEBSOCKET, &t.smuggled()).replacen("/1.1", "/1.0", 1),
            vec![a],
        ),
    ]
}

fn prefaces(t: &Target) -> Vec<Case> {
    const HTTP2: Kind = Kind { rfc: "RFC 9113 §3.4", ..UPGRADE };
    let a = || vec![t.intends("GET", "a", "")];
    vec![
        Case {
            end: End::Left,
            ..HTTP2.declined(
                "a request behind the preface of HTTP/2",
                format!("{PREFACE}{}", t.smuggled()),
            )
        },
        HTTP2.refused(
            "a request behind half of the preface of HTTP/2",
            format!("PRI * HTTP/2.0\r\n\r\n{}", t.smuggled()),
        ),
        HTTP2.refused(
            "the preface of HTTP/2 with a host",
            format!("PRI * HTTP/2.0\r\nHost: {}\r\n\r\nSM\r\n\r\n", t.host),
        ),
        Case {
            least: 1,
            ..HTTP2.closing(
                "the preface of HTTP/2 behind a request",
                format!("{}{PREFACE}{}", t.ask("GET", "\r\n"), t.smuggled()),
                a(),
            )
        },
    ]
}

fn expectations(t: &Target) -> Vec<Case> {
    let post = |rest: &str| t.ask("POST", &format!("Expect: 100-continue\r\n{rest}"));
    let hello = || t.intends("POST", "a", "hello");
    let asked_for = |case: Case| Case {
        sends: vec![post("Content-Length: 5\r\n\r\n").into(), b"hello".to_vec()],
        ..case
    };
    vec![
        // An app that answers without it asks for nothing, and the connection may end then.
        Case {
            end: End::Any,
            ..asked_for(EXPECT.passes("a body that waits to be asked for", "", vec![hello()]))
        },
        Case {
            least: 1,
            ..EXPECT.either(
                "a body that does not wait, and a request behind it",
                format!("{}{}", post("Content-Length: 5\r\n\r\nhello"), t.next()),
                vec![hello(), t.intends("GET", "b", "")],
            )
        },
        EXPECT.waits("a body that never comes", post("Content-Length: 5\r\n\r\n")),
        EXPECT.either(
            "a request where a body is awaited",
            post(&format!("Content-Length: {}\r\n\r\n{}", t.smuggled().len(), t.smuggled())),
            vec![t.intends("POST", "a", &t.smuggled())],
        ),
        EXPECT.either(
            "an expectation without a body",
            format!("{}{}", t.ask("GET", "Expect: 100-continue\r\n\r\n"), t.next()),
            vec![t.intends("GET", "a", ""), t.intends("GET", "b", "")],
        ),
        EXPECT.either(
            "an expectation nobody knows",
            t.ask("POST", "Expect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello"),
            vec![hello()],
        ),
    ]
}
