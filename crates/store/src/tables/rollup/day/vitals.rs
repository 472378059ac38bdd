//! The vitals of a claimed day's hours, in pages of few rows.

use std::collections::BTreeMap;

use mainstay_base::Timestamp;

use super::super::vitals::Vital;
use super::Fold;
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::{Error, Group, Ts};

/// Most rows of an hour in a page of [`Fold::list_vitals`]: 2 040 of all hours. One key has five.
pub(super) const HOUR_ROWS_MAX: u32 = 85;

/// A row at least, where the day is as it was claimed. Of each hour the first rows in the order of the table's key: nothing
/// is sorted. What of them lies behind the page's end the next page reads again.
macro_rules! hour_vitals {
    ($parts:literal) => {
        concat!(
            "SELECT parts.hour, parts.key, parts.name, parts.bot, parts.sketch,
                parts.good, parts.needs_improvement, parts.poor
             FROM mainstay.rollup_day f LEFT JOIN (",
            $parts,
            ") AS parts ON TRUE
             WHERE f.site = $1 AND f.day = $3 AND f.changes = $8 AND f.claim = $9"
        )
    };
}
pub(super) const HOUR_VITALS: Sql = sql!(
    sqlite: hour_vitals!(
        "WITH RECURSIVE hours (hour) AS (
            SELECT $3 UNION ALL SELECT hour + 3600000000 FROM hours WHERE hour + 3600000000 < $4)
         SELECT r.* FROM hours CROSS JOIN mainstay.rollup_vital r ON r.rowid IN (
            SELECT v.rowid FROM mainstay.rollup_vital v
            WHERE v.site = $1 AND v.dimension = $2 AND v.hour = hours.hour AND v.bot = $5 AND v.key >= $6
            ORDER BY v.key LIMIT $7)"
    ),
    postgres: hour_vitals!(
        "SELECT r.* FROM generate_series($3, $4 - INTERVAL '1 hour', INTERVAL '1 hour') AS hours (hour)
         CROSS JOIN LATERAL (
            SELECT * FROM mainstay.rollup_vital v
            WHERE v.site = $1 AND v.dimension = $2 AND v.hour = hours.hour AND v.bot = $5 AND v.key >= $6
            ORDER BY v.key LIMIT $7) r"
    ),
);
type HourVitalTuple = (
    Option<Ts>,
    Option<String>,
    Option<String>,
    Option<bool>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// Vitals of hours, all of each key.
#[derive(Debug, PartialEq, Eq)]
pub struct HourVitals {
    /// Ordered by key.
    pub vitals: Vec<Vital>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

impl Fold<'_> {
    /// The vitals of the hours, of people or of bots, from this key on; none when the day changed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer.
    pub async fn list_vitals(
        &self,
        group: Group,
        bot: bool,
        from: &str,
    ) -> Result<Option<HourVitals>, Error> {
        let rows: Vec<HourVitalTuple> = ask!(
            self.db,
            "rollup.list_hour_vitals",
            query_as(HOUR_VITALS).fetch_all,
            self.site,
            group.as_str(),
            Ts(self.claimed.day),
            Ts(self.claimed.to),
            bot,
            from,
            i64::from(self.hour_rows_max),
            self.claimed.changes,
            self.claimed.claim,
        )?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut vitals: Vec<Vital> = rows.into_iter().filter_map(of_hour).collect();
        let next = cut_full_hours(&mut vitals, self.hour_rows_max);
        Ok(Some(HourVitals { vitals, next }))
    }
}

fn of_hour(row: HourVitalTuple) -> Option<Vital> {
    let (at, key, name, bot, sketch, good, needs_improvement, poor) = row;
    Some(Vital::from((at?, key?, name?, bot?, sketch?, good?, needs_improvement?, poor?)))
}

/// Orders what was read by key, and leaves out the keys of which there may be more: from the last one on of those hours that
/// have as many rows as may be read at once. Answers the first that is left out. A key alone never fills an hour.
fn cut_full_hours(vitals: &mut Vec<Vital>, hour_rows_max: u32) -> Option<String> {
    vitals.sort_by(|one, other| one.key.cmp(&other.key));
    let mut hours: BTreeMap<Timestamp, (u32, &Option<String>)> = BTreeMap::new();
    for row in vitals.iter() {
        let (rows, last) = hours.entry(row.at).or_insert((0, &row.key));
        (*rows, *last) = (*rows + 1, &row.key);
    }
    let full = hours.into_values().filter(|(rows, _)| *rows >= hour_rows_max);
    let next = full.map(|(_, last)| last).min()?.clone();
    let kept = vitals.partition_point(|row| row.key < next);
    if kept == 0 {
        return None;
    }
    vitals.truncate(kept);
    next
}
