//! What is too old goes: rows in small bites, samples into coarser steps, salts for good; keeps no state.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Stop;
use mainstay_base::units::Span;
use mainstay_store::retain::{self, Table};

use crate::rollup::HOUR;
use crate::visitor::{self, day_of};
use crate::{Insight, sample, settings};

const DAY: Duration = Duration::from_secs(86_400);
/// How soon a failed round is tried again: a salt must not live on because a reader was in the way.
const RETRY: Duration = Duration::from_secs(5);

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Rows are still there.
    #[error("old rows could not be deleted")]
    Store(#[from] mainstay_store::Error),
    /// Salts are still there.
    #[error("old salts could not be destroyed")]
    Salts(#[from] visitor::Error),
}

/// Removes what is old until told to stop, also right after midnight, when a salt's time is over.
pub(crate) async fn run(insight: Insight, stop: Stop) -> Result<(), Infallible> {
    loop {
        let outcome = reconcile(&insight, &stop).await;
        let now = insight.0.context.clock.now();
        let midnight = now.floor_to(DAY).plus(DAY).since(now);
        let rest = match &outcome {
            Ok(()) => insight.0.settings.retain_every.0.min(midnight),
            // Said once already, by whoever tries to open it.
            Err(_) if !insight.0.context.store.list_away().is_empty() => RETRY,
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "what is too old could not be removed");
                RETRY
            }
        };
        if !stop.rested(rest).await {
            return Ok(());
        }
    }
}

/// Destroys old salts first: they matter most.
pub(crate) async fn reconcile(insight: &Insight, stop: &Stop) -> Result<(), Error> {
    let now = insight.0.context.clock.now();
    let is_awake = insight.0.context.store.is_awake();
    // A salt whose time is over is worth waking the database, once a day.
    if is_awake || !insight.0.salts.are_destroyed(day_of(now)) {
        insight.0.salts.destroy_old(day_of(now)).await?;
    }
    if !is_awake {
        return Ok(());
    }
    sample::compact(insight, now.minus(insight.0.settings.retain.samples.0)).await?;
    for (table, kept) in kept_for(&insight.0.settings.retain) {
        let (db, before) = (insight.0.context.store.insight(), now.minus(kept.0));
        delete(insight, stop, |bite| retain::delete_before(db, table, before, bite)).await?;
    }
    for table in Table::WITH_BOTS {
        let (db, before) = (insight.0.context.store.insight(), insight.bots_kept_since());
        delete(insight, stop, |bite| retain::delete_bots_before(db, table, before, bite)).await?;
    }
    Ok(())
}

impl Insight {
    /// Hours before this are final: their bots are gone, and they can no longer be counted from their events.
    pub(crate) fn bots_kept_since(&self) -> Timestamp {
        self.0.context.clock.now().minus(self.0.settings.retain.bots.0).floor_to(HOUR)
    }
}

fn kept_for(retain: &settings::Retain) -> [(Table, Span); 15] {
    [
        (Table::PageViews, retain.events),
        (Table::Engagement, retain.events),
        (Table::PerformanceMetrics, retain.events),
        (Table::CustomEvents, retain.events),
        (Table::ErrorEvents, retain.errors),
        (Table::Reports, retain.reports),
        (Table::UserSessions, retain.sessions),
        (Table::RollupDay, retain.rollups),
        (Table::RollupDayKey, retain.rollups),
        (Table::RollupDayVital, retain.rollups),
        (Table::RollupTotal, retain.rollups),
        (Table::RollupKey, retain.rollups),
        (Table::RollupVital, retain.rollups),
        (Table::MetricSeries, retain.compact_samples),
        (Table::TrafficSamples, retain.compact_samples),
    ]
}

async fn delete<F: Future<Output = Result<u64, mainstay_store::Error>>>(
    insight: &Insight,
    stop: &Stop,
    take: impl Fn(u32) -> F,
) -> Result<(), Error> {
    let bite = u32::try_from(insight.0.settings.retain_rows_max).unwrap_or(u32::MAX).max(1);
    while !stop.is_soft() {
        if take(bite).await? < u64::from(bite) {
            break;
        }
        // The writer is free between two bites, and events that waited go first.
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
