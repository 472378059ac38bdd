//! What the metrics say about visitors: counted after events are durable, once per event, bots left out; reads nothing back.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};

use mainstay_base::agent::AgentClass;
use mainstay_telemetry::metrics::{Counter, CounterFamily, Gauge, HistogramFamily, Registry};
use mainstay_telemetry::names;
use rustc_hash::FxBuildHasher;

use crate::intake::{Checked, Known};
use crate::label::{Pages, error_type, referrer_type};
use crate::vitals::Vital;

/// The kinds of events in the order of `accepted`.
const KINDS: [&str; 5] = ["pageview", "vital", "error", "engagement", "custom"];

/// Handles of every metric this room writes.
#[derive(Debug)]
pub(crate) struct Meters {
    page_views: CounterFamily,
    errors: CounterFamily,
    vitals: [HistogramFamily; Vital::ALL.len()],
    accepted: [Counter; KINDS.len()],
    dropped: CounterFamily,
    pub(crate) active_users: Gauge,
    pub(crate) folds_failing: Gauge,
    pub(crate) hours_failing: Gauge,
    bounded: Mutex<Bounded>,
}

#[derive(Debug)]
struct Bounded {
    pages: Pages,
    seen: Seen,
}

/// What the metrics need to know beside the events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) site: &'a str,
    pub(crate) device: AgentClass,
    pub(crate) bot: bool,
    /// The referring host when it is another site.
    pub(crate) referrer: Option<&'a str>,
}

impl Meters {
    pub(crate) fn new(registry: &Registry, pages_max: usize, repeats_max: usize) -> Self {
        let accepted = registry.counter_family(&names::EVENTS_ACCEPTED);
        let vital = |vital| {
            registry.histogram_family(match vital {
                Vital::Lcp => &names::WEB_VITAL_LCP,
                Vital::Inp => &names::WEB_VITAL_INP,
                Vital::Cls => &names::WEB_VITAL_CLS,
                Vital::Fcp => &names::WEB_VITAL_FCP,
                Vital::Ttfb => &names::WEB_VITAL_TTFB,
            })
        };
        let bounded = Bounded { pages: Pages::new(pages_max), seen: Seen::new(repeats_max) };
        Self {
            page_views: registry.counter_family(&names::PAGE_VIEWS),
            errors: registry.counter_family(&names::ERRORS),
            vitals: Vital::ALL.map(vital),
            accepted: KINDS.map(|kind| accepted.with(&[kind])),
            dropped: registry.counter_family(&names::EVENTS_DROPPED),
            active_users: registry.gauge(&names::ACTIVE_USERS),
            folds_failing: registry.gauge(&names::ROLLUP_FOLDS_FAILING),
            hours_failing: registry.gauge(&names::ROLLUP_COUNTS_FAILING),
            bounded: Mutex::new(bounded),
        }
    }

    /// Names these pages in the metrics, the first ones first, before any that visitors bring up.
    pub(crate) fn name_pages<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        let mut bounded = self.bounded.lock().unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            bounded.pages.label(path);
        }
    }

    /// Counts events that were not kept.
    pub(crate) fn count_dropped(&self, reason: &str, events: usize) {
        self.dropped.with(&[reason]).add(events as u64);
    }

    /// Whether an event of this site was not met before.
    pub(crate) fn is_new(&self, site: &str, key: impl Hash) -> bool {
        let mut bounded = self.bounded.lock().unwrap_or_else(PoisonError::into_inner);
        bounded.seen.is_new(site, key)
    }

    /// Counts an error, by the part of the site that had it.
    pub(crate) fn count_error(&self, kind: &str, component: &str) {
        self.errors.with(&[kind, "error", component]).inc();
    }

    /// Counts the events of a durable request.
    pub(crate) fn count(&self, checked: &Checked<'_>, counted: Counted<'_>) {
        let mut bounded = self.bounded.lock().unwrap_or_else(PoisonError::into_inner);
        let Bounded { pages, seen } = &mut *bounded;
        let mut label = None;
        for event in &checked.events {
            let (kind, id) = id_of(event);
            if !seen.is_new(counted.site, (kind, id)) {
                continue;
            }
            // A later report of a measurement replaces the first one, and a histogram cannot take that back.
            if let Known::Vital(measured) = event {
                let measurement = (checked.page_id, measured.vital as usize, measured.navigation);
                if !seen.is_new(counted.site, measurement) {
                    continue;
                }
            }
            self.accepted[kind].inc();
            if counted.bot {
                continue;
            }
            let page = label.get_or_insert_with(|| pages.label(&checked.address.path));
            match event {
                Known::PageView { .. } => {
                    let internal = checked.referrer.is_some();
                    let referrer = referrer_type(counted.referrer, internal);
                    self.page_views.with(&[page, "anonymous", referrer]).inc();
                }
                Known::Vital(measured) => {
                    let histogram = &self.vitals[measured.vital as usize];
                    let unit = if measured.vital == Vital::Cls { 1.0 } else { 1_000.0 };
                    let device = counted.device.as_str();
                    histogram.with(&[page, device]).observe(measured.value / unit);
                }
                Known::Error(thrown) => {
                    self.count_error(error_type(thrown.name), "browser");
                }
                Known::Engagement { .. } | Known::Custom(_) => {}
            }
        }
    }
}

/// The kind of an event, as a place in [`KINDS`], and what makes it the same as an earlier one.
fn id_of<'a>(event: &Known<'a>) -> (usize, &'a str) {
    match event {
        Known::PageView { id } => (0, id),
        Known::Vital(measured) => (1, measured.id),
        Known::Error(thrown) => (2, thrown.id),
        Known::Engagement { id, .. } => (3, id),
        Known::Custom(named) => (4, named.id),
    }
}

/// The latest events, by hash; forgets the oldest first.
#[derive(Debug)]
struct Seen {
    hashes: HashSet<u64, FxBuildHasher>,
    order: VecDeque<u64>,
    max: usize,
}

impl Seen {
    fn new(max: usize) -> Self {
        Self { hashes: HashSet::default(), order: VecDeque::new(), max: max.max(1) }
    }

    fn is_new(&mut self, site: &str, key: impl Hash) -> bool {
        let hash = FxBuildHasher.hash_one((site, key));
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_known_until_the_memory_is_full() {
        let mut seen = Seen::new(3);
        let mut new = |key: u32| seen.is_new("default", key);
        assert!(new(1) && new(2) && new(3));
        assert!(!new(1) && !new(3));
        assert!(new(4) && new(1));
        assert_eq!(seen.hashes.len(), 3);
        assert!(seen.is_new("shop", 4u32));
    }
}
