//! Visitor ids that nobody can trace back: a keyed hash that changes every UTC day and whose key is destroyed; keeps no address.
//!
//! id = first 128 bits of HMAC-SHA256(salt of the day, site ‖ 0 ‖ full client address ‖ user agent). Salts lie in the
//! store (`visitor_salt`) so that restarts and other processes agree; the reconciler in `retain` destroys those older
//! than yesterday's, after which the ids in the tables are random numbers to everybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use mainstay_base::{Entropy, Timestamp, entropy};
use mainstay_store::{Store, visitor_salt};
use sha2::Sha256;
use uuid::{Builder, Uuid};

/// Seconds of a UTC day; leap seconds are not counted in Unix time.
const DAY_SECONDS: i64 = 86_400;

/// The salts of a day cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store cannot answer.
    #[error("the salt of the day cannot be read")]
    Store(#[from] mainstay_store::Error),
    /// No random bytes for a new one.
    #[error("the salt of the day cannot be made")]
    Entropy(#[from] entropy::Exhausted),
}

/// The UTC day of an instant, in days since the epoch.
#[must_use]
pub fn day_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(DAY_SECONDS)
}

/// Makes the ids of one day.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// From the day's salt.
    #[must_use]
    pub fn new(salt: [u8; 16]) -> Self {
        // HMAC fills a short key up with zeros to the block of its hash (RFC 2104 §2).
        let mut block = [0; 64];
        block[..salt.len()].copy_from_slice(&salt);
        Self(Hmac::new(&block.into()))
    }

    /// The visitor's id of that day.
    #[must_use]
    pub fn id(&self, site: &str, client: IpAddr, user_agent: &str) -> Uuid {
        let mut mac = self.0.clone();
        mac.update(site.as_bytes());
        mac.update(&[0]);
        mac.update(&in_sixteen_bytes(client).octets());
        mac.update(user_agent.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        Builder::from_custom_bytes(id).into_uuid()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key([redacted])")
    }
}

fn in_sixteen_bytes(client: IpAddr) -> Ipv6Addr {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The keys a request of one day may need.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) day: i64,
    pub(crate) today: Key,
    /// For visits that began before midnight.
    pub(crate) yesterday: Key,
}

/// The keys of the present day, read from the store once a day.
#[derive(Debug)]
pub(crate) struct Salts {
    store: Store,
    entropy: Entropy,
    cached: RwLock<Option<Arc<Keys>>>,
    /// Held while a day's salts are read, so that midnight asks the store once and not once per request.
    loading: tokio::sync::Mutex<()>,
    /// Salts made while a shared database was away, until it says whether they are everybody's: events go on, and only a
    /// visitor whom another process met meanwhile is taken for two.
    provisional: Mutex<BTreeMap<i64, [u8; 16]>>,
    /// The day on which old salts were last destroyed.
    destroyed: AtomicI64,
}

impl Salts {
    pub(crate) fn new(store: Store, entropy: Entropy) -> Self {
        Self {
            store,
            entropy,
            cached: RwLock::default(),
            loading: tokio::sync::Mutex::default(),
            provisional: Mutex::default(),
            destroyed: AtomicI64::new(i64::MIN),
        }
    }

    /// The keys of a day.
    pub(crate) async fn find(&self, day: i64) -> Result<Arc<Keys>, Error> {
        if let Some(keys) = self.cached(day) {
            return Ok(keys);
        }
        let _one = self.loading.lock().await;
        if let Some(keys) = self.cached(day) {
            return Ok(keys);
        }
        // Boxed: every event would carry room for what is read once a day.
        let keys = match Box::pin(self.read_both(day)).await {
            Err(Error::Store(error)) if error.retryable && self.store.core().is_shared() => {
                let (today, yesterday) = (self.propose(day)?, self.propose(day - 1)?);
                let (today, yesterday) = (Key::new(today), Key::new(yesterday));
                return Ok(Arc::new(Keys { day, today, yesterday }));
            }
            keys => Arc::new(keys?),
        };
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        // A request received just before midnight must not push the new day's keys out.
        if cached.as_ref().is_none_or(|newest| newest.day < day) {
            *cached = Some(Arc::clone(&keys));
        }
        Ok(keys)
    }

    /// Destroys the salts of every day before yesterday, on disk and in memory.
    ///
    /// A salt lives from the first event of its day to the end of the next: 48 hours at most.
    pub(crate) async fn destroy_old(&self, today: i64) -> Result<u64, Error> {
        {
            let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
            if cached.as_ref().is_some_and(|keys| keys.day < today) {
                *cached = None;
            }
            self.lock_provisional().retain(|day, _| *day >= today - 1);
        }
        let gone = visitor_salt::delete_before(self.store.core(), today - 1).await?;
        self.destroyed.store(today, Ordering::Relaxed);
        Ok(gone)
    }

    /// Whether this process has destroyed what was to be destroyed today.
    pub(crate) fn are_destroyed(&self, today: i64) -> bool {
        self.destroyed.load(Ordering::Relaxed) == today
    }

    fn cached(&self, day: i64) -> Option<Arc<Keys>> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|keys| keys.day == day).cloned()
    }

    async fn read_both(&self, day: i64) -> Result<Keys, Error> {
        let (today, yesterday) = (self.read(day).await?, self.read(day - 1).await?);
        Ok(Keys { day, today, yesterday })
    }

    async fn read(&self, day: i64) -> Result<Key, Error> {
        let fresh = match self.lock_provisional().get(&day) {
            Some(proposed) => *proposed,
            None => self.entropy.bytes()?,
        };
        let key = Key::new(visitor_salt::find_or_create(self.store.core(), day, fresh).await?);
        self.lock_provisional().remove(&day);
        Ok(key)
    }

    /// The salt that this process will propose for a day.
    fn propose(&self, day: i64) -> Result<[u8; 16], Error> {
        let fresh = self.entropy.bytes()?;
        Ok(*self.lock_provisional().entry(day).or_insert(fresh))
    }

    fn lock_provisional(&self) -> MutexGuard<'_, BTreeMap<i64, [u8; 16]>> {
        self.provisional.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
