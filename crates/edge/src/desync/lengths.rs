//! `Content-Length`: told twice, told as something else than a number, told where none is usual.

use super::{Case, End, Kind, Target};

const LENGTH: Kind = Kind {
    rfc: "RFC 9112 §6.3",
    risk: "one reader takes the rest of the body for the next visitor's request",
};

/// No length, whoever reads it.
const NO_LENGTHS: [(&str, &str); 14] = [
    ("a length with a plus", "+5"),
    ("a length of minus zero", "-0"),
    ("a length below zero", "-5"),
    ("a hexadecimal length", "0x5"),
    ("a length with an exponent", "5e0"),
    ("a length with a fraction", "5.0"),
    ("a length with a parameter", "5;a=b"),
    ("a length in quotes", "\"5\""),
    ("two lengths with a blank between", "5 6"),
    ("a list of two lengths", "5, 6"),
    ("a length beyond 64 bits", "18446744073709551621"),
    ("a length of all 64 bits", "18446744073709551615"),
    ("an empty length", ""),
    ("a length behind a form feed", "\x0c5"),
];

pub(super) fn cases(t: &Target) -> Vec<Case> {
    let (smuggled, hello) = (t.smuggled(), || t.intends("POST", "a", "hello"));
    let longer = 5 + smuggled.len();
    let post = |lines: &str, body: &str| t.ask("POST", &format!("{lines}\r\n\r\n{body}"));
    let mut cases: Vec<Case> = NO_LENGTHS
        .into_iter()
        .map(|(name, length)| {
            let lines = format!("Content-Length: {length}");
            LENGTH.refused(name, post(&lines, &format!("hello{smuggled}")))
        })
        .collect();
    let two = |a: usize, b: usize| format!("Content-Length: {a}\r\nContent-Length: {b}");
    let body = format!("hello{smuggled}");
    cases.extend([
        LENGTH.refused("two lengths, the first shorter", post(&two(5, longer), &body)),
        LENGTH.refused("two lengths, the first longer", post(&two(longer, 5), &body)),
        LENGTH.either("the same length twice", post(&two(5, 5), "hello"), vec![hello()]),
        LENGTH.either(
            "a list of one length twice",
            post("Content-Length: 5, 5", "hello"),
            vec![hello()],
        ),
        LENGTH.passes(
            "a length between blanks and tabs",
            post("Content-Length: \t 5 \t", "hello"),
            vec![hello()],
        ),
        LENGTH.either(
            "a length with leading zeros",
            post("Content-Length: 0000000000000000000005", "hello"),
            vec![hello()],
        ),
        LENGTH.passes(
            "a length of another case",
            post("cOnTeNt-lEnGtH: 5", "hello"),
            vec![hello()],
        ),
        LENGTH.either(
            "a length on GET",
            t.ask("GET", &format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len())),
            vec![t.intends("GET", "a", &smuggled)],
        ),
        LENGTH.either(
            "a length on HEAD",
            t.ask("HEAD", &format!("Content-Length: {}\r\n\r\n{smuggled}", smuggled.len())),
            vec![t.intends("HEAD", "a", &smuggled)],
        ),
        LENGTH.passes(
            "no length on POST",
            format!("{}{}", post("Accept: */*", ""), t.next()),
            vec![t.intends("POST", "a", ""), t.intends("GET", "b", "")],
        ),
        LENGTH.waits(
            "a length longer than the body",
            post(&format!("Content-Length: {}", longer + 1000), &body),
        ),
        Case {
            end: End::Closed,
            ..LENGTH.either(
                "a length in HTTP/1.0",
                post("Content-Length: 5", "hello").replacen("/1.1", "/1.0", 1),
                vec![hello()],
            )
        },
    ]);
    cases
}
