//! Day rows: the counted hours of a day (UTC) folded into one row per key. Merging sketches is `insight`'s.
//!
//! # Invariants
//! - Every day that has a counted hour has its row in `rollup_day`, which says how many of its first hours are folded.
//! - Whoever replaces one of those hours takes all of the day's rows back in the same transaction (a trigger does), and
//!   holds that row until its end. What is left of the rows then is read by nobody.
//! - A fold is written only when no hour of the day changed since it was read: two that fold the same day, or one that
//!   folds and one that counts, cannot bring back what is outdated.

use std::time::Duration;

use mainstay_base::Timestamp;

use super::HOUR;
use crate::ask::{ask, run};
use crate::bulk::{Binder, Bulk, Kind, Table};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Group, Ts};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
const HOURS: i64 = 24;

/// A day with hours to fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// Start of the day.
    pub day: Timestamp,
    /// End of its counted hours.
    pub to: Timestamp,
    folded: i64,
    changes: i64,
}

/// All vitals of one key on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayVitalRow {
    /// What is grouped by.
    pub dimension: Group,
    /// The key; none for the whole site or an unnamed release.
    pub key: Option<String>,
    /// People or bots.
    pub bot: bool,
    /// Counts and sketches of every vital, encoded.
    pub vitals: Vec<u8>,
}

/// A day is left alone while an hour of it was never counted: counting that one would take its rows back.
macro_rules! unfolded {
    ($hour:literal, $day:literal) => {
        concat!(
            "SELECT day, hours, changes FROM mainstay.rollup_day f
            WHERE site = $1 AND day < $2 AND hours < 24 AND day + hours * ", $hour, " < $2
            AND NOT EXISTS (
                SELECT 1 FROM mainstay.rollup_dirty d
                WHERE d.site = $1 AND d.hour >= f.day AND d.hour < f.day + ", $day, " AND NOT EXISTS (
                    SELECT 1 FROM mainstay.rollup_total t WHERE t.site = $1 AND t.hour = d.hour))
            ORDER BY day DESC LIMIT $3"
        )
    };
}
const UNFOLDED: Sql = sql!(
    sqlite: unfolded!("3600000000", "86400000000"),
    postgres: unfolded!("INTERVAL '1 hour'", "INTERVAL '24 hours'"),
);

/// Days with hours before `mark` (the site's watermark) that are not folded, newest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_unfolded(
    db: &Engine,
    site: &str,
    mark: Timestamp,
    limit: u32,
) -> Result<Vec<Unfolded>, Error> {
    let rows: Vec<(Ts, i64, i64)> = ask!(
        db,
        "rollup.list_unfolded",
        query_as(UNFOLDED).fetch_all,
        site,
        Ts(mark),
        i64::from(limit),
    )?;
    let unfolded = |(day, folded, changes): (Ts, i64, i64)| {
        let to = day.0.plus(DAY).min(mark.floor_to(HOUR));
        Unfolded { day: day.0, to, folded, changes }
    };
    Ok(rows.into_iter().map(unfolded).collect())
}

impl Unfolded {
    fn hours(&self) -> i64 {
        let hours = self.to.since(self.day).as_secs() / HOUR.as_secs();
        i64::try_from(hours).unwrap_or(HOURS).min(HOURS)
    }

    /// End of the hours that are folded already.
    fn folded_to(&self) -> Timestamp {
        self.day.plus(HOUR.saturating_mul(u32::try_from(self.folded).unwrap_or(0)))
    }
}

/// Waits for whoever is changing an hour of the day.
const CLAIM: Sql = sql!(
    "UPDATE mainstay.rollup_day SET hours = $3, changes = changes + 1
     WHERE site = $1 AND day = $2 AND changes = $4"
);
const DELETE_KEYS: Sql = sql!(
    "DELETE FROM mainstay.rollup_day_key WHERE site = $1 AND day = $2
     AND dimension IN ('path', 'source', 'device', 'country')"
);
const DELETE_VITALS: Sql = sql!(
    "DELETE FROM mainstay.rollup_day_vital WHERE site = $1 AND day = $2
     AND dimension IN ('page', 'device', 'release', 'site')"
);
const ADD_KEYS: Sql = sql!(
    "INSERT INTO mainstay.rollup_day_key AS d (site, dimension, day, key, bot, pageviews, visitors)
     SELECT $1, dimension, $2, key, bot, sum(pageviews), sum(visitors) FROM mainstay.rollup_key
     WHERE site = $1 AND hour >= $3 AND hour < $4
     AND dimension IN ('path', 'source', 'device', 'country')
     GROUP BY dimension, key, bot ORDER BY dimension, key, bot
     ON CONFLICT (site, dimension, day, key, bot) DO UPDATE
     SET pageviews = d.pageviews + excluded.pageviews, visitors = d.visitors + excluded.visitors"
);
const INSERT_VITALS: Table = Table {
    name: "rollup_day_vital",
    columns: &[
        ("site", Kind::Text),
        ("dimension", Kind::Text),
        ("day", Kind::Time),
        ("key", Kind::Text),
        ("bot", Kind::Flag),
        ("vitals", Kind::Bytes),
    ],
    tail: sql!(""),
};

/// Folds the hours of a day up to `unfolded.to`, in one transaction; `vitals` are those of all of them. False when an
/// hour of the day changed after `unfolded` was listed: then nothing is written, and it is listed again.
///
/// # Errors
/// [`Error`] when the store cannot answer; `Conflict` when a key comes twice. Then the day's rows stay as they were.
pub async fn fold_day(
    db: &Engine,
    site: &str,
    unfolded: &Unfolded,
    vitals: &[DayVitalRow],
) -> Result<bool, Error> {
    let day = Ts(unfolded.day);
    let mut tx = db.begin("rollup.fold_day").await?;
    if run!(tx, CLAIM, site, day, unfolded.hours(), unfolded.changes)? == 0 {
        tx.commit().await?;
        return Ok(false);
    }
    if unfolded.folded == 0 {
        run!(tx, DELETE_KEYS, site, day)?;
    }
    run!(tx, ADD_KEYS, site, day, Ts(unfolded.folded_to()), Ts(unfolded.to))?;
    run!(tx, DELETE_VITALS, site, day)?;
    Bulk::new(&INSERT_VITALS).insert_all(&mut tx, vitals, bind_vitals(site, unfolded.day)).await?;
    tx.commit().await?;
    Ok(true)
}

fn bind_vitals<'r>(site: &'r str, day: Timestamp) -> impl Fn(&'r DayVitalRow, &mut Binder<'r>) {
    move |row, to| {
        to.text(site)
            .text(row.dimension.as_str())
            .at(day)
            .text(row.key.as_deref().unwrap_or(""))
            .flag(row.bot)
            .bytes(&row.vitals);
    }
}

/// The questions asked while people wait, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![UNFOLDED, CLAIM, DELETE_KEYS, DELETE_VITALS, ADD_KEYS]
}
