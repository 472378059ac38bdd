//! When replicas are shown the history they follow: at once, then less and less often. One that follows a replaced server
//! sees nothing of it, however often.

use crate::postgres::position::Lsn;

/// Looks between two tries at most; there is one every ten seconds.
const LOOKS_MAX: u32 = 60;

/// A replica, by its place in the settings, and how far it has come.
type Place = (usize, Lsn);

#[derive(Debug, Default)]
pub(super) struct Showing {
    /// The primary's timeline.
    primary: u32,
    /// Who was behind it at the last try.
    behind: Vec<Place>,
    /// Those of them whom the try before had not moved.
    still: Vec<Place>,
    /// Looks until the next try, and from that to the one after it.
    left: u32,
    next: u32,
}

impl Showing {
    /// Whether to try it now, with these replicas behind; asked at every look. It begins anew with another primary or
    /// replica, and where one moves that stood still: somebody may have pointed it to the primary.
    pub(super) fn is_due(&mut self, primary: u32, behind: Vec<Place>) -> bool {
        let is_new = |(place, lsn): &Place| {
            let is_there = self.behind.iter().any(|(known, _)| known == place);
            let moves = self.still.iter().any(|(known, then)| known == place && then != lsn);
            !is_there || moves
        };
        if primary != self.primary || behind.is_empty() || behind.iter().any(is_new) {
            *self = Self { primary, ..Self::default() };
        }
        if behind.is_empty() {
            return false;
        }
        if self.left > 0 {
            self.left -= 1;
            return false;
        }
        self.still = behind.iter().filter(|one| self.behind.contains(one)).copied().collect();
        self.behind = behind;
        self.left = self.next;
        self.next = (2 * self.next + 1).min(LOOKS_MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The looks, of so many, at which it is tried, with replicas that are as far as is said of each look.
    fn tries(showing: &mut Showing, looks: u64, behind: impl Fn(u64) -> Vec<Place>) -> Vec<u64> {
        (0..looks).filter(|look| showing.is_due(2, behind(*look))).collect()
    }

    #[test]
    fn one_that_follows_a_replaced_server_is_tried_less_and_less_often() {
        for moves in [0, 1] {
            let mut showing = Showing::default();
            let tried = tries(&mut showing, 400, |look| vec![(1, Lsn(7 + look * moves))]);
            assert_eq!(tried[..7], [0, 1, 3, 7, 15, 31, 63], "{tried:?}");
            assert!(tried.windows(2).skip(6).all(|pair| pair[1] - pair[0] == 61), "{tried:?}");
        }
    }

    #[test]
    fn whatever_changes_is_tried_at_once() {
        let rested = || {
            let mut showing = Showing::default();
            assert_eq!(tries(&mut showing, 100, |_| vec![(1, Lsn(7))]).len(), 7);
            showing
        };
        assert!(!rested().is_due(2, vec![(1, Lsn(7))]));
        assert!(rested().is_due(2, vec![(1, Lsn(8))]), "it follows somebody again");
        assert!(rested().is_due(3, vec![(1, Lsn(7))]), "another primary");
        assert!(rested().is_due(2, vec![(1, Lsn(7)), (2, Lsn(1))]), "another replica");
        let mut showing = rested();
        assert!(!showing.is_due(2, Vec::new()));
        assert!(showing.is_due(2, vec![(1, Lsn(7))]));
    }
}
