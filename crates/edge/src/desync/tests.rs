//! The corpus is what it says, and its judgement finds each kind of fault. Opens no socket either.

use std::collections::BTreeSet;

use super::*;

fn target() -> Target {
    Target { host: "app.test".into(), canary: "/canary".into() }
}

fn find(name: &str) -> Case {
    cases(&target()).into_iter().find(|case| case.name == name).expect(name)
}

fn seen(method: &str, path: &str, body: &str) -> Seen {
    Seen {
        method: method.into(),
        target: path.into(),
        headers: vec![("host".into(), "app.test".into())],
        body: body.into(),
        trailers: vec![],
    }
}

fn client(bytes: &str, after: After) -> Client {
    let reading = read_answers(bytes.as_bytes(), &[], after == After::Closed);
    Client { reading, after }
}

#[test]
fn the_corpus_is_large_and_every_case_has_its_own_name_and_bytes() {
    let cases = cases(&target());
    assert!(cases.len() >= 150, "{}", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
    let bytes: BTreeSet<_> = cases.iter().map(|case| &case.sends).collect();
    assert_eq!(bytes.len(), cases.len());
    for case in &cases {
        assert!(case.least <= case.requests.len(), "{}", case.name);
        let text = String::from_utf8_lossy(&case.sends.concat()).into_owned();
        assert!(!text.contains('@') || case.name.contains("user"), "{}: {text}", case.name);
    }
}

#[test]
fn what_was_meant_or_nothing_is_sound() {
    let case = find("a length before a coding that ends sooner");
    assert!(judge_app(&case, &[]).is_empty());
    assert!(judge_app(&case, &[seen("POST", "/canary/a", "")]).is_empty());
    let case = find("three requests");
    assert_eq!(judge_app(&case, &[]), ["the app saw 0 of 3 sound requests"]);
    let all = ["a", "b", "c"].map(|name| seen("GET", &format!("/canary/{name}"), ""));
    assert!(judge_app(&case, &all).is_empty());
    let [a, b, c] = all;
    assert_eq!(judge_app(&case, &[b, a, c]).len(), 2);
}

#[test]
fn a_smuggled_a_changed_and_an_ambiguous_request_are_found() {
    let case = find("a length before a coding that ends sooner");
    let first = seen("POST", "/canary/a", "");
    let faults = judge_app(&case, &[first.clone(), seen("GET", "/canary/smuggled", "")]);
    assert_eq!(faults, ["the app saw a request that nobody meant: GET /canary/smuggled"]);
    assert_eq!(judge_app(&case, &[seen("POST", "/canary/a", "0\r\n\r\n")]).len(), 1);
    for (name, value) in [
        ("host", "app.test"),
        ("transfer-encoding", "xchunked"),
        ("transfer-encoding ", "chunked"),
        ("content-length", "+5"),
        ("te", "trailers"),
        ("connection", "close, Content-Length"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("content_length", "5"),
        ("x-a", "b\rc"),
    ] {
        let mut ambiguous = first.clone();
        ambiguous.headers.push((name.into(), value.into()));
        assert_eq!(judge_app(&case, &[ambiguous]).len(), 1, "{name}: {value}");
    }
    let mut trailed = first;
    trailed.trailers.push(("X-Forwarded-For".into(), "192.0.2.1".into()));
    assert_eq!(judge_app(&case, &[trailed]).len(), 1);
}

#[test]
fn answers_to_what_is_no_request_are_found() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const BAD: &str = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let refused = find("a list of two lengths");
    assert!(judge_client(&refused, &client(BAD, After::Closed)).is_empty());
    assert!(judge_client(&refused, &client("", After::Closed)).is_empty());
    assert_eq!(judge_client(&refused, &client(OK, After::Closed)).len(), 1);
    assert_eq!(judge_client(&refused, &client(BAD, After::Served)).len(), 1);
    assert_eq!(judge_client(&refused, &client("", After::Silent)).len(), 1);
    let three = find("three requests");
    assert!(judge_client(&three, &client(&OK.repeat(3), After::Served)).is_empty());
    assert_eq!(judge_client(&three, &client(&OK.repeat(2), After::Served)).len(), 1);
    assert_eq!(judge_client(&three, &client(&OK.repeat(4), After::Served)).len(), 1);
    assert_eq!(judge_client(&three, &client(&format!("{OK}junk"), After::Served)).len(), 2);
}

#[test]
fn an_answer_before_the_body_is_sound_and_one_behind_it_is_not() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const NONE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for name in ["a length longer than the body", "a chunk cut short", "a chunk size with 0x"] {
        let case = find(name);
        assert!(judge_client(&case, &client(OK, After::Closed)).is_empty(), "{name}");
        assert!(!judge_client(&case, &client(&OK.repeat(2), After::Closed)).is_empty(), "{name}");
        assert!(!judge_client(&case, &client(&NONE.repeat(2), After::Closed)).is_empty(), "{name}");
        assert!(!judge_client(&case, &client(&format!("{OK}ok"), After::Closed)).is_empty());
        // The app itself never sees it whole.
        assert_eq!(judge_app(&case, &[seen("POST", "/canary/a", "")]).len(), 1, "{name}");
    }
    let half = find("no last chunk");
    assert_eq!(judge_client(&half, &client(OK, After::Served)).len(), 1);
    assert!(half.was_answered_early(&client(OK, After::Closed).reading));
    assert!(!half.was_answered_early(&client("", After::Closed).reading));
    let answer_of = |status: u16| format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let of_apps = [200, 302, 404, 405, 415, 422, 500];
    let of_proxies =
        [400, 403, 408, 411, 413, 414, 417, 421, 429, 431, 501, 502, 503, 504, 505, 508];
    let table = of_apps.map(|status| (status, true));
    for (status, expected) in table.into_iter().chain(of_proxies.map(|status| (status, false))) {
        let said = client(&answer_of(status), After::Closed);
        assert_eq!(half.was_answered_early(&said.reading), expected, "{status}");
    }
    let half = half.before_patient_app();
    // Who waits for a body may be kept from it: what was refused was not taken for whole.
    for (status, faults) in [(403, 0), (404, 0), (503, 0), (508, 0), (200, 1), (500, 1), (502, 1)] {
        let said = client(&answer_of(status), After::Closed);
        assert_eq!(judge_client(&half, &said).len(), faults, "{status}");
    }
    assert_eq!(judge_client(&half, &client(OK, After::Silent)).len(), 1);
    let asked = find("a body that never comes").before_patient_app();
    assert!(judge_client(&asked, &client(OK, After::Silent)).is_empty());
    assert_eq!(judge_client(&asked, &client(OK, After::Served)).len(), 1);
    let head = find("a head that does not end");
    assert_eq!(judge_client(&head, &client(OK, After::Silent)).len(), 1);
    let broken = find("a chunk size with 0x");
    assert_eq!(judge_client(&broken, &client(OK, After::Silent)).len(), 1);
    let refused = find("a length with a plus");
    assert_eq!(judge_client(&refused, &client(OK, After::Closed)).len(), 1);
    let asks = find("a body that waits to be asked for");
    assert!(judge_client(&asks, &client(OK, After::Closed)).is_empty());
    assert!(judge_client(&asks, &client(OK, After::Served)).is_empty());
    assert_eq!(judge_client(&asks, &client(OK, After::Silent)).len(), 1);
    assert!(!judge_client(&asks, &client(&OK.repeat(2), After::Closed)).is_empty());
}

