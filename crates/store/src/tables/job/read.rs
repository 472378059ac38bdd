//! What is asked of jobs: one, a page of them, how many there are and since when.

use std::time::Duration;

use mainstay_base::Timestamp;
use sqlx::{FromRow, Row as _};

use super::{Status, duration};
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Ts};

/// One job whole.
macro_rules! select {
    ($($tail:literal),+) => {
        concat!(
            "SELECT seq, queue, status, priority, kind, payload, created_at, run_at, attempts_max, attempts_made,
                timeout_ms, stalled, cancelled, custom_id, started_at, finished_at, worker, progress, result, error,
                trace
             FROM mainstay.job WHERE ",
            $($tail),+
        )
    };
}

/// One of many, without what each says at length: a page of them has a bound.
macro_rules! select_brief {
    ($($tail:literal),+) => {
        concat!(
            "SELECT seq, queue, status, priority, kind,
                CASE WHEN length(payload) <= 4096 THEN payload ELSE '\"[long: ask for the job itself]\"' END,
                created_at, run_at, attempts_max, attempts_made, timeout_ms, stalled, cancelled, custom_id, started_at,
                finished_at, worker, NULL, NULL, error, trace
             FROM mainstay.job WHERE ",
            $($tail),+
        )
    };
}

/// A job as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub seq: i64,
    /// Its queue's number.
    pub queue: i32,
    /// How it stands.
    pub status: Status,
    /// 0 comes first.
    pub priority: i32,
    /// What kind of work.
    pub kind: String,
    /// JSON.
    pub payload: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it may begin.
    pub run_at: Timestamp,
    /// How often it may fail.
    pub attempts_max: i32,
    /// Attempts that ended.
    pub attempts_made: i32,
    /// How long an attempt may take; zero: as long as it likes.
    pub timeout: Duration,
    /// How often whoever had it was not heard of again.
    pub stalled: i32,
    /// Somebody asked for its end.
    pub is_cancelled: bool,
    /// Its own name, where it has one.
    pub custom_id: Option<String>,
    /// When its last attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was finished.
    pub finished_at: Option<Timestamp>,
    /// Who had it last.
    pub worker: Option<String>,
    /// How far it is, JSON.
    pub progress: Option<String>,
    /// What it answered, JSON.
    pub result: Option<String>,
    /// Why its last attempt failed, or why it was buried.
    pub error: Option<String>,
    /// W3C trace context of who added it.
    pub trace: Option<String>,
}

impl Row {
    /// The job's id: its own name, or its number.
    #[must_use]
    pub fn id(&self) -> String {
        self.custom_id.clone().unwrap_or_else(|| self.seq.to_string())
    }
}

/// How many jobs of a queue stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting, delayed, active, completed, failed, dead.
    by: [u64; 6],
}

impl Counts {
    /// Of one status.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.by[status as usize]
    }
}

/// Which jobs are listed.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// The queue's number.
    pub queue: i32,
    /// How they stand.
    pub status: Status,
}

/// After which one a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub i64);

macro_rules! row {
    ($($engine:ty),+) => {$(
        impl FromRow<'_, $engine> for Row {
            fn from_row(row: &$engine) -> Result<Self, sqlx::Error> {
                let at = |column: usize| row.try_get::<Ts, _>(column).map(Timestamp::from);
                let maybe_at = |column: usize| {
                    row.try_get::<Option<Ts>, _>(column).map(|at| at.map(Timestamp::from))
                };
                Ok(Self {
                    seq: row.try_get(0)?,
                    queue: row.try_get(1)?,
                    status: Status::of(row.try_get::<i16, _>(2)?.into()),
                    priority: row.try_get(3)?,
                    kind: row.try_get(4)?,
                    payload: row.try_get(5)?,
                    created_at: at(6)?,
                    run_at: at(7)?,
                    attempts_max: row.try_get(8)?,
                    attempts_made: row.try_get(9)?,
                    timeout: duration(row.try_get(10)?),
                    stalled: row.try_get(11)?,
                    is_cancelled: row.try_get(12)?,
                    custom_id: row.try_get(13)?,
                    started_at: maybe_at(14)?,
                    finished_at: maybe_at(15)?,
                    worker: row.try_get(16)?,
                    progress: row.try_get(17)?,
                    result: row.try_get(18)?,
                    error: row.try_get(19)?,
                    trace: row.try_get(20)?,
                })
            }
        }
    )+};
}
row!(sqlx::sqlite::SqliteRow, sqlx::postgres::PgRow);

/// The job of that id: its number as text, or its own name.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn find(db: &Engine, queue: i32, id: &str) -> Result<Option<Row>, Error> {
    const OP: &str = "job.find";
    const BY_SEQ: Sql = sql!(select!("seq = $2 AND queue = $1"));
    const BY_ID: Sql = sql!(select!("queue = $1 AND custom_id = $2 AND custom_id IS NOT NULL"));
    let db = &db.latest();
    match id.parse::<i64>() {
        Ok(seq) => ask!(db, OP, query_as(BY_SEQ).fetch_optional, queue, seq),
        Err(_) => ask!(db, OP, query_as(BY_ID).fetch_optional, queue, id),
    }
}

