//! The hourly roll-ups: which hours are to be counted, the counts, and the questions answered from them.
//!
//! How an hour gets counted, without ever missing a change: [`advance_watermark`] moves the watermark past the hours
//! that are over and marks them dirty, in one transaction. From then on every change to them marks them again. The
//! reconciler takes hours from [`list_dirty`], says [`begin_count`], reads their rows, and with [`Count::finish`] replaces
//! the hour and takes its mark away, which it leaves alone when another change came in the meantime. Stopped anywhere it
//! just counts an hour twice; where two servers count the same day, what was read before the other's change is refused.
//!
//! Counted hours are folded into [`day`] rows, which answer for them until one of them is replaced.

mod count;
mod day;
mod day_vital;
mod hour;
mod read;
mod vitals;

pub use count::{Count, begin_count};
pub(crate) use day::DAY;
pub use day::{Fold, HourVitals, Unfolded, claim_day, list_unfolded};
pub use day_vital::DayVitalRow;
pub(crate) use hour::HOUR;
pub use hour::{HourRollup, KeyRow, TotalRow, VitalRow};
use mainstay_base::Timestamp;
pub use read::{Point, count_by_key, series, sum_visitors};
pub use vitals::{Counted, Page, Vital, Vitals, stream_vitals};

use crate::ask::{ask, change, run};
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Ts};

/// An hour to be counted (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Which site.
    pub site: String,
    /// Start of the hour.
    pub hour: Timestamp,
    /// How often it was marked; tells [`clear_dirty`] whether it changed since.
    pub marks: i64,
}

/// The end of the hours that are counted; none before the first [`advance_watermark`].
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn watermark(db: &Engine, site: &str) -> Result<Option<Timestamp>, Error> {
    const FIND: Sql = sql!("SELECT hour FROM mainstay.rollup_watermark WHERE site = $1");
    let hour: Option<Ts> = ask!(db, "rollup.watermark", query_scalar(FIND).fetch_optional, site)?;
    Ok(hour.map(Timestamp::from))
}

/// Hours to mark: from the old watermark, or for a new site from its first event, to before `$2`.
macro_rules! mark_up_to {
    ($floor:literal, $hour:literal) => {
        concat!(
            "INSERT INTO mainstay.rollup_dirty (site, hour)
            WITH RECURSIVE hours (hour) AS (
                SELECT coalesce(
                    (SELECT hour FROM mainstay.rollup_watermark WHERE site = $1),
                    (SELECT ", $floor, " FROM (
                        SELECT min(recorded_at) AS first FROM mainstay.page_views WHERE site = $1
                        UNION ALL SELECT min(started_at) FROM mainstay.user_sessions WHERE site = $1
                        UNION ALL SELECT min(recorded_at) FROM mainstay.engagement WHERE site = $1
                        UNION ALL SELECT min(timestamp) FROM mainstay.performance_metrics WHERE site = $1) AS firsts),
                    $2)
                UNION ALL SELECT hour + ", $hour, " FROM hours WHERE hour + ", $hour, " < $2
            )
            SELECT $1, hour FROM hours WHERE hour < $2
            ON CONFLICT (site, hour) DO UPDATE SET marks = rollup_dirty.marks + 1"
        )
    };
}
const MARK_UP_TO: Sql = sql!(
    sqlite: mark_up_to!("min(first) - min(first) % 3600000000", "3600000000"),
    postgres: mark_up_to!("date_trunc('hour', min(first), 'UTC')", "INTERVAL '1 hour'"),
);

const ADVANCE: Sql = sql!(
    "INSERT INTO mainstay.rollup_watermark (site, hour) VALUES ($1, $2)
     ON CONFLICT (site) DO UPDATE SET hour = excluded.hour WHERE excluded.hour > rollup_watermark.hour"
);

/// Whoever writes events holds this lock with others of its kind until its commit; whoever moves the watermark holds it
/// alone: no event is committed unseen behind it. SQLite has one writer anyway.
const ALONE: Sql = sql!(
    sqlite: "SELECT 1 WHERE $1 IS NULL",
    postgres: "SELECT pg_advisory_xact_lock($1)",
);
/// The lock's number among those of this database: `mainstay` in ASCII.
pub(crate) const WATERMARK_LOCK: i64 = 0x6d61_696e_7374_6179;

