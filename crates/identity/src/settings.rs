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
    /// How long what was read of API keys counts before they are read again: within this time every process refuses a
    /// key that was revoked at another one. Default 5 s.
    pub key_cache: Span,
    /// How long API keys that were known go on to count while the store does not answer. Default 10 minutes.
    pub key_grace: Span,
    /// Most requests with unknown API keys that wait for the store at one time; further ones are answered 503.
    /// Default 256.
    pub key_waiters_max: usize,
    /// Most API keys that are neither revoked nor expired. They and as many ended ones are kept in memory, about 300
    /// bytes each. Default 1000.
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
            key_waiters_max: 256,
            keys_max: 1_000,
            key_use_every: Span::seconds(60),
            ended_keys_kept: Span::days(90),
        }
    }
}
