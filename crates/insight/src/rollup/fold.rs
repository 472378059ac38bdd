//! Folds the counted hours of days into day rows, so that a month is read in thirty of them per key and not in seven
//! hundred; keeps no state. What day rows are, and why they are never outdated, says the store.

use mainstay_base::Timestamp;
use mainstay_store::rollup::{self, DayVitalRow, Unfolded};
use mainstay_store::{Bots, Engine, Error, Group, Span};

use crate::Insight;
use crate::query::{Tally, tally_counted};
use crate::vitals::day;

/// Of a day.
const HOURS: usize = 24;

/// Folds what is counted and not folded, a day after the other, newest first; the day that is not over, too.
pub(super) async fn fold_days(
    insight: &Insight,
    db: &Engine,
    site: &str,
    mark: Timestamp,
) -> Result<(), Error> {
    let days = insight.0.settings.rollup_hours_max.div_ceil(HOURS);
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    for unfolded in rollup::list_unfolded(db, site, mark, days).await? {
        fold(db, site, &unfolded).await?;
    }
    Ok(())
}

/// A day whose hours change meanwhile is folded in the next round.
async fn fold(db: &Engine, site: &str, unfolded: &Unfolded) -> Result<bool, Error> {
    let mut vitals = Vec::new();
    for bots in [Bots::Exclude, Bots::Only] {
        let span = Span { site, from: unfolded.day, to: unfolded.to, bots };
        for group in Group::ALL {
            vitals.extend(fold_vitals(db, &span, group).await?);
        }
    }
    rollup::fold_day(db, site, unfolded, &vitals).await
}

/// Every key that an hour has: hours are bounded already, and a day must not say less than they do.
async fn fold_vitals(
    db: &Engine,
    span: &Span<'_>,
    group: Group,
) -> Result<Vec<DayVitalRow>, Error> {
    let all = Tally { keys_max: usize::MAX, vital_keys_max: usize::MAX };
    let found = tally_counted(all, &mut rollup::stream_vitals(db, span, group)).await?;
    let found: Vec<_> = found.into_iter().collect();
    // Ordered by key, then vital.
    let keys = found.chunk_by(|((one, _), _), ((other, _), _)| one == other);
    let rows = keys.filter_map(|vitals| {
        let ((key, _), _) = vitals.first()?;
        let stored = day::encode(vitals.iter().map(|((_, vital), all)| (*vital, all)));
        let bot = span.bots == Bots::Only;
        Some(DayVitalRow { dimension: group, key: key.clone(), bot, vitals: stored })
    });
    Ok(rows.collect())
}
