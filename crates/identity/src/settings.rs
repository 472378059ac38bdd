//! How long sign-in links and sessions live.

use mainstay_base::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[identity]`: sign-in of the console's owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long a printed sign-in link can be used, once.
    pub link_lifetime: Span,
    /// How long a session lasts.
    pub session_lifetime: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Self { link_lifetime: Span::seconds(30 * 60), session_lifetime: Span::seconds(8 * 3_600) }
    }
}
