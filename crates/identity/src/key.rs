//! API keys: made once and shown once, found by the id in their text, judged by their hash. Knows no HTTP.
//!
//! All keys are read together, by one reader, while keys are used (`cache`). A revoked key is refused at once by the process
//! that revoked it, and by others within `identity.key_cache`. While the store does not answer, what was known of a key goes
//! on for `identity.key_grace`.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_base::secret::{ExposeSecret, SecretString};
use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Coded, Entropy, ErrorCode, Timestamp};
use mainstay_store::Store;
use mainstay_store::api_key::{self, Row};
use subtle::ConstantTimeEq;
use tokio::sync::{Notify, watch};
use tokio::time::timeout_at;

use crate::Settings;
use crate::scope::Scopes;
use crate::token::hash;

mod cache;
mod error;
mod text;

use cache::{Cache, Kept, Memory, Wanted};

pub use error::Error;
pub use text::PREFIX;

/// Longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Longest time until a key ends by itself, 100 years: beyond the year 9999 no format of ours tells times.
pub const LIFETIME_MAX: Duration = Duration::from_secs(36_525 * 86_400);
/// Ids are random; two alike in a row mean that something else is wrong.
const TRIES: usize = 3;
/// How long a key that was known waits for the list to be read again before it goes on as it was known.
const KNOWN_WAITS: Duration = Duration::from_secs(1);
/// How long a key waits of which nothing is known.
const UNKNOWN_WAITS: Duration = Duration::from_secs(5);

/// Who a key makes its holder: what is logged of what it does, and never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Eight characters, part of the key's text.
    pub id: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// What it may do.
    pub scopes: Scopes,
    /// When it ends by itself; none: never.
    pub expires: Option<Timestamp>,
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.name)
    }
}

/// A key as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who it is and what it may do.
    pub known: Known,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last used, at most `identity.key_use_every` behind.
    pub last_used: Option<Timestamp>,
    /// When it was ended by hand.
    pub revoked: Option<Timestamp>,
}

/// All keys. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    store: Store,
    clock: Clock,
    entropy: Entropy,
    cache: Mutex<Cache>,
    /// Wakes the reader of the list.
    wanted: Notify,
    /// How many readings of the list have ended.
    ended: watch::Sender<u64>,
    /// Unknown keys that wait for the list.
    waiting: AtomicUsize,
    known_waits: Duration,
}

