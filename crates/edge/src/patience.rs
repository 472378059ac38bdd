//! How long a peer may lag behind a rate before it is given up. Pure arithmetic: nothing here knows a socket or a protocol.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use mainstay_base::units::{Size, Span};

/// What a peer is held to while we wait for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Time it may lag.
    pub(crate) within: Span,
    /// Bytes a second that count as keeping up; 0 = any byte does.
    pub(crate) rate_min: Size,
}

/// The time a peer lags. Waiting adds to it, bytes moved take away what they would have taken at the least rate.
///
/// One number holds both limits: a peer that stops is over after `within`, one that drips below the rate is over
/// later but surely, and one above the rate never is. Written by one thread only.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    ms: AtomicU32,
    moved: AtomicU64,
}

impl Lag {
    /// Bytes went to or came from the peer.
    pub(crate) fn moved(&self, bytes: usize) {
        // Load and store: one thread writes, and a locked addition per write would show.
        self.moved.store(self.moved.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }

    /// Forgets everything: another answer begins.
    pub(crate) fn reset(&self) {
        self.ms.store(0, Relaxed);
        self.moved.store(0, Relaxed);
    }

    /// Looks again after `elapsed_ms`, of which all was spent `waiting` or none. Whether the peer lags too far now.
    pub(crate) fn is_over(&self, waiting: bool, elapsed_ms: u32, limit: Limit) -> bool {
        let added = if waiting { elapsed_ms } else { 0 };
        let paid = worth_ms(self.moved.swap(0, Relaxed), limit.rate_min);
        let ms = u64::from(self.ms.load(Relaxed)) + u64::from(added);
        let ms = u32::try_from(ms.saturating_sub(paid)).unwrap_or(u32::MAX);
        self.ms.store(ms, Relaxed);
        waiting && u128::from(ms) > limit.within.0.as_millis()
    }
}

fn worth_ms(bytes: u64, rate_min: Size) -> u64 {
    let worth = u128::from(bytes) * 1_000;
    match rate_min.0 {
        0 if bytes > 0 => u64::MAX,
        0 => 0,
        rate => u64::try_from(worth / u128::from(rate)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { within: Span::seconds(30), rate_min: Size::kib(1) };

    /// Seconds until a peer that moves `bytes` every second is given up, at most an hour.
    fn lasts(bytes: usize, limit: Limit) -> Option<u32> {
        let lag = Lag::default();
        (1..3_600).find(|_| {
            lag.moved(bytes);
            lag.is_over(true, 1_000, limit)
        })
    }

    #[test]
    fn who_stops_is_over_in_time_and_who_drips_is_over_later() {
        assert_eq!(lasts(0, LIMIT), Some(31));
        assert_eq!(lasts(512, LIMIT), Some(61));
        assert!(lasts(1_000, LIMIT).is_some());
        assert_eq!(lasts(1_024, LIMIT), None);
        assert_eq!(lasts(100_000, LIMIT), None);
    }

    #[test]
    fn a_burst_now_and_then_keeps_up_but_buys_no_time_ahead() {
        let lag = Lag::default();
        for second in 1..600 {
            if second % 25 == 0 {
                lag.moved(64 << 10);
            }
            assert!(!lag.is_over(true, 1_000, LIMIT), "{second}");
        }
        lag.moved(1 << 30);
        let stopped = (1..100).find(|_| lag.is_over(true, 1_000, LIMIT));
        assert_eq!(stopped, Some(32), "the burst itself came within the first second");
    }

    #[test]
    fn our_own_pauses_are_nobodys_lag() {
        let lag = Lag::default();
        assert!((0..600).all(|_| !lag.is_over(false, 1_000, LIMIT)));
        assert_eq!((1..100).find(|_| lag.is_over(true, 1_000, LIMIT)), Some(31));
        lag.reset();
        assert!(!lag.is_over(true, 1_000, LIMIT));
    }

    #[test]
    fn without_a_rate_any_byte_keeps_up() {
        let limit = Limit { rate_min: Size(0), ..LIMIT };
        assert_eq!(lasts(1, limit), None);
        assert_eq!(lasts(0, limit), Some(31));
    }
}
