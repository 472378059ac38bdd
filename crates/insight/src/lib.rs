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
use std::sync::{Arc, Mutex, PoisonError};

use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_store::{Recorder, Store, user_session};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;

use agent::{Agent, AgentCache};
use country::Countries;
use intake::Limits;
use meters::Meters;
use visit::Visits;
use visitor::Salts;

pub use intake::Sender;
pub use settings::Settings;

/// Everything the room needs of the house.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configured sites, at least one. Hours are rolled up for these.
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
pub struct Insight(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    context: Context,
    agents: Mutex<AgentCache>,
    countries: Countries,
    visits: Mutex<Visits>,
    salts: Salts,
    meters: Meters,
    live: live::Cache,
}

/// The room cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured country database cannot be used.
    #[error(transparent)]
    Country(#[from] country::Error),
    /// The running visits cannot be read.
    #[error("the running visits cannot be read")]
    Store(#[from] mainstay_store::Error),
}

impl Insight {
    /// Opens the room and takes up the visits that were running when the server stopped.
    ///
    /// # Errors
    /// [`Error`] when the country database or the store cannot be read.
    pub async fn open(settings: Settings, context: Context) -> Result<Self, Error> {
        agent::warm_up();
        let countries = Countries::open(settings.country_database.as_deref())?;
        let meters =
            Meters::new(&context.registry, settings.metric_pages_max, settings.repeats_max);
        let inner = Inner {
            agents: Mutex::new(AgentCache::new(settings.agents_max)),
            countries,
            visits: Mutex::new(read_visits(&settings, &context).await?),
            salts: Salts::new(context.store.clone(), context.entropy.clone()),
            meters,
            live: live::Cache::default(),
            settings,
            context,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Starts the reconcilers: roll-ups, retention, samples.
    pub fn spawn(&self, group: &Group) {
        let [rollups, retention, samples] = std::array::from_fn(|_| self.clone());
        group.spawn("insight rollup", |stop| rollup::run(rollups, stop));
        group.spawn("insight retention", |stop| retain::run(retention, stop));
        group.spawn("insight samples", |stop| sample::run(samples, stop));
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

async fn read_visits(settings: &Settings, context: &Context) -> Result<Visits, Error> {
    let mut visits = Visits::new(settings.visit_idle.0, settings.visits_max);
    let since = context.clock.now().minus(settings.visit_idle.0);
    let limit = u32::try_from(settings.visits_max / 2).unwrap_or(u32::MAX);
    let active = user_session::list_active_since(context.store.insight(), since, limit).await?;
    for visit in active.into_iter().rev() {
        visits.put(visit.visitor_id, visit.session_id, visit.last_activity);
    }
    Ok(visits)
}
