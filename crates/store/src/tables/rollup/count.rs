//! One count of a marked hour: what it began from, and that nobody else's is replaced by what was read before it.

use mainstay_base::Timestamp;

use super::day::DAY;
use super::hour::{HourRollup, replace};
use super::{CLEAR, Dirty};
use crate::ask::{ask, run, take};
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Engine, Error, Ts};

/// A count that was begun. It replaces hours of the day for as long as nobody else has changed any, by the day's `changes`:
/// of two servers that count the same hour the later one may have read its events first. A database that takes over without
/// the last changes begins at a number that was had before; what an older count makes of the hour then lasts until it
/// changes again.
#[derive(Debug)]
pub struct Count<'a> {
    db: &'a Engine,
    dirty: &'a Dirty,
    marks: i64,
    /// Of the day's row; none while no hour of it was ever counted.
    changes: Option<i64>,
}

/// The mark and the day in one state: a mark that another count took away, and that was made anew, may have the number it
/// had.
const BEGIN: Sql = sql!(
    "SELECT d.marks, f.changes FROM mainstay.rollup_dirty d
     LEFT JOIN mainstay.rollup_day f ON f.site = $1 AND f.day = $3
     WHERE d.site = $1 AND d.hour = $2"
);

/// The first hours of a day have no row to hold.
const ONE_AT_A_TIME: Sql = sql!(
    sqlite: "SELECT 1 WHERE $1 IS NULL",
    postgres: "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))",
);
const HOLD: Sql = sql!(
    sqlite: "SELECT changes FROM mainstay.rollup_day WHERE site = $1 AND day = $2",
    postgres: "SELECT changes FROM mainstay.rollup_day WHERE site = $1 AND day = $2 FOR UPDATE",
);

/// Before anything is read of the hour; none when it is not marked any more.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn begin_count<'a>(db: &'a Engine, dirty: &'a Dirty) -> Result<Option<Count<'a>>, Error> {
    let day = dirty.hour.floor_to(DAY);
    let row: Option<(i64, Option<i64>)> = ask!(
        db,
        "rollup.begin_count",
        query_as(BEGIN).fetch_optional,
        &dirty.site,
        Ts(dirty.hour),
        Ts(day),
    )?;
    Ok(row.map(|(marks, changes)| Count { db, dirty, marks, changes }))
}

impl<'a> Count<'a> {
    /// Replaces another hour of the day, in one transaction; false when the day changed, then nothing was done.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; `Conflict` when a key comes twice. Then the old counts stay.
    pub async fn replace(&mut self, hour: Timestamp, counted: &HourRollup) -> Result<bool, Error> {
        let Some(mut tx) = self.step(hour, counted).await? else { return Ok(false) };
        let day = Ts(self.day());
        self.changes = take!(tx, query_scalar(HOLD).fetch_optional, &self.dirty.site, day)?;
        tx.commit().await?;
        Ok(true)
    }

    /// Replaces the marked hour, and takes the mark away unless the hour changed after the count was begun: then it stays to
    /// be counted again. False when the day changed, then nothing was done.
    ///
    /// # Errors
    /// As [`Count::replace`].
    pub async fn finish(self, counted: &HourRollup) -> Result<bool, Error> {
        let hour = self.dirty.hour;
        let Some(mut tx) = self.step(hour, counted).await? else { return Ok(false) };
        run!(tx, CLEAR, &self.dirty.site, Ts(hour), self.marks)?;
        tx.commit().await?;
        Ok(true)
    }

    /// A transaction that holds the day and has replaced the hour.
    async fn step(&self, hour: Timestamp, counted: &HourRollup) -> Result<Option<Tx<'a>>, Error> {
        let (db, site, day) = (self.db, self.dirty.site.as_str(), self.day());
        let mut tx = db.begin("rollup.replace_hour").await?;
        run!(tx, ONE_AT_A_TIME, format!("{site} {}", day.as_micros()))?;
        let changes: Option<i64> = take!(tx, query_scalar(HOLD).fetch_optional, site, Ts(day))?;
        if changes != self.changes {
            tx.commit().await?;
            return Ok(None);
        }
        replace(&mut tx, site, hour, counted).await?;
        Ok(Some(tx))
    }

    fn day(&self) -> Timestamp {
        self.dirty.hour.floor_to(DAY)
    }
}

/// What is asked of every hour, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![BEGIN, HOLD]
}
