//! History keeps time, whatever the process was late for. Touches no clock.

use super::*;

fn point(step: u64, requests: u64) -> Point {
    let delta = Totals { requests, errors: 0, refused: 0, bytes: 0 };
    Point { step, at: 1_000 + step as i64, steps: 1, delta, latency: Latencies::empty() }
}

fn history(live: &Live) -> serde_json::Value {
    serde_json::from_str(&live.history()).expect("JSON")
}

#[test]
fn history_keeps_places_for_steps_that_were_skipped() {
    let live = Live::new(1);
    assert_eq!(history(&live)["requests"], serde_json::json!([]));
    for (step, requests) in [(7, 1), (8, 2), (11, 3)] {
        live.remember(point(step, requests));
    }
    let history = history(&live);
    assert_eq!(history["t0"], 1_007);
    assert_eq!(history["requests"], serde_json::json!([1, 2, null, null, 3]));
    assert_eq!(history["p50_ms"].as_array().map(Vec::len), Some(5));
}

#[test]
fn history_covers_five_minutes_however_many_points_there_are() {
    let live = Live::new(1);
    for step in (0..1_000).step_by(2) {
        live.remember(point(step, 1));
    }
    let requests = history(&live)["requests"].as_array().map(Vec::len);
    assert!(requests.is_some_and(|length| length <= 300 && length > 290), "{requests:?}");
    assert_eq!(history(&live)["t0"].as_i64(), Some(1_998 - 298));
}

#[test]
fn a_late_point_is_spread_over_the_steps_it_covers() {
    let late = Point { steps: 2, ..point(5, 10) };
    assert!((Rate::of(&late).requests - 5.0).abs() < f64::EPSILON);
}
