//! Words every room shares: time, randomness, ids, secrets, error codes, addresses, paths, agent classes and task ownership. No I/O lives here.
//!
//! # Invariants
//! - Nothing in this room reads a file, a socket or the environment.
//! - [`task::Group`] is the only place of the product that spawns a task or a thread.
//! - The list of files is closed (held by `cargo xtask tidy`), so that this room never becomes a junk drawer.

pub mod agent;
pub mod clock;
pub mod code;
pub mod coding;
pub mod entropy;
pub mod net;
pub mod path;
pub mod secret;
pub mod task;
pub mod units;

pub use clock::{Clock, Timestamp};
pub use code::{Coded, ErrorCode};
pub use entropy::Entropy;
