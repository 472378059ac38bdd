//! What was read of keys a moment ago, in bounded memory. Real keys and invented ones are kept apart, so that a flood of
//! the latter pushes none of the former out. Asks nobody.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::api_key::Row;

use super::Known;
use crate::Settings;
use crate::scope::Scopes;

/// A key as it was read.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) hash: [u8; 32],
    pub(super) known: Known,
    pub(super) revoked: bool,
    /// When the store said so.
    read: Timestamp,
    /// When the store was last asked.
    asked: Timestamp,
}

/// What is remembered of an id.
#[derive(Debug)]
pub(super) enum Memory {
    /// Read lately.
    Fresh(Kept),
    /// To be read again; until then it was so.
    Stale(Kept),
    /// There was no such key lately.
    Invented,
    /// Nothing.
    Nothing,
}

/// Keys read lately, ids that were no key's, and who was used.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: HashMap<String, Kept>,
    invented: HashMap<String, Timestamp>,
    /// The same ids, the oldest first.
    order: VecDeque<String>,
    used: HashMap<String, Timestamp>,
    /// Grows with every revocation: what was read before one must not be kept after it.
    revocations: u64,
}

impl Kept {
    pub(super) fn of(row: Row, now: Timestamp) -> Self {
        let known = Known {
            id: row.id.into(),
            name: row.name.into(),
            scopes: Scopes::kept(&row.scopes),
            expires: row.expires_at,
        };
        let revoked = row.revoked_at.is_some();
        Self { hash: row.token_hash, known, revoked, read: now, asked: now }
    }

    fn is_fresh(&self, settings: &Settings, now: Timestamp) -> bool {
        is_within(self.asked, settings.key_cache.0, now)
            && (self.asked == self.read || self.is_excused(settings, now))
    }

    /// Whether it counts while the store cannot say.
    pub(super) fn is_excused(&self, settings: &Settings, now: Timestamp) -> bool {
        is_within(self.read, settings.key_grace.0, now)
    }
}

/// A clock that was put back makes nothing last longer.
fn is_within(since: Timestamp, span: Duration, now: Timestamp) -> bool {
    since <= now && now < since.plus(span)
}

impl Cache {
    pub(super) fn find(&self, id: &str, settings: &Settings, now: Timestamp) -> Memory {
        if let Some(kept) = self.kept.get(id) {
            let fresh = kept.is_fresh(settings, now);
            return if fresh { Memory::Fresh(kept.clone()) } else { Memory::Stale(kept.clone()) };
        }
        match self.invented.get(id) {
            Some(read) if is_within(*read, settings.key_cache.0, now) => Memory::Invented,
            _ => Memory::Nothing,
        }
    }

    pub(super) fn revocations(&self) -> u64 {
        self.revocations
    }

    pub(super) fn keep(&mut self, kept: Kept, settings: &Settings) {
        let id = kept.known.id.to_string();
        self.invented.remove(&id);
        if !self.kept.contains_key(&id) && self.kept.len() >= settings.keys_cached_max {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.read);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                self.kept.remove(&oldest);
            }
        }
        self.kept.insert(id, kept);
    }

    /// The store could not say: what is kept counts a while longer before it is asked again.
    pub(super) fn excuse(&mut self, id: &str, now: Timestamp) {
        if let Some(kept) = self.kept.get_mut(id) {
            kept.asked = now;
        }
    }

    pub(super) fn keep_invented(&mut self, id: &str, settings: &Settings, now: Timestamp) {
        self.kept.remove(id);
        if self.invented.insert(id.to_owned(), now).is_none() {
            self.order.push_back(id.to_owned());
        }
        while self.order.len() > settings.keys_cached_max {
            if let Some(oldest) = self.order.pop_front() {
                self.invented.remove(&oldest);
            }
        }
    }

    /// Forgets what was read of a key that is revoked.
    pub(super) fn revoke(&mut self, id: &str) {
        self.revocations += 1;
        self.kept.remove(id);
    }

    /// A key that was just made is no invented one.
    pub(super) fn forget_invented(&mut self, id: &str) {
        self.invented.remove(id);
    }

    pub(super) fn note_use(&mut self, id: &str, settings: &Settings, now: Timestamp) {
        if let Some(used) = self.used.get_mut(id) {
            *used = now;
        } else if self.used.len() < settings.keys_cached_max {
            self.used.insert(id.to_owned(), now);
        }
    }

    /// Who was used since this was last asked.
    pub(super) fn take_uses(&mut self) -> HashMap<String, Timestamp> {
        std::mem::take(&mut self.used)
    }

    /// Uses that could not be written.
    pub(super) fn put_back(&mut self, uses: impl Iterator<Item = (String, Timestamp)>) {
        for (id, used) in uses {
            self.used.entry(id).or_insert(used);
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> [usize; 3] {
        [self.kept.len(), self.invented.len(), self.order.len()]
    }
}
