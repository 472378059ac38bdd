//! A place in PostgreSQL's write-ahead log: which history, and how far. Positions of different histories do not compare.

use std::fmt;
use std::str::FromStr;

/// A log sequence number: bytes since the beginning of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lsn(pub(crate) u64);

impl Lsn {
    /// Bytes from here to `later`; none when that is earlier.
    pub(crate) fn bytes_to(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// How far a history has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The history: grows by one with every promotion.
    pub(crate) timeline: u32,
    /// How far in it.
    pub(crate) lsn: Lsn,
}

impl Position {
    /// Whether who stands here has seen everything up to `other`.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.timeline == other.timeline && self.lsn >= other.lsn
    }

    /// Where one must stand to have seen both. No place of one history can be known to be behind a place of another: that
    /// is timeline 0, where nobody stands, so that the primary is asked.
    pub(crate) fn and(self, other: Self) -> Self {
        if self.timeline != other.timeline {
            return Self { timeline: 0, lsn: Lsn(u64::MAX) };
        }
        Self { timeline: self.timeline, lsn: self.lsn.max(other.lsn) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}.{}", self.timeline, self.lsn)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (timeline, lsn) = text.split_once('.').ok_or(())?;
        let (high, low) = lsn.split_once('/').ok_or(())?;
        let hex = |text| u32::from_str_radix(text, 16).map_err(drop);
        let lsn = Lsn((u64::from(hex(high)?) << 32) | u64::from(hex(low)?));
        Ok(Self { timeline: hex(timeline)?, lsn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let at = Position { timeline: 3, lsn: Lsn(0x16_B374_D848) };
        assert_eq!(at.to_string(), "3.16/B374D848");
        assert_eq!("3.16/B374D848".parse(), Ok(at));
        for broken in ["", "3", "3.16", "x.1/2", "3.1/2/3", "3.1FFFFFFFF/0"] {
            assert_eq!(broken.parse::<Position>(), Err(()), "{broken}");
        }
    }

    #[test]
    fn histories_do_not_compare() {
        let at = |timeline, lsn| Position { timeline, lsn: Lsn(lsn) };
        assert!(at(1, 5).includes(at(1, 5)));
        assert!(!at(1, 4).includes(at(1, 5)));
        assert!(!at(2, 9).includes(at(1, 5)));
        assert!(!at(1, 9).includes(at(2, 5)));
    }

    #[test]
    fn who_has_seen_both_stands_behind_the_later_one() {
        let at = |timeline, lsn| Position { timeline, lsn: Lsn(lsn) };
        assert_eq!(at(1, 5).and(at(1, 9)), at(1, 9));
        assert_eq!(at(1, 9).and(at(1, 5)), at(1, 9));
        let both = at(1, 5).and(at(2, 9));
        for here in [at(1, u64::MAX), at(2, u64::MAX)] {
            assert!(!here.includes(both), "{here} cannot have both");
        }
    }
}
