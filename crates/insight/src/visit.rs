//! Which visits are running: visitor ids with the time of their last event, in memory and bounded; writes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use rustc_hash::FxBuildHasher;
use uuid::Uuid;

/// A running visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visit {
    /// Its id.
    pub(crate) session_id: Uuid,
    /// The visitor's pseudonym when it began; kept past midnight.
    pub(crate) visitor_id: Uuid,
    /// Where it came from; every later view of it counts under this. None = direct.
    pub(crate) source: Option<Arc<str>>,
}

#[derive(Clone, Debug)]
struct Running {
    session_id: Uuid,
    source: Option<Arc<str>>,
    last: Timestamp,
}

type Generation = HashMap<Uuid, Running, FxBuildHasher>;

/// The running visits, in two generations: a visit touched in the last idle time is in the younger one or the older
/// one, so that whole generations are dropped instead of looking for what expired.
#[derive(Debug)]
pub(crate) struct Visits {
    idle: Duration,
    /// Most visits in each generation.
    generation_max: usize,
    young: Generation,
    old: Generation,
    turned: Timestamp,
}

impl Visits {
    pub(crate) fn new(idle: Duration, visits_max: usize) -> Self {
        Self {
            idle,
            generation_max: (visits_max / 2).max(1),
            young: Generation::default(),
            old: Generation::default(),
            turned: Timestamp::EPOCH,
        }
    }

    /// The visitor's running visit, told that something happened in it at `at`.
    pub(crate) fn find(&mut self, visitor_id: Uuid, at: Timestamp) -> Option<Visit> {
        self.turn_when_due(at);
        let running = match self.young.get(&visitor_id) {
            Some(running) => running.clone(),
            None => self.old.remove(&visitor_id)?,
        };
        if at.since(running.last) > self.idle {
            self.young.remove(&visitor_id);
            return None;
        }
        let visit = Visit { session_id: running.session_id, visitor_id, source: running.source };
        self.put(&visit, running.last.max(at));
        Some(visit)
    }

    /// Begins a visit.
    pub(crate) fn put(&mut self, visit: &Visit, last: Timestamp) {
        self.turn_when_due(last);
        if self.young.len() >= self.generation_max && !self.young.contains_key(&visit.visitor_id) {
            self.turn(last);
        }
        let running = Running { session_id: visit.session_id, source: visit.source.clone(), last };
        self.young.insert(visit.visitor_id, running);
    }

    /// Takes up a visit read from the store, unless the visitor is back already.
    pub(crate) fn take_up(&mut self, visit: &Visit, last: Timestamp) {
        let known = |visits: &Generation| visits.contains_key(&visit.visitor_id);
        if !known(&self.young) && !known(&self.old) {
            self.put(visit, last);
        }
    }

    /// How many visitors had an event after `since`.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn turn_when_due(&mut self, at: Timestamp) {
        if at.since(self.turned) > self.idle {
            self.turn(at);
        }
    }

    fn turn(&mut self, at: Timestamp) {
        self.old = std::mem::take(&mut self.young);
        self.turned = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(1_800);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn visit(visitor: u128, session: u128) -> Visit {
        Visit { session_id: id(session), visitor_id: id(visitor), source: None }
    }

    #[test]
    fn a_visit_lives_as_long_as_its_gaps_are_short() {
        let mut visits = Visits::new(IDLE, 100);
        assert_eq!(visits.find(id(1), at(0)), None);
        visits.put(&visit(1, 77), at(0));
        for seconds in (0..36_000).step_by(1_800) {
            let visit = visits.find(id(1), at(seconds));
            assert_eq!(visit.map(|v| v.session_id), Some(id(77)), "{seconds}");
        }
        assert_eq!(visits.find(id(1), at(34_200 + 1_801)), None);
        assert_eq!(visits.find(id(1), at(34_200 + 1_801)), None);
    }

    #[test]
    fn what_is_read_from_the_store_does_not_replace_what_is_running() {
        let mut visits = Visits::new(IDLE, 100);
        visits.put(&visit(1, 77), at(100));
        visits.take_up(&visit(1, 66), at(0));
        visits.take_up(&visit(2, 88), at(0));
        let mut session = |n| visits.find(id(n), at(101)).map(|visit| visit.session_id);
        assert_eq!((session(1), session(2)), (Some(id(77)), Some(id(88))));
    }

    #[test]
    fn an_event_out_of_order_does_not_shorten_a_visit() {
        let mut visits = Visits::new(IDLE, 100);
        visits.put(&visit(1, 77), at(1_000));
        assert!(visits.find(id(1), at(10)).is_some());
        assert!(visits.find(id(1), at(2_800)).is_some());
    }

    #[test]
    fn a_flood_of_visitors_pushes_out_the_oldest_only() {
        let mut visits = Visits::new(IDLE, 100);
        for n in 0..1_000 {
            visits.put(&visit(n, n), at(0));
            assert!(visits.len() <= 100);
        }
        assert!(visits.find(id(999), at(1)).is_some());
        assert!(visits.find(id(0), at(1)).is_none());
    }
}
