//! Who is asking: the owner of the console, by a single-use link, a session cookie, or the operator's token file.
//!
//! # Invariants
//! - No secret is stored: links and sessions are kept as SHA-256 of 256 random bits (nothing to guess, so no slow hash).
//! - Secrets are compared by their hash, in constant time where they do not come from a table lookup.
//! - There is no default password and no open first-visit wizard: whoever can read the terminal or the token file is the owner.

mod owner;
mod settings;
mod token;

pub use owner::{Error, Owner, Session};
pub use settings::Settings;
pub use token::{AdminToken, Token};
