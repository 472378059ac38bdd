//! The head of an upstream's answer: what concerned our connection goes, what would set our cookies or name the app's make goes, false framing is found.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{StatusCode, Version, response};

use super::{cookie, strip};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// What it runs on, and other ways to reach it: they speak of our name and of ports at which nobody listens (RFC 7838).
static OF_MAKE: [HeaderName; 3] =
    [header::SERVER, HeaderName::from_static("alt-svc"), HeaderName::from_static("x-powered-by")];
/// Of one connection (RFC 9110 §7.6.1), and of proxies.
static OF_CONNECTION: [HeaderName; 8] = [
    header::CONNECTION,
    KEEP_ALIVE,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
];

/// What is wrong with an answer's framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFraming(pub(crate) &'static str);

/// Takes out of an answer what a client must not see: the app's make and version, other ways to reach it, and cookies that bear our names. Call
/// it once everything has been read from the head that is to be read (`X-Powered-By` tells a framework).
pub fn answer_headers(headers: &mut HeaderMap) {
    remove_all(headers, &OF_MAKE);
    cookie::refuse_ours(headers);
}

/// Checks the framing of an answer and takes out what concerned the connection alone. Returns how long the upstream
/// says it keeps the connection, in seconds.
///
/// # Errors
/// [`BadFraming`]: two lengths, or two ways to tell the length (RFC 9112 §6.3 has it handled as an error).
pub(crate) fn connection_headers(parts: &mut response::Parts) -> Result<Option<u64>, BadFraming> {
    check_framing(parts)?;
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    let headers = &mut parts.headers;
    if let Some(names) = strip::named_by_connection(headers) {
        for name in names {
            headers.remove(name);
        }
    }
    let kept_seconds = headers.get(KEEP_ALIVE).and_then(read_timeout);
    remove_all(headers, &OF_CONNECTION);
    cookie::refuse_ours(headers);
    if switches {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    Ok(kept_seconds)
}

/// An answer has few headers, and mostly none of these: comparing costs less than looking each up.
fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    if headers.keys().any(|name| names.contains(name)) {
        for name in names {
            headers.remove(name);
        }
    }
}

fn check_framing(parts: &mut response::Parts) -> Result<(), BadFraming> {
    let headers = &mut parts.headers;
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        let to = headers.get(header::UPGRADE);
        if !to.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket")) {
            return Err(BadFraming("it switches to a protocol nobody asked for"));
        }
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next().cloned();
    let has_more = lengths.next().is_some();
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next() {
        if length.is_some() {
            return Err(BadFraming("both Content-Length and Transfer-Encoding"));
        }
        let chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !chunked || codings.next().is_some() || parts.version != Version::HTTP_11 {
            return Err(BadFraming("a transfer coding other than chunked"));
        }
    }
    let Some(length) = length else { return Ok(()) };
    let digits =
        |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    if has_more || !digits(&length) {
        return Err(BadFraming("more than one Content-Length, or one that is no number"));
    }
    // RFC 9110 §8.6: neither has one, and a client would take it for a body's.
    if parts.status.is_informational() || parts.status == StatusCode::NO_CONTENT {
        headers.remove(header::CONTENT_LENGTH);
    }
    Ok(())
}

/// `timeout=5, max=100`.
fn read_timeout(value: &HeaderValue) -> Option<u64> {
    let parameters = value.to_str().ok()?.split(',').map(str::trim);
    parameters.filter_map(|p| p.split_once('=')).find_map(|(name, seconds)| {
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse().ok())?
    })
}
