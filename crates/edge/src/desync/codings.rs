//! `Transfer-Encoding`: beside a length, written so that only some read it, in orders that leave the end unknown.

use super::{Case, End, Kind, Target};

const CODING: Kind = Kind {
    rfc: "RFC 9112 §6.1, §6.3",
    risk: "one reader ends the body at its length, the other at its last chunk; what lies between becomes the next visitor's request",
};

/// Header lines that hide `chunked` from some readers, or name something that nobody can decode.
const HIDDEN: [(&str, &str); 24] = [
    ("xchunked", "Transfer-Encoding: xchunked"),
    ("chunkedx", "Transfer-Encoding: chunkedx"),
    ("identity alone", "Transfer-Encoding: identity"),
    ("an empty coding", "Transfer-Encoding:"),
    ("chunked, then identity", "Transfer-Encoding: chunked, identity"),
    ("identity, then chunked", "Transfer-Encoding: identity, chunked"),
    ("gzip, then chunked, without gzip", "Transfer-Encoding: gzip, chunked"),
    ("chunked, then gzip", "Transfer-Encoding: chunked, gzip"),
    ("chunked twice in one line", "Transfer-Encoding: chunked, chunked"),
    ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    ("chunked, and cow in a second line", "Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
    ("cow, and chunked in a second line", "Transfer-Encoding: cow\r\nTransfer-encoding: chunked"),
    (
        "identity, and chunked in a second line",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    ),
    ("chunked in quotes", "Transfer-Encoding: \"chunked\""),
    ("chunked with a parameter", "Transfer-Encoding: chunked;q=0"),
    ("chunked behind a vertical tab", "Transfer-Encoding: \x0bchunked"),
    ("chunked before a vertical tab", "Transfer-Encoding: chunked\x0b"),
    ("chunked before NUL", "Transfer-Encoding: chunked\0"),
    ("a blank before the colon of a coding", "Transfer-Encoding : chunked"),
    ("a tab before the colon of a coding", "Transfer-Encoding\t: chunked"),
    ("a coding in a folded line", "Transfer-Encoding:\r\n chunked"),
    ("a coding behind a bare CR", "X-A: b\rTransfer-Encoding: chunked"),
    ("a coding whose name is folded away", "X-A: b\r\n Transfer-Encoding: chunked"),
    ("a coding whose name begins with a blank", " Transfer-Encoding: chunked"),
];

pub(super) fn cases(t: &Target) -> Vec<Case> {
    let smuggled = t.smuggled();
    let ends = format!("0\r\n\r\n{smuggled}");
    let post = |lines: &str, body: &str| t.ask("POST", &format!("{lines}\r\n\r\n{body}"));
    // Every one of them with a length, which is the other reading.
    let mut cases: Vec<Case> = HIDDEN
        .into_iter()
        .map(|(name, lines)| {
            let lines = format!("{lines}\r\nContent-Length: {}", ends.len());
            CODING.refused(name, post(&lines, &ends))
        })
        .collect();
    cases.extend(beside_a_length(t, &smuggled));
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    let hello = |method| vec![t.intends(method, "a", "hello")];
    cases.extend([
        CODING.passes("CHUNKED", post("TRANSFER-ENCODING: CHUNKED", chunked), hello("POST")),
        CODING.passes(
            "a tab before chunked and blanks behind it",
            post("Transfer-Encoding:\tchunked  ", chunked),
            hello("POST"),
        ),
        CODING.either(
            "an empty element before chunked",
            post("Transfer-Encoding: , chunked", chunked),
            hello("POST"),
        ),
        CODING.either(
            "chunked on GET",
            t.ask("GET", &format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")),
            hello("GET"),
        ),
        CODING.either(
            "chunked on HEAD",
            t.ask("HEAD", &format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")),
            hello("HEAD"),
        ),
        CODING.refused(
            "chunked in HTTP/1.0",
            post("Connection: keep-alive\r\nTransfer-Encoding: chunked", &ends)
                .replacen("/1.1", "/1.0", 1),
        ),
        CODING.passes(
            "a content coding called chunked",
            post("Content-Encoding: chunked\r\nContent-Length: 5", "hello"),
            hello("POST"),
        ),
        CODING.passes(
            "a coding spelt with an underscore",
            post("Transfer_Encoding: chunked\r\nContent-Length: 5", "hello"),
            hello("POST"),
        ),
        CODING.passes(
            "a coding spelt with a dot",
            post("Transfer.Encoding: chunked\r\nContent-Length: 5", "hello"),
            hello("POST"),
        ),
    ]);
    cases
}

/// CL.TE, TE.CL: the coding decides, and the connection ends with the answer (RFC 9112 §6.3).
fn beside_a_length(t: &Target, smuggled: &str) -> [Case; 4] {
    let ends = format!("0\r\n\r\n{smuggled}");
    let inside = format!("{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len());
    let coding = "Transfer-Encoding: chunked";
    let both = |first: &str, second: &str, body: &str| {
        t.ask("POST", &format!("{first}\r\n{second}\r\n\r\n{body}"))
    };
    let all = format!("Content-Length: {}", ends.len());
    let few = "Content-Length: 4";
    let nothing = vec![t.intends("POST", "a", "")];
    let whole = vec![t.intends("POST", "a", smuggled)];
    [
        ("a length before a coding that ends sooner", both(&all, coding, &ends), &nothing),
        ("a length behind a coding that ends sooner", both(coding, &all, &ends), &nothing),
        ("a length before a coding that ends later", both(few, coding, &inside), &whole),
        ("a length behind a coding that ends later", both(coding, few, &inside), &whole),
    ]
    .map(|(name, bytes, requests)| Case {
        end: End::Closed,
        ..CODING.either(name, bytes, requests.clone())
    })
}