/// Declares every hour before `to` (rounded down to an hour) over, and marks those that were not before.
///
/// # Errors
/// [`Error`] when the store cannot answer; then nothing has moved.
pub async fn advance_watermark(db: &Engine, site: &str, to: Timestamp) -> Result<(), Error> {
    let to = Ts(to.floor_to(hour::HOUR));
    let mut tx = db.begin("rollup.advance_watermark").await?;
    run!(tx, ALONE, WATERMARK_LOCK)?;
    run!(tx, MARK_UP_TO, site, to)?;
    run!(tx, ADVANCE, site, to)?;
    tx.commit().await
}

/// Marks an hour to be counted again, whatever the watermark.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn mark_dirty(db: &Engine, site: &str, hour: Timestamp) -> Result<(), Error> {
    const MARK: Sql = sql!(
        "INSERT INTO mainstay.rollup_dirty (site, hour) VALUES ($1, $2)
         ON CONFLICT (site, hour) DO UPDATE SET marks = rollup_dirty.marks + 1"
    );
    change!(db, "rollup.mark_dirty", MARK, site, Ts(hour.floor_to(hour::HOUR))).map(drop)
}

/// Marks an hour within the recorder's transaction, if the watermark has passed it: a site and an hour on SQLite, an
/// array of each on PostgreSQL. (Changes to rows that are there already mark by trigger; this is for rows that arrive
/// late.)
pub(crate) const MARK_COUNTED: Sql = sql!(
    sqlite: "INSERT INTO mainstay.rollup_dirty (site, hour)
        SELECT site, $2 FROM mainstay.rollup_watermark WHERE site = $1 AND hour > $2
        ON CONFLICT (site, hour) DO UPDATE SET marks = rollup_dirty.marks + 1",
    postgres: "INSERT INTO mainstay.rollup_dirty (site, hour)
        SELECT w.site, late.hour FROM unnest($1::text[], $2::timestamptz[]) AS late(site, hour)
        JOIN mainstay.rollup_watermark w ON w.site = late.site AND w.hour > late.hour
        ORDER BY w.site, late.hour
        ON CONFLICT (site, hour) DO UPDATE SET marks = rollup_dirty.marks + 1",
);

const DIRTY: Sql = sql!(
    "SELECT site, hour, marks FROM mainstay.rollup_dirty
     WHERE (hour, site) > ($1, $2) ORDER BY hour, site LIMIT $3"
);

/// Hours to be counted, of all sites, oldest first; those after this one, or from the first.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list_dirty(
    db: &Engine,
    after: Option<&Dirty>,
    limit: u32,
) -> Result<Vec<Dirty>, Error> {
    let (hour, site) =
        after.map_or((Timestamp::EPOCH, ""), |after| (after.hour, after.site.as_str()));
    let rows: Vec<(String, Ts, i64)> = ask!(
        db,
        "rollup.list_dirty",
        query_as(DIRTY).fetch_all,
        Ts(hour),
        site,
        i64::from(limit),
    )?;
    Ok(rows.into_iter().map(|(site, hour, marks)| Dirty { site, hour: hour.0, marks }).collect())
}

const CLEAR: Sql =
    sql!("DELETE FROM mainstay.rollup_dirty WHERE site = $1 AND hour = $2 AND marks = $3");

/// The hour needs no count; false when it changed after `dirty` was listed, then it stays to be counted again.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn clear_dirty(db: &Engine, dirty: &Dirty) -> Result<bool, Error> {
    change!(db, "rollup.clear_dirty", CLEAR, &dirty.site, Ts(dirty.hour), dirty.marks)
        .map(|cleared| cleared == 1)
}

/// What is asked while people wait, and what counting and folding do meanwhile, for the test of query plans.
#[cfg(test)]
pub(crate) fn list_texts() -> Vec<Sql> {
    let mut texts =
        [read::list_texts(), count::list_texts(), day::list_texts(), vitals::list_texts()].concat();
    texts.extend(hour::DELETE_HOUR);
    texts.extend([MARK_UP_TO, CLEAR]);
    texts
}
