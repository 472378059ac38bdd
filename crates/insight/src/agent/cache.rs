//! User agents already read, in a table of fixed size; the owner holds it alone, so nothing here locks.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::{Agent, USER_AGENT_BYTES_MAX, classify};

/// Slots looked at per user agent.
const WAYS: usize = 2;

/// A memo of [`classify`]: a hit costs one hash and one comparison. Whoever comes to a full place pushes out the
/// older of the two there, so that invented user agents cannot make it grow.
#[derive(Debug)]
pub struct AgentCache {
    slots: Box<[Option<Slot>]>,
    mask: usize,
}

#[derive(Debug)]
struct Slot {
    user_agent: Box<str>,
    agent: Arc<Agent>,
}

impl AgentCache {
    /// An empty memo for at least `capacity` user agents (rounded up to a power of two).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let sets = capacity.div_ceil(WAYS).next_power_of_two();
        let slots = std::iter::repeat_with(|| None).take(sets * WAYS).collect();
        Self { slots, mask: sets - 1 }
    }

    /// What [`classify`] says about this user agent.
    pub fn find(&mut self, user_agent: &str) -> &Arc<Agent> {
        let key = &user_agent[..user_agent.floor_char_boundary(USER_AGENT_BYTES_MAX)];
        let first = self.place(key);
        let known = |slot: &Option<Slot>| slot.as_ref().is_some_and(|s| *s.user_agent == *key);
        let at = match (0..WAYS).map(|way| first + way).find(|&at| known(&self.slots[at])) {
            Some(at) => at,
            None => {
                self.slots.swap(first, first + 1);
                self.slots[first] = None;
                first
            }
        };
        let slot = self.slots[at]
            .get_or_insert_with(|| Slot { user_agent: key.into(), agent: Arc::new(classify(key)) });
        &slot.agent
    }

    /// Places in the table, taken or not.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    fn place(&self, key: &str) -> usize {
        let mut hasher = FxBuildHasher.build_hasher();
        hasher.write(key.as_bytes());
        // The low bits of the hash may be used: rustc-hash 2 rotates its best bits there.
        (hasher.finish() as usize & self.mask) * WAYS
    }
}
