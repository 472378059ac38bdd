//! What is too old goes: rows in small bites, samples into coarser steps, salts for good; keeps no state.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_base::units::Span;
use mainstay_store::retain::{self, Table};

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
    insight.0.salts.destroy_old(day_of(now)).await?;
    sample::compact(insight, now.minus(insight.0.settings.retain.samples.0)).await?;
    for (table, kept) in kept_for(&insight.0.settings.retain) {
        delete(insight, stop, table, kept).await?;
    }
    Ok(())
}

fn kept_for(retain: &settings::Retain) -> [(Table, Span); 11] {
    [
        (Table::PageViews, retain.events),
        (Table::Engagement, retain.events),
        (Table::PerformanceMetrics, retain.events),
        (Table::CustomEvents, retain.events),
        (Table::ErrorEvents, retain.errors),
        (Table::UserSessions, retain.sessions),
        (Table::RollupTotal, retain.rollups),
        (Table::RollupKey, retain.rollups),
        (Table::RollupVital, retain.rollups),
        (Table::MetricSeries, retain.compact_samples),
        (Table::TrafficSamples, retain.compact_samples),
    ]
}

async fn delete(insight: &Insight, stop: &Stop, table: Table, kept: Span) -> Result<(), Error> {
    let db = insight.0.context.store.insight();
    let before = insight.0.context.clock.now().minus(kept.0);
    let bite = u32::try_from(insight.0.settings.retain_rows_max).unwrap_or(u32::MAX).max(1);
    while !stop.is_soft() {
        let gone = retain::delete_before(db, table, before, bite).await?;
        if gone < u64::from(bite) {
            break;
        }
        // The writer is free between two bites, and events that waited go first.
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