macro_rules! page {
    ($where:literal, $order:literal) => {
        sql!(select_brief!($where, $order))
    };
}
// A planner that does not see which status is asked for takes no index of that status alone. Where the last row of a page
// is gone, the next begins where what is left can still follow it.
const WAITING: Sql = page!(
    "queue = $1 AND status = 0 AND (priority, seq) >
        (coalesce((SELECT last.priority FROM mainstay.job AS last WHERE last.seq = $2), 0), $2)",
    " ORDER BY priority, seq LIMIT $3"
);
const DELAYED: Sql = sql!(
    sqlite: select_brief!(
        "queue = $1 AND status = 1
            AND (run_at, seq) > (coalesce((SELECT last.run_at FROM job AS last WHERE last.seq = $2), 0), $2)",
        " ORDER BY run_at, seq LIMIT $3"
    ),
    postgres: select_brief!(
        "queue = $1 AND status = 1 AND (run_at, seq) >
            (coalesce((SELECT last.run_at FROM mainstay.job AS last WHERE last.seq = $2), '-infinity'), $2)",
        " ORDER BY run_at, seq LIMIT $3"
    )
);
const ACTIVE: Sql = page!("queue = $1 AND status = 2 AND seq > $2", " ORDER BY seq LIMIT $3");
macro_rules! finished {
    ($status:literal) => {
        sql!(
            sqlite: select_brief!(
                "queue = $1 AND finished_at IS NOT NULL AND status = ",
                $status,
                " AND (finished_at, seq) < (CASE WHEN $2 = 0 THEN 9223372036854775807
                    ELSE (SELECT last.finished_at FROM job AS last WHERE last.seq = $2) END, $2)
                 ORDER BY finished_at DESC, seq DESC LIMIT $3"
            ),
            postgres: select_brief!(
                "queue = $1 AND finished_at IS NOT NULL AND status = ",
                $status,
                " AND (finished_at, seq) < (CASE WHEN $2 = 0 THEN 'infinity'
                    ELSE (SELECT last.finished_at FROM mainstay.job AS last WHERE last.seq = $2) END, $2)
                 ORDER BY finished_at DESC, seq DESC LIMIT $3"
            )
        )
    };
}
const COMPLETED: Sql = finished!("3");
const FAILED: Sql = finished!("4");
const DEAD: Sql = finished!("5");

/// What lists the jobs that stand so.
pub(crate) fn page_of(status: Status) -> Sql {
    match status {
        Status::Waiting => WAITING,
        Status::Delayed => DELAYED,
        Status::Active => ACTIVE,
        Status::Completed => COMPLETED,
        Status::Failed => FAILED,
        Status::Dead => DEAD,
    }
}

/// A page of jobs that stand so, without progress, result and long data, in the order in which they begin; of finished ones the newest.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn list(
    db: &Engine,
    filter: Filter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    let (text, after) = (page_of(filter.status), after.map_or(0, |cursor| cursor.0));
    let db = &db.latest();
    ask!(db, "job.list", query_as(text).fetch_all, filter.queue, after, i64::from(limit))
}

/// How many jobs of a queue stand how.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn count(db: &Engine, queue: i32) -> Result<Counts, Error> {
    // Each part is answered by an index of its own.
    const COUNT: Sql = sql!(
        "SELECT 0, count(*) FROM mainstay.job WHERE queue = $1 AND status = 0
         UNION ALL SELECT 1, count(*) FROM mainstay.job WHERE queue = $1 AND status = 1
         UNION ALL SELECT 2, count(*) FROM mainstay.job WHERE queue = $1 AND status = 2
         UNION ALL SELECT 3, count(*) FROM mainstay.job WHERE queue = $1 AND status = 3 AND finished_at IS NOT NULL
         UNION ALL SELECT 4, count(*) FROM mainstay.job WHERE queue = $1 AND status = 4 AND finished_at IS NOT NULL
         UNION ALL SELECT 5, count(*) FROM mainstay.job WHERE queue = $1 AND status = 5 AND finished_at IS NOT NULL"
    );
    let db = &db.latest();
    let rows: Vec<(i32, i64)> = ask!(db, "job.count", query_as(COUNT).fetch_all, queue)?;
    let mut counts = Counts::default();
    for (status, count) in rows {
        if let Some(of) = usize::try_from(status).ok().and_then(|at| counts.by.get_mut(at)) {
            *of = count.unsigned_abs();
        }
    }
    Ok(counts)
}

/// Of each priority the first hundred are looked at: who was added first waits longest, unless he was put off.
pub(crate) const OLDEST: Sql = sql!(
    "WITH RECURSIVE line(priority) AS (
        SELECT min(priority) FROM mainstay.job WHERE queue = $1 AND status = 0
        UNION ALL SELECT (SELECT min(j.priority) FROM mainstay.job AS j
            WHERE j.queue = $1 AND j.status = 0 AND j.priority > line.priority)
        FROM line WHERE line.priority IS NOT NULL)
    SELECT min((SELECT min(first.run_at) FROM (SELECT j.run_at FROM mainstay.job AS j
        WHERE j.queue = $1 AND j.status = 0 AND j.priority = places.priority ORDER BY j.seq LIMIT 100) AS first))
    FROM (SELECT priority FROM line LIMIT 100) AS places"
);

/// When the one that has waited longest could have begun.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn oldest_waiting(db: &Engine, queue: i32) -> Result<Option<Timestamp>, Error> {
    let db = &db.latest();
    let at: Option<Ts> = ask!(db, "job.oldest_waiting", query_scalar(OLDEST).fetch_one, queue)?;
    Ok(at.map(|ts| ts.0))
}
