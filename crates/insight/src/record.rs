//! What the app behind us records by its own word: metrics, business events, sign-ups, revenue, calls of its API, errors.
//! Events and errors become rows of the same tables as browsers' ones, told apart by their page ([`PAGE`]); nobody visited
//! anything, so there is neither a visitor nor a visit. Knows no HTTP and no SQL.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::{Batch, Record, Written};
use mainstay_telemetry::metrics::{Counter, CounterFamily, GaugeFamily, Registry};
use mainstay_telemetry::names;

use crate::Insight;
use crate::intake::Error;
use crate::intake::rows::NAME_BYTES_MAX;
use crate::label::{OTHER, error_type};
use crate::scrub::scrub_text;

mod check;
mod fields;
mod id;
mod rows;

use check::{Checked, Entry, Item};

/// `page_id` of rows that the app recorded. Browsers' have 16 characters at least.
pub const PAGE: &str = "app";

/// Who recorded: an app that proved itself, through the site it was sent to.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The site, unless the body names another.
    pub site: Arc<str>,
    /// When the request arrived; of what is told later, when it happened.
    pub received: Timestamp,
    /// Id of the request, as in `X-Request-Id`.
    pub request_id: u128,
    /// Id of the key by which it proved itself; never its text.
    pub key: Arc<str>,
}

/// What is counted of what apps record.
#[derive(Debug)]
pub(crate) struct Meters {
    registry: Registry,
    signups: CounterFamily,
    usage: CounterFamily,
    revenue: GaugeFamily,
    recorded: [Counter; KINDS.len()],
    refused: CounterFamily,
    labels: Labels,
}

/// In the order of [`Meters::recorded`].
const KINDS: [&str; 6] = ["metric", "event", "signup", "revenue", "error", "api_usage"];

/// Why requests are refused.
const REASONS: [&str; 6] =
    ["invalid", "media_type", "slow", "too_large", "unavailable", "internal"];

/// Label combinations that were met, the same number of each metric at most.
#[derive(Debug)]
struct Labels {
    met: std::sync::Mutex<HashSet<(&'static str, Vec<String>)>>,
    max: usize,
}

impl Labels {
    /// Whether there is room for these labels.
    fn admit(&self, of: &'static str, labels: &[&str]) -> bool {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (of, labels.iter().map(|label| (*label).to_owned()).collect());
        if met.contains(&key) {
            return true;
        }
        if met.iter().filter(|(name, _)| *name == of).count() >= self.max {
            return false;
        }
        met.insert(key)
    }
}

impl Meters {
    pub(crate) fn new(registry: &Registry) -> Self {
        let recorded = registry.counter_family(&names::RECORDED);
        let refused = registry.counter_family(&names::RECORD_REFUSED);
        for reason in REASONS {
            // There from the start: a rate needs a first value.
            let _none_yet = refused.with(&[reason]);
        }
        // So that what does not fit is told as none from the start.
        let _bounded = registry.app();
        Self {
            signups: registry.counter_family(&names::USER_SIGNUPS),
            usage: registry.counter_family(&names::API_USAGE),
            revenue: registry.gauge_family(&names::REVENUE),
            recorded: KINDS.map(|kind| recorded.with(&[kind])),
            refused,
            labels: Labels { met: std::sync::Mutex::default(), max: registry.app_series_max() },
            registry: registry.clone(),
        }
    }

    /// These labels, where there is room for them; what there is none for is counted and warned of.
    fn admit<'l, const N: usize>(
        &self,
        of: &'static str,
        labels: [&'l str; N],
    ) -> Option<[&'l str; N]> {
        if self.labels.admit(of, &labels) {
            return Some(labels);
        }
        self.registry.app().count_full(of);
        None
    }

    fn add_revenue(&self, revenue: &check::Revenue<'_>) {
        // Amounts of different currencies have no sum.
        if let Some(labels) = self.admit(names::REVENUE.name, [revenue.currency]) {
            self.revenue.with(&labels).add(revenue.amount);
        }
    }
}

impl Insight {
    /// How long events are kept: what happened before that is not worth telling.
    #[must_use]
    pub fn events_kept(&self) -> Duration {
        self.0.settings.retain.events.0
    }

    /// Longest body that is read of an app, in bytes.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        self.0.settings.record.body_max.bytes()
    }

