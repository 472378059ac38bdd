//! What happened on the site: events checked and made anonymous, visits, roll-ups, retention, and the questions the console asks.
//!
//! # Invariants
//! - No client address, query string, cookie or raw user agent leaves this room; what is kept was truncated or scrubbed here.
//! - A visitor who opted out is counted as a page view and nothing more.
//! - Roll-ups are derived: any hour can be counted again from its events with the same result.
//! - Every reconciler works without input and may be run twice.

pub mod agent;
pub mod country;
pub mod errors;
#[cfg(test)]
mod fixture;
pub mod intake;
mod label;
pub mod live;
mod meters;
pub mod query;
pub mod record;
pub mod reports;
mod retain;
mod rollup;
mod sample;
pub mod scrub;
pub mod settings;
mod visit;
pub mod visitor;
pub mod vitals;
mod wire;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Entropy};
use mainstay_store::{Bots, Engine, Recorder, Span, Store, Written, user_session};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;

use agent::{Agent, AgentCache};
use country::Countries;
use intake::Limits;
use meters::Meters;
use visit::{Visit, Visits};
use visitor::Salts;

pub use intake::Sender;
pub use settings::Settings;

/// How far back the pages that metrics name were viewed most.
const NAMED_AFTER: Duration = Duration::from_secs(30 * 86_400);

/// Everything the room needs of the house.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configured sites, at least one; see [`Insight::set_sites`].
    pub sites: Vec<Arc<str>>,
    /// Where events and roll-ups lie.
    pub store: Store,
    /// The durable way in.
    pub recorder: Recorder,
    /// Where the metrics about visitors are counted.
    pub registry: Registry,
    /// The traffic that is sampled.
    pub http: HttpMetrics,
    /// The time.
    pub clock: Clock,
    /// Randomness for ids and salts.
    pub entropy: Entropy,
}

/// The room. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Insight(Arc<Inner>, Option<Engine>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    context: Context,
    /// The sites as they are now.
    sites: RwLock<Arc<[Arc<str>]>>,
    agents: Mutex<AgentCache>,
    countries: Countries,
    visits: Mutex<Visits>,
    salts: Salts,
    meters: Meters,
    recorded: record::Meters,
    live: live::Cache,
    reports: reports::Reports,
    folds: Mutex<rollup::fold::Rounds>,
    turns: Mutex<rollup::Turns>,
}

/// The room cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured country database cannot be used.
    #[error(transparent)]
    Country(#[from] country::Error),
}

impl Insight {
    /// Opens the room and takes up the visits that were running when the server stopped; of a store that is away, as
    /// soon as it is open.
    ///
    /// # Errors
    /// [`Error`] when the country database cannot be read.
    pub async fn open(settings: Settings, context: Context) -> Result<Self, Error> {
        agent::warm_up();
        let countries = Countries::open(settings.country_database.as_deref())?;
        let meters =
            Meters::new(&context.registry, settings.metric_pages_max, settings.repeats_max);
        let inner = Inner {
            agents: Mutex::new(AgentCache::new(settings.agents_max)),
            countries,
            visits: Mutex::new(Visits::new(settings.visit_idle.0, settings.visits_max)),
            salts: Salts::new(context.store.clone(), context.entropy.clone()),
            meters,
            recorded: record::Meters::new(&context.registry),
            live: live::Cache::default(),
            folds: Mutex::default(),
            turns: Mutex::default(),
            reports: reports::Reports::new(&settings.reports, &context.registry),
            sites: RwLock::new(context.sites.clone().into()),
            settings,
            context,
        };
        let insight = Self(Arc::new(inner), None);
        if insight.is_store_open() {
            insight.take_up_visits().await;
        }
        Ok(insight)
    }

    /// Starts the reconcilers (roll-ups, retention, samples) and the one who makes reports durable.
    pub fn spawn(&self, group: &Group) {
        let [rollups, retention, samples, reports] = std::array::from_fn(|_| self.clone());
        group.spawn("insight rollup", |stop| rollup::run(rollups, stop));
        group.spawn("insight retention", |stop| retain::run(retention, stop));
        group.spawn("insight samples", |stop| sample::run(samples, stop));
        group.spawn("insight reports", |stop| reports::run(reports, stop));
    }

