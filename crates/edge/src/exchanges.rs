//! The exchanges of one connection, looked through by the sweep. Holds none of them alive.

use std::sync::{Arc, Weak};

use mainstay_telemetry::http::Refusal;

use crate::Settings;
use crate::exchange::{Exchange, Finding};

/// Entries below which cleaning up is not worth a look.
const CLEAN_FROM: usize = 64;

/// Exchanges that may still be going on.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    list: Vec<Weak<Exchange>>,
    /// Length at which the ended ones are removed: each is looked at a bounded number of times.
    clean_at: usize,
}

/// What the sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Exchanges that move or wait for us.
    pub(crate) moving: usize,
    /// Some are stuck with their last bytes.
    pub(crate) stuck: bool,
    /// How many were abandoned now, and why the first of them was.
    pub(crate) lagging: Option<(usize, Refusal)>,
}

impl Exchanges {
    pub(crate) fn add(&mut self, exchange: &Arc<Exchange>) {
        if self.list.len() >= self.clean_at.max(CLEAN_FROM) {
            self.list.retain(|one| one.strong_count() > 0);
            self.clean_at = self.list.len() * 2;
        }
        self.list.push(Arc::downgrade(exchange));
    }

    /// Whether one of them goes on.
    pub(crate) fn has_some(&self) -> bool {
        self.list.iter().any(|one| one.strong_count() > 0)
    }

    /// Compares each with the limits and abandons those that lag.
    pub(crate) fn judge(&mut self, settings: &Settings, elapsed_ms: u32) -> Found {
        let mut found = Found::default();
        self.list.retain(|one| {
            let Some(exchange) = one.upgrade().filter(|one| !one.is_abandoned()) else {
                return false;
            };
            match exchange.judge(settings, elapsed_ms) {
                Finding::Fine => found.moving += 1,
                Finding::Stuck => found.stuck = true,
                Finding::Lags(refusal) => {
                    exchange.abandon();
                    let (count, first) = found.lagging.unwrap_or((0, refusal));
                    found.lagging = Some((count + 1, first));
                }
            }
            true
        });
        found
    }
}
