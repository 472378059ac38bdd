//! The one way in: every capability once, whatever engine is behind it. Checks what is asked, leaves the answer to the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;

use crate::channel::{Channels, Sign};
use crate::lease::{Grant, Lease};
use crate::local::Local;
use crate::metrics::{Answer, Metrics, Operation};
use crate::server::Server;
use crate::{Count, Error, Health, Settings, Subscription};

/// Shared state, on one of the engines. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Kv {
    /// In this process.
    Local(Arc<Alone>),
    /// Redis or Valkey, a single server or a cluster.
    Redis(Arc<Server>),
}

/// This process for itself.
#[derive(Debug)]
pub struct Alone {
    memory: Arc<Local>,
    channels: Arc<Channels>,
    numbers: std::sync::Mutex<std::collections::HashMap<String, u64>>,
    bounds: Bounds,
    entropy: Entropy,
    metrics: Metrics,
}

/// Who has a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Everybody: the store took it. In process, everybody is this process.
    Shared,
    /// This process alone, until Redis is back.
    Locally,
}

/// How old an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// What was written last.
    Exact,
    /// A replica may answer, which lags a little.
    Stale,
}

/// What may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    key: usize,
    value: usize,
    pub(crate) ttl: Duration,
}

impl Kv {
    /// The engine that the settings name. Connects to nothing: [`Kv::start`] does.
    #[must_use]
    pub fn open(settings: &Settings, clock: Clock, entropy: Entropy, registry: &Registry) -> Self {
        let metrics = Metrics::new(registry);
        let memory = Arc::new(Local::new(settings));
        let shown = Arc::clone(&memory);
        registry.gauge_fn(&names::KV_MEMORY, &[], move || shown.count_bytes() as f64);
        let channels = Channels::new(settings, &metrics);
        let bounds = Bounds::new(settings);
        if settings.nodes.is_empty() {
            let numbers = std::sync::Mutex::default();
            return Self::Local(Arc::new(Alone {
                memory,
                channels,
                numbers,
                bounds,
                entropy,
                metrics,
            }));
        }
        let server = Server::new(settings, clock, entropy, memory, channels, metrics, bounds);
        Self::Redis(Arc::new(server))
    }

    /// Starts what keeps the connection and listens to channels. Until it found Redis, memory answers.
    pub fn start(&self, group: &Group) {
        if let Self::Redis(server) = self {
            server.start(group);
        }
    }

    /// Waits until the store is used; false when it was not `within` the time. In process it always is.
    pub async fn wait_ready(&self, within: Duration) -> bool {
        match self {
            Self::Local(_) => true,
            Self::Redis(server) => server.wait_ready(within).await,
        }
    }

