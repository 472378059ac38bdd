//! What the console asks, answered from single events where the time is short and from counted hours where it is long; knows no wire format.

use std::collections::HashMap;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_store::{Dimension, Error, custom_event, error_event, page_view};

use crate::Insight;
use crate::vitals::{Rating, Vital};

mod keys;
mod most;
mod series;
mod tally;
mod traffic;
mod vitals;

pub use mainstay_store::custom_event::NameCount;
pub use mainstay_store::error_event::{After as ErrorCursor, Group as ErrorGroup};
pub use mainstay_store::traffic::WHOLE as ALL_SITES;
pub use mainstay_store::{Bots, Cursor, Group, KeyCount, Span};
pub use series::VisitorsPoint;
#[cfg(test)]
pub(crate) use tally::Windows;
pub(crate) use tally::{Distributions, Tally, add_counted, tally_keys, tally_vitals};
pub use traffic::{SplitPoint, TrafficPoint};
pub(crate) use traffic::{Times, merge_rows};
pub(crate) use vitals::list_merged as list_vitals_merged;

/// Most points of one series; a smaller step is widened until they suffice.
pub const POINTS_MAX: i64 = 2_000;

/// A visitor counts as present this long after a page view.
pub const PRESENT: Duration = Duration::from_secs(300);

/// The distribution of one vital for one key.
#[derive(Clone, Debug, PartialEq)]
pub struct VitalRow {
    /// The page, device or release; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// Which vital.
    pub vital: Vital,
    /// 75th percentile in the vital's own unit (ms, CLS unitless).
    pub p75: f64,
    /// How the 75th percentile rates.
    pub rating: Rating,
    /// Samples rated good.
    pub good: u64,
    /// Samples between the thresholds.
    pub needs_improvement: u64,
    /// Samples rated poor.
    pub poor: u64,
    /// All samples.
    pub samples: u64,
}

impl Insight {
    /// Visitors, page views, bounces and engaged time per step; every step of the span has a point.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_visitors(
        &self,
        span: &Span<'_>,
        step: Duration,
    ) -> Result<Vec<VisitorsPoint>, Error> {
        series::list(self, span, step).await
    }

    /// People with a page view in the last five minutes.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_visitors_now(&self, site: &str) -> Result<i64, Error> {
        let since = self.0.context.clock.now().minus(PRESENT);
        page_view::visitors_since(self.db(), site, since, Bots::Exclude).await
    }

    /// Pages by views.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_pages(
        &self,
        span: &Span<'_>,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<KeyCount>, Error> {
        keys::list(self, span, Dimension::Path, after, limit).await
    }

    /// Sources by views; none as key = direct.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_sources(
        &self,
        span: &Span<'_>,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<KeyCount>, Error> {
        keys::list(self, span, Dimension::Source, after, limit).await
    }

    /// Client kinds by views.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_devices(
        &self,
        span: &Span<'_>,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<KeyCount>, Error> {
        keys::list(self, span, Dimension::Device, after, limit).await
    }

    /// Countries by views; none as key = unknown.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_countries(
        &self,
        span: &Span<'_>,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<Vec<KeyCount>, Error> {
        keys::list(self, span, Dimension::Country, after, limit).await
    }

    /// Web vitals by group, the most measured key first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_vitals(&self, span: &Span<'_>, by: Group) -> Result<Vec<VitalRow>, Error> {
        vitals::list(self, span, by).await
    }

    /// Named events of browsers and of the app, the most frequent first.
    ///
    /// # Errors
    /// The store's error.
    pub async fn count_events(&self, span: &Span<'_>, limit: u32) -> Result<Vec<NameCount>, Error> {
        custom_event::count_by_name(self.db(), span, limit).await
    }

    /// Errors of pages and of the app by fault, the latest seen first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_errors(
        &self,
        span: &Span<'_>,
        after: Option<ErrorCursor>,
        limit: u32,
    ) -> Result<Vec<ErrorGroup>, Error> {
        error_event::list_groups(self.db(), span, limit, after).await
    }

    /// The errors of pages and of the app that matter most: open ones first, then by visitors, occurrences and how lately.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_worst_errors(
        &self,
        span: &Span<'_>,
        limit: u32,
    ) -> Result<Vec<ErrorGroup>, Error> {
        error_event::list_worst(self.db(), span, limit).await
    }

    /// Requests, errors and latency per step, of one site or of [`ALL_SITES`]; every step of the span has a point.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_traffic(
        &self,
        span: &Span<'_>,
        step: Duration,
    ) -> Result<Vec<TrafficPoint>, Error> {
        traffic::list(self, span, step).await
    }

    /// Whether a span is answered from counted hours: it is long, or its events are gone already.
    fn is_long(&self, span: &Span<'_>) -> bool {
        let events_since = self.0.context.clock.now().minus(self.0.settings.retain.events.0);
        let kept_since = match span.bots {
            Bots::Exclude => events_since,
            Bots::Include | Bots::Only => events_since.max(self.bots_kept_since()),
        };
        span.to.since(span.from) > self.0.settings.raw_range_max.0 || span.from < kept_since
    }

    pub(crate) fn tally(&self) -> Tally {
        Tally { keys_max: self.0.settings.keys_max, vital_keys_max: self.0.settings.vital_keys_max }
    }
}

/// A span cut in two: hours that are counted, and the time after them that is not.
struct Split<'a> {
    closed: Span<'a>,
    tail: Span<'a>,
}

/// Cuts at the last counted hour. The first hour counts whole, even when the span begins within it.
async fn split<'a>(insight: &Insight, span: &Span<'a>) -> Result<Split<'a>, Error> {
    let db = insight.db();
    let mark = mainstay_store::rollup::watermark(db, span.site).await?.unwrap_or(span.from);
    let from = span.from.floor_to(crate::rollup::HOUR);
    let cut = span.to.min(mark).floor_to(crate::rollup::HOUR).max(from);
    // Nothing is counted yet: the tail is everything, and begins where it was asked to.
    let tail_from = if cut == from { span.from } else { cut };
    Ok(Split {
        closed: Span { from, to: cut, ..*span },
        tail: Span { from: tail_from.min(span.to), ..*span },
    })
}

/// The step, widened by whole multiples until the span has at most [`POINTS_MAX`] of them.
fn fitting(span: &Span<'_>, step: Duration) -> Duration {
    let step = step.max(Duration::from_secs(1));
    let points = span.to.since(span.from).as_micros() / step.as_micros() + 1;
    let factor = points.div_ceil(POINTS_MAX as u128);
    step.saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX))
}

/// The start of every step that the span touches.
fn steps(span: &Span<'_>, step: Duration) -> impl Iterator<Item = Timestamp> {
    let (first, end) = (span.from.floor_to(step), span.to);
    std::iter::successors(Some(first), move |t| Some(t.plus(step))).take_while(move |t| *t < end)
}

/// Points by their time, one per step, filled up with empty ones.
fn fill<P>(
    span: &Span<'_>,
    step: Duration,
    points: HashMap<Timestamp, P>,
    empty: impl Fn(Timestamp) -> P,
) -> Vec<P> {
    let mut points = points;
    steps(span, step).map(|t| points.remove(&t).unwrap_or_else(|| empty(t))).collect()
}

#[cfg(test)]
mod tests;