    /// Counts a request that was not taken, by its status of HTTP.
    pub fn count_not_recorded(&self, status: u16) {
        let reason = match status {
            408 => "slow",
            413 => "too_large",
            415 => "media_type",
            503 => "unavailable",
            500.. => "internal",
            _ => "invalid",
        };
        self.0.recorded.refused.with(&[reason]).inc();
    }

    /// Takes what an app recorded; when it returns `Ok` its rows are on disk. A repeated id changes nothing.
    ///
    /// # Errors
    /// [`Error`]; then nothing of it is kept or counted.
    pub async fn record(&self, sender: &Sender, body: &[u8]) -> Result<Written, Error> {
        let settings = &self.0.settings.record;
        let body = fields::parse(body, settings.body_max)?;
        let checked = check::check(&body, settings.items_max)?;
        let site = self.find_named_site(sender, checked.site)?;
        let app = self.0.recorded.registry.app();
        app.check(&checked.metrics).map_err(|(at, broken)| Error::Invalid {
            field: format!("metrics[{at}].{}", broken.field),
            reason: broken.reason,
        })?;
        let context = rows::Context {
            site: &site,
            received: sender.received,
            release: self.0.settings.release.as_deref(),
            entropy: &self.0.context.entropy,
        };
        let records: Vec<Record> = context.list(&checked.items)?;
        let written = if records.is_empty() {
            Written::default()
        } else {
            let recorded = self.0.context.recorder.record(Batch { records, visit: None }).await;
            recorded.map_err(|error| self.not_recorded(error))?
        };
        self.count_recorded(sender, &site, &checked);
        Ok(written)
    }

    fn find_named_site(&self, sender: &Sender, named: Option<&str>) -> Result<Arc<str>, Error> {
        let Some(named) = named else { return Ok(Arc::clone(&sender.site)) };
        let sites = self.list_sites();
        let found = sites.iter().find(|site| &***site == named);
        found.cloned().ok_or_else(|| Error::Invalid {
            field: "site".into(),
            reason: "is no site of this server".into(),
        })
    }

    fn count_recorded(&self, sender: &Sender, site: &str, checked: &Checked<'_>) {
        let meters = &self.0.recorded;
        // Metrics have no rows that would know a repeat: the request's own id is what tells.
        let is_new = checked.id.is_none_or(|id| self.0.meters.is_new(site, ("record", id)));
        if is_new {
            meters.registry.app().apply(&checked.metrics);
            meters.recorded[0].add(checked.metrics.len() as u64);
        }
        for Entry { id, item } in &checked.items {
            let is_new = id.as_ref().is_none_or(|id| self.0.meters.is_new(site, ("item", id)));
            if is_new {
                self.count_item(item);
                tell(sender, site, item);
            }
        }
    }

    fn count_item(&self, item: &Item<'_>) {
        let meters = &self.0.recorded;
        match item {
            Item::Event(event) => {
                meters.recorded[1].inc();
                event.revenue.iter().for_each(|revenue| meters.add_revenue(revenue));
            }
            Item::Signup(_, labels) => {
                meters.recorded[2].inc();
                let labels =
                    meters.admit(names::USER_SIGNUPS.name, labels.each_ref().map(|l| &**l));
                meters.signups.with(&labels.unwrap_or([OTHER; 2])).inc();
            }
            Item::Revenue(event) => {
                meters.recorded[3].inc();
                event.revenue.iter().for_each(|revenue| meters.add_revenue(revenue));
            }
            Item::Error(thrown) => {
                meters.recorded[4].inc();
                self.0.meters.count_error(error_type(thrown.name), "app");
            }
            Item::Usage(usage) => {
                meters.recorded[5].inc();
                let labels = usage.labels.each_ref().map(|label| &**label);
                let labels = meters.admit(names::API_USAGE.name, labels).unwrap_or([OTHER; 3]);
                meters.usage.with(&labels).add(usage.count);
            }
        }
    }
}

/// A line for each business event; the event of a span comes with tracing. Its properties may be about somebody.
fn tell(sender: &Sender, site: &str, item: &Item<'_>) {
    let (Item::Event(event) | Item::Signup(event, _) | Item::Revenue(event)) = item else { return };
    let name = scrub_text(event.name, NAME_BYTES_MAX);
    let request = format_args!("{:032x}", sender.request_id);
    tracing::info!(event = name, site, request_id = %request, key = &*sender.key, "a business event");
}

#[cfg(test)]
mod tests;
