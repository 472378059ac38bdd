//! How long sign-in links, sessions and API keys count.

use mainstay_base::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[identity]`: sign-in of the console's owner, and the keys of programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long a printed sign-in link can be used, once.
    pub link_lifetime: Span,
    /// How long a session lasts.
    pub session_lifetime: Span,
    /// How long what was read of an API key counts before it is read again: within this time every process refuses a
    /// key that was revoked at another one. Default 5 s.
    pub key_cache: Span,
    /// How long API keys that were known go on to count while the store does not answer. Default 10 minutes.
    pub key_grace: Span,
    /// Most API keys remembered as read, and as many ids that were no key's. Default 1024 (about 300 KB when full).
    pub keys_cached_max: usize,
    /// Most look-ups of unknown API keys at one time; further ones are answered 503. Default 16.
    pub key_lookups_max: usize,
    /// Most API keys that are neither revoked nor expired. Default 1000.
    pub keys_max: u32,
    /// How often it is written when API keys were last used. Default 1 minute.
    pub key_use_every: Span,
    /// How long revoked and expired API keys are still listed. Default 90 days.
    pub ended_keys_kept: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            link_lifetime: Span::seconds(30 * 60),
            session_lifetime: Span::seconds(8 * 3_600),
            key_cache: Span::seconds(5),
            key_grace: Span::seconds(600),
            keys_cached_max: 1_024,
            key_lookups_max: 16,
            keys_max: 1_000,
            key_use_every: Span::seconds(60),
            ended_keys_kept: Span::days(90),
        }
    }
}
