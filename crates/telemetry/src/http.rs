//! What is counted of every request, resolved ahead so that counting takes no lock. Nothing here knows a connection or a path.

mod method;
mod refusal;
mod route;
mod site;
mod status;
mod tally;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustc_hash::{FxHashMap, FxHashSet};

pub use method::Method;
pub use refusal::Refusal;
pub use route::Route;
pub use site::SiteMetrics;
pub use tally::{Split, Tallies, Tally, Totals};

use crate::metrics::{Counter, CounterFamily, Gauge, HistogramFamily, Registry};
use crate::names;
use crate::settings::Metrics as Settings;
use site::Counts;

/// The route of every request whose own route did not fit.
pub const OTHER_ROUTE: &str = "{other}";
/// The route of whatever is asked below our own paths of no endpoint, pre-flights included.
pub const OURS_ROUTE: &str = "{mainstay}";
/// The site of every request whose own site did not fit.
pub const OTHER_SITE: &str = "{other}";

/// Counts requests. Clones share the same numbers.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Connections open on the public listener.
    pub connections: Gauge,
    /// Those of them that wait without buffers.
    pub parked: Gauge,
    idle_closed: Counter,
    refused: Arc<[Counter; Refusal::ALL.len()]>,
    sites: Arc<Sites>,
    ours: Arc<Ours>,
    shared: Arc<Shared>,
}

/// What all routes write to.
#[derive(Debug)]
struct Shared {
    requests: CounterFamily,
    duration: HistogramFamily,
    own_bytes: Counter,
    templates: Templates,
}

/// The templates told apart, over all sites: their routes share one metric.
#[derive(Debug)]
struct Templates {
    max: usize,
    known: RwLock<FxHashSet<Box<str>>>,
}

/// The sites told apart. One that is gone stays: what it counted is a part of the whole.
#[derive(Debug)]
struct Sites {
    max: usize,
    known: RwLock<BTreeMap<Arc<str>, SiteMetrics>>,
    other: SiteMetrics,
    /// Requests that reached none.
    nobody: SiteMetrics,
}

/// Routes of our own paths, and what they write to.
#[derive(Debug, Default)]
struct Ours {
    routes: RwLock<FxHashMap<&'static str, Arc<Route>>>,
    counts: Arc<Counts>,
}

impl Templates {
    /// Whether the template is one that is told apart.
    fn admit(&self, template: &str) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.contains(template) || (known.len() < self.max && known.insert(template.into()))
    }
}

impl Sites {
    fn tally(&self) -> Tallies {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut sites: BTreeMap<_, _> =
            known.iter().map(|(name, site)| (Arc::clone(name), site.tally())).collect();
        drop(known);
        let other = self.other.tally();
        if !other.is_empty() {
            sites.insert(Arc::from(OTHER_SITE), other);
        }
        let mut whole = self.nobody.tally();
        sites.values().for_each(|site| whole.merge(site));
        Tallies { whole, sites }
    }

    fn bytes(&self) -> u64 {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().chain([&self.other, &self.nobody]).map(SiteMetrics::bytes).sum()
    }
}

impl HttpMetrics {
    /// Counts into `registry`, telling as many routes and sites apart as the settings say.
    #[must_use]
    pub fn new(registry: &Registry, settings: &Settings) -> Self {
        let refused = registry.counter_family(&names::REQUESTS_REFUSED);
        let bytes = registry.counter_family(&names::RESPONSE_BYTES);
        let shared = Arc::new(Shared {
            requests: registry.counter_family(&names::HTTP_REQUESTS),
            duration: registry.histogram_family(&names::HTTP_DURATION),
            own_bytes: bytes.with(&["own"]),
            templates: Templates { max: settings.max_routes, known: RwLock::default() },
        });
        let site = || SiteMetrics::new(Arc::clone(&shared));
        let (max, other, nobody) = (settings.max_sites, site(), site());
        let sites = Arc::new(Sites { max, known: RwLock::default(), other, nobody });
        let summed = Arc::clone(&sites);
        // Summed at each scrape, so that a request counts its bytes once.
        registry.counter_fn(&names::RESPONSE_BYTES, &["site"], move || summed.bytes() as f64);
        Self {
            connections: registry.gauge(&names::CONNECTIONS),
            parked: registry.gauge(&names::CONNECTIONS_PARKED),
            idle_closed: registry.counter(&names::CONNECTIONS_IDLE_CLOSED),
            refused: Arc::new(Refusal::ALL.map(|reason| refused.with(&[reason.as_str()]))),
            sites,
            ours: Arc::default(),
            shared,
        }
    }

    /// Where the requests of the site named so are counted; once there are too many sites, that of all further ones.
    /// Keep the answer: this takes a lock.
    #[must_use]
    pub fn site(&self, name: &str) -> SiteMetrics {
        let mut known = self.sites.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= self.sites.max && !known.contains_key(name) {
            return self.sites.other.clone();
        }
        let make = || SiteMetrics::new(Arc::clone(&self.shared));
        known.entry(name.into()).or_insert_with(make).clone()
    }

    /// Where requests that reached no site are counted: a part of the whole alone.
    #[must_use]
    pub fn nobody(&self) -> &SiteMetrics {
        &self.sites.nobody
    }

    /// The route of one of our own paths. Those are a closed list in the source, so the site cannot displace them.
    #[must_use]
    pub fn resolve_ours(&self, template: &'static str) -> Arc<Route> {
        let mut ours = self.ours.routes.write().unwrap_or_else(PoisonError::into_inner);
        let (shared, counts) = (&self.shared, &self.ours.counts);
        let make = || Arc::new(Route::new(template, Arc::clone(shared), Arc::clone(counts)));
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

    /// What was counted of the sites' requests since the start, our own paths left out.
    #[must_use]
    pub fn tally(&self) -> Tallies {
        let mut tallies = self.sites.tally();
        tallies.whole.totals.refused = self.refused.iter().map(Counter::get).sum();
        tallies
    }
}

#[cfg(test)]
mod tests;
