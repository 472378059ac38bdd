//! What is counted of every request, resolved ahead so that counting takes no lock. Nothing here knows a connection or a path.

mod method;
mod refusal;
mod route;
mod status;

use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::FxHashMap;

pub use method::Method;
pub use refusal::Refusal;
pub use route::Route;

use crate::metrics::{Counter, CounterFamily, Gauge, HistogramFamily, Registry};
use crate::names;
use crate::sketch::Latency;

/// The route of every request whose own route did not fit.
pub const OTHER_ROUTE: &str = "{other}";

/// Counts requests. Clones share the same numbers.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Connections open on the public listener.
    pub connections: Gauge,
    /// Those of them that wait without buffers.
    pub parked: Gauge,
    idle_closed: Counter,
    refused: Arc<[Counter; Refusal::ALL.len()]>,
    routes: Arc<Routes>,
    shared: Arc<Shared>,
}

/// What all routes write to.
#[derive(Debug)]
struct Shared {
    requests: CounterFamily,
    duration: HistogramFamily,
    site_bytes: Counter,
    own_bytes: Counter,
    site_errors: Counter,
    latency: Latency,
}

#[derive(Debug)]
struct Routes {
    max: usize,
    known: RwLock<FxHashMap<Box<str>, Arc<Route>>>,
    ours: RwLock<FxHashMap<&'static str, Arc<Route>>>,
    other: Arc<Route>,
}

/// What was counted of the site's requests since the start. Only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests answered, our own paths left out.
    pub requests: u64,
    /// Those answered with a 5xx.
    pub errors: u64,
    /// Requests and connections refused before they reached the site.
    pub refused: u64,
    /// Body bytes sent for the site.
    pub bytes: u64,
}

impl HttpMetrics {
    /// Counts into `registry`, telling at most `max_routes` of the site's routes apart.
    #[must_use]
    pub fn new(registry: &Registry, max_routes: usize) -> Self {
        let refused = registry.counter_family(&names::REQUESTS_REFUSED);
        let bytes = registry.counter_family(&names::RESPONSE_BYTES);
        let shared = Arc::new(Shared {
            requests: registry.counter_family(&names::HTTP_REQUESTS),
            duration: registry.histogram_family(&names::HTTP_DURATION),
            site_bytes: bytes.with(&["site"]),
            own_bytes: bytes.with(&["own"]),
            site_errors: Counter::default(),
            latency: Latency::new(),
        });
        let other = Arc::new(Route::new(OTHER_ROUTE, Arc::clone(&shared)));
        let (known, ours) = (RwLock::default(), RwLock::default());
        Self {
            connections: registry.gauge(&names::CONNECTIONS),
            parked: registry.gauge(&names::CONNECTIONS_PARKED),
            idle_closed: registry.counter(&names::CONNECTIONS_IDLE_CLOSED),
            refused: Arc::new(Refusal::ALL.map(|reason| refused.with(&[reason.as_str()]))),
            routes: Arc::new(Routes { max: max_routes, known, ours, other }),
            shared,
        }
    }

    /// The route of the site with this template (`/`, `/posts/{id}`, never a raw path); once there are too many,
    /// [`OTHER_ROUTE`]. Keep the answer where the request can reach it: this takes a lock.
    #[must_use]
    pub fn resolve(&self, template: &str) -> Arc<Route> {
        let known = self.routes.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = known.get(template) {
            return Arc::clone(route);
        }
        drop(known);
        let mut known = self.routes.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.routes.max && !known.contains_key(template) {
            return Arc::clone(&self.routes.other);
        }
        let make = || Arc::new(Route::new(template, Arc::clone(&self.shared)));
        Arc::clone(known.entry(template.into()).or_insert_with(make))
    }

    /// The route of one of our own paths. Those are a closed list in the source, so the site cannot displace them.
    #[must_use]
    pub fn resolve_ours(&self, template: &'static str) -> Arc<Route> {
        let mut ours = self.routes.ours.write().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(Route::new(template, Arc::clone(&self.shared)));
        Arc::clone(ours.entry(template).or_insert_with(make))
    }

    /// Counts a request or connection refused before it reached the site.
    pub fn refused(&self, reason: Refusal) {
        self.refused[reason.index()].inc();
    }

    /// Counts a connection closed because nothing was asked on it in time.
    pub fn idle_closed(&self) {
        self.idle_closed.inc();
    }

    /// Refusals since the start, by reason, in the order of [`Refusal::ALL`].
    #[must_use]
    pub fn list_refused(&self) -> Vec<(Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.refused.iter().map(Counter::get)).collect()
    }

    /// Latency of the site's requests, our own paths left out.
    #[must_use]
    pub fn latency(&self) -> &Latency {
        &self.shared.latency
    }

    /// What was counted of the site's requests since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            requests: self.shared.latency.count(),
            errors: self.shared.site_errors.get(),
            refused: self.refused.iter().map(Counter::get).sum(),
            bytes: self.shared.site_bytes.get(),
        }
    }
}

#[cfg(test)]
mod tests;
