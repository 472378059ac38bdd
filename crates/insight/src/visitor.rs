//! Visitor ids that nobody can trace back: a keyed hash that changes every UTC day and whose key is destroyed; keeps no address.
//!
//! id = first 128 bits of HMAC-SHA256(salt of the day, site ‖ 0 ‖ full client address ‖ user agent). Salts lie in the
//! store (`visitor_salt`) so that restarts and other processes agree; the reconciler in `retain` destroys those older
//! than yesterday's, after which the ids in the tables are random numbers to everybody.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};

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
}

impl Salts {
    pub(crate) fn new(store: Store, entropy: Entropy) -> Self {
        Self { store, entropy, cached: RwLock::default(), loading: tokio::sync::Mutex::default() }
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
        let (today, yesterday) = (self.read(day).await?, self.read(day - 1).await?);
        let keys = Arc::new(Keys { day, today, yesterday });
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
        }
        Ok(visitor_salt::delete_before(self.store.core(), today - 1).await?)
    }

    fn cached(&self, day: i64) -> Option<Arc<Keys>> {
        let cached = self.cached.read().unwrap_or_else(PoisonError::into_inner);
        cached.as_ref().filter(|keys| keys.day == day).cloned()
    }

    async fn read(&self, day: i64) -> Result<Key, Error> {
        let fresh = self.entropy.bytes()?;
        Ok(Key::new(visitor_salt::find_or_create(self.store.core(), day, fresh).await?))
    }
}

#[cfg(test)]
mod tests;
