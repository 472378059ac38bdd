//! The closed set of client kinds that metrics, analytics and the guard tell apart; how a user agent is classed lives in `insight`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of client sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentClass {
    /// Crawlers, monitors, command-line clients, headless browsers.
    Bot,
    /// Phones.
    Mobile,
    /// Tablets.
    Tablet,
    /// Everything with a desktop browser.
    Desktop,
    /// No user agent, or one that no table knows.
    #[default]
    Unknown,
}

impl AgentClass {
    /// Every class, in the order of [`AgentClass::index`].
    pub const ALL: [Self; 5] =
        [Self::Bot, Self::Mobile, Self::Tablet, Self::Desktop, Self::Unknown];

    /// The label value used in metrics, columns and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Desktop => "desktop",
            Self::Unknown => "unknown",
        }
    }

    /// Position in [`AgentClass::ALL`], for tables indexed by class.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for AgentClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
