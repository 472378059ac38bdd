//! Folds the counted hours of days into day rows, so that a month is read in thirty of them per key and not in seven
//! hundred. What day rows are, and why they are never outdated, says the store.
//!
//! In every round each site has its newest day folded, and beside it so many others as the settings allow: from where the
//! round before ended on to older days, then from the newest again. Neither a day that changes all the time nor one that
//! cannot be folded holds up the others. Of no day the hours that ended less than [`SETTLED`] ago are folded, so the day
//! that is not over is folded anew when another hour has settled, and when one that had is counted again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mainstay_base::task::Stop;
use mainstay_base::{Coded, ErrorCode, Timestamp};
use mainstay_store::rollup::{self, DayVitalRow, Fold, Unfolded, Vital};
use mainstay_store::{Dimension, Engine, Error, Group};

use super::HOUR;
use crate::query::{Distributions, add_counted};
use crate::vitals::day;
use crate::{Context, Insight};

/// How long after its end an hour is folded. Vitals and engagement of a page are measured until it is left, and change the
/// hour in which it was opened; folded sooner, a busy site's day would be folded anew every minute.
pub(super) const SETTLED: Duration = Duration::from_secs(2 * HOUR.as_secs());
/// Of a day.
const HOURS: usize = 24;
/// Most days that one round chooses among: more than ten years.
const DAYS_LISTED: u32 = 4_000;

/// What one round leaves to the next, by site.
pub(crate) type Rounds = HashMap<Arc<str>, Round>;

#[derive(Debug, Default)]
pub(crate) struct Round {
    /// The day that was tried last beside the newest.
    ended_at: Option<Timestamp>,
    /// Days whose fold failed when it was last tried.
    failing: BTreeSet<Timestamp>,
}

/// Forgets sites that are gone.
pub(super) fn keep_only(insight: &Insight, sites: &[Arc<str>]) {
    let mut rounds = insight.0.folds.lock().unwrap_or_else(PoisonError::into_inner);
    rounds.retain(|site, _| sites.contains(site));
}

/// Folds what is counted and has settled, until told to stop. A day that fails is told of once, and is no reason not to go on.
///
/// # Errors
/// [`Error`] when the days cannot be listed, or the store is away or full: then no day is said to have failed.
pub(super) async fn fold_days(
    insight: &Insight,
    db: &Engine,
    site: &Arc<str>,
    over: Timestamp,
    stop: &Stop,
) -> Result<(), Error> {
    let listed = rollup::list_unfolded(db, site, over.minus(SETTLED), DAYS_LISTED).await?;
    let ended_at = insight.with_round(site, |round| {
        // Folded by another process, or removed.
        round.failing.retain(|day| listed.iter().any(|unfolded| unfolded.day == *day));
        round.ended_at
    });
    let chosen = choose(&listed, ended_at, insight.0.settings.rollup_hours_max.div_ceil(HOURS));
    for (at, unfolded) in chosen.iter().enumerate() {
        if stop.is_soft() {
            break;
        }
        let folded = fold(insight, db, site, unfolded, stop).await;
        let day = unfolded.day;
        let is_away = folded.as_ref().is_err_and(is_away);
        let is_news = insight.with_round(site, |round| {
            if at > 0 {
                round.ended_at = Some(day);
            }
            match folded {
                Ok(true) => round.failing.remove(&day),
                Err(_) if !is_away => round.failing.insert(day),
                Ok(false) | Err(_) => false,
            }
        });
        match folded {
            Err(error) if is_away => return Err(error),
            Err(error) if is_news => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%site, %day, error, "a day could not be folded and is tried again");
            }
            Ok(_) if is_news => tracing::info!(%site, %day, "the day that failed is folded"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the store failed, and not the day or hour: one that takes too long does so whenever it is tried.
pub(super) fn is_away(error: &Error) -> bool {
    error.code() == ErrorCode::Unavailable && !error.is_too_long()
}

impl Insight {
    fn with_round<T>(&self, site: &Arc<str>, change: impl FnOnce(&mut Round) -> T) -> T {
        let mut rounds = self.0.folds.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(rounds.entry(Arc::clone(site)).or_default());
        let failing: usize = rounds.values().map(|round| round.failing.len()).sum();
        self.0.meters.folds_failing.set(failing as f64);
        changed
    }
}

/// The newest of the listed days, and so many of those that follow the one at which the last round ended.
fn choose(listed: &[Unfolded], ended_at: Option<Timestamp>, places: usize) -> Vec<Unfolded> {
    let Some((newest, others)) = listed.split_first() else { return Vec::new() };
    let begin = others.partition_point(|unfolded| ended_at.is_some_and(|end| unfolded.day >= end));
    let (before, after) = others.split_at(begin);
    let others = after.iter().chain(before).take(places);
    std::iter::once(newest).chain(others).copied().collect()
}

/// False when the day changed meanwhile, somebody else folds it, or a stop came first: what a fold did is worth nothing
/// before its end, and may be left at any moment.
async fn fold(
    insight: &Insight,
    db: &Engine,
    site: &str,
    unfolded: &Unfolded,
    stop: &Stop,
) -> Result<bool, Error> {
    let Context { clock, entropy, .. } = &insight.0.context;
    let claimed = rollup::claim_day(db, clock, entropy, site, unfolded).await?;
    let Some(mut fold) = claimed else { return Ok(false) };
    for by in Dimension::ALL {
        if stop.is_soft() || !fold.add_keys(by).await? {
            return Ok(false);
        }
    }
    for group in Group::ALL {
        if !fold_vitals(&mut fold, group, stop).await? {
            return Ok(false);
        }
    }
    fold.finish().await
}

/// Every key that an hour has: hours are bounded already, and a day must not say less than they do.
async fn fold_vitals(fold: &mut Fold<'_>, group: Group, stop: &Stop) -> Result<bool, Error> {
    if !fold.remove_vitals(group).await? {
        return Ok(false);
    }
    for bot in [false, true] {
        let mut from = Some(String::new());
        while let Some(key) = from {
            if stop.is_soft() {
                return Ok(false);
            }
            let Some(page) = fold.list_vitals(group, bot, &key).await? else { return Ok(false) };
            let rows = merge(group, bot, page.vitals);
            if !rows.is_empty() && !fold.insert_vitals(&rows).await? {
                return Ok(false);
            }
            from = page.next;
        }
    }
    Ok(true)
}

fn merge(group: Group, bot: bool, hours: Vec<Vital>) -> Vec<DayVitalRow> {
    let mut found = Distributions::new();
    hours.into_iter().for_each(|row| add_counted(&mut found, row));
    let rows = found.into_iter().filter(|(_, all)| all.samples() > 0).map(|(key, all)| {
        let vitals = day::encode(all.measured());
        DayVitalRow { dimension: group, key, bot, vitals }
    });
    rows.collect()
}

#[cfg(test)]
mod tests;
