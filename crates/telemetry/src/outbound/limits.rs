//! What one request may cost. Numbers only.

use std::time::Duration;

/// Bounds of one request, its redirects included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first question of a name to the last byte.
    pub total: Duration,
    /// For TCP and TLS together, whichever of the addresses it leads to.
    pub connect: Duration,
    /// Of a body, as it is sent and as it is decoded.
    pub body_bytes_max: usize,
    /// What becomes of a longer one.
    pub excess: Excess,
    /// Redirects followed; with 0 the redirect itself is the answer.
    pub redirects_max: usize,
}

/// What becomes of a body that is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// There is no answer.
    Refused,
    /// Its beginning is the answer, which says so ([`Answer::is_cut`](super::Answer::is_cut)).
    Cut,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(10),
            connect: Duration::from_secs(3),
            body_bytes_max: 1 << 20,
            excess: Excess::Refused,
            redirects_max: 3,
        }
    }
}
