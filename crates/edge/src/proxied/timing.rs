//! `Server-Timing`: how much of an answer's time was the app's and how much was ours. Pure.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Adds two metrics in milliseconds to those the app sent: the wait for the app's answer, and the rest of `total`, the
/// time since the request came in.
pub(crate) fn add_timing(headers: &mut HeaderMap, upstream: Duration, total: Duration) {
    let ours = total.saturating_sub(upstream);
    let text = format!("upstream;dur={:.1}, mainstay;dur={:.1}", millis(upstream), millis(ours));
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(SERVER_TIMING, value);
    }
}

fn millis(of: Duration) -> f64 {
    of.as_secs_f64() * 1_000.0
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
    }
}
