//! Day rows: the counted hours of a day (UTC) folded into one row per key. Merging sketches is `insight`'s.
//!
//! # Invariants
//! - Every day that has a counted hour has its row in `rollup_day`, which says how many of its first hours are folded.
//!   Day rows are read by nobody while it says none.
//! - Whoever replaces one of those hours takes all of the day's rows back in the same transaction (a trigger does), and
//!   holds that row until its end.
//! - A day is folded in many short transactions, so that nobody waits long: [`claim_day`] takes its rows back,
//!   [`Fold::finish`] says how many hours they tell of. `changes` and `claim` are the fencing token: every change to an
//!   hour makes the first grow, and each claim has a random number of its own, for a server that takes over may lack the
//!   last changes, and a day that was removed begins anew. A claim is no change: who counts an hour is not disturbed. Each step holds the day's row while it has the
//!   token of the step before, and gives it the next number: a server that has the claim and lacks a step has another
//!   token. Each read says nothing of a state in which it has another. So neither another fold, nor a count, nor a server
//!   that is behind can bring back what is outdated, and no day is finished that lacks a step.
//! - A claimed day is left to who claimed it until its lease is over, [`LEASE`] after its last step: on PostgreSQL by the
//!   server's clock, whatever those of the processes say. A lease that ends later than anybody's could is the word of a
//!   clock that has been put back since, or of another server's, and binds nobody: a day taken too soon costs work, no
//!   truth.

mod vitals;

use std::time::Duration;

use mainstay_base::{Clock, Entropy, Timestamp};

use super::DayVitalRow;
use super::HOUR;
use super::day_vital::{INSERT_VITALS, bind_vitals};
use crate::ask::{ask, change, run};
use crate::bulk::Bulk;
use crate::sql::{Sql, sql};
use crate::tx::Tx;
use crate::{Dimension, Engine, Error, Group, Ts};

pub use vitals::HourVitals;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
const HOURS: i64 = 24;
/// Longer than a step by far. Where statements may take long it lasts for [`STATEMENTS_PER_LEASE`] of them.
const LEASE: Duration = Duration::from_secs(30);
/// What a step asks and what is read before the next one, and one to spare: processes that find each other's steps too
/// long would take a day from each other for ever.
const STATEMENTS_PER_LEASE: u32 = 5;
/// Hours whose keys one statement adds up: 80 000 rows where every hour is as full as it may be by default.
const HOURS_PER_STEP: u32 = 4;
/// Most rows that one statement removes.
const REMOVED_MAX: u32 = 10_000;

/// A day with hours to fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfolded {
    /// Start of the day.
    pub day: Timestamp,
    /// End of the hours to fold.
    pub to: Timestamp,
    folded: i64,
    changes: i64,
    claim: i64,
}

