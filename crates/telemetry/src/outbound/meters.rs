//! What is counted of requests to others, resolved ahead. Invents no metric.

use std::time::Duration;

use super::error::Error;
use crate::metrics::{Counter, Histogram, Registry};
use crate::names;

/// What a request to somebody else is for, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Looking at our own site as a stranger would.
    Scan,
    /// Handing a job to a worker of the owner's.
    Webhook,
    /// Fetching an image that shall be made small.
    Image,
}

/// How it ended, as a label.
const OUTCOMES: [&str; 9] = [
    "answered",
    "refused",
    "resolve_failed",
    "connect_failed",
    "tls_failed",
    "timeout",
    "bad_answer",
    "too_large",
    "too_many_redirects",
];

pub(super) struct Meters([Row; 3]);

struct Row {
    purpose: Purpose,
    outcomes: [Counter; OUTCOMES.len()],
    seconds: Histogram,
}

impl Purpose {
    /// Every purpose.
    const ALL: [Self; 3] = [Self::Scan, Self::Webhook, Self::Image];

    /// As a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Webhook => "webhook",
            Self::Image => "image",
        }
    }
}

impl Meters {
    pub(super) fn new(registry: &Registry) -> Self {
        let requests = registry.counter_family(&names::OUTBOUND_REQUESTS);
        let seconds = registry.histogram_family(&names::OUTBOUND_SECONDS);
        Self(Purpose::ALL.map(|purpose| Row {
            purpose,
            outcomes: OUTCOMES.map(|outcome| requests.with(&[purpose.as_str(), outcome])),
            seconds: seconds.with(&[purpose.as_str()]),
        }))
    }

    pub(super) fn count(&self, purpose: Purpose, error: Option<&Error>, took: Duration) {
        let outcome = error.map_or("answered", Error::outcome);
        let Some(row) = self.0.iter().find(|row| row.purpose == purpose) else { return };
        let at = OUTCOMES.iter().position(|known| *known == outcome);
        if let Some(counter) = at.and_then(|at| row.outcomes.get(at)) {
            counter.inc();
        }
        row.seconds.observe_duration(took);
    }
}
