//! What a person asks of one job: cancel it, try it again, remove it.

use mainstay_base::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use sqlx::PgConnection;

use super::Status;
use crate::sql::{Sql, sql};

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Cancel,
    Retry,
    Remove,
}

/// One that is worked on is told with its next renewal; any other is buried at once.
const CANCEL: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET cancelled = 1, status = CASE status WHEN 2 THEN 2 ELSE 5 END,
            finished_at = CASE status WHEN 2 THEN NULL ELSE ?3 END,
            error = CASE status WHEN 2 THEN error ELSE 'cancelled' END
        WHERE seq = ?2 AND queue = ?1 AND finished_at IS NULL RETURNING status",
    postgres: "UPDATE mainstay.job SET cancelled = true, status = CASE status WHEN 2 THEN 2 ELSE 5 END,
            finished_at = CASE status WHEN 2 THEN NULL ELSE now() END,
            error = CASE status WHEN 2 THEN error ELSE 'cancelled' END
        WHERE seq = $2 AND queue = $1 AND finished_at IS NULL RETURNING status"
);
/// With all its attempts again. Another may have its unique key by now.
const RETRY: Sql = sql!(
    sqlite: "UPDATE mainstay.job SET status = 0, run_at = ?3, attempts_made = 0, stalled = 0, cancelled = 0,
            unique_key = NULL, finished_at = NULL, lease_until = NULL, progress = NULL
        WHERE seq = ?2 AND queue = ?1 AND status IN (4, 5) RETURNING status",
    postgres: "UPDATE mainstay.job SET status = 0, run_at = now(), attempts_made = 0, stalled = 0, cancelled = false,
            unique_key = NULL, finished_at = NULL, lease_until = NULL, progress = NULL
        WHERE seq = $2 AND queue = $1 AND status IN (4, 5) RETURNING status"
);
/// Not one that somebody works on.
const REMOVE: Sql = sql!(
    sqlite: "DELETE FROM mainstay.job WHERE seq = ?2 AND queue = ?1 AND status <> 2 AND ?3 > 0 RETURNING status",
    postgres: "DELETE FROM mainstay.job WHERE seq = $2 AND queue = $1 AND status <> 2 RETURNING status"
);

impl Order {
    fn text(self) -> Sql {
        match self {
            Self::Cancel => CANCEL,
            Self::Retry => RETRY,
            Self::Remove => REMOVE,
        }
    }
}

/// On a file: how the job stands now, or stood last. None where there is none of which that can be asked.
pub(crate) fn order_direct(
    conn: &Connection,
    order: Order,
    (queue, seq): (i32, i64),
    now: Timestamp,
) -> rusqlite::Result<Option<Status>> {
    let mut statement = conn.prepare_cached(order.text().sqlite)?;
    let status = statement.query_row((queue, seq, now.as_micros()), |row| row.get(0)).optional();
    status.map(|status| status.map(Status::of))
}

/// The same on PostgreSQL.
pub(crate) async fn order_shared(
    conn: &mut PgConnection,
    order: Order,
    (queue, seq): (i32, i64),
) -> Result<Option<Status>, sqlx::Error> {
    let query = sqlx::query_scalar(order.text().postgres).bind(queue).bind(seq);
    let status: Option<i16> = query.fetch_optional(conn).await?;
    Ok(status.map(|status| Status::of(status.into())))
}