/// One who waits, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keys {
    /// Nothing is read or written yet.
    #[must_use]
    pub fn new(settings: Settings, store: Store, clock: Clock, entropy: Entropy) -> Self {
        Self::waiting_for(KNOWN_WAITS, settings, store, (clock, entropy))
    }

    fn waiting_for(
        known_waits: Duration,
        settings: Settings,
        store: Store,
        (clock, entropy): (Clock, Entropy),
    ) -> Self {
        Self(Arc::new(Inner {
            settings,
            store,
            clock,
            entropy,
            cache: Mutex::default(),
            wanted: Notify::new(),
            ended: watch::Sender::new(0),
            waiting: AtomicUsize::new(0),
            known_waits,
        }))
    }

    /// Starts the one who reads the keys, now and whenever they are wanted, and the one who notes when they were used and
    /// forgets those that ended long ago.
    pub fn start(&self, group: &Group) {
        let (reader, keys) = (self.clone(), self.clone());
        self.wake(self.cache().want());
        group.spawn("list of API keys", |stop| reader.read_when_wanted(stop));
        group.spawn("uses of API keys", |stop| keys.look_after(stop));
    }

    /// Makes a key; its text is told here and never again.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Lifetime`], [`Error::Full`], [`Error::Store`], [`Error::Entropy`].
    pub async fn create(
        &self,
        name: &str,
        scopes: Scopes,
        lifetime: Option<Duration>,
    ) -> Result<(SecretString, Known), Error> {
        let Inner { settings, store, clock, entropy, .. } = &*self.0;
        let name = name.trim();
        let chars = name.chars().count();
        if !(1..=NAME_CHARS_MAX).contains(&chars) || name.chars().any(char::is_control) {
            return Err(Error::Name);
        }
        if lifetime.is_some_and(|lifetime| lifetime > LIFETIME_MAX) {
            return Err(Error::Lifetime);
        }
        let now = clock.now();
        if api_key::count_live(store.core(), now).await? >= i64::from(settings.keys_max) {
            return Err(Error::Full(settings.keys_max));
        }
        self.forget_ended(now).await;
        let mut tries = 0;
        loop {
            tries += 1;
            let (id, text) = text::generate(entropy)?;
            let row = Row {
                id,
                name: name.into(),
                token_hash: hash(text.expose_secret()),
                scopes: scopes.to_string(),
                created_at: now,
                expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
                last_used: None,
                revoked_at: None,
            };
            match api_key::create(store.core(), &row).await {
                Err(error) if error.code() == ErrorCode::Conflict && tries < TRIES => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    let kept = Kept::of(row);
                    self.cache().add(kept.clone());
                    return Ok((text, kept.known));
                }
            }
        }
    }

    /// Keys in the order of their ids, those after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<Listed>, Error> {
        let rows = api_key::list(self.0.store.core(), after, limit).await?;
        let listed = |row: Row| Listed {
            created: row.created_at,
            last_used: row.last_used,
            revoked: row.revoked_at,
            known: Kept::of(row).known,
        };
        Ok(rows.into_iter().map(listed).collect())
    }

    /// Ends a key: refused here from now on. False when there is none of this id, or it was ended before.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke(&self, id: &str) -> Result<bool, Error> {
        let now = self.0.clock.now();
        let revoked = api_key::revoke(self.0.store.core(), id, now).await;
        match &revoked {
            Ok(_) => self.cache().revoke(id, now),
            // It may have been made all the same.
            Err(_) => self.cache().forget(id),
        }
        Ok(revoked?)
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Unknown`], [`Error::Expired`], [`Error::Revoked`], [`Error::Crowded`],
    /// [`Error::Away`].
    pub async fn verify(&self, presented: &str) -> Result<Known, Error> {
        let id = text::find_id(presented).map_err(|_| Error::Malformed)?;
        let kept = self.find(id).await?;
        if !bool::from(kept.hash.ct_eq(&hash(presented))) {
            return Err(Error::Unknown);
        }
        if kept.revoked.is_some() {
            return Err(Error::Revoked);
        }
        // Not earlier: it may have been waited for.
        let now = self.0.clock.now();
        if kept.known.expires.is_some_and(|expires| expires <= now) {
            return Err(Error::Expired);
        }
        self.cache().note_use(&kept.known.id, now);
        Ok(kept.known)
    }

    /// The key of this id, from the list; waits for it to be read where it is too old.
    async fn find(&self, id: &str) -> Result<Kept, Error> {
        let Inner { settings, clock, .. } = &*self.0;
        let (wanted, is_known, has_grace) = {
            let mut cache = self.cache();
            let now = clock.now();
            let is_known = match cache.find(id, settings, now) {
                Memory::Known(kept) => {
                    if cache.is_half_stale(settings, now) {
                        self.wake(cache.want());
                    }
                    return Ok(kept);
                }
                Memory::Unknown => return Err(Error::Unknown),
                Memory::Away => return Err(Error::Away),
                Memory::Stale => true,
                Memory::Nothing => false,
            };
            let wanted = if is_known { cache.want() } else { cache.want_missing(now) };
            (self.wake(wanted), is_known, is_known && cache.has_grace(settings, now))
        };
        let _waiting =
            if is_known { None } else { Some(self.begin_waiting().ok_or(Error::Crowded)?) };
        // One that goes on in any case is not held up for long; one that was not used for long must be read first.
        let waits = if has_grace { self.0.known_waits } else { UNKNOWN_WAITS };
        let mut ended = self.0.ended.subscribe();
        let over = ended.wait_for(|ended| *ended > wanted.ended);
        // Whether in time or not: the list says what is known now.
        drop(timeout_at(wanted.since + waits, over).await);
        match self.cache().settle(id, wanted, settings, clock.now()) {
            Memory::Known(kept) => Ok(kept),
            Memory::Unknown => Err(Error::Unknown),
            Memory::Stale | Memory::Away | Memory::Nothing => Err(Error::Away),
        }
    }

    /// Wakes the reader where nobody wanted the list before.
    fn wake(&self, (wanted, is_first): (Wanted, bool)) -> Wanted {
        if is_first {
            self.0.wanted.notify_one();
        }
        wanted
    }

    fn begin_waiting(&self) -> Option<Waiting<'_>> {
        let (waiting, max) = (&self.0.waiting, self.0.settings.key_waiters_max);
        let more = |n: usize| (n < max).then_some(n + 1);
        let begun = waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        begun.ok().map(|_| Waiting(waiting))
    }

    async fn read_when_wanted(self, stop: Stop) -> Result<(), std::convert::Infallible> {
        let reading = async {
            loop {
                self.0.wanted.notified().await;
                self.read().await;
            }
        };
        tokio::select! {
            () = stop.soft() => Ok(()),
            () = reading => Ok(()),
        }
    }

    /// Reads the list. What a key that was made or revoked here overtook is read again.
    async fn read(&self) {
        let Inner { settings, store, clock, .. } = &*self.0;
        let ended = loop {
            let (changes, now) = (self.cache().changes(), clock.now());
            // Who lowers the bound ends none by that. As many that ended as may live: of others nobody is told how they did.
            let rows = api_key::list_latest(store.core(), now, settings.keys_max).await;
            let mut cache = self.cache();
            let is_settled = match rows {
                Ok(rows) => cache.replace(rows, changes, now),
                // Whoever else asks the store tells why it is away.
                Err(_) => {
                    cache.fail(clock.now());
                    true
                }
            };
            if is_settled {
                break cache.ended();
            }
        };
        self.0.ended.send_replace(ended);
    }

    async fn look_after(self, stop: Stop) -> Result<(), std::convert::Infallible> {
        while stop.rested(self.0.settings.key_use_every.0).await {
            // Where nothing was used nothing is asked: a database that sleeps is not woken for it.
            if self.note_uses().await {
                let now = self.0.clock.now();
                if self.cache().has_ended_before(now.minus(self.0.settings.ended_keys_kept.0)) {
                    self.forget_ended(now).await;
                }
            }
        }
        self.note_uses().await;
        Ok(())
    }

    /// Writes when keys were used since this was last done, and says whether any were. What cannot be written now is
    /// written later.
    async fn note_uses(&self) -> bool {
        let uses = self.cache().take_uses();
        if uses.is_empty() {
            return false;
        }
        let noted = api_key::touch(self.0.store.core(), &uses).await;
        if noted.is_err() {
            self.cache().put_back(uses);
        }
        noted.is_ok()
    }

    /// Forgets keys that ended long ago. What cannot be forgotten now is forgotten later; whoever else asks the store tells
    /// why it is away.
    async fn forget_ended(&self, now: Timestamp) {
        let before = now.minus(self.0.settings.ended_keys_kept.0);
        drop(api_key::delete_ended(self.0.store.core(), before).await);
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
