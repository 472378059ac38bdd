//! Counts hours that are over, and again when something late changed them; derives everything from the events.
//!
//! Visitors by key are counted in the hour in which they were first seen that day with that key, so that hours add up
//! to the distinct visitors of each day; visitor ids change at midnight anyway (a visit that spans it counts on both
//! days). Visitors of the whole site are counted in every hour they were seen in.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_base::task::Stop;
use mainstay_store::rollup::{self, Dirty, HourRollup, KeyRow, TotalRow, VitalRow};
use mainstay_store::{
    Bots, Dimension, Engine, Error, Group, KeyCount, Span, engagement, page_view,
    performance_metric, user_session,
};

use crate::Insight;
use crate::query::{Tally, tally_keys, tally_vitals};

pub(crate) mod fold;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How long after its end an hour is counted: events of its last moments are on their way to the disk.
const GRACE: Duration = Duration::from_secs(30);

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The hour that was counted last, or failed.
    tried: Option<Dirty>,
    /// Hours of which the log has been told that they cannot be counted.
    failing: BTreeSet<(Timestamp, String)>,
    /// Sites of which the log has been told that their hours cannot be declared over.
    stuck: BTreeSet<Arc<str>>,
}

/// Counts hours until told to stop.
pub(crate) async fn run(insight: Insight, stop: Stop) -> Result<(), Infallible> {
    if !insight.wait_store(&stop).await {
        return Ok(());
    }
    loop {
        if let Err(error) = reconcile(&insight, &stop).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "hours could not be rolled up"
            );
        }
        if !stop.rested(insight.0.settings.rollup_every.0).await {
            return Ok(());
        }
    }
}

/// Declares hours over, counts those that are marked, and folds what is counted. Hours can wait where the database is let sleep.
pub(crate) async fn reconcile(insight: &Insight, stop: &Stop) -> Result<(), Error> {
    if !insight.0.context.store.is_awake() {
        return Ok(());
    }
    let db = &insight.latest();
    let over = insight.0.context.clock.now().minus(GRACE).floor_to(HOUR);
    let mut outcome = unless_away(count_hours(insight, db, over, stop).await)?;
    let sites = insight.list_sites();
    fold::keep_only(insight, &sites);
    for site in sites.iter() {
        let folded = fold::fold_days(insight, db, site, over, stop).await;
        outcome = outcome.and(unless_away(folded)?);
    }
    outcome
}

/// Who goes on asking a store that is away waits for it again and again.
fn unless_away(outcome: Result<(), Error>) -> Result<Result<(), Error>, Error> {
    match outcome {
        Err(error) if fold::is_away(&error) => Err(error),
        outcome => Ok(outcome),
    }
}

/// One hour or site that fails is told of once, and is no reason not to go on, unless the store is away.
///
/// # Errors
/// [`Error`] when the marked hours cannot be listed, or the store is away: then none is said to have failed.
async fn count_hours(
    insight: &Insight,
    db: &Engine,
    over: Timestamp,
    stop: &Stop,
) -> Result<(), Error> {
    let sites = insight.list_sites();
    insight.keep_stuck(&sites);
    for site in sites.iter() {
        let advanced = unless_away(advance_watermark(db, site, over).await)?;
        insight.note_advanced(site, advanced);
    }
    let mut theirs = HashSet::new();
    for dirty in choose_hours(insight, db).await? {
        if stop.is_soft() {
            break;
        }
        let day = (dirty.site.clone(), dirty.hour.floor_to(DAY));
        let counted = if theirs.contains(&day) {
            Ok(Tried::Left)
        } else if dirty.hour < insight.bots_kept_since() {
            rollup::clear_dirty(db, &dirty).await.map(|_| Tried::Done)
        } else {
            recount(insight, db, &dirty, stop).await
        };
        if matches!(counted, Ok(Tried::Refused)) {
            // Who goes on with the day would be refused in turn.
            tracing::debug!(site = dirty.site, hour = %dirty.hour, "another server counts hours of this day");
            theirs.insert(day);
        }
        insight.note_tried(dirty, counted.as_ref());
        // It was told of.
        let _failed = unless_away(counted.map(drop))?;
    }
    Ok(())
}

/// What became of a marked hour.
#[derive(Clone, Copy, Debug)]
enum Tried {
    Done,
    /// Another server changed the day meanwhile; the hour stays marked.
    Refused,
    /// Not tried to the end, or not at all; the hour stays marked.
    Left,
}

async fn advance_watermark(db: &Engine, site: &str, over: Timestamp) -> Result<(), Error> {
    if rollup::watermark(db, site).await?.is_none_or(|mark| mark < over) {
        rollup::advance_watermark(db, site, over).await?;
    }
    Ok(())
}