    /// The value of a key. An empty value is one.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn get(&self, key: &str, freshness: Freshness) -> Result<Option<Bytes>, Error> {
        self.bounds().check_key(key)?;
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Get, Answer::Store);
                Ok(alone.memory.get(key))
            }
            Self::Redis(server) => Ok(server.get(key, freshness).await),
        }
    }

    /// The values of many keys, in their order. Each is asked where it lies, some at a time.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn get_many(
        &self,
        keys: &[&str],
        freshness: Freshness,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        keys.iter().try_for_each(|key| self.bounds().check_key(key))?;
        match self {
            Self::Local(alone) => Ok(keys.iter().map(|key| alone.memory.get(key)).collect()),
            Self::Redis(server) => Ok(server.get_many(keys, freshness).await),
        }
    }

    /// Sets a value. Without a time of its own it stays for `redis.ttl`.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::TooLarge`].
    pub async fn set(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Taken, Error> {
        let bounds = self.bounds();
        bounds.check_key(key)?;
        bounds.check_value(&value)?;
        // Redis knows no time below this one, and takes zero for a mistake.
        let ttl = ttl.unwrap_or(bounds.ttl).max(Duration::from_millis(1));
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Set, Answer::Store);
                alone.memory.set(key, value, ttl);
                Ok(Taken::Shared)
            }
            Self::Redis(server) => Ok(server.set(key, value, ttl).await),
        }
    }

    /// Deletes a value.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn delete(&self, key: &str) -> Result<Taken, Error> {
        self.bounds().check_key(key)?;
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Delete, Answer::Store);
                alone.memory.delete(key);
                Ok(Taken::Shared)
            }
            Self::Redis(server) => Ok(server.delete(key).await),
        }
    }

    /// Deletes the values of all keys that a pattern means (`*` = anything) and tells how many there were. Looks at every
    /// key, in pieces: for what happens often, a version in the key is better.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub async fn invalidate(&self, pattern: &str) -> Result<(u64, Taken), Error> {
        self.bounds().check_key(pattern)?;
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Invalidate, Answer::Store);
                Ok((alone.memory.invalidate(pattern), Taken::Shared))
            }
            Self::Redis(server) => Ok(server.invalidate(pattern).await),
        }
    }

    /// Adds to a counter, which begins anew `window` after its first addition, by the store's clock. What is taken back
    /// (`by < 0`) from one that is over changes nothing.
    ///
    /// Exact while the connection lasts. A connection lost between a request and its answer may count that request twice,
    /// never not at all.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Full`] in memory.
    pub async fn increment(&self, name: &str, by: i64, window: Duration) -> Result<Count, Error> {
        self.bounds().check_key(name)?;
        let window = window.max(Duration::from_millis(1));
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Count, Answer::Store);
                let (value, left) = alone.memory.increment(name, by, window)?;
                Ok(Count { value, left, taken: Taken::Shared })
            }
            Self::Redis(server) => server.increment(name, by, window).await,
        }
    }

    /// Asks for a lease. It ends after `ttl` by the store's clock unless renewed.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Full`] in memory, [`Error::Away`]: no lease is granted that another process does not see.
    pub async fn acquire(&self, name: &str, ttl: Duration) -> Result<Grant, Error> {
        self.bounds().check_key(name)?;
        let ttl = ttl.max(Duration::from_millis(1));
        match self {
            Self::Local(alone) => {
                alone.metrics.count(Operation::Lease, Answer::Store);
                alone.memory.acquire(name, &owner(&alone.entropy)?, ttl)
            }
            Self::Redis(server) => server.acquire(name, ttl).await,
        }
    }

    /// Prolongs a lease to `ttl` from now; false when it is no longer the caller's.
    ///
    /// # Errors
    /// [`Error::Away`]: it may end meanwhile.
    pub async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, Error> {
        match self {
            Self::Local(alone) => Ok(alone.memory.renew(lease, ttl)),
            Self::Redis(server) => server.renew(lease, ttl.max(Duration::from_millis(1))).await,
        }
    }

    /// Gives a lease back; false when it was no longer the caller's.
    ///
    /// # Errors
    /// [`Error::Away`]: it ends by itself.
    pub async fn release(&self, lease: &Lease) -> Result<bool, Error> {
        match self {
            Self::Local(alone) => Ok(alone.memory.release(lease)),
            Self::Redis(server) => server.release(lease).await,
        }
    }

    /// Tells all who listen to a channel, this process included. A name is of letters, digits, `-`, `_`, `.`.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::TooLarge`].
    pub async fn publish(&self, channel: &str, payload: Bytes) -> Result<Taken, Error> {
        self.bounds().check_name(channel)?;
        self.bounds().check_value(&payload)?;
        match self {
            Self::Local(alone) => {
                alone.publish(channel, payload);
                Ok(Taken::Shared)
            }
            Self::Redis(server) => Ok(server.publish(channel, payload).await),
        }
    }

    /// Listens to a channel from now on. Until the store listens, a moment later, nothing is missed unnoticed: the first
    /// event is a gap then.
    ///
    /// # Errors
    /// [`Error::Key`], [`Error::Full`].
    pub fn subscribe(&self, channel: &str) -> Result<Subscription, Error> {
        self.bounds().check_name(channel)?;
        match self {
            Self::Local(alone) => alone.channels.subscribe(channel),
            Self::Redis(server) => server.channels.subscribe(channel),
        }
    }

    /// Why memory answers instead of the store, and since when (where it was there before); none while the store is used, and in process. Asks nobody.
    #[must_use]
    pub fn why_away(&self) -> Option<(Option<Timestamp>, String)> {
        match self {
            Self::Local(_) => None,
            Self::Redis(server) => server.why_away(),
        }
    }

    /// Whether there is a store outside this process.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Asks the store how it is.
    pub async fn health(&self) -> Health {
        match self {
            Self::Local(_) => {
                let (since, reason) = (None, None);
                Health { ok: true, latency: None, nodes: Vec::new(), since, reason }
            }
            Self::Redis(server) => server.health().await,
        }
    }

    fn bounds(&self) -> &Bounds {
        match self {
            Self::Local(alone) => &alone.bounds,
            Self::Redis(server) => &server.bounds,
        }
    }
}

impl Alone {
    /// Numbers are given and messages delivered under one lock, so that all hear them in one order.
    fn publish(&self, channel: &str, payload: Bytes) {
        self.metrics.count(Operation::Publish, Answer::Store);
        let mut numbers = self.numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let listened = self.channels.list();
        numbers.retain(|name, _| listened.contains(name));
        if listened.iter().any(|name| name == channel) {
            let number = numbers.entry(channel.to_owned()).or_insert(0);
            *number += 1;
            self.channels.hear(channel, Sign::Message(*number), payload);
        }
    }
}

impl Bounds {
    fn new(settings: &Settings) -> Self {
        Self {
            key: settings.key_bytes_max.bytes(),
            value: settings.value_bytes_max.bytes(),
            ttl: settings.ttl.0,
        }
    }

    fn check_key(&self, key: &str) -> Result<(), Error> {
        if key.is_empty() || key.len() > self.key { Err(Error::Key) } else { Ok(()) }
    }

    fn check_name(&self, name: &str) -> Result<(), Error> {
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        if name.bytes().all(is_plain) { self.check_key(name) } else { Err(Error::Key) }
    }

    fn check_value(&self, value: &Bytes) -> Result<(), Error> {
        if value.len() > self.value { Err(Error::TooLarge) } else { Ok(()) }
    }
}

/// A name that no other holder has: 128 random bits.
pub(crate) fn owner(entropy: &Entropy) -> Result<String, Error> {
    let bytes = entropy.bytes::<16>().map_err(|_| Error::Away)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// How long something took, for who has no clock.
pub(crate) fn timed() -> impl Fn() -> Duration {
    let began = Instant::now();
    move || began.elapsed()
}
