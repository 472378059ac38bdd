//! How shared state stands. Only tells.

use std::time::Duration;

use mainstay_base::Timestamp;

/// Whether the store answers, and who is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the store is used now. In process it always is.
    pub ok: bool,
    /// How long a question to the store took.
    pub latency: Option<Duration>,
    /// The servers; none in process.
    pub nodes: Vec<Node>,
    /// Since when the store is away.
    pub since: Option<Timestamp>,
    /// Why it is away. Names no password.
    pub reason: Option<String>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `host:port`.
    pub address: String,
    /// What it does in its cluster.
    pub role: Role,
    /// Whether it answered just now.
    pub ok: bool,
}

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes writes.
    Primary,
    /// It follows a primary.
    Replica,
    /// It could not be asked.
    Unknown,
}

impl Role {
    /// The word used in answers and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
            Self::Unknown => "unknown",
        }
    }
}