    /// The same room, whose answers include everything that was acknowledged with these tokens.
    #[must_use]
    pub fn reading_since(&self, tokens: &[&str]) -> Self {
        Self(Arc::clone(&self.0), Some(self.0.context.store.reading_since(tokens)))
    }

    /// A token for whoever wants to see what was acknowledged; none while it waits for the database.
    #[must_use]
    pub fn seal(&self, written: Written) -> Option<String> {
        self.0.context.store.seal(written)
    }

    /// Somebody asks: a database that sleeps is worth waking.
    pub fn note_use(&self) {
        self.0.context.store.note_use();
    }

    /// Where questions are put.
    fn db(&self) -> &Engine {
        self.1.as_ref().unwrap_or_else(|| self.0.context.store.insight())
    }

    /// The same room, whose questions all go to one server: for an answer that is put together from several of them, such
    /// as up to which hour is counted and those hours.
    fn pinned(&self) -> Self {
        Self(Arc::clone(&self.0), Some(self.db().pinned()))
    }

    /// Where it is read what is then changed: nothing that was committed may be missing.
    fn latest(&self) -> Engine {
        self.0.context.store.insight().latest()
    }

    /// The configured sites, in their order: those whose hours are rolled up and whose numbers may be asked for.
    #[must_use]
    pub fn list_sites(&self) -> Arc<[Arc<str>]> {
        Arc::clone(&self.0.sites.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other sites for the configured ones from now on. What was counted of one that is gone stays.
    pub fn set_sites(&self, sites: Vec<Arc<str>>) {
        *self.0.sites.write().unwrap_or_else(PoisonError::into_inner) = sites.into();
    }

    fn is_store_open(&self) -> bool {
        self.0.context.store.list_away().is_empty()
    }

    /// Waits for the events' store and takes up what lies in it; false when told to stop first.
    async fn wait_store(&self, stop: &Stop) -> bool {
        let was_away = !self.is_store_open();
        if !self.0.context.store.wait_insight(stop).await {
            return false;
        }
        if was_away {
            self.take_up_visits().await;
        }
        self.name_pages().await;
        true
    }

    /// A visit that is not taken up is counted as two: no reason not to start.
    async fn take_up_visits(&self) {
        let (settings, context) = (&self.0.settings, &self.0.context);
        let since = context.clock.now().minus(settings.visit_idle.0);
        let limit = u32::try_from(settings.visits_max / 2).unwrap_or(u32::MAX);
        let active = user_session::list_active_since(context.store.insight(), since, limit).await;
        let active = active.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "running visits cannot be read; they begin anew");
            Vec::new()
        });
        let mut visits = self.0.visits.lock().unwrap_or_else(PoisonError::into_inner);
        for known in active.into_iter().rev() {
            let (session_id, visitor_id) = (known.session_id, known.visitor_id);
            let visit = Visit { session_id, visitor_id, source: known.source };
            visits.take_up(&visit, known.last_activity);
        }
    }

    /// The metrics name the pages that were viewed most.
    async fn name_pages(&self) {
        let to = self.0.context.clock.now();
        let limit = u32::try_from(self.0.settings.metric_pages_max).unwrap_or(u32::MAX);
        for site in self.list_sites().iter() {
            let span = Span { site, from: to.minus(NAMED_AFTER), to, bots: Bots::Exclude };
            match self.list_pages(&span, None, limit).await {
                Ok(pages) => {
                    self.0.meters.name_pages(pages.iter().filter_map(|p| p.key.as_deref()));
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the most viewed pages cannot be read");
                }
            }
        }
    }

    /// What a user agent says, remembered.
    fn find_agent(&self, user_agent: &str) -> Arc<Agent> {
        let mut agents = self.0.agents.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(agents.find(user_agent))
    }

    fn find_country(&self, client: IpAddr) -> Option<String> {
        self.0.countries.find(client)
    }

    fn limits(&self) -> Limits {
        Limits { body_max: self.0.settings.body_max, events_max: self.0.settings.events_max }
    }
}
