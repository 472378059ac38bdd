//! What was counted of requests, as numbers to subtract and to add. Counts nothing itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sketch::Snapshot;

/// What was counted of requests since the start. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests answered, our own paths left out.
    pub requests: u64,
    /// Those answered with a 5xx.
    pub errors: u64,
    /// Requests and connections refused before they reached a site: zero for every single one.
    pub refused: u64,
    /// Body bytes sent.
    pub bytes: u64,
}

/// Requests since the start, or between two moments: of one site, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub totals: Totals,
    /// How long they took, to the end of the answer.
    pub latency: Snapshot,
    /// Where the time to the answer's head went, of those an app answered; none while no app did.
    pub split: Option<Split>,
}

/// The time to the head of an app's answers, in its two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Waiting for the app.
    pub upstream: Snapshot,
    /// Everything else: what we did before and after.
    pub ours: Snapshot,
}

/// Every site's numbers, and all of them together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// All requests, those that reached no site among them.
    pub whole: Tally,
    /// By the site's name.
    pub sites: BTreeMap<Arc<str>, Tally>,
}

impl Tally {
    /// What was counted since `earlier`, a tally of the same requests.
    #[must_use]
    pub fn minus(&self, earlier: &Self) -> Self {
        let (now, then) = (self.totals, earlier.totals);
        Self {
            totals: Totals {
                requests: now.requests.saturating_sub(then.requests),
                errors: now.errors.saturating_sub(then.errors),
                refused: now.refused.saturating_sub(then.refused),
                bytes: now.bytes.saturating_sub(then.bytes),
            },
            latency: self.latency.minus(&earlier.latency),
            split: self.split.as_ref().and_then(|split| split.minus(earlier.split.as_ref())),
        }
    }

    /// Adds the requests of another one.
    pub fn merge(&mut self, other: &Self) {
        self.totals.requests += other.totals.requests;
        self.totals.errors += other.totals.errors;
        self.totals.refused += other.totals.refused;
        self.totals.bytes += other.totals.bytes;
        self.latency.merge(&other.latency);
        if let Some(split) = &other.split {
            let mine = self.split.get_or_insert_with(Split::default);
            mine.upstream.merge(&split.upstream);
            mine.ours.merge(&split.ours);
        }
    }

    /// Whether there was nothing to count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.totals == Totals::default() && self.split.is_none()
    }
}

impl Split {
    /// None when no app answered in between.
    fn minus(&self, earlier: Option<&Self>) -> Option<Self> {
        let since = match earlier {
            Some(then) => Self {
                upstream: self.upstream.minus(&then.upstream),
                ours: self.ours.minus(&then.ours),
            },
            None => self.clone(),
        };
        Some(since).filter(|since| since.upstream.count() > 0)
    }
}

impl Tallies {
    /// What was counted since `earlier`; a site that is new since then has all of its numbers.
    #[must_use]
    pub fn minus(&self, earlier: &Self) -> Self {
        let nothing = Tally::default();
        let since = |name: &Arc<str>| earlier.sites.get(name).unwrap_or(&nothing);
        let sites = self.sites.iter();
        Self {
            whole: self.whole.minus(&earlier.whole),
            sites: sites.map(|(name, now)| (Arc::clone(name), now.minus(since(name)))).collect(),
        }
    }
}
