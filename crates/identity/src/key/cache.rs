//! What was read of all keys a moment ago. Because it is the whole list, an id that is not on it is known for an invented
//! one: a flood of those fills no memory, asks the store no more than one key does, and hides no real key. Asks nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::api_key::Row;
use tokio::time::Instant;

use super::Known;
use crate::Settings;
use crate::scope::Scopes;

/// How long after the list was read for a key that was not on it others are said not to be on it, too: one that was made
/// elsewhere since is missed for as long.
const MISSED_MAX: Duration = Duration::from_secs(1);

/// A key as it was read.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) hash: [u8; 32],
    pub(super) known: Known,
    pub(super) revoked: Option<Timestamp>,
}

/// What is remembered of an id.
#[derive(Debug)]
pub(super) enum Memory {
    /// Its key, good for now.
    Known(Kept),
    /// Its key was to be read again by now.
    Stale,
    /// There is no such key.
    Unknown,
    /// Nobody can say, and the store was asked a moment ago.
    Away,
    /// Nothing.
    Nothing,
}

/// How far the reading of the list was when somebody wanted it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Since when it has been wanted.
    pub(super) since: Instant,
    /// Readings that have ended, well or not.
    pub(super) ended: u64,
    read: u64,
}

/// The list, and who was used.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: HashMap<Arc<str>, Kept>,
    /// When the store was asked for what is kept.
    read: Option<Timestamp>,
    /// When the store last could not say, unless it could since.
    failed: Option<Timestamp>,
    /// When the list was last read for the sake of a key that was not on it.
    missed: Option<Timestamp>,
    /// Since when the list is being read; one reading at a time.
    wanted: Option<Instant>,
    ended: u64,
    reads: u64,
    /// Grows with every key that is made or revoked here: what was read before is not kept after it.
    changes: u64,
    used: HashMap<Arc<str>, Timestamp>,
}

impl Kept {
    pub(super) fn of(row: Row) -> Self {
        let known = Known {
            id: row.id.into(),
            name: row.name.into(),
            scopes: Scopes::kept(&row.scopes),
            expires: row.expires_at,
        };
        Self { hash: row.token_hash, known, revoked: row.revoked_at }
    }

    fn has_ended_before(&self, before: Timestamp) -> bool {
        [self.revoked, self.known.expires].iter().flatten().any(|ended| *ended < before)
    }
}

/// A clock that was put back makes nothing last longer.
fn is_within(since: Option<Timestamp>, span: Duration, now: Timestamp) -> bool {
    since.is_some_and(|since| since <= now && now < since.plus(span))
}

impl Cache {
    pub(super) fn find(&self, id: &str, settings: &Settings, now: Timestamp) -> Memory {
        let (cache, grace) = (settings.key_cache.0, settings.key_grace.0);
        let Some(kept) = self.kept.get(id) else {
            let lately = cache.min(MISSED_MAX);
            return match () {
                () if is_within(self.failed, lately, now) => Memory::Away,
                () if is_within(self.missed, lately, now) && self.read >= self.missed => {
                    Memory::Unknown
                }
                () => Memory::Nothing,
            };
        };
        let is_excused = is_within(self.failed, cache, now) && is_within(self.read, grace, now);
        if is_excused || is_within(self.read, cache, now) {
            Memory::Known(kept.clone())
        } else {
            Memory::Stale
        }
    }

    /// What is known now that the list was waited for: by a reading that ended since, else for as long as a store that does
    /// not answer is excused.
    pub(super) fn settle(
        &self,
        id: &str,
        wanted: Wanted,
        settings: &Settings,
        now: Timestamp,
    ) -> Memory {
        let is_read = self.reads > wanted.read;
        match self.kept.get(id) {
            Some(kept) if is_read || self.has_grace(settings, now) => Memory::Known(kept.clone()),
            None if is_read => Memory::Unknown,
            _ => Memory::Away,
        }
    }

    /// Whether a key that is known goes on although the list cannot be read.
    pub(super) fn has_grace(&self, settings: &Settings, now: Timestamp) -> bool {
        is_within(self.read, settings.key_grace.0, now)
    }

    /// Whether the list is worth reading before anybody has to wait for it.
    pub(super) fn is_half_stale(&self, settings: &Settings, now: Timestamp) -> bool {
        let half = settings.key_cache.0 / 2;
        !is_within(self.read, half, now) && !is_within(self.failed, half, now)
    }

    /// Wants the list; true when nobody did yet.
    pub(super) fn want(&mut self) -> (Wanted, bool) {
        let is_first = self.wanted.is_none();
        let since = *self.wanted.get_or_insert_with(Instant::now);
        (Wanted { since, ended: self.ended, read: self.reads }, is_first)
    }

    /// Wants it for a key that is not on it.
    pub(super) fn want_missing(&mut self, now: Timestamp) -> (Wanted, bool) {
        let (wanted, is_first) = self.want();
        if is_first {
            self.missed = Some(now);
        }
        (wanted, is_first)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The list as it was read at `now`, when there had been so many changes; false when one overtook it.
    pub(super) fn replace(&mut self, rows: Vec<Row>, changes: u64, now: Timestamp) -> bool {
        if self.changes != changes {
            return false;
        }
        let kept = rows.into_iter().map(Kept::of);
        self.kept = kept.map(|kept| (Arc::clone(&kept.known.id), kept)).collect();
        (self.read, self.failed) = (Some(now), None);
        self.reads += 1;
        self.end();
        true
    }

    /// The list could not be read.
    pub(super) fn fail(&mut self, now: Timestamp) {
        self.failed = Some(now);
        self.end();
    }

    fn end(&mut self) {
        self.wanted = None;
        self.ended += 1;
    }

    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    /// A key that was just made here.
    pub(super) fn add(&mut self, kept: Kept) {
        self.changes += 1;
        self.kept.insert(Arc::clone(&kept.known.id), kept);
    }

    /// A key that was just revoked here.
    pub(super) fn revoke(&mut self, id: &str, now: Timestamp) {
        self.changes += 1;
        if let Some(kept) = self.kept.get_mut(id) {
            kept.revoked.get_or_insert(now);
        }
    }

    /// A key of which nobody knows whether it was revoked: what was read of it is no more.
    pub(super) fn forget(&mut self, id: &str) {
        self.changes += 1;
        self.kept.remove(id);
    }

    /// Whether keys are kept that ended so long ago.
    pub(super) fn has_ended_before(&self, before: Timestamp) -> bool {
        self.kept.values().any(|kept| kept.has_ended_before(before))
    }

    pub(super) fn note_use(&mut self, id: &Arc<str>, now: Timestamp) {
        self.used.insert(Arc::clone(id), now);
    }

    /// Who was used since this was last asked.
    pub(super) fn take_uses(&mut self) -> HashMap<Arc<str>, Timestamp> {
        std::mem::take(&mut self.used)
    }

    /// Uses that could not be written.
    pub(super) fn put_back(&mut self, uses: HashMap<Arc<str>, Timestamp>) {
        for (id, used) in uses {
            self.used.entry(id).or_insert(used);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    #[cfg(test)]
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }
}
