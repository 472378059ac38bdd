//! Keys whose write failed, while they are deleted in the store: no write of one is told to be taken that this may come after.

use std::hash::{BuildHasher as _, RandomState};

use super::{Handle, Repair, State};

/// Groups of keys whose begun repairs are counted together: a write that meets another key's repair costs one repair more.
const GROUPS: usize = 1_024;

/// What is known of a key's failed writes when another begins.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Before {
    /// The number of the last one, where the store has not forgotten it.
    pub(super) write: Option<u64>,
    /// How many repairs had begun.
    pub(super) begun: u64,
}

/// How many repairs were begun, by key.
#[derive(Debug)]
pub(super) struct Begun {
    counts: Vec<u64>,
    hasher: RandomState,
}

impl Begun {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; GROUPS], hasher: RandomState::new() }
    }

    pub(super) fn count(&self, key: &str) -> u64 {
        self.counts.get(self.group(key)).copied().unwrap_or_default()
    }

    fn add(&mut self, key: &str) {
        let group = self.group(key);
        if let Some(count) = self.counts.get_mut(group) {
            *count += 1;
        }
    }

    fn group(&self, key: &str) -> usize {
        self.hasher.hash_one(key) as usize % GROUPS
    }
}

impl State {
    /// The store has this key again: memory knows nothing better. False where a deletion of the key may have come later than
    /// the write, also one that is over by now, and where the write is left behind with its generation.
    pub(in crate::server) fn note_written(
        &self,
        handle: &Handle,
        key: &str,
        before: Before,
    ) -> bool {
        let mut inner = self.lock();
        if inner.generation != handle.generation {
            return false;
        }
        if inner.link.is_none() {
            // What memory has was written while the store was away.
            let is_shared = !inner.is_dirty && !inner.is_renewing;
            return is_shared && inner.begun.count(key) == before.begun;
        }
        if inner.epoch != handle.epoch {
            // The store was away meanwhile and no change was missed. Numbers of before say nothing; deletions are counted on.
            return !inner.repairs.contains_key(key) && inner.begun.count(key) == before.begun;
        }
        let is_last = match (before.write, inner.repairs.get(key)) {
            (None, _) => true,
            (Some(write), Some(broken)) => broken.write == write,
            // No repair has begun since: another write was taken, and needed none.
            (Some(_), None) => true,
        };
        let is_sure = is_last && inner.begun.count(key) == before.begun;
        if is_sure && inner.repairs.remove(key).is_some() {
            self.memory.delete(key);
        }
        is_sure
    }

    /// Keys to be deleted in the store, those last that were tried last.
    pub(in crate::server) fn list_repairs(&self) -> Vec<Repair> {
        let inner = self.lock();
        let repairs = inner.repairs.iter();
        let repairs = repairs.map(|(key, broken)| Repair { key: key.clone(), write: broken.write });
        let mut repairs: Vec<_> = repairs.collect();
        repairs.sort_unstable_by_key(|repair| repair.write);
        repairs
    }

    /// Whether a key is still to be deleted in the store; no write of it is sure of its place until that is done.
    pub(in crate::server) fn begin_repair(&self, repair: &Repair) -> bool {
        let mut inner = self.lock();
        let broken = inner.repairs.get_mut(&repair.key);
        let Some(broken) = broken.filter(|broken| broken.write == repair.write) else {
            return false;
        };
        broken.is_in_repair = true;
        inner.begun.add(&repair.key);
        true
    }

    /// The store forgot a key, or nobody knows. Where it did memory forgets it, too, unless another write came meanwhile.
    pub(in crate::server) fn finish_repair(&self, repair: &Repair, is_done: bool) {
        let mut inner = self.lock();
        let is_away = inner.link.is_none();
        let Some(broken) = inner.repairs.get_mut(&repair.key) else { return };
        broken.is_in_repair = false;
        if is_away {
            // What memory takes while it answers alone is newer, and the next generation hides what the store has.
        } else if broken.write != repair.write {
            self.wake.notify_one();
        } else if is_done {
            inner.repairs.remove(&repair.key);
            self.memory.delete(&repair.key);
            self.metrics.repairs.inc();
        } else {
            inner.note_broken(&repair.key);
        }
    }
}
