//! The app behind us: connections to it, which copy is asked, what it is told and what of its answer is passed on. Never speaks to a client.
//!
//! # Invariants
//! - A connection, its driver and the exchanges on it live on one worker thread; workers share counts and states only.
//! - A request is repeated only when no byte of an answer was heard, its body was not touched, and its method allows it.
//! - What an upstream is told about the client is ours: a stranger's copy of such a header never passes.
//! - An answer that ended early is an error of the body, never a short body.

mod answer;
mod cargo;
mod checks;
mod choose;
pub mod client;
mod connections;
mod dial;
mod error;
mod exchange;
pub mod head;
mod health;
mod leaving;
mod member;
mod meters;
mod place;
mod request;
mod send;
mod settings;
mod target;
mod tls;
mod tunnel;
mod upstreams;
mod wire;

pub use answer::AnswerBody;
pub use client::{Client, Peer, Trust};
pub use connections::Connections;
pub use error::{Error, Fault, Phase};
pub use exchange::{Exchange, Switched, Timing};
pub use health::State;
pub use leaving::Leaving;
pub use request::RequestBody;
pub use settings::{HostHeader, Settings};
pub use target::{Scheme, Target, TargetError};
pub use tls::TlsError;
pub use tunnel::{Ended, Passed, tunnel};
pub use upstreams::{OpenError, Plan, Status, UPSTREAMS_MAX, Upstreams};
