//! Whether what came of a case is sound: what the app saw, what the client saw. Says what is not in words for the operator.

use super::{Answer, Case, End, Intended, Reading};

/// A request as the app read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `GET`.
    pub method: String,
    /// What stood between method and version.
    pub target: String,
    /// Every line.
    pub headers: Vec<(String, String)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// What followed the last chunk.
    pub trailers: Vec<(String, String)>,
}

/// What became of the connection once the answers had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The server closed it.
    Closed,
    /// It served one request more, [`super::Target::last`], whose answer is not among the others.
    Served,
    /// Neither, within the time given.
    Silent,
}

/// What the client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// What was said.
    pub reading: Reading,
    /// And then.
    pub after: After,
}

/// Headers that concern one connection alone, in no request of a proxy's.
const OF_CONNECTION: [&str; 6] =
    ["te", "keep-alive", "proxy-connection", "http2-settings", "proxy-authorization", "trailers"];
/// Trailers that somebody might take for headers (RFC 9110 §6.5.1).
const NO_TRAILERS: [&str; 7] = [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "cookie",
    "x-forwarded-for",
    "connection",
];

/// What is wrong with what the app saw. Nothing, when it saw the requests that were meant, in order and whole, the last
/// ones maybe not, and every one in a form that is read in one way only.
#[must_use]
pub fn judge_app(case: &Case, seen: &[Seen]) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, seen) in seen.iter().enumerate() {
        let line = format!("{} {}", seen.method, seen.target);
        match case.requests.get(at) {
            None => faults.push(format!("the app saw a request that nobody meant: {line}")),
            Some(meant) => faults.extend(compare(meant, seen)),
        }
        faults.extend(list_ambiguous(seen).map(|what| format!("the app was sent {what}: {line}")));
    }
    if seen.len() < case.least {
        let (least, seen) = (case.least, seen.len());
        faults.push(format!("the app saw {seen} of {least} sound requests"));
    }
    faults
}

fn compare(meant: &Intended, seen: &Seen) -> Option<String> {
    let (method, target) = (meant.method, &meant.target);
    let host = seen.headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value);
    if seen.method != method || seen.target != *target {
        let (other, elsewhere) = (&seen.method, &seen.target);
        return Some(format!("the app saw {other} {elsewhere} where {method} {target} was meant"));
    }
    if seen.body != meant.body {
        let (seen, meant) = (seen.body.len(), meant.body.len());
        return Some(format!("the app saw a body of {seen} bytes where {meant} others were meant"));
    }
    if meant.host.is_some() && meant.host.as_ref() != host {
        return Some(format!("the app was told another host: {}", host.map_or("none", |h| h)));
    }
    None
}

