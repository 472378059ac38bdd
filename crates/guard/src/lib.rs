//! May this request pass, and with which headers: security headers, CSP, CORS. Every decision is a pure function of what it is given; nothing here reads a file, a socket or a clock.
//!
//! # Invariants
//! - No I/O, no global state, no task.
//! - A policy never blesses what an answer happens to contain: hashes come from the owner's own files.
//! - `Access-Control-Allow-Origin: *` is never sent together with credentials.

pub mod cors;
pub mod csp;
pub mod facts;
pub mod headers;
pub mod settings;

pub use facts::{Facts, Origin};
pub use settings::Environment;
