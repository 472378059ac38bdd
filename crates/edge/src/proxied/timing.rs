//! `Server-Timing`: how much of an answer's time was the app's and how much was ours. Pure.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds two metrics in milliseconds to those the app sent: the wait for the app's answer, and the rest of `total`, the
/// time since the request came in.
pub(crate) fn add_timing(headers: &mut HeaderMap, upstream: Duration, total: Duration) {
    let ours = total.saturating_sub(upstream);
    let (upstream, ours) = (tenths(upstream), tenths(ours));
    // Whole numbers: a float's shortest digits cost more than the rest of the header.
    let text = format!(
        "upstream;dur={}.{}, mainstay;dur={}.{}",
        upstream / 10,
        upstream % 10,
        ours / 10,
        ours % 10
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(SERVER_TIMING, value);
    }
}

/// Tenths of a millisecond, rounded.
fn tenths(of: Duration) -> u128 {
    (of.as_micros() + 50) / 100
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
