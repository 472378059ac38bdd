//! A request that asks for nothing but a file: every line of its head is one of those that clients send with it. Reads bytes; answers nothing.

use std::mem::MaybeUninit;

use httparse::{Header, Request, Status};

use crate::sites::is_host;

/// Lines of a head. Browsers send about fifteen.
const LINES_MAX: usize = 32;

/// A `GET` or `HEAD` of HTTP/1.1 without a body, a range, an upgrade, or a word that we do not know.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    /// Its head with the empty line, which is all of it.
    pub(super) length: usize,
    /// Without a body in the answer.
    pub(super) is_head: bool,
    pub(super) host: &'a str,
    /// Raw, without the query.
    pub(super) path: &'a str,
    pub(super) user_agent: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    pub(super) accept_encoding: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
    pub(super) if_modified_since: Option<&'a str>,
    pub(super) referrer: Option<&'a str>,
}

/// What a line of the head is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Host,
    UserAgent,
    Accept,
    AcceptEncoding,
    IfNoneMatch,
    IfModifiedSince,
    Referrer,
    Connection,
    /// Says nothing that would change the answer. `Origin`: a site that names others is not answered here.
    Ignored,
    Unknown,
}

impl<'a> Plain<'a> {
    /// The request at the beginning of `bytes`, where it is one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = [MaybeUninit::<Header<'_>>::uninit(); LINES_MAX];
        let mut request = Request::new(&mut []);
        let Ok(Status::Complete(length)) = request.parse_with_uninit_headers(bytes, &mut lines)
        else {
            return None;
        };
        if bytes.starts_with(b"\r") || !ends_in_crlf(bytes.get(..length)?) {
            return None;
        }
        let is_head = match request.method? {
            "GET" => false,
            "HEAD" => true,
            _ => return None,
        };
        if request.version? != 1 {
            return None;
        }
        let target = request.path?;
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let is_origin_form = path.starts_with('/') && target.bytes().all(is_plain);
        let mut plain = Self { length, is_head, path, ..Self::default() };
        let mut host = None;
        for line in &*request.headers {
            let place = match Line::of(line.name) {
                Line::Host => &mut host,
                Line::UserAgent => &mut plain.user_agent,
                Line::Accept => &mut plain.accept,
                Line::AcceptEncoding => &mut plain.accept_encoding,
                Line::IfNoneMatch => &mut plain.if_none_match,
                Line::IfModifiedSince => &mut plain.if_modified_since,
                Line::Referrer => &mut plain.referrer,
                Line::Connection if line.value.eq_ignore_ascii_case(b"keep-alive") => continue,
                Line::Ignored => continue,
                Line::Connection | Line::Unknown => return None,
            };
            // Said twice, or in letters that only some can read: not a plain request.
            if place.replace(text(line.value)?).is_some() {
                return None;
            }
        }
        plain.host = host?;
        (is_origin_form && is_host(plain.host)).then_some(plain)
    }
}

/// Whether every line does: a bare LF ends one for some readers alone (RFC 9112 §2.2).
fn ends_in_crlf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head)
        .all(|at| at.checked_sub(1).and_then(|before| head.get(before)) == Some(&b'\r'))
}

/// Bytes of a path and a query whose reading nobody disputes (RFC 3986 §3.3, §3.4).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'-' | b'.' | b'_' | b'~' | b'%' | b'?' | b'!' | b'$' | b'&'
                ..=b',' | b':' | b';' | b'=' | b'@'
        )
}

/// A value of visible ASCII, spaces and tabs.
fn text(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    std::str::from_utf8(value).ok().filter(|_| value.iter().all(is_visible))
}

