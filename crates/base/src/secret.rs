//! Values that must never be printed: redacted in `Debug`, zeroed on drop, compared by their owner in constant time.

pub use secrecy::{ExposeSecret, SecretString};
