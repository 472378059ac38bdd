//! The chunked coding itself: sizes, extensions, line ends, trailers.

use super::{Case, Kind, Target};

const CHUNK: Kind = Kind {
    rfc: "RFC 9112 §7.1",
    risk: "readers that count a chunk differently find the end of the body at different bytes",
};
const TRAILER: Kind = Kind {
    rfc: "RFC 9110 §6.5.1, RFC 9112 §7.1.2",
    risk: "a trailer that is merged into the head changes the length, the host or the client's address behind every check",
};

/// Bodies without a knowable end.
const BROKEN: [(&str, &str); 21] = [
    ("a chunk size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size below zero", "-5\r\nhello\r\n0\r\n\r\n"),
    ("a blank before the chunk size", " 5\r\nhello\r\n0\r\n\r\n"),
    ("a blank within the chunk size", "0 5\r\nhello\r\n0\r\n\r\n"),
    ("an underscore in the chunk size", "0_5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size in quotes", "\"5\"\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size that overflows to zero", "10000000000000000\r\n\r\n"),
    ("no chunk size", "\r\nhello\r\n0\r\n\r\n"),
    ("an extension without a chunk size", ";a=b\r\nhello\r\n0\r\n\r\n"),
    ("NUL behind the chunk size", "5\0\r\nhello\r\n0\r\n\r\n"),
    ("a bare LF behind the chunk size", "5\nhello\r\n0\r\n\r\n"),
    ("a bare CR behind the chunk size", "5\rhello\r\n0\r\n\r\n"),
    ("a bare LF in a chunk extension", "5;a\nhello\r\n0\r\n\r\n"),
    ("a bare CR in a chunk extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("a chunk longer than its size", "3\r\nhello\r\n0\r\n\r\n"),
    ("a chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n"),
    ("a chunk without a line end", "5\r\nhello0\r\n\r\n"),
    ("a chunk with a bare LF as line end", "5\r\nhello\n0\r\n\r\n"),
    ("a last chunk with a bare LF", "5\r\nhello\r\n0\n\n"),
];

/// Odd, and of one meaning where they are read at all.
const ODD: [(&str, &str); 8] = [
    ("a chunk size with leading zeros", "0000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("a last chunk of many zeros", "5\r\nhello\r\n00000\r\n\r\n"),
    ("a blank behind the chunk size", "5 \r\nhello\r\n0\r\n\r\n"),
    ("a tab behind the chunk size", "5\t\r\nhello\r\n0\r\n\r\n"),
    ("a chunk extension", "5;a=b;c\r\nhello\r\n0;d\r\n\r\n"),
    ("a chunk extension in quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"),
    ("a chunk extension whose quote is not closed", "5;a=\"\r\nhello\r\n0\r\n\r\n"),
    ("a chunk extension without a name", "5;\r\nhello\r\n0\r\n\r\n"),
];

/// Trailers that must not become headers.
const TRAILERS: [(&str, &str); 6] = [
    ("a length as trailer", "Content-Length: 50"),
    ("a coding as trailer", "Transfer-Encoding: identity"),
    ("a host as trailer", "Host: other.invalid"),
    ("an address as trailer", "X-Forwarded-For: 192.0.2.1"),
    ("credentials as trailer", "Authorization: Basic eDp5"),
    ("a cookie of ours as trailer", "Cookie: __Host-mainstay_admin=x"),
];

pub(super) fn cases(t: &Target) -> Vec<Case> {
    let smuggled = t.smuggled();
    let post = |body: &str| t.ask("POST", &format!("Transfer-Encoding: chunked\r\n\r\n{body}"));
    let hello = || vec![t.intends("POST", "a", "hello")];
    let broken = BROKEN.map(|(name, body)| CHUNK.broken(name, post(&format!("{body}{smuggled}"))));
    let odd = ODD.map(|(name, body)| CHUNK.either(name, post(body), hello()));
    let trailers = TRAILERS.map(|(name, line)| {
        let (field, _) = line.split_once(':').unwrap_or((line, ""));
        let body = format!("5\r\nhello\r\n0\r\n{line}\r\n\r\n");
        let lines = format!("Trailer: {field}\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        TRAILER.either(name, t.ask("POST", &lines), hello())
    });
    let endless = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(40_000));
    let many = format!("0\r\n{}\r\n", "X-A: b\r\n".repeat(5_000));
    let rest = [
        CHUNK.passes(
            "small chunks, sizes of both cases",
            post("1\r\nh\r\nA\r\nello world\r\na\r\n, and more\r\n0\r\n\r\n"),
            vec![t.intends("POST", "a", "hello world, and more")],
        ),
        CHUNK.broken("an extension of 40 000 bytes", post(&endless)),
        TRAILER.broken("5 000 trailers", post(&many)),
        TRAILER.broken("a request as trailer", post(&format!("0\r\n{smuggled}"))),
        TRAILER.broken("a folded trailer", post("0\r\nX-A: b\r\n c\r\n\r\n")),
        TRAILER.broken("a trailer with a blank before its colon", post("0\r\nX-A : b\r\n\r\n")),
        CHUNK.waits("no last chunk", post("5\r\nhello\r\n")),
        CHUNK.waits("a last chunk without its last line end", post("5\r\nhello\r\n0\r\n")),
        CHUNK.waits("a chunk cut short", post("500\r\nhello")),
    ];
    [broken.to_vec(), odd.to_vec(), trailers.to_vec(), rest.to_vec()].concat()
}
