//! Latency in fine steps, for percentiles people look at. The coarse buckets that Prometheus stores are elsewhere.

mod codec;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use codec::DecodeError;

/// Each power of two is cut into 2^5 = 32 equal steps; the middle of a step is at most 1/64 = 1.6 % off.
const STEP_BITS: u32 = 5;
const STEPS: u64 = 1 << STEP_BITS;
/// One unit is 2^5 = 32 ns, so that the 1.6 % hold from 1 µs up; below, the error is at most 16 ns.
const UNIT_BITS: u32 = 5;
/// Longer durations count as this many units (137 s).
const UNITS_MAX: u64 = u32::MAX as u64;
/// Buckets: 32 linear ones below 1 µs, then 32 for each of 27 powers of two.
const BUCKETS: usize = 896;

/// A lock-free histogram of durations, 7 KiB.
pub struct Latency(Box<[AtomicU64]>);

impl Latency {
    /// Without observations.
    #[must_use]
    pub fn new() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }

    /// Counts one duration.
    pub fn record(&self, elapsed: Duration) {
        self.0[index_of(elapsed)].fetch_add(1, Relaxed);
    }

    /// What was counted so far.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.0.iter().map(|bucket| bucket.load(Relaxed)).collect())
    }

    /// How many durations were counted so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latency").field(&self.snapshot()).finish()
    }
}

/// The counts of a [`Latency`] at one moment, or between two. 7 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot(Box<[u64]>);

impl Snapshot {
    /// Without observations.
    #[must_use]
    pub fn empty() -> Self {
        Self(vec![0; BUCKETS].into())
    }

    /// How many durations it holds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// What was counted since `earlier`, a snapshot of the same sketch.
    #[must_use]
    pub fn minus(&self, earlier: &Self) -> Self {
        Self(self.0.iter().zip(&earlier.0).map(|(now, then)| now.saturating_sub(*then)).collect())
    }

    /// Adds the counts of another one.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// The duration that the share `q` (0 to 1) of all stays at or below, within 2 %; none when empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut so_far = 0_u64;
        let at = self.0.iter().position(|n| {
            so_far = so_far.saturating_add(*n);
            so_far >= rank
        })?;
        Some(middle_of(at))
    }

    /// A compact form to store: only buckets that hold something.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.0)
    }

    /// Reads what [`Snapshot::encode`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are of another version or no sketch.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut snapshot = Self::empty();
        codec::decode(bytes, &mut snapshot.0)?;
        Ok(snapshot)
    }
}

impl Default for Snapshot {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

fn index_of(elapsed: Duration) -> usize {
    let units = u64::try_from(elapsed.as_nanos() >> UNIT_BITS).unwrap_or(UNITS_MAX).min(UNITS_MAX);
    if units < STEPS {
        return units as usize;
    }
    let power = 63 - units.leading_zeros();
    let step = (units >> (power - STEP_BITS)) & (STEPS - 1);
    (u64::from(power - STEP_BITS + 1) * STEPS + step) as usize
}

fn middle_of(index: usize) -> Duration {
    let (row, step) = (index as u64 / STEPS, index as u64 % STEPS);
    let (from, width) = match row.checked_sub(1) {
        None => (step, 1),
        Some(shift) => ((STEPS + step) << shift, 1 << shift),
    };
    Duration::from_nanos((from << UNIT_BITS) + ((width << UNIT_BITS) >> 1))
}

#[cfg(test)]
mod tests;
