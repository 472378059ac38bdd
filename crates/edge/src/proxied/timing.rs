//! `Server-Timing`: how much of an answer's time was the app's and how much was ours. Pure.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds two metrics in milliseconds to those the app sent: the wait for the app's answer, and the rest of `total`, the
/// time since the request came in.
pub(crate) fn add_timing(headers: &mut HeaderMap, upstream: Duration, total: Duration) {
    let ours = total.saturating_sub(upstream);
    let (upstream, ours) = (tenths(upstream), tenths(ours));
    let mut text = String::with_capacity(64);
    text.push_str("upstream;dur=");
    push_tenths(&mut text, upstream);
    text.push_str(", mainstay;dur=");
    push_tenths(&mut text, ours);
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(text)) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Tenths of a millisecond, rounded.
fn tenths(of: Duration) -> u64 {
    u64::try_from((of.as_micros() + 50) / 100).unwrap_or(u64::MAX)
}

/// By hand: the formatting machinery costs more than the rest of the header, for a float many times more.
fn push_tenths(text: &mut String, tenths: u64) {
    let mut digits = itoa::Buffer::new();
    text.push_str(digits.format(tenths / 10));
    text.push('.');
    text.push_str(digits.format(tenths % 10));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_parts_stand_beside_what_the_app_says() {
        let mut headers = HeaderMap::new();
        headers.insert(SERVER_TIMING, HeaderValue::from_static("db;dur=3"));
        add_timing(&mut headers, Duration::from_micros(12_340), Duration::from_micros(12_800));
        let all: Vec<_> = headers.get_all(SERVER_TIMING).iter().collect();
        assert_eq!(all, ["db;dur=3", "upstream;dur=12.3, mainstay;dur=0.5"]);

        headers.clear();
        add_timing(&mut headers, Duration::from_micros(950), Duration::from_millis(2_000));
        assert_eq!(headers[SERVER_TIMING], "upstream;dur=1.0, mainstay;dur=1999.1");
    }
}
