//! The control plane over HTTP: our endpoints on the public listener, and the private admin listener with probes, metrics, console and reads.
//!
//! [`public`] is the whole table of what strangers can reach, [`admin`] the whole table of what the owner can.
//! One endpoint is one file; wire types live beside their endpoint and mirror the domain's.
//!
//! # Invariants
//! - [`problem`] is the only renderer of errors (RFC 9457); a 5xx never carries detail.
//! - Nothing answers on the admin listener to a foreign `Host`, and nothing but probes and metrics without a session, token or key.
//! - An event is acknowledged (204) only after `insight` says it is durable.

pub mod admin;
pub mod control;
pub mod health;
pub mod key;
pub mod live;
pub mod public;
pub mod script;
pub mod settings;
pub mod sites;

mod access;
mod console;
mod intake;
mod jobs;
mod probes;
mod problem;
mod record;
mod reports;
mod token;
mod v1;

pub use settings::Settings;
