//! What a counter says. Counting is done by the engines.

use std::time::Duration;

use crate::Taken;

/// A counter after it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// What it counts now.
    pub value: i64,
    /// When it begins anew.
    pub left: Duration,
    /// Whether all processes count together, or this one alone because Redis is away.
    pub taken: Taken,
}
