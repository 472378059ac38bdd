//! Which keys come most often, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi 2005). Of `n` counted events
//! every key that has more than one in `max` of them is known, and none is counted too low. Where there are no more than
//! `max` keys, the counts are exact.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

pub(super) type Key = Option<String>;

#[derive(Debug)]
pub(super) struct Most {
    max: usize,
    counts: HashMap<Key, u64>,
    /// Least first; of equals the first by key is the greatest.
    order: BTreeSet<(u64, Reverse<Key>)>,
}

impl Most {
    /// Goes on from exact counts, of at most `max` keys.
    pub(super) fn from_counts(max: usize, counts: impl Iterator<Item = (Key, u64)>) -> Self {
        let counts: HashMap<_, _> = counts.collect();
        let order = counts.iter().map(|(key, count)| (*count, Reverse(key.clone()))).collect();
        Self { max, counts, order }
    }

    pub(super) fn add(&mut self, key: Key) {
        // A new key takes the place of the least one, and its count: so often it may have come before.
        let before = match self.counts.get(&key) {
            Some(count) => *count,
            None if self.counts.len() < self.max => 0,
            None => self.take_least(),
        };
        let mut entry = (before, Reverse(key));
        self.order.remove(&entry);
        entry.0 += 1;
        self.counts.insert(entry.1.0.clone(), entry.0);
        self.order.insert(entry);
    }

    fn take_least(&mut self) -> u64 {
        let Some((count, Reverse(key))) = self.order.pop_first() else { return 0 };
        self.counts.remove(&key);
        count
    }

    /// The keys that come most often, ties by key.
    pub(super) fn into_first(self, keys: usize) -> HashSet<Key> {
        self.order.into_iter().rev().take(keys).map(|(_, Reverse(key))| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(max: usize, keys: usize, come: &[&str]) -> Vec<String> {
        let mut most = Most::from_counts(max, std::iter::empty());
        come.iter().for_each(|key| most.add(Some((*key).into())));
        assert!(most.counts.len() <= max && most.order.len() == most.counts.len(), "{most:?}");
        let mut first: Vec<_> = most.into_first(keys).into_iter().flatten().collect();
        first.sort();
        first
    }

    #[test]
    fn those_that_come_most_are_found_however_late() {
        let check = |max, keys, come: &[&str], expected: &[&str]| {
            assert_eq!(first(max, keys, come), expected, "{come:?}");
        };
        check(9, 2, &["a", "b", "c", "c", "b"], &["b", "c"]);
        check(9, 2, &["c", "b", "a"], &["a", "b"]);
        // More than one in three, among more keys than there is room for.
        let late = [&["a", "b", "c", "d", "e", "f"], ["x", "y"].repeat(7).as_slice()].concat();
        check(3, 2, &late, &["x", "y"]);
        let early: Vec<_> = late.iter().rev().copied().collect();
        check(3, 2, &early, &["x", "y"]);
    }

    #[test]
    fn exact_counts_go_on() {
        let counts = [(Some("a".to_owned()), 5), (None, 1)];
        let mut most = Most::from_counts(3, counts.into_iter());
        (0..3).for_each(|_| most.add(Some("b".into())));
        most.add(None);
        assert_eq!(most.into_first(2), [Some("a".into()), Some("b".into())].into());
    }
}