/// So many marked hours as the settings allow: those after the one that was tried last, then from the oldest again. So
/// hours that cannot be counted hold up no others, however many they are.
async fn choose_hours(insight: &Insight, db: &Engine) -> Result<Vec<Dirty>, Error> {
    let limit = u32::try_from(insight.0.settings.rollup_hours_max).unwrap_or(u32::MAX);
    let Some(tried) = insight.find_tried() else {
        return rollup::list_dirty(db, None, limit).await;
    };
    let mut chosen = rollup::list_dirty(db, Some(&tried), limit).await?;
    let missing = limit.saturating_sub(u32::try_from(chosen.len()).unwrap_or(limit));
    if missing > 0 {
        let earlier = rollup::list_dirty(db, None, missing).await?.into_iter();
        let is_earlier = |hour: &Dirty| (hour.hour, &hour.site) <= (tried.hour, &tried.site);
        chosen.extend(earlier.take_while(is_earlier));
    }
    if chosen.len() < limit as usize {
        insight.keep_failing(&chosen);
    }
    Ok(chosen)
}

impl Insight {
    fn find_tried(&self) -> Option<Dirty> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner).tried.clone()
    }

    /// Forgets hours that are marked no more, where `marked` are all: another server has counted them.
    fn keep_failing(&self, marked: &[Dirty]) {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let is_marked =
            |hour: &Dirty, key: &(Timestamp, String)| (hour.hour, &hour.site) == (key.0, &key.1);
        turns.failing.retain(|key| marked.iter().any(|hour| is_marked(hour, key)));
        self.show_failing(&turns);
    }

    /// Says of an hour that cannot be counted, once.
    fn note_tried(&self, hour: Dirty, counted: Result<&Tried, &Error>) {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (hour.hour, hour.site.clone());
        let is_news = match counted {
            Err(error) if !fold::is_away(error) => turns.failing.insert(key),
            Ok(Tried::Done) => turns.failing.remove(&key),
            _ => false,
        };
        match counted {
            _ if !is_news => {}
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(site = hour.site, hour = %hour.hour, error, "an hour could not be counted and is tried again");
            }
            Ok(_) => {
                tracing::info!(site = hour.site, hour = %hour.hour, "the hour that failed is counted");
            }
        }
        turns.tried = Some(hour);
        self.show_failing(&turns);
    }

    /// Forgets sites that are gone.
    fn keep_stuck(&self, sites: &[Arc<str>]) {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.stuck.retain(|site| sites.contains(site));
    }

    /// Says of a site whose hours cannot be declared over, once.
    fn note_advanced(&self, site: &Arc<str>, advanced: Result<(), Error>) {
        let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
        match advanced {
            Ok(()) if turns.stuck.remove(site) => {
                tracing::info!(%site, "hours of the site are declared over again");
            }
            Err(error) if turns.stuck.insert(Arc::clone(site)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%site, error, "hours of the site could not be declared over; that is tried again");
            }
            Ok(()) | Err(_) => {}
        }
        self.show_failing(&turns);
    }

    fn show_failing(&self, turns: &Turns) {
        self.0.meters.hours_failing.set((turns.failing.len() + turns.stuck.len()) as f64);
    }
}

/// Counts an hour. When its views changed, the later hours of its day are counted before it: stopped in between, the
/// change is still to be seen and everything is counted again. So it is when another server counts hours of the day
/// meanwhile.
async fn recount(
    insight: &Insight,
    db: &Engine,
    dirty: &Dirty,
    stop: &Stop,
) -> Result<Tried, Error> {
    let Some(mut count) = rollup::begin_count(db, dirty).await? else { return Ok(Tried::Done) };
    let site = dirty.site.as_str();
    let views = read_views(db, site, dirty.hour).await?;
    if views.changed {
        let midnight = dirty.hour.floor_to(DAY).plus(DAY);
        let mark = rollup::watermark(db, site).await?.unwrap_or(midnight).min(midnight);
        let rest = Span { site, from: dirty.hour.plus(HOUR), to: mark, bots: Bots::Include };
        for later in rollup::series(db, &rest, HOUR).await? {
            if stop.is_soft() {
                return Ok(Tried::Left);
            }
            let totals = read_views(db, site, later.t).await?.totals;
            let views = Views { hour: later.t, totals, changed: true };
            let counted = count_hour(insight, db, &views, site).await?;
            if !count.replace(later.t, &counted).await? {
                return Ok(Tried::Refused);
            }
        }
    }
    let counted = count_hour(insight, db, &views, site).await?;
    let is_done = count.finish(&counted).await?;
    Ok(if is_done { Tried::Done } else { Tried::Refused })
}

