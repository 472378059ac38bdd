//! Our own cookies, which no upstream may read or set. Knows their prefix and nothing of what they hold.

use bytes::Bytes;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// How the names of our cookies begin.
const OURS: &[u8] = b"__host-mainstay_";

/// Takes our cookies out of a request. The rest becomes one line, as HTTP/1.1 wants it (RFC 9113 §8.2.3).
pub(super) fn keep_foreign(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let Some(first) = lines.next() else { return };
    let several = lines.next().is_some();
    if !several && !may_be_ours(first) {
        return;
    }
    let mut kept: Vec<u8> = Vec::with_capacity(first.len());
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|b| *b == b';').map(<[u8]>::trim_ascii) {
            if pair.is_empty() || is_ours(pair) {
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(pair);
        }
    }
    headers.remove(COOKIE);
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(kept))
    {
        headers.insert(COOKIE, value);
    }
}

/// Takes cookies that bear our names out of an answer.
pub(super) fn refuse_ours(headers: &mut HeaderMap) {
    let Some(first) = headers.get(SET_COOKIE) else { return };
    let ours = |value: &HeaderValue| is_ours(value.as_bytes().trim_ascii_start());
    if !ours(first) && !headers.get_all(SET_COOKIE).iter().any(ours) {
        return;
    }
    let kept: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(|v| !ours(v)).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// Without case, as browsers compare the prefix.
fn may_be_ours(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    memchr::memchr_iter(b'_', bytes).any(|at| bytes.get(..=at).is_some_and(ends_ours))
}

fn ends_ours(bytes: &[u8]) -> bool {
    let start = bytes.len().checked_sub(OURS.len());
    start.and_then(|at| bytes.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(OURS))
}

fn is_ours(pair: &[u8]) -> bool {
    pair.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}
