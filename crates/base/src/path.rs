//! Where the part of a request's path ends that may be kept: a query, a fragment, a session id can hide in it. Drops only;
//! never decodes and never follows.

use memchr::{memchr3, memmem};

/// What containers of servlets put into a path where cookies are off.
const SESSION: &[u8] = b";jsessionid=";

/// `path` up to its query or fragment, percent-encoded or not, and up to a session id.
#[must_use]
pub fn before_query(path: &str) -> &str {
    let path = &path[..find_query(path.as_bytes()).unwrap_or(path.len())];
    &path[..memmem::find(path.as_bytes(), SESSION).unwrap_or(path.len())]
}

/// Where a query or fragment begins: `?`, `#`, or either of them percent-encoded any number of times (`%3F`, `%253f`).
#[must_use]
pub fn find_query(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = memchr3(b'?', b'#', b'%', &bytes[from..]) {
        let at = from + found;
        if bytes[at] != b'%' || is_encoded_query(&bytes[at + 1..]) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn is_encoded_query(mut after_percent: &[u8]) -> bool {
    while let Some(rest) = after_percent.strip_prefix(b"25") {
        after_percent = rest;
    }
    matches!(after_percent, [b'3', b'f' | b'F', ..] | [b'2', b'3', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_in_a_path_is_dropped() {
        for (path, kept) in [
            ("/a?token=SECRET", "/a"),
            ("/a#SECRET", "/a"),
            ("/a%3ftoken=SECRET", "/a"),
            ("/a%25253Ftoken=SECRET", "/a"),
            ("/a%23SECRET", "/a"),
            ("/a;jsessionid=SECRET?x", "/a"),
            ("/a;v=1;jsessionid=SECRET", "/a;v=1"),
            ("/a;v=1", "/a;v=1"),
            ("/caf%C3%A9/%25", "/caf%C3%A9/%25"),
            ("%", "%"),
            ("", ""),
        ] {
            assert_eq!(before_query(path), kept, "{path}");
        }
    }
}