#[test]
fn behind_an_accepted_upgrade_only_an_answer_is_suspicious() {
    const LEFT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let case = find("a WebSocket with a request behind it");
    let echoed = format!("{LEFT}GET /canary/b HTTP/1.1\r\nHost: app.test\r\n\r\n");
    for sound in [LEFT, &echoed] {
        for after in [After::Silent, After::Closed] {
            assert!(judge_client(&case, &client(sound, after)).is_empty(), "{sound} {after:?}");
        }
    }
    for answer in ["HTTP/1.1 200 OK\r\n\r\n", "\u{1}\u{c}HTTP/1.1 404 Not Found\r\n\r\n"] {
        let faults = judge_client(&case, &client(&format!("{LEFT}{answer}"), After::Silent));
        assert_eq!(faults, ["bytes behind an accepted upgrade were answered as a request"]);
    }
    // It agreed to something else, or speaks something else than it agreed to.
    for left in [
        LEFT.replace("websocket", "h2c"),
        LEFT.replace("websocket", "websocket, h2c"),
        LEFT.replace("Upgrade: websocket\r\n", ""),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n{LEFT}"),
    ] {
        for after in [After::Silent, After::Closed] {
            let faults = judge_client(&case, &client(&left, after));
            assert!(faults[0].starts_with("an upgrade to "), "{left}: {faults:?}");
        }
    }
    let named = LEFT.replace("websocket", "WebSocket");
    assert!(judge_client(&case, &client(&named, After::Closed)).is_empty());
    let settings = format!("{LEFT}\0\0\u{6}\u{4}\0\0\0\0\0\0\u{3}\0\0\0\u{64}");
    assert_eq!(judge_client(&case, &client(&settings, After::Silent)).len(), 1);
    assert!(!judge_client(&find("h2c"), &client(LEFT, After::Silent)).is_empty());
    assert!(!judge_client(&find("three requests"), &client(LEFT, After::Closed)).is_empty());
}

#[test]
fn answers_are_read_by_their_framing() {
    let bytes = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
    let reading = read_answers(bytes.as_bytes(), &["HEAD"], false);
    assert_eq!((reading.interim, reading.whole(), reading.alien), (1, 3, None));
    let bodies: Vec<_> = reading.answers.iter().map(|a| String::from_utf8_lossy(&a.body)).collect();
    assert_eq!(bodies, ["", "hello", "", "hel"]);
    let until_end = "HTTP/1.1 200 OK\r\n\r\nall of it";
    assert_eq!(read_answers(until_end.as_bytes(), &[], false).whole(), 0);
    assert_eq!(read_answers(until_end.as_bytes(), &[], true).whole(), 1);
    assert!(read_answers(b"\0\0\x12\x04\0", &[], false).alien.is_some());
}
