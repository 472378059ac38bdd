//! Looking whether there is anything to do, for all queues in one question: whoever is idle asks nothing else.

use std::time::Duration;

use mainstay_base::Timestamp;

use super::{Keep, micros};
use crate::ask::ask;
use crate::sql::{Sql, sql};
use crate::{Engine, Error, Ts};

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Queues that have something to claim, and in how long; zero: now. Nothing of one that is paused.
    pub due: Vec<(i32, Duration)>,
    /// Leases ran out, or something is to be forgotten: whoever tends finds it.
    pub is_to_be_tended: bool,
}

/// What is asked, as each engine says in how long something is due.
macro_rules! look {
    ($in:literal, $now:literal, $before:literal) => {
        concat!(
            "SELECT q.id, CASE WHEN q.paused THEN NULL
                WHEN EXISTS (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 0) THEN 0
                ELSE (SELECT ", $in, " FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 1) END,
            CASE WHEN $2 THEN
                EXISTS (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 2 AND j.lease_until < ", $now, ")
                OR EXISTS (SELECT 1 FROM mainstay.job_key AS k WHERE k.expires_at < ", $now, ")
                OR EXISTS (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 3 AND j.finished_at < ", $now, " - $3", $before, ")
                OR EXISTS (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 4 AND j.finished_at < ", $now, " - $4", $before, ")
                OR EXISTS (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 5 AND j.finished_at < ", $now, " - $4", $before, ")
                OR (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 3
                    AND j.finished_at IS NOT NULL LIMIT 1 OFFSET $5) IS NOT NULL
                OR (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 4
                    AND j.finished_at IS NOT NULL LIMIT 1 OFFSET $6) IS NOT NULL
                OR (SELECT 1 FROM mainstay.job AS j WHERE j.queue = q.id AND j.status = 5
                    AND j.finished_at IS NOT NULL LIMIT 1 OFFSET $6) IS NOT NULL
            ELSE $2 END
            FROM mainstay.job_queue AS q"
        )
    };
}
pub(crate) const LOOK: Sql = sql!(
    sqlite: look!("max(min(j.run_at) - $1, 0)", "$1", ""),
    // It goes by its own clock; what the other says is named all the same, as it is bound.
    postgres: look!(
        "CASE WHEN min(j.run_at) > now() AND $1::timestamptz IS NOT NULL
            THEN (extract(epoch FROM min(j.run_at) - now()) * 1000000)::bigint
            WHEN min(j.run_at) IS NOT NULL THEN 0 END",
        "now()",
        " * interval '1 microsecond'"
    )
);

/// Looks, and where it is said also for what is to be tended.
///
/// # Errors
/// [`Error`] when the store cannot answer.
pub async fn look(
    db: &Engine,
    now: Timestamp,
    (tends, keep): (bool, &Keep),
) -> Result<Look, Error> {
    let db = &db.latest();
    let rows: Vec<(i32, Option<i64>, bool)> = ask!(
        db,
        "job.look",
        query_as(LOOK).fetch_all,
        Ts(now),
        tends,
        micros(keep.completed_for),
        micros(keep.failed_for),
        i64::from(keep.completed),
        i64::from(keep.failed),
    )?;
    let mut look = Look::default();
    for (queue, micros, is_to_be_tended) in rows {
        let due = micros.map(|micros| Duration::from_micros(micros.unsigned_abs()));
        look.due.extend(due.map(|due| (queue, due)));
        look.is_to_be_tended |= is_to_be_tended;
    }
    Ok(look)
}
