//! What is counted of one site's requests, and the site's routes. Which request belongs to which site is decided elsewhere.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::route::Route;
use super::tally::{Split, Tally, Totals};
use super::{OTHER_ROUTE, Shared};
use crate::metrics::Counter;
use crate::sketch::Latency;

/// Counts the requests of one site. Clones share the same numbers.
#[derive(Clone, Debug)]
pub struct SiteMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counts: Arc<Counts>,
    routes: RwLock<FxHashMap<Box<str>, Arc<Route>>>,
    other: Arc<Route>,
    shared: Arc<Shared>,
}

/// What every route of a site writes to.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: Counter,
    pub(super) errors: Counter,
    pub(super) latency: Latency,
    /// Made when an app answers first: a folder's site has none.
    split: OnceLock<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    upstream: Latency,
    ours: Latency,
}

impl Counts {
    pub(super) fn tally(&self) -> Tally {
        let latency = self.latency.snapshot();
        let totals = Totals {
            requests: latency.count(),
            errors: self.errors.get(),
            refused: 0,
            bytes: self.bytes.get(),
        };
        let split = self.split.get().map(|parts| Split {
            upstream: parts.upstream.snapshot(),
            ours: parts.ours.snapshot(),
        });
        Tally { totals, latency, split }
    }
}

impl SiteMetrics {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let counts = Arc::<Counts>::default();
        let other = Arc::new(Route::new(OTHER_ROUTE, Arc::clone(&shared), Arc::clone(&counts)));
        Self(Arc::new(Inner { counts, routes: RwLock::default(), other, shared }))
    }

    /// The route with this template (`/`, `/posts/{id}`, never a raw path); once there are too many over all sites,
    /// [`OTHER_ROUTE`]. Keep the answer where the request can reach it: this takes a lock.
    #[must_use]
    pub fn resolve(&self, template: &str) -> Arc<Route> {
        let routes = self.0.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = routes.get(template) {
            return Arc::clone(route);
        }
        drop(routes);
        if !self.0.shared.templates.admit(template) {
            return Arc::clone(&self.0.other);
        }
        let mut routes = self.0.routes.write().unwrap_or_else(PoisonError::into_inner);
        let (shared, counts) = (&self.0.shared, &self.0.counts);
        let make = || Arc::new(Route::new(template, Arc::clone(shared), Arc::clone(counts)));
        Arc::clone(routes.entry(template.into()).or_insert_with(make))
    }

    /// Counts where the time to the head of one answer of an app went: `upstream` waiting for the app, `ours` the rest.
    pub fn record_split(&self, upstream: Duration, ours: Duration) {
        let parts = self.0.counts.split.get_or_init(Parts::default);
        parts.upstream.record(upstream);
        parts.ours.record(ours);
    }

    pub(super) fn tally(&self) -> Tally {
        self.0.counts.tally()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.counts.bytes.get()
    }
}
