//! One group commit: many batches, one transaction, one fsync. Knows what is new and what is a repeat.

use std::collections::HashSet;

use mainstay_base::Timestamp;
use rusqlite::{Connection, Params, ToSql};

use super::add_up::add_up;
use super::texts::Texts;
use super::{Batch, Record};
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
    pub(super) fn commit(
        &mut self,
        conn: &Connection,
        batches: &[&Batch],
        now: Timestamp,
    ) -> rusqlite::Result<()> {
        self.newest_hour = self.newest_hour.max(now.floor_to(HOUR));
        let outcome = self.write(conn, batches);
        if outcome.is_err() {
            // SQLite rolls some failures (a full disk) back by itself; then there is nothing left to roll back.
            drop(execute(conn, "ROLLBACK", []));
        }
        outcome
    }

    fn write(&mut self, conn: &Connection, batches: &[&Batch]) -> rusqlite::Result<()> {
        let rows = self.sort(batches);
        execute(conn, "BEGIN IMMEDIATE", [])?;
        let new_views = insert_new(
            conn,
            (&self.texts.page_views, page_view::KEYS_AFTER),
            &rows.page_views,
            page_view::bind,
            |r| (&r.site, &r.id),
        )?;
        let new_customs = insert_new(
            conn,
            (&self.texts.customs, custom_event::KEYS_AFTER),
            &rows.customs,
            custom_event::bind,
            |r| (&r.site, &r.id),
        )?;
        insert(conn, &self.texts.errors, &rows.errors, error_event::bind)?;
        insert(conn, &self.texts.vitals, &rows.vitals, performance_metric::bind)?;
        insert(conn, &self.texts.engagement, &rows.engagement, engagement::bind)?;
        insert(conn, &self.texts.reports, &rows.reports, report::bind)?;
        let changes = add_up(batches, &new_views, &new_customs).into_changes();
        insert(conn, &self.texts.sessions, &changes, user_session::bind)?;
        for (site, hour) in &rows.late {
            let late: [(&str, &dyn ToSql); 2] = [("$1", site), ("$2", &hour.as_micros())];
            execute(conn, rollup::MARK_COUNTED.sqlite, &late[..])?;
        }
        execute(conn, "COMMIT", [])
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

fn execute(conn: &Connection, text: &str, params: impl Params) -> rusqlite::Result<()> {
    conn.prepare_cached(text)?.execute(params).map(drop)
}

/// Inserts rows, whatever became of each.
fn insert<'r, R>(
    conn: &Connection,
    bulk: &Bulk,
    rows: &'r [R],
    bind: impl Fn(&'r R, &mut Binder<'r>),
) -> rusqlite::Result<()> {
    bulk.chunks(rows).try_for_each(|chunk| bulk.insert_direct(conn, &chunk, &bind).map(drop))
}

/// Inserts rows and tells for each whether it was new. A row that comes twice in one group is new once.
fn insert_new<'r, R>(
    conn: &Connection,
    (bulk, keys_after): (&Bulk, &'static str),
    rows: &'r [R],
    bind: impl Fn(&'r R, &mut Binder<'r>),
    key: impl Fn(&R) -> (&str, &str),
) -> rusqlite::Result<Vec<bool>> {
    let mut new = Vec::with_capacity(rows.len());
    for chunk in bulk.chunks(rows) {
        let inserted = bulk.insert_direct(conn, &chunk, &bind)?;
        if inserted == chunk.rows.len() {
            new.resize(new.len() + inserted, true);
        } else if inserted == 0 {
            new.resize(new.len() + chunk.rows.len(), false);
        } else {
            let inserted = inserted_keys(conn, keys_after, inserted)?;
            let mut keys: HashSet<_> = inserted.iter().map(|(site, id)| (&**site, &**id)).collect();
            new.extend(chunk.rows.iter().map(|row| keys.remove(&key(row))));
        }
    }
    Ok(new)
}

/// With a single writer the rows of a statement lie at the end of the table: SQLite gives each new row the largest
/// rowid plus one, and a row that meets its first copy takes none.
fn inserted_keys(
    conn: &Connection,
    keys_after: &'static str,
    inserted: usize,
) -> rusqlite::Result<Vec<(String, String)>> {
    let inserted = i64::try_from(inserted).unwrap_or(i64::MAX);
    let mut keys = conn.prepare_cached(keys_after)?;
    let keys = keys
        .query_map([conn.last_insert_rowid() - inserted], |row| Ok((row.get(0)?, row.get(1)?)))?;
    keys.collect()
}
