//! State of this process alone: bounded memory, a monotonic clock, nothing on disk. Also what answers while Redis is away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::lease::{Grant, Lease};
use crate::{Error, Settings, pattern};

/// What an entry costs beside its key and its bytes: the cache's own bookkeeping, rounded up.
const ENTRY: u64 = 128;
/// Size of a usual entry, to begin with; the memory itself is bounded by weight.
const USUAL: u64 = 2_048;

/// Values, counters and leases.
#[derive(Debug)]
pub(crate) struct Local {
    values: Cache<String, Value, Weight>,
    counters: Mutex<HashMap<String, Counter>>,
    leases: Mutex<HashMap<String, Held>>,
    /// Tokens of all names together: whatever is forgotten of a name, its next token is greater.
    token: AtomicU64,
    counters_max: usize,
    leases_max: usize,
}

#[derive(Clone, Debug)]
struct Value {
    bytes: Bytes,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Counter {
    value: i64,
    until: Instant,
}

#[derive(Debug)]
struct Held {
    owner: String,
    token: u64,
    until: Instant,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<String, Value> for Weight {
    fn weight(&self, key: &String, value: &Value) -> u64 {
        ENTRY + key.len() as u64 + value.bytes.len() as u64
    }
}

impl Local {
    pub(crate) fn new(settings: &Settings) -> Self {
        let max = settings.memory_bytes_max.0;
        Self {
            values: Cache::with_weighter((max / USUAL) as usize, max, Weight),
            counters: Mutex::default(),
            leases: Mutex::default(),
            token: AtomicU64::new(0),
            counters_max: settings.counters_max.max(1) as usize,
            leases_max: settings.leases_max.max(1) as usize,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<Bytes> {
        let now = Instant::now();
        let found = self.values.get(key)?;
        if found.until > now {
            return Some(found.bytes);
        }
        // Unless somebody wrote it anew meanwhile.
        self.values.remove_if(key, |value| value.until <= now);
        None
    }

    pub(crate) fn set(&self, key: &str, bytes: Bytes, ttl: Duration) {
        let until = later(ttl);
        self.values.insert(key.to_owned(), Value { bytes, until });
    }

    pub(crate) fn delete(&self, key: &str) {
        self.values.remove(key);
    }

    /// Deletes what a pattern means and tells how many there were.
    pub(crate) fn invalidate(&self, pattern: &str) -> u64 {
        let (now, count) = (Instant::now(), std::cell::Cell::new(0));
        self.values.retain(|key, value| {
            let is_meant = pattern::matches(pattern, key);
            count.set(count.get() + u64::from(is_meant && value.until > now));
            !is_meant
        });
        count.get()
    }

    /// Memory of the values.
    pub(crate) fn count_bytes(&self) -> u64 {
        self.values.weight()
    }

    /// Forgets values and counters; nobody shall meet them in the next outage.
    pub(crate) fn forget(&self) {
        self.values.clear();
        lock(&self.counters).clear();
    }

    /// Adds to a counter that begins anew when its time is over; less than nothing is not added to one that is not there.
    pub(crate) fn increment(
        &self,
        name: &str,
        by: i64,
        window: Duration,
    ) -> Result<(i64, Duration), Error> {
        let now = Instant::now();
        let mut counters = lock(&self.counters);
        if let Some(counter) = counters.get_mut(name).filter(|counter| counter.until > now) {
            counter.value = counter.value.saturating_add(by);
            return Ok((counter.value, counter.until - now));
        }
        if by < 0 {
            return Ok((0, Duration::ZERO));
        }
        if counters.len() >= self.counters_max {
            counters.retain(|_, counter| counter.until > now);
        }
        if counters.len() >= self.counters_max {
            return Err(Error::Full);
        }
        counters.insert(name.to_owned(), Counter { value: by, until: later(window) });
        Ok((by, window))
    }

    pub(crate) fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Grant, Error> {
        let now = Instant::now();
        let mut leases = lock(&self.leases);
        if let Some(held) = leases.get(name).filter(|held| held.until > now) {
            return Ok(Grant::Held { token: held.token, left: held.until - now });
        }
        if leases.len() >= self.leases_max {
            leases.retain(|_, held| held.until > now);
        }
        if leases.len() >= self.leases_max {
            return Err(Error::Full);
        }
        let (name, owner) = (name.to_owned(), owner.to_owned());
        let token = self.token.fetch_add(1, Ordering::Relaxed) + 1;
        leases.insert(name.clone(), Held { owner: owner.clone(), token, until: later(ttl) });
        Ok(Grant::Granted(Lease { name, token, owner }))
    }

    /// Prolongs a lease; false when it is no longer the caller's.
    pub(crate) fn renew(&self, lease: &Lease, ttl: Duration) -> bool {
        let mut leases = lock(&self.leases);
        let held = leases.get_mut(&lease.name);
        let Some(held) = held.filter(|held| held.is_of(lease)) else { return false };
        held.until = later(ttl);
        true
    }

    /// Gives a lease back; false when it is no longer the caller's.
    pub(crate) fn release(&self, lease: &Lease) -> bool {
        let mut leases = lock(&self.leases);
        let is_own = leases.get(&lease.name).is_some_and(|held| held.is_of(lease));
        if is_own {
            leases.remove(&lease.name);
        }
        is_own
    }
}

impl Held {
    fn is_of(&self, lease: &Lease) -> bool {
        self.owner == lease.owner && self.token == lease.token && self.until > Instant::now()
    }
}

/// The end of a time that begins now. Longer ones than a clock can tell end in a century.
fn later(after: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let now = Instant::now();
    now.checked_add(after.min(CENTURY)).unwrap_or(now)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
