//! What the machine itself does to a 99th percentile: how late it wakes one who only sleeps, at the rate of the open-loop
//! rows and with their priority. Runs beside nothing; judges nothing.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::generator::{self, Work};
use crate::server::{RealTime, pause};

/// As often as the row about proxies asks.
const STEP: Duration = Duration::from_micros(500);
const TIME: Duration = Duration::from_secs(4);
/// Later than this is no timer's slack: somebody else had the core.
const LATE: Duration = Duration::from_micros(300);

/// What came of it, in microseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Wakes {
    p99: f64,
    worst: f64,
    /// The share of late ones, in percent.
    late: f64,
}

/// What a reader of the table is told.
pub(super) fn describe() -> String {
    match generator::run::<Wakes>(&Work::Wakes, RealTime::On) {
        Ok(Wakes { p99, worst, late }) => format!(
            "a sleeper of real time woke {p99:.0} µs late at p99, {worst:.0} µs at worst, {late:.1} % of times over {} µs",
            LATE.as_micros()
        ),
        Err(error) => format!("how late it wakes a sleeper is unknown: {error:#}"),
    }
}

/// The sleeper itself.
pub(super) fn generate() -> Wakes {
    let (begun, mut next, mut taken) = (Instant::now(), Instant::now(), Vec::new());
    while begun.elapsed() < TIME {
        next += STEP;
        pause(next.saturating_duration_since(Instant::now()));
        let late = next.elapsed();
        taken.push(late);
        // One stall is one late wake: those it swallowed are not made up for.
        if late > STEP {
            next = Instant::now();
        }
    }
    summary(taken)
}

fn summary(mut taken: Vec<Duration>) -> Wakes {
    taken.sort_unstable();
    let micros = |late: Option<&Duration>| late.map_or(f64::NAN, |late| late.as_secs_f64() * 1e6);
    let rank = (taken.len() * 99).div_ceil(100).saturating_sub(1);
    let late = taken.len() - taken.partition_point(|late| *late <= LATE);
    Wakes {
        p99: micros(taken.get(rank)),
        worst: micros(taken.last()),
        late: 100.0 * late as f64 / taken.len().max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_wakes_are_told_apart() {
        let wakes = summary((1..=200).map(|n| Duration::from_micros(n * 2)).collect());
        assert!((wakes.p99 - 396.0).abs() < 0.5, "{wakes:?}");
        assert!((wakes.worst - 400.0).abs() < 0.5, "{wakes:?}");
        assert!((wakes.late - 25.0).abs() < 0.01, "{wakes:?}");
    }
}
