//! API keys: made once and shown once, found by the id in their text, judged by their hash. Knows no HTTP.
//!
//! A revoked key is refused at once by the process that revoked it, and by others within `identity.key_cache`. While the
//! store does not answer, what was known of a key goes on for `identity.key_grace`.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mainstay_base::entropy::Exhausted;
use mainstay_base::secret::{ExposeSecret, SecretString};
use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Coded, Entropy, ErrorCode, Timestamp};
use mainstay_store::Store;
use mainstay_store::api_key::{self, Row};
use subtle::ConstantTimeEq;

use crate::Settings;
use crate::scope::Scopes;
use crate::token::hash;

mod cache;
mod text;

use cache::{Cache, Kept, Memory};

pub use text::PREFIX;

/// Longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 100;
/// Ids are random; two alike in a row mean that something else is wrong.
const TRIES: usize = 3;

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

/// Why a key was not made, not found, or does not count.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no key, or not the whole of one.
    #[error("this is no whole API key: it was mistyped or cut off")]
    Malformed,
    /// No key has this text: one answer whether the id is unknown or the rest is wrong.
    #[error("no API key is like this")]
    Unknown,
    /// It was the right one until its day.
    #[error("this API key has expired")]
    Expired,
    /// It was the right one until somebody ended it.
    #[error("this API key was revoked")]
    Revoked,
    /// Too many unknown keys are being looked up.
    #[error("too many unknown API keys are being looked up")]
    Crowded,
    /// A name that is none.
    #[error(
        "the name of a key is 1 to {NAME_CHARS_MAX} characters, none of them a control character"
    )]
    Name,
    /// There are as many as may be.
    #[error("there are {0} API keys already, as many as identity.keys_max allows: revoke one")]
    Full(u32),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] mainstay_store::Error),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] Exhausted),
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed | Self::Unknown | Self::Expired | Self::Revoked => {
                ErrorCode::Unauthenticated
            }
            Self::Crowded => ErrorCode::Unavailable,
            Self::Name => ErrorCode::Invalid,
            Self::Full(_) => ErrorCode::Conflict,
            Self::Store(error) => error.code(),
            Self::Entropy(_) => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        match self {
            Self::Malformed => "This is no whole API key: it was mistyped or cut off.".into(),
            Self::Unknown => "No API key is like this.".into(),
            Self::Expired => "This API key has expired.".into(),
            Self::Revoked => "This API key was revoked.".into(),
            Self::Name | Self::Full(_) => self.to_string(),
            Self::Crowded | Self::Store(_) | Self::Entropy(_) => {
                "API keys cannot be looked up right now.".into()
            }
        }
    }
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
    /// Look-ups of keys that nothing is known of.
    looking: AtomicUsize,
}

/// A look-up that is under way, until this is dropped.
struct Looking<'a>(&'a AtomicUsize);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Keys {
    /// Nothing is read or written yet.
    #[must_use]
    pub fn new(settings: Settings, store: Store, clock: Clock, entropy: Entropy) -> Self {
        let (cache, looking) = (Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Inner { settings, store, clock, entropy, cache, looking }))
    }

    /// Starts the one who notes when keys were used and forgets those that ended long ago.
    pub fn start(&self, group: &Group) {
        let keys = self.clone();
        group.spawn("uses of API keys", |stop| keys.look_after(stop));
    }

    /// Makes a key; its text is told here and never again.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Full`], [`Error::Store`], [`Error::Entropy`].
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
                    self.cache().forget_invented(&row.id);
                    return Ok((text, Kept::of(row, now).known));
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
            known: Kept::of(row, Timestamp::EPOCH).known,
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
        // Whatever became of it: what was read before may be no more.
        self.cache().revoke(id);
        Ok(revoked?)
    }

    /// Whose key this is.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Unknown`], [`Error::Expired`], [`Error::Revoked`], [`Error::Crowded`],
    /// [`Error::Store`].
    pub async fn verify(&self, presented: &str) -> Result<Known, Error> {
        let id = text::find_id(presented).map_err(|_| Error::Malformed)?;
        let settings = &self.0.settings;
        let now = self.0.clock.now();
        let memory = self.cache().find(id, settings, now);
        let kept = match memory {
            Memory::Fresh(kept) => kept,
            Memory::Invented => return Err(Error::Unknown),
            Memory::Stale(kept) => match self.look_up(id).await {
                Err(Error::Store(_)) if kept.is_excused(settings, now) => {
                    self.cache().excuse(id, now);
                    kept
                }
                found => found?,
            },
            Memory::Nothing => {
                let _looking = self.begin_looking().ok_or(Error::Crowded)?;
                self.look_up(id).await?
            }
        };
        if !bool::from(kept.hash.ct_eq(&hash(presented))) {
            return Err(Error::Unknown);
        }
        if kept.revoked {
            return Err(Error::Revoked);
        }
        if kept.known.expires.is_some_and(|expires| expires <= now) {
            return Err(Error::Expired);
        }
        self.cache().note_use(id, settings, now);
        Ok(kept.known)
    }

    /// Asks the store, and remembers what it said.
    async fn look_up(&self, id: &str) -> Result<Kept, Error> {
        let revocations = self.cache().revocations();
        let now = self.0.clock.now();
        let row = api_key::find(self.0.store.core(), id).await?;
        self.remember(id, row, revocations, now)
    }

    /// Remembers what was read at `now`, when there had been so many revocations: what a revocation overtook is not kept.
    fn remember(
        &self,
        id: &str,
        row: Option<Row>,
        revocations: u64,
        now: Timestamp,
    ) -> Result<Kept, Error> {
        let settings = &self.0.settings;
        let mut cache = self.cache();
        let Some(row) = row else {
            cache.keep_invented(id, settings, now);
            return Err(Error::Unknown);
        };
        let kept = Kept::of(row, now);
        if cache.revocations() == revocations {
            cache.keep(kept.clone(), settings);
        }
        Ok(kept)
    }

    fn begin_looking(&self) -> Option<Looking<'_>> {
        let (looking, max) = (&self.0.looking, self.0.settings.key_lookups_max);
        let more = |n: usize| (n < max).then_some(n + 1);
        let begun = looking.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        begun.ok().map(|_| Looking(looking))
    }

    async fn look_after(self, stop: Stop) -> Result<(), std::convert::Infallible> {
        while stop.rested(self.0.settings.key_use_every.0).await {
            // Where nothing was used nothing is asked: a database that sleeps is not woken for it.
            if self.note_uses().await {
                self.forget_ended(self.0.clock.now()).await;
            }
        }
        self.note_uses().await;
        Ok(())
    }

    /// Writes when keys were used since this was last done, and says whether any were. What cannot be written now is
    /// written later.
    async fn note_uses(&self) -> bool {
        let mut uses = self.cache().take_uses().into_iter();
        let any = uses.len() > 0;
        while let Some((id, used)) = uses.next() {
            if api_key::touch(self.0.store.core(), &id, used).await.is_err() {
                self.cache().put_back(std::iter::once((id, used)).chain(uses));
                return false;
            }
        }
        any
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
