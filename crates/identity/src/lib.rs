//! Who is asking: the owner of the console, by a single-use link, a session cookie, or the operator's token file; a program, by an API key.
//!
//! # Invariants
//! - No secret is stored: links, sessions and keys are kept as SHA-256 of 256 random bits (nothing to guess, so no slow hash).
//! - Secrets are compared by their hash, in constant time where they do not come from a table lookup.
//! - There is no default password and no open first-visit wizard: whoever can read the terminal or the token file is the owner.

pub mod key;
mod owner;
pub mod scope;
mod settings;
mod token;

pub use key::Keys;
pub use owner::{Error, Owner, Session};
pub use scope::{Scope, Scopes};
pub use settings::Settings;
pub use token::{AdminToken, Token};
