//! The only room that speaks Redis: fast state that many processes share, or one process keeps for itself.
//!
//! # Invariants
//! - Every call is answered within `redis.answer_within` and a little, whether Redis is there or not; asking for many keys
//!   at once takes that long per piece. What memory cannot answer may wait for `redis.patience`: asking for a lease, renewing
//!   one, each step of deleting by pattern. A failover meanwhile is outlasted where it is over before `redis.retries` repeats,
//!   `redis.retry_delay` apart, are refused. Where Redis is known to be away nobody waits.
//! - Nothing here is decided by the clock of this machine: expiry and leases follow the store's (Redis), or a monotonic one
//!   (in process).
//! - While Redis is away, values and counters are kept in this process, in bounded memory, and are thrown away when it is
//!   back. Nothing of them is pushed. What was changed meanwhile is made unreachable in Redis (a new *generation*), and every
//!   subscriber on every process hears a gap. The other processes hear of a generation within `redis.probe_every`: so long
//!   after an outage one may not see yet what another set.
//! - A lease is granted by the store or not at all; of two grants of one name the later has the greater token.
//! - A subscriber hears every message of its channel in order, or hears that it missed some.
//! - An empty value is a value.
//! - No map, queue or wait without a bound in [`Settings`].

mod channel;
mod counter;
mod engine;
mod error;
mod health;
mod lease;
mod local;
mod metrics;
mod pattern;
mod server;
pub mod settings;

#[cfg(test)]
mod contract;

pub use channel::{Event, Subscription};
pub use counter::Count;
pub use engine::{Freshness, Kv, Taken};
pub use error::Error;
pub use health::{Health, Node, Role};
pub use lease::{Grant, Lease};
pub use settings::Settings;