/// The totals of an hour, people first, and whether they tell of other views than the hour was counted with.
struct Views {
    hour: Timestamp,
    totals: [TotalRow; 2],
    changed: bool,
}

async fn read_views(db: &Engine, site: &str, hour: Timestamp) -> Result<Views, Error> {
    let span = |bots| Span { site, from: hour, to: hour.plus(HOUR), bots };
    let totals =
        [count_total(db, &span(Bots::Exclude)).await?, count_total(db, &span(Bots::Only)).await?];
    let mut changed = false;
    for (bots, total) in [Bots::Exclude, Bots::Only].into_iter().zip(&totals) {
        let counted = rollup::series(db, &span(bots), HOUR).await?;
        let counted = counted.first().map(|point| (point.pageviews, point.visitors));
        changed |= counted.unwrap_or((0, 0)) != (total.pageviews, total.visitors);
    }
    Ok(Views { hour, totals, changed })
}

async fn count_hour(
    insight: &Insight,
    db: &Engine,
    views: &Views,
    site: &str,
) -> Result<HourRollup, Error> {
    let tally = insight.tally();
    let mut counted = HourRollup { totals: views.totals.to_vec(), ..HourRollup::default() };
    for bots in [Bots::Exclude, Bots::Only] {
        let span = Span { site, from: views.hour, to: views.hour.plus(HOUR), bots };
        for dimension in Dimension::ALL {
            // Late vitals and engagement change hours often, and views by key cost the most to count.
            let rows = if views.changed {
                count_keys(db, &span, dimension, &tally).await?
            } else {
                let kept = |after, limit| rollup::count_by_key(db, &span, dimension, after, limit);
                tally_keys(tally, kept).await?
            };
            counted.keys.extend(rows.into_iter().map(|row| key_row(row, dimension, bots)));
        }
        for group in Group::ALL {
            counted.vitals.extend(count_vitals(db, &span, group, &tally).await?);
        }
    }
    Ok(counted)
}

async fn count_total(db: &Engine, span: &Span<'_>) -> Result<TotalRow, Error> {
    let views = page_view::total(db, span).await?;
    let visits = user_session::series(db, span, HOUR).await?;
    let engaged = engagement::series(db, span, HOUR).await?;
    Ok(TotalRow {
        bot: span.bots == Bots::Only,
        pageviews: views.pageviews,
        visitors: views.visitors,
        sessions: visits.iter().map(|point| point.sessions).sum(),
        bounces: visits.iter().map(|point| point.bounces).sum(),
        engaged_ms: engaged.iter().map(|point| point.engaged_ms).sum(),
    })
}

fn key_row(row: KeyCount, dimension: Dimension, bots: Bots) -> KeyRow {
    KeyRow {
        dimension,
        key: row.key,
        bot: bots == Bots::Only,
        pageviews: row.pageviews,
        visitors: row.visitors,
    }
}

/// Page views of the span by key, with the visitors who had not been seen with that key earlier on the span's first day.
async fn count_keys(
    db: &Engine,
    span: &Span<'_>,
    dimension: Dimension,
    tally: &Tally,
) -> Result<Vec<KeyCount>, Error> {
    let count = async |span: Span<'_>| {
        tally_keys(*tally, |after, limit| {
            page_view::count_by_key(db, &span, dimension, after, limit)
        })
        .await
    };
    let mut keys = count(*span).await?;
    let midnight = span.from.floor_to(DAY);
    if midnight == span.from || keys.is_empty() {
        return Ok(keys);
    }
    let visitors = |rows: Vec<KeyCount>| -> HashMap<Option<String>, i64> {
        rows.into_iter().map(|row| (row.key, row.visitors)).collect()
    };
    let earlier = visitors(count(Span { from: midnight, to: span.from, ..*span }).await?);
    let so_far = visitors(count(Span { from: midnight, ..*span }).await?);
    for row in &mut keys {
        if let (Some(earlier), Some(so_far)) = (earlier.get(&row.key), so_far.get(&row.key)) {
            row.visitors = so_far - earlier;
        }
    }
    Ok(keys)
}

async fn count_vitals(
    db: &Engine,
    span: &Span<'_>,
    group: Group,
    tally: &Tally,
) -> Result<Vec<VitalRow>, Error> {
    let mut values = performance_metric::stream_values(db, span, group);
    let found = tally_vitals(*tally, &mut values).await?;
    let rows = found.iter().flat_map(|(key, all)| {
        all.measured().map(|(vital, all)| VitalRow {
            dimension: group,
            key: key.clone(),
            name: vital.as_str().into(),
            bot: span.bots == Bots::Only,
            sketch: all.encode_sketch(),
            good: all.good as i64,
            needs_improvement: all.needs_improvement as i64,
            poor: all.poor as i64,
        })
    });
    Ok(rows.collect())
}

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
