//! Which slots were looked through for sure while slots move from one server to another. Only compares.
//!
//! A slot that lay still during a pass was looked through. Of a slot on its way keys go one way alone: what a pass missed,
//! because it left a server that was not looked through yet for one that was, has arrived when the next begins; two are
//! enough then. What is sure stays so wherever the slot goes later.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::Value;

use crate::server::failure::Failure;
use crate::server::look;

const SLOTS: usize = 16_384;
/// How often the servers are looked through. A slot that begins to move in one pass and ends in another needs four; servers
/// tell one another with delay.
const PASSES_MAX: usize = 8;

/// Who has which slots, and which are on their way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The primary of each slot, where it has one.
    owners: Vec<Option<Arc<str>>>,
    /// Slots on their way, from which server to which by their ids.
    moving: BTreeMap<usize, (String, String)>,
}

#[derive(Debug)]
pub(super) struct Passes {
    left: usize,
    /// What the last pass began with.
    begun: Option<Layout>,
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    is_sure: bool,
    /// Passes in a row that found it at the same place before and after.
    alike: usize,
}

impl Layout {
    /// From the answer to `CLUSTER SLOTS`; none where that cannot be read.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let mut owners = vec![None; SLOTS];
        for range in look::ranges(answer) {
            let owner: Arc<str> = format!("{}:{}", range.primary.host, range.primary.port).into();
            owners.get_mut(range.slots)?.fill(Some(owner));
        }
        let is_served = owners.iter().any(Option::is_some);
        is_served.then_some(Self { owners, moving: BTreeMap::new() })
    }

    /// Adds the slots of a server that are on their way, by its own line of `CLUSTER NODES`: `[slot->-to]`,
    /// `[slot-<-from]`. No other server knows of them.
    pub(super) fn note_moving(&mut self, told: &str) {
        let is_own = |line: &&str| {
            let mut flags = line.split(' ').nth(2).into_iter().flat_map(|flags| flags.split(','));
            flags.any(|flag| flag == "myself")
        };
        for line in told.lines().filter(is_own) {
            let own = line.split(' ').next().unwrap_or_default().to_owned();
            for word in line.split(' ').skip(8) {
                let Some(word) = word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) else {
                    continue;
                };
                let (slot, way) = if let Some((slot, to)) = word.split_once("->-") {
                    (slot, (own.clone(), to.to_owned()))
                } else if let Some((slot, from)) = word.split_once("-<-") {
                    (slot, (from.to_owned(), own.clone()))
                } else {
                    continue;
                };
                if let Ok(slot) = slot.parse() {
                    self.moving.insert(slot, way);
                }
            }
        }
    }

    fn is_alike(&self, other: &Self, slot: usize) -> bool {
        self.owners.get(slot) == other.owners.get(slot)
            && self.moving.get(&slot) == other.moving.get(&slot)
    }
}

impl Passes {
    pub(super) fn new() -> Self {
        Self { left: PASSES_MAX, begun: None, slots: vec![Slot::default(); SLOTS] }
    }

    /// Whether something may have been missed, now that the layout is this. An error where that does not end.
    pub(super) fn is_needed(&mut self, now: &Layout) -> Result<bool, Failure> {
        if let Some(begun) = self.begun.take() {
            for (number, slot) in self.slots.iter_mut().enumerate() {
                let enough = if now.moving.contains_key(&number) { 2 } else { 1 };
                slot.alike = if begun.is_alike(now, number) { slot.alike + 1 } else { 0 };
                slot.is_sure |= slot.alike >= enough;
            }
        }
        if self.slots.iter().all(|slot| slot.is_sure) {
            return Ok(false);
        }
        if self.left > 0 {
            return Ok(true);
        }
        let reason = "slots moved to and fro all the while: keys of them may be left".to_owned();
        Err(Failure { reason, ..Failure::unreadable() })
    }

    /// All was looked through, begun with this layout.
    pub(super) fn note(&mut self, layout: Layout) {
        self.left = self.left.saturating_sub(1);
        self.begun = Some(layout);
    }

    /// Nothing counts that was seen before.
    pub(super) fn begin_anew(&mut self) {
        self.begun = None;
        self.slots.fill(Slot::default());
    }
}

#[cfg(test)]
mod tests;
