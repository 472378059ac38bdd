//! How the product is seen from outside: metrics, logs, the access log, the process itself, and the one client that asks others. Nothing here decides about a visitor's request.
//!
//! # Invariants
//! - Every metric has a row in [`names`]; only the app behind us invents some, below `app_` and within bounds ([`metrics::app`]).
//! - Recording a request takes no lock and allocates nothing once its cells exist.
//! - What is written down never holds a secret, a query string or a full client address.

pub mod access;
pub mod http;
mod json;
pub mod log;
pub mod metrics;
pub mod names;
pub mod outbound;
pub mod process;
pub mod redact;
pub mod settings;
pub mod sketch;

pub use settings::Settings;
