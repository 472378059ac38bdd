//! Contract of counters.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;

use super::fixture::{Fixture, until};
use crate::Taken;

const HOUR: Duration = Duration::from_secs(3_600);

pub(super) async fn everybody_counts_together_and_exactly(f: &Fixture) {
    let calls = (0..400).map(|n| {
        let kv = if n % 2 == 0 { &f.one } else { &f.other };
        kv.increment("hits", 1, HOUR)
    });
    let values: HashSet<_> = join_all(calls).await.into_iter().map(|c| c.unwrap().value).collect();
    assert_eq!(values, (1..=400).collect(), "each number once");
    let more = f.one.increment("hits", 600, HOUR).await.unwrap();
    assert_eq!((more.value, more.taken), (1_000, Taken::Shared));
    assert_eq!(f.one.increment("others", 1, HOUR).await.unwrap().value, 1);
}

pub(super) async fn a_window_begins_with_the_first_and_ends(f: &Fixture) {
    let window = Duration::from_millis(500);
    let first = f.one.increment("hits", 1, window).await.unwrap();
    assert!(first.left <= window && first.left > Duration::ZERO, "{first:?}");
    // Neither a later addition nor another's window prolongs it.
    let mut left = first.left;
    until("another window", async || {
        let next = f.other.increment("hits", 1, HOUR).await.unwrap();
        if next.value == 1 {
            return true;
        }
        assert!(next.left <= left, "{next:?} after {left:?}");
        false
    })
    .await;
    left = f.one.increment("hits", 1, window).await.unwrap().left;
    assert!(left > window, "the window of who began it");
}

pub(super) async fn taking_back_never_begins_a_window(f: &Fixture) {
    let back = f.one.increment("hits", -1, HOUR).await.unwrap();
    assert_eq!((back.value, back.left), (0, Duration::ZERO));
    assert_eq!(f.one.increment("hits", 3, HOUR).await.unwrap().value, 3);
    assert_eq!(f.other.increment("hits", -2, HOUR).await.unwrap().value, 1);
}