impl Line {
    fn of(name: &str) -> Self {
        let mut lower = [0; 32];
        let Some(lower) = lower.get_mut(..name.len()) else { return Self::Unknown };
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        match &*lower {
            b"host" => Self::Host,
            b"user-agent" => Self::UserAgent,
            b"accept" => Self::Accept,
            b"accept-encoding" => Self::AcceptEncoding,
            b"if-none-match" => Self::IfNoneMatch,
            b"if-modified-since" => Self::IfModifiedSince,
            b"referer" => Self::Referrer,
            b"connection" => Self::Connection,
            b"accept-language"
            | b"cache-control"
            | b"cookie"
            | b"dnt"
            | b"origin"
            | b"pragma"
            | b"priority"
            | b"purpose"
            | b"save-data"
            | b"sec-gpc"
            | b"sec-purpose"
            | b"upgrade-insecure-requests" => Self::Ignored,
            other if other.starts_with(b"sec-fetch-") || other.starts_with(b"sec-ch-") => {
                Self::Ignored
            }
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::READ_BYTES;
    use crate::desync::{Target, cases};

    const CHROME: &str = "GET /a/b.css?v=1&w=%20 HTTP/1.1\r\nHost: example.org:8080\r\nConnection: keep-alive\r\n\
        sec-ch-ua-platform: \"Linux\"\r\nUser-Agent: Mozilla/5.0\r\nsec-ch-ua: \"Chromium\";v=\"156\"\r\nDNT: 1\r\n\
        sec-ch-ua-mobile: ?0\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\n\
        Sec-Fetch-Dest: style\r\nReferer: http://example.org:8080/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
        Accept-Language: en\r\nCookie: a=b\r\nIf-None-Match: \"x\"\r\n\
        If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";

    #[test]
    fn what_browsers_send_for_a_file_is_plain() {
        let two = [CHROME, CHROME].concat();
        let read = Plain::read(two.as_bytes()).unwrap();
        let expected = Plain {
            length: CHROME.len(),
            is_head: false,
            host: "example.org:8080",
            path: "/a/b.css",
            user_agent: Some("Mozilla/5.0"),
            accept: Some("*/*"),
            accept_encoding: Some("gzip, deflate, br, zstd"),
            if_none_match: Some("\"x\""),
            if_modified_since: Some("Sun, 06 Nov 1994 08:49:37 GMT"),
            referrer: Some("http://example.org:8080/"),
        };
        assert_eq!(read, expected);
        let head = CHROME.replacen("GET", "HEAD", 1);
        assert!(Plain::read(head.as_bytes()).unwrap().is_head);
    }

    #[test]
    fn everything_else_is_not() {
        let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(Plain::read(plain.as_bytes()).is_some());
        for (from, to) in [
            ("\r\n\r\n", "\r\n"),
            ("GET", "POST"),
            ("GET", "OPTIONS"),
            ("GET", "get"),
            ("1.1", "1.0"),
            ("GET /", "GET http://a/"),
            ("GET /", "GET *"),
            ("GET /", "GET /#x"),
            ("GET /", "GET /\""),
            ("GET /", "GET /\u{e9}"),
            ("GET /", "GET /\\"),
            ("Host: a", "Host: a b"),
            ("Host: a", "Host:"),
            ("Host: a", "Host: a/b"),
            ("Host: a", "Accept: a"),
            ("Host: a", "Host: a\r\nHost: a"),
            ("Host: a", "Host: a\r\nHost: b"),
            ("GET", "\r\nGET"),
            ("\r\nHost", "\nHost"),
            ("Host: a", "Host : a"),
            ("Host: a", "Host: a\r\n b"),
            ("Host: a", "Host: a\r\nContent-Length: 0"),
            ("Host: a", "Host: a\r\nContent-Length: 5"),
            ("Host: a", "Host: a\r\nTransfer-Encoding: chunked"),
            ("Host: a", "Host: a\r\nTE: trailers"),
            ("Host: a", "Host: a\r\nExpect: 100-continue"),
            ("Host: a", "Host: a\r\nUpgrade: websocket"),
            ("Host: a", "Host: a\r\nConnection: close"),
            ("Host: a", "Host: a\r\nConnection: keep-alive, upgrade"),
            ("Host: a", "Host: a\r\nRange: bytes=0-1"),
            ("Host: a", "Host: a\r\nIf-Range: \"x\""),
            ("Host: a", "Host: a\r\nIf-Match: \"x\""),
            ("Host: a", "Host: a\r\nIf-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Host: a", "Host: a\r\nX-Forwarded-For: 192.0.2.1"),
            ("Host: a", "Host: a\r\nForwarded: for=192.0.2.1"),
            ("Host: a", "Host: a\r\nX-Request-Id: 1"),
            ("Host: a", "Host: a\r\nSec-WebSocket-Key: x"),
            ("Host: a", "Host: a\r\nIf-None-Match: \"x\"\r\nIf-None-Match: \"y\""),
            ("Host: a", "Host: a\r\nUser-Agent: \u{e9}"),
            ("Host: a", "Host: a\r\nA-Name-Of-More-Than-Thirty-Two-Letters: x"),
        ] {
            let changed = plain.replacen(from, to, 1);
            assert_eq!(Plain::read(changed.as_bytes()), None, "{changed:?}");
        }
        let many = "Accept: a\r\n".repeat(LINES_MAX);
        let many = plain.replacen("\r\n", &format!("\r\n{many}"), 1);
        assert_eq!(Plain::read(many.as_bytes()), None, "more lines than there is room for");
    }

    /// Where readers could differ about the end of a request, the short way reads what is meant or nothing.
    #[test]
    fn no_trick_is_plain() {
        let target = Target { host: "shop.example".into(), canary: "/canary".into() };
        let mut read = 0;
        for case in cases(&target) {
            for bytes in &case.sends {
                // No more is read at once.
                let bytes = bytes.get(..READ_BYTES).unwrap_or(bytes);
                let Some(plain) = Plain::read(bytes) else { continue };
                read += 1;
                let meant = case.requests.iter().any(|one| one.target == plain.path);
                let end = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
                assert!(meant && end == Some(plain.length), "{}: {}", case.name, plain.path);
            }
        }
        assert!(read > 0, "some case begins with a sound request");
    }
}