/// A day is left alone while an hour of it was never counted: counting that one would take its rows back.
macro_rules! unfolded {
    ($hour:literal, $day:literal) => {
        concat!(
            "SELECT day, hours, changes, claim FROM mainstay.rollup_day f
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

/// Days with hours before `to` that are not folded, newest first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_unfolded(
    db: &Engine,
    site: &str,
    to: Timestamp,
    limit: u32,
) -> Result<Vec<Unfolded>, Error> {
    let to = to.floor_to(HOUR);
    let rows: Vec<(Ts, i64, i64, i64)> = ask!(
        db,
        "rollup.list_unfolded",
        query_as(UNFOLDED).fetch_all,
        site,
        Ts(to),
        i64::from(limit),
    )?;
    let unfolded = |(day, folded, changes, claim): (Ts, i64, i64, i64)| {
        let to = day.0.plus(DAY).min(to);
        Unfolded { day: day.0, to, folded, changes, claim }
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

/// Waits for whoever is changing an hour of the day. Several processes share a server, whose clock decides; the one that
/// has a file has its own.
macro_rules! claim {
    ($now:literal, $until:literal) => {
        concat!(
            "UPDATE mainstay.rollup_day SET hours = 0, claim = $6, leased_until = ",
            $until,
            " WHERE site = $1 AND day = $2 AND changes = $3 AND claim = $4 AND hours = $5
            AND (leased_until <= ",
            $now,
            " OR leased_until > ",
            $until,
            ")"
        )
    };
}
const CLAIM: Sql = sql!(
    sqlite: claim!("$8", "$8 + $7"),
    postgres: claim!("clock_timestamp()", "clock_timestamp() + $7 * INTERVAL '1 microsecond'"),
);
/// The same; who changes an hour afterwards waits for the step's end.
macro_rules! hold {
    ($until:literal) => {
        concat!(
            "UPDATE mainstay.rollup_day SET claim = $5, leased_until = ",
            $until,
            " WHERE site = $1 AND day = $2 AND changes = $3 AND claim = $4"
        )
    };
}
const HOLD: Sql = sql!(
    sqlite: hold!("$7 + $6"),
    postgres: hold!("clock_timestamp() + $6 * INTERVAL '1 microsecond'"),
);
const FINISH: Sql = sql!(
    "UPDATE mainstay.rollup_day SET hours = $5, leased_until = $6
     WHERE site = $1 AND day = $2 AND changes = $3 AND claim = $4"
);
macro_rules! remove {
    ($table:literal) => {
        sql!(
            sqlite: remove!("rowid IN (", "rowid", $table),
            postgres: remove!("ctid = ANY (ARRAY", "ctid", $table),
        )
    };
    ($among:literal, $row:literal, $table:literal) => {
        concat!(
            "DELETE FROM mainstay.", $table, " WHERE ", $among, "(SELECT ", $row, " FROM mainstay.", $table,
            " WHERE site = $1 AND dimension = $2 AND day = $3 LIMIT $4))"
        )
    };
}
const REMOVE_KEYS: Sql = remove!("rollup_day_key");
const REMOVE_VITALS: Sql = remove!("rollup_day_vital");
const ADD_KEYS: Sql = sql!(
    "INSERT INTO mainstay.rollup_day_key AS d (site, dimension, day, key, bot, pageviews, visitors)
     SELECT $1, $2, $3, key, bot, sum(pageviews), sum(visitors) FROM mainstay.rollup_key
     WHERE site = $1 AND dimension = $2 AND hour >= $4 AND hour < $5
     GROUP BY key, bot ORDER BY key, bot
     ON CONFLICT (site, dimension, day, key, bot) DO UPDATE
     SET pageviews = d.pageviews + excluded.pageviews, visitors = d.visitors + excluded.visitors"
);
/// A claimed day. Each of its steps may find that an hour of the day changed, that somebody else has claimed it since, or
/// that a server took over which lacks a step: then nothing was done, and the day is listed again. After an error it is
/// dropped, for nobody knows whether the step was made. Dropped without [`Fold::finish`] it stays unfolded.
#[derive(Debug)]
pub struct Fold<'a> {
    db: &'a Engine,
    clock: &'a Clock,
    site: &'a str,
    claimed: Unfolded,
    lease: Duration,
    /// Most rows of an hour in a page.
    pub(crate) hour_rows_max: u32,
}

/// Takes the day's rows back and has it to itself from then on. None when an hour of the day changed after `unfolded` was
/// listed, or while somebody else folds it.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn claim_day<'a>(
    db: &'a Engine,
    clock: &'a Clock,
    entropy: &Entropy,
    site: &'a str,
    unfolded: &Unfolded,
) -> Result<Option<Fold<'a>>, Error> {
    let op = "rollup.claim_day";
    let claim = entropy.bytes().map_err(|e| Error::new(op, sqlx::Error::Encode(Box::new(e))))?;
    let claim = i64::from_le_bytes(claim);
    let lease = lease(db);
    let claimed = change!(
        db,
        op,
        CLAIM,
        site,
        Ts(unfolded.day),
        unfolded.changes,
        unfolded.claim,
        unfolded.folded,
        claim,
        micros(lease),
        Ts(clock.now()),
    )?;
    let fold = || {
        let claimed = Unfolded { claim, ..*unfolded };
        Fold { db, clock, site, claimed, lease, hour_rows_max: vitals::HOUR_ROWS_MAX }
    };
    Ok((claimed == 1).then(fold))
}

fn lease(db: &Engine) -> Duration {
    match db {
        Engine::Sqlite(_) => LEASE,
        Engine::Postgres(db) => LEASE.max(db.patience().0 * STATEMENTS_PER_LEASE),
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl<'a> Fold<'a> {
    /// A transaction that holds the day; none when it is not as the step before left it.
    async fn step(&mut self) -> Result<Option<Tx<'a>>, Error> {
        let db = self.db;
        let mut tx = db.begin("rollup.fold_day").await?;
        let Unfolded { day, changes, claim, .. } = self.claimed;
        let (next, now) = (claim.wrapping_add(1), Ts(self.clock.now()));
        let lease = micros(self.lease);
        if run!(tx, HOLD, self.site, Ts(day), changes, claim, next, lease, now)? == 1 {
            self.claimed.claim = next;
            return Ok(Some(tx));
        }
        tx.commit().await?;
        Ok(None)
    }

    /// Adds up the keys of the hours, beginning with those that were not folded before; false when the day changed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer.
    pub async fn add_keys(&mut self, by: Dimension) -> Result<bool, Error> {
        let Unfolded { day, to, folded, .. } = self.claimed;
        if folded == 0 && !self.remove(REMOVE_KEYS, by.as_str()).await? {
            return Ok(false);
        }
        let mut from = self.claimed.folded_to();
        while from < to {
            let end = from.plus(HOUR * HOURS_PER_STEP).min(to);
            let Some(mut tx) = self.step().await? else { return Ok(false) };
            run!(tx, ADD_KEYS, self.site, by.as_str(), Ts(day), Ts(from), Ts(end))?;
            tx.commit().await?;
            from = end;
        }
        Ok(true)
    }

    /// Removes the vitals that were folded before; false when the day changed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer.
    pub async fn remove_vitals(&mut self, group: Group) -> Result<bool, Error> {
        self.remove(REMOVE_VITALS, group.as_str()).await
    }

    async fn remove(&mut self, text: Sql, dimension: &str) -> Result<bool, Error> {
        loop {
            let Some(mut tx) = self.step().await? else { return Ok(false) };
            let (day, most) = (Ts(self.claimed.day), i64::from(REMOVED_MAX));
            let removed = run!(tx, text, self.site, dimension, day, most)?;
            tx.commit().await?;
            if removed < u64::from(REMOVED_MAX) {
                return Ok(true);
            }
        }
    }

    /// Writes folded vitals; false when the day changed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer; `Conflict` when a key comes twice.
    pub async fn insert_vitals(&mut self, rows: &[DayVitalRow]) -> Result<bool, Error> {
        let Some(mut tx) = self.step().await? else { return Ok(false) };
        let bind = bind_vitals(self.site, self.claimed.day);
        Bulk::new(&INSERT_VITALS).insert_all(&mut tx, rows, bind).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// From now on the day's rows answer for its hours; false when the day changed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot answer.
    pub async fn finish(self) -> Result<bool, Error> {
        let Unfolded { day, changes, claim, .. } = self.claimed;
        let (hours, never) = (self.claimed.hours(), Ts(Timestamp::EPOCH));
        let finished = change!(
            self.db,
            "rollup.finish_fold",
            FINISH,
            self.site,
            Ts(day),
            changes,
            claim,
            hours,
            never,
        )?;
        Ok(finished == 1)
    }
}

/// What a fold asks and does, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    vec![UNFOLDED, CLAIM, HOLD, FINISH, REMOVE_KEYS, REMOVE_VITALS, ADD_KEYS, vitals::HOUR_VITALS]
}

#[cfg(test)]
mod tests;
