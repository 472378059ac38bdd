//! Which slots were looked through for sure while slots move from one server to another. Only compares.
//!
//! A slot that lay still during a pass was looked through. Of a slot on its way keys go one way alone: what a pass missed,
//! because it left a server that was not looked through yet for one that was, has arrived when the next begins; two are
//! enough then. Both of its servers must be looked through: one that gets its first slot is in nobody's list yet, and where
//! `CLUSTER NODES` is forbidden nobody tells of it. What is sure stays so wherever the slot goes later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::server::failure::Failure;
use crate::server::look::{Member, Range};

const SLOTS: usize = 16_384;
/// How often the servers are looked through. A slot that begins to move in one pass and ends in another needs four; servers
/// tell one another with delay.
const PASSES_MAX: usize = 8;

/// Who has which slots, and which are on their way, as each server says of itself: what it says of others may be old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Those who were asked, and are looked through.
    servers: BTreeSet<String>,
    /// Who says that a slot is its own; for a moment at the end of its way two may.
    owners: Vec<Option<Arc<str>>>,
    /// Slots on their way, from whom to whom.
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
    pub(super) fn new() -> Self {
        Self { servers: BTreeSet::new(), owners: vec![None; SLOTS], moving: BTreeMap::new() }
    }

    /// Adds what a server says of its slots, in its own line of `CLUSTER NODES`: those it has, and those on their way as
    /// `[slot->-to]` and `[slot-<-from]`, which no other server knows of.
    pub(super) fn note_told(&mut self, told: &str) {
        let is_own = |line: &&str| {
            let mut flags = line.split(' ').nth(2).into_iter().flat_map(|flags| flags.split(','));
            flags.any(|flag| flag == "myself")
        };
        for line in told.lines().filter(is_own) {
            let id = line.split(' ').next().unwrap_or_default();
            self.servers.insert(id.to_owned());
            for word in line.split(' ').skip(8) {
                match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
                    Some(word) => self.note_moving(id, word),
                    None => self.note_own(id, word),
                }
            }
        }
    }

    /// The same of a server that does not tell: its ACL may leave out `CLUSTER NODES`. Any slot of it may be on its way.
    pub(super) fn note_untold(&mut self, server: &Member, ranges: &[Range]) {
        let name = format!("{}:{}", server.host, server.port);
        self.servers.insert(name.clone());
        for range in ranges.iter().filter(|range| range.primary == *server) {
            for slot in range.slots.clone().take_while(|slot| *slot < SLOTS) {
                self.add_owner(slot, &Arc::from(name.as_str()));
                self.moving.insert(slot, (name.clone(), name.clone()));
            }
        }
    }

    /// `7` or `7-9`.
    fn note_own(&mut self, id: &str, word: &str) {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else { return };
        let id = Arc::from(id);
        for slot in first..=last.min(SLOTS - 1) {
            self.add_owner(slot, &id);
        }
    }

    fn note_moving(&mut self, id: &str, word: &str) {
        let (slot, way) = if let Some((slot, to)) = word.split_once("->-") {
            (slot, (id.to_owned(), to.to_owned()))
        } else if let Some((slot, from)) = word.split_once("-<-") {
            (slot, (from.to_owned(), id.to_owned()))
        } else {
            return;
        };
        if let Ok(slot) = slot.parse() {
            self.moving.insert(slot, way);
        }
    }

    fn add_owner(&mut self, slot: usize, id: &Arc<str>) {
        if let Some(owner) = self.owners.get_mut(slot) {
            *owner = Some(match owner.take() {
                Some(other) => format!("{other} {id}").into(),
                None => Arc::clone(id),
            });
        }
    }

    /// Whether whoever may have keys of a slot is looked through.
    fn is_covered(&self, slot: usize) -> bool {
        let is_asked = |id: &String| self.servers.contains(id);
        let is_owned = self.owners.get(slot).is_some_and(Option::is_some);
        is_owned && self.moving.get(&slot).is_none_or(|(from, to)| is_asked(from) && is_asked(to))
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
                let is_alike = begun.is_covered(number) && begun.is_alike(now, number);
                slot.alike = if is_alike { slot.alike + 1 } else { 0 };
                slot.is_sure |= slot.alike >= enough;
            }
        }
        if self.slots.iter().all(|slot| slot.is_sure) {
            return Ok(false);
        }
        if self.left > 0 {
            return Ok(true);
        }
        let reason = "slots moved all the while, or are nobody's: keys of them may be left";
        Err(Failure { reason: reason.to_owned(), ..Failure::unreadable() })
    }

    /// Whether more were needed than of slots that move one after another.
    pub(super) fn are_many(&self) -> bool {
        self.left < PASSES_MAX / 2
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