/// What the next reader might read in another way.
fn list_ambiguous(seen: &Seen) -> impl Iterator<Item = String> {
    let of = |name: &str| -> Vec<&str> {
        let lines = seen.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value.as_str()).collect()
    };
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    let mut faults = Vec::new();
    let mut add = |wrong: bool, what: String| wrong.then(|| faults.push(what));
    add(of("host").len() != 1, format!("{} hosts", of("host").len()));
    add(lengths.len() + codings.len() > 1, "two ways to tell the length".into());
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    add(!lengths.iter().all(is_number), "a length that is no number".into());
    add(codings.iter().any(|coding| *coding != "chunked"), "another coding than chunked".into());
    add(
        !of("upgrade").iter().all(|to| *to == "websocket"),
        "an upgrade to another protocol".into(),
    );
    let connection = of("connection").join(",");
    let is_usual = |word: &str| ["", "close", "keep-alive", "upgrade"].contains(&word);
    let named = connection.split(',').map(|word| word.trim().to_ascii_lowercase());
    for word in named.filter(|word| !is_usual(word)) {
        add(true, format!("a connection that names {word}"));
    }
    for (name, value) in &seen.headers {
        let lower = name.to_ascii_lowercase();
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-^`|~".contains(&b);
        let is_text = |b: u8| b == b'\t' || (b >= 0x20 && b != 0x7f);
        // An underscore or a dot is no fault of HTTP, but one of what CGI makes of names.
        add(name.is_empty() || !name.bytes().all(is_token), format!("the header name {name:?}"));
        add(!value.bytes().all(is_text), format!("control characters in {name:?}"));
        add(OF_CONNECTION.contains(&lower.as_str()), format!("{name}, which is of one connection"));
    }
    for (name, _) in &seen.trailers {
        let lower = name.to_ascii_lowercase();
        add(NO_TRAILERS.contains(&lower.as_str()), format!("{name} as a trailer"));
    }
    faults.into_iter()
}

/// What is wrong with what the client saw.
#[must_use]
pub fn judge_client(case: &Case, client: &Client) -> Vec<String> {
    let mut faults = Vec::new();
    if case.end == End::Left {
        return faults;
    }
    let Reading { answers, alien, .. } = &client.reading;
    let meant = case.requests.len() + case.early;
    if let Some(why) = alien {
        faults.push(format!("the client was sent {why}"));
    }
    // At most one refusal ends what was meant, or one early answer.
    if answers.len() > case.requests.len() + 1 {
        let requests = case.requests.len();
        faults.push(format!("{} answers came to {requests} requests", answers.len()));
    }
    for answer in answers.iter().skip(meant) {
        if !is_refusal(answer.status) {
            let status = answer.status;
            faults.push(format!("bytes that are no request were answered with {status}"));
        }
    }
    // Only the first request asks for one.
    let tunnel = answers.first().filter(|a| case.end == End::MayLeave && opens_web_socket(a));
    let answered = client.reading.whole().max(tunnel.map_or(0, |_| answers.len()));
    for answer in answers.iter().filter(|a| a.status == 101 && tunnel != Some(*a)) {
        let protocol = answer.header("upgrade").unwrap_or("nothing that has a name");
        faults.push(format!("an upgrade to {protocol} was accepted"));
    }
    if answered < case.least {
        faults.push(format!("{answered} of {} sound requests were answered", case.least));
    }
    for answer in answers.iter().take(meant).filter(|a| matches!(a.status, 502 | 504)) {
        let status = answer.status;
        faults.push(format!("the app gave no answer to what it was sent ({status})"));
    }
    match tunnel {
        // What the app says there is its own, an echo of what it was sent as well; but it agreed to speak HTTP no more.
        Some(left) if speaks_http(&left.body) => {
            faults.push("bytes behind an accepted upgrade were answered as a request".to_owned());
        }
        Some(_) => {}
        None => faults.extend(judge_end(case.end, client.after)),
    }
    faults
}

fn judge_end(end: End, after: After) -> Option<String> {
    let fault = match (end, after) {
        (End::Closed, After::Served) => "the connection went on, though nobody can say where",
        (End::Closed, After::Silent) => "the connection stayed open and silent",
        (End::Open, After::Closed) => "the connection was closed after a sound request",
        (End::Open | End::Any | End::MayLeave, After::Silent) => {
            "the connection fell silent: somebody waits for bytes that were not meant to come"
        }
        (End::Waits, After::Served) => "an unfinished request was taken for a whole one",
        _ => return None,
    };
    Some(fault.to_owned())
}

fn opens_web_socket(answer: &Answer) -> bool {
    let protocol = answer.header("upgrade").unwrap_or_default();
    answer.status == 101 && protocol.eq_ignore_ascii_case("websocket")
}

/// Whether what is said behind an upgrade is HTTP all the same: an answer of HTTP/1.1, or the SETTINGS that HTTP/2 begins
/// with (RFC 9113 §3.4, §4.1, §6.5).
#[must_use]
pub fn speaks_http(bytes: &[u8]) -> bool {
    let is_settings = bytes.get(3) == Some(&4) && bytes.get(5..9) == Some(&[0; 4]);
    is_settings || has_status_line(bytes)
}

/// Whether an answer begins anywhere in it, be it in a frame.
fn has_status_line(bytes: &[u8]) -> bool {
    const LENGTH: usize = "HTTP/1.1 200".len();
    bytes.windows(LENGTH).any(|line| {
        line.starts_with(b"HTTP/1.") && line[8] == b' ' && line[9..].iter().all(u8::is_ascii_digit)
    })
}

/// See [`may_be_proxys`].
const PROXYS: [u16; 16] =
    [400, 403, 408, 411, 413, 414, 417, 421, 429, 431, 501, 502, 503, 504, 505, 508];

/// What a proxy may say itself, of a request that it does not take, that its rules or limits keep out (403, 429), or that
/// it cannot pass on; every other answer is the app's. An app that says one of these does not count as one that answers
/// early.
#[must_use]
pub fn may_be_proxys(status: u16) -> bool {
    PROXYS.contains(&status)
}

/// Client errors, and the server errors that say "not this method or coding", "not this version", "not now", "not in a
/// circle": nothing was done for whoever asked. Not 502 and 504, by which somebody passed it on.
#[must_use]
pub fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) || matches!(status, 501 | 503 | 505 | 508)
}
