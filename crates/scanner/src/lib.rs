//! What an attacker would see: checks of our own site over the network, a grade, and what to do. Repairs nothing, stores nothing.
//!
//! # Invariants
//! - Only origins that the caller names are asked, whatever a page or a redirect says.
//! - Nothing is changed: `GET` and `OPTIONS` only, and no form is sent.
//! - Requests, their rate, bytes and time have a bound ([`Settings`]).
//! - A finding is what was seen, never a status alone: a site that answers everything with 200 has no exposed files.
//! - The grade is that of MDN's HTTP Observatory ([`observatory`]); findings beyond its tests do not change it.

mod fetch;
mod finding;
mod look;
pub mod observatory;
pub mod page;
mod rules;
mod scan;
pub mod settings;

pub use fetch::{Missing, Site};
pub use finding::{Finding, Severity};
pub use look::{Looked, look};
pub use scan::{Scan, scan};
pub use settings::Settings;
