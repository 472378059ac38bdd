//! The part of one process in the connections that all together may have.
//!
//! A part grows only once every other process is known to have heard of this one, and so to have given up what is too much:
//! whoever starts begins with the minimum.

use std::time::Duration;

use mainstay_base::Timestamp;
use uuid::Uuid;

use super::Process;

/// Twice as long as a process is silent.
const GONE_AFTER: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Budget {
    /// When this process was first seen to be listed, by the database's clock: who lists later finds it.
    told: Option<Timestamp>,
    /// How many processes were listed then.
    listed: usize,
    /// How many share the budget, as far as this one may take it.
    sharers: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { told: None, listed: 1, sharers: Self::NOT_HEARD }
    }
}

impl Budget {
    /// Nobody has heard of this process: no part of the budget is left for it beyond the minimum.
    const NOT_HEARD: usize = usize::MAX;

    /// Whether others were told of this process.
    pub(crate) fn is_listed(&self) -> bool {
        self.told.is_some()
    }

    /// When that was.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Option<Timestamp> {
        self.told
    }

    /// By how many the budget is divided.
    pub(crate) fn sharers(&self) -> usize {
        self.sharers
    }

    /// Takes note of the processes that were listed then, after this one said that it is there. Each says when it listed
    /// the others.
    pub(crate) fn divide(&mut self, own: Uuid, at: Timestamp, processes: &[Process]) {
        let told = self.told;
        let has_heard = |other: &Process| told.is_some_and(|told| other.seen_at > told);
        // Who says nothing any more is gone, most likely killed: it counts as long as it is listed, and is not waited for.
        let newest = processes.iter().map(|process| process.seen_at).max();
        let is_gone =
            |other: &Process| newest.is_some_and(|now| now.since(other.seen_at) > GONE_AFTER);
        let others = processes.iter().filter(|other| other.id != own && !is_gone(other));
        let is_heard = { others }.all(has_heard);
        // Kept from the first time on: whoever lists later finds it, however often this one looks.
        let is_listed = processes.iter().any(|process| process.id == own);
        self.told = is_listed.then(|| told.unwrap_or(at));
        // Who is missing once may be there at the next look: nobody is listed first when the primary comes back.
        let sharers = processes.len().max(self.listed).max(1);
        self.listed = processes.len();
        if is_heard || sharers > self.sharers {
            self.sharers = sharers;
        }
    }

    /// This process rests, and is listed no more: it begins anew.
    pub(crate) fn leave(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u128 = 1;

    fn look(budget: &mut Budget, seen: &[(u128, i64)]) -> usize {
        // Listed as soon as it has said so.
        let at = seen.iter().find(|(id, _)| *id == OWN).map_or(0, |(_, at)| *at);
        look_at(budget, at, seen)
    }

    fn look_at(budget: &mut Budget, at: i64, seen: &[(u128, i64)]) -> usize {
        let processes: Vec<_> = seen
            .iter()
            .map(|(id, at)| Process {
                id: Uuid::from_u128(*id),
                version: String::new(),
                region: None,
                started_at: Timestamp::EPOCH,
                seen_at: Timestamp::from_seconds(*at),
            })
            .collect();
        budget.divide(Uuid::from_u128(OWN), Timestamp::from_seconds(at), &processes);
        budget.sharers()
    }

    #[test]
    fn who_is_alone_takes_all_and_who_is_not_waits_until_the_others_have_heard() {
        assert_eq!(look(&mut Budget::default(), &[(OWN, 10)]), 1);
        let mut budget = Budget::default();
        for (seen, expected) in [
            // Both others may still have all.
            ([(OWN, 10), (2, 9), (3, 1)].as_slice(), Budget::NOT_HEARD),
            ([(OWN, 20), (2, 19), (3, 9)].as_slice(), Budget::NOT_HEARD),
            ([(OWN, 30), (2, 29), (3, 29)].as_slice(), 3),
            // One more: its part is given up at once.
            ([(OWN, 40), (2, 39), (3, 39), (4, 35)].as_slice(), 4),
            // Nobody else is listed, once: after an outage the first to speak is.
            ([(OWN, 90)].as_slice(), 4),
            ([(OWN, 100), (2, 99), (3, 99), (4, 98)].as_slice(), 4),
            // One that has left is missed twice.
            ([(OWN, 110), (2, 109), (3, 109)].as_slice(), 4),
            ([(OWN, 120), (2, 119), (3, 119)].as_slice(), 3),
            // One was killed: it is counted as long as it is listed, and not waited for once it is silent.
            ([(OWN, 130), (2, 129), (3, 119), (5, 129)].as_slice(), 4),
            ([(OWN, 140), (2, 139), (3, 119)].as_slice(), 4),
            ([(OWN, 150), (2, 149)].as_slice(), 3),
        ] {
            assert_eq!(look(&mut budget, seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn who_is_gone_is_counted_and_not_waited_for() {
        let mut budget = Budget::default();
        for (seen, expected) in [
            ([(OWN, 10), (2, 9), (3, 8)], Budget::NOT_HEARD),
            // One says nothing more, and may only be late.
            ([(OWN, 20), (2, 19), (3, 8)], Budget::NOT_HEARD),
            ([(OWN, 28), (2, 27), (3, 8)], Budget::NOT_HEARD),
            ([(OWN, 29), (2, 29), (3, 8)], 3),
        ] {
            assert_eq!(look(&mut budget, &seen), expected, "{seen:?}");
        }
    }

    #[test]
    fn who_listed_while_this_one_was_still_saying_that_it_is_there_has_not_heard_of_it() {
        let mut budget = Budget::default();
        // It was committed at some time between 10 and 12.
        look_at(&mut budget, 12, &[(OWN, 10), (2, 5)]);
        assert_eq!(look_at(&mut budget, 22, &[(OWN, 12), (2, 11)]), Budget::NOT_HEARD);
        assert_eq!(look_at(&mut budget, 32, &[(OWN, 22), (2, 21)]), 2);
    }

    #[test]
    fn who_rested_begins_anew() {
        let mut budget = Budget::default();
        look(&mut budget, &[(OWN, 10)]);
        budget.leave();
        assert_eq!(look(&mut budget, &[(OWN, 90), (2, 85)]), Budget::NOT_HEARD);
    }
}
