//! One group commit: many batches, one transaction, one fsync. Knows what is new and what is a repeat.

use std::collections::HashSet;

use mainstay_base::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;

use super::add_up::add_up;
use super::texts::Texts;
use super::{Batch, Record};
use crate::Ts;
use crate::bulk::{Binder, Bulk};
use crate::rollup::HOUR;
use crate::tables::{
    custom_event, engagement, error_event, page_view, performance_metric, report, rollup,
    user_session,
};

/// The prepared texts, and the newest hour written so far.
#[derive(Debug)]
pub(super) struct Committer {
    texts: Texts,
    newest_hour: Timestamp,
}

/// The rows of a group by table, in the order of its batches.
#[derive(Debug, Default)]
struct Sorted<'a> {
    page_views: Vec<&'a page_view::Row>,
    engagement: Vec<&'a engagement::Row>,
    vitals: Vec<&'a performance_metric::Row>,
    errors: Vec<&'a error_event::Row>,
    customs: Vec<&'a custom_event::Row>,
    reports: Vec<&'a report::Row>,
    late: HashSet<(&'a str, Timestamp)>,
}

impl Committer {
    pub(super) fn new() -> Self {
        Self { texts: Texts::new(), newest_hour: Timestamp::EPOCH }
    }

    /// Writes every batch or none. After an error the transaction is rolled back.
    pub(super) async fn commit(
        &mut self,
        conn: &mut SqliteConnection,
        batches: &[&Batch],
        now: Timestamp,
    ) -> Result<(), sqlx::Error> {
        self.newest_hour = self.newest_hour.max(now.floor_to(HOUR));
        let outcome = self.write(conn, batches).await;
        if outcome.is_err() {
            // SQLite rolls some failures (a full disk) back by itself; then there is nothing left to roll back.
            drop(sqlx::query("ROLLBACK").execute(conn).await);
        }
        outcome
    }

    async fn write(
        &mut self,
        conn: &mut SqliteConnection,
        batches: &[&Batch],
    ) -> Result<(), sqlx::Error> {
        let rows = self.sort(batches);
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        let new_views = insert_new(
            conn,
            (&self.texts.page_views, page_view::KEYS_AFTER),
            &rows.page_views,
            page_view::bind,
            |r| (&r.site, &r.id),
        )
        .await?;
        let new_customs = insert_new(
            conn,
            (&self.texts.customs, custom_event::KEYS_AFTER),
            &rows.customs,
            custom_event::bind,
            |r| (&r.site, &r.id),
        )
        .await?;
        self.texts.errors.insert_sqlite(conn, &rows.errors, error_event::bind).await?;
        self.texts.vitals.insert_sqlite(conn, &rows.vitals, performance_metric::bind).await?;
        self.texts.engagement.insert_sqlite(conn, &rows.engagement, engagement::bind).await?;
        self.texts.reports.insert_sqlite(conn, &rows.reports, report::bind).await?;
        let changes = add_up(batches, &new_views, &new_customs).into_changes();
        self.texts.sessions.insert_sqlite(conn, &changes, user_session::bind).await?;
        for (site, hour) in &rows.late {
            let late = sqlx::query(rollup::MARK_COUNTED.sqlite).bind(*site).bind(Ts(*hour));
            late.execute(&mut *conn).await?;
        }
        sqlx::query("COMMIT").execute(conn).await.map(drop)
    }

    fn sort<'a>(&mut self, batches: &[&'a Batch]) -> Sorted<'a> {
        let mut rows = Sorted::default();
        let mut newest = self.newest_hour;
        for record in batches.iter().flat_map(|batch| &batch.records) {
            let (site, at) = match record {
                Record::PageView(row) => {
                    rows.page_views.push(row);
                    (&row.site, row.recorded_at)
                }
                Record::Engagement(row) => {
                    rows.engagement.push(row);
                    (&row.site, row.recorded_at)
                }
                Record::Vital(row) => {
                    rows.vitals.push(row);
                    (&row.site, row.timestamp)
                }
                Record::Error(row) => {
                    rows.errors.push(row);
                    (&row.site, row.timestamp)
                }
                Record::Custom(row) => {
                    rows.customs.push(row);
                    (&row.site, row.recorded_at)
                }
                // No roll-up is counted from reports.
                Record::Report(row) => {
                    rows.reports.push(row);
                    continue;
                }
            };
            // Rows of the present hour cannot be late, so that the usual event costs one comparison.
            if at < self.newest_hour {
                rows.late.insert((site, at.floor_to(HOUR)));
            } else {
                newest = newest.max(at);
            }
        }
        self.newest_hour = newest.floor_to(HOUR);
        rows
    }
}

/// Inserts rows and tells for each whether it was new. A row that comes twice in one group is new once.
async fn insert_new<'r, R>(
    conn: &mut SqliteConnection,
    (bulk, keys_after): (&Bulk, &'static str),
    rows: &'r [R],
    bind: impl Fn(&'r R, &mut Binder<'r>),
    key: impl Fn(&R) -> (&str, &str),
) -> Result<Vec<bool>, sqlx::Error> {
    let mut new = Vec::with_capacity(rows.len());
    for chunk in bulk.chunks(rows) {
        let result = bulk.insert(conn, &chunk, &bind).await?;
        let inserted = usize::try_from(result.rows_affected()).unwrap_or(usize::MAX);
        if inserted == chunk.rows.len() {
            new.resize(new.len() + inserted, true);
        } else if inserted == 0 {
            new.resize(new.len() + chunk.rows.len(), false);
        } else {
            let inserted = inserted_keys(conn, keys_after, &result).await?;
            let mut keys: HashSet<_> = inserted.iter().map(|(site, id)| (&**site, &**id)).collect();
            new.extend(chunk.rows.iter().map(|row| keys.remove(&key(row))));
        }
    }
    Ok(new)
}

/// With a single writer the rows of a statement lie at the end of the table: SQLite gives each new row the largest
/// rowid plus one, and a row that meets its first copy takes none.
async fn inserted_keys(
    conn: &mut SqliteConnection,
    keys_after: &'static str,
    result: &SqliteQueryResult,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let inserted = i64::try_from(result.rows_affected()).unwrap_or(i64::MAX);
    sqlx::query_as(keys_after).bind(result.last_insert_rowid() - inserted).fetch_all(conn).await
}
