//! Copying the write-ahead log into the database file, beside the commits; decides when, writes nothing of its own.
//!
//! `wal_checkpoint(PASSIVE)` on a connection of its own keeps no writer waiting, and the log begins anew at the first
//! commit that finds all of it copied (<https://www.sqlite.org/wal.html> §6). Commits that arrive during a pass are
//! copied by the next, shorter one; what is left after some passes is copied while commits wait: a few pages.

use std::convert::Infallible;
use std::time::Duration;

use mainstay_base::task::Stop;
use sqlx::{ConnectOptions, SqliteConnection};

use super::{Db, options};

/// Least time between two looks at the log.
const PAUSE: Duration = Duration::from_millis(100);
/// Passes beside the commits before the last one, which holds them up.
const PASSES: usize = 6;
/// Pages that may be left for the last pass: fewer than one look at the disk costs.
const REST_PAGES: u64 = 64;
/// A log this many times longer than it should be is emptied while everybody waits: readers have kept it alive.
const BOUND: u64 = 8;

const LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";
const PASS: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const EMPTY: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// The log, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// Since it began anew.
    pages: u64,
    /// Of these, not copied yet.
    left: u64,
}

/// Copies the log whenever it is long, until told to stop.
pub(crate) async fn run(db: Db, stop: Stop) -> Result<(), Infallible> {
    let mut failing = false;
    loop {
        tokio::select! {
            () = stop.soft() => return Ok(()),
            () = db.0.written.notified() => {}
        }
        if !stop.rested(PAUSE).await {
            return Ok(());
        }
        match db.copy_log_when_long().await {
            Ok(()) => failing = false,
            Err(error) if !failing => {
                tracing::warn!(%error, "the write-ahead log cannot be copied; it grows until it can");
                failing = true;
            }
            Err(_) => {}
        }
    }
}

impl Db {
    /// One round: nothing while the log is short, else as many passes as it takes to copy it all.
    pub(crate) async fn copy_log_when_long(&self) -> Result<(), sqlx::Error> {
        if !self.is_open() {
            return Ok(());
        }
        let long = self.0.shape.checkpoint_pages;
        let mut checkpoints = self.0.checkpoints.lock().await;
        let conn = self.connected(&mut checkpoints).await?;
        let mut log = ask(conn, LOOK).await?.1;
        // A reader in the way leaves a rest behind; it is tried again when there is more to copy.
        if log.pages < long || log.left <= long / BOUND {
            return Ok(());
        }
        for _ in 0..PASSES {
            ask(conn, PASS).await?;
            log = ask(conn, LOOK).await?.1;
            if log.left <= REST_PAGES {
                break;
            }
        }
        if log.left > 0 {
            // Commits wait: not on the connection whose thread stands behind everybody.
            let mut writer = self.0.writer.lock().await;
            let last = if log.pages < long * BOUND { PASS } else { EMPTY };
            ask(writer.conn().await?, last).await?;
        }
        Ok(())
    }

    /// Copies the whole log into the file and empties it. True when nothing of it is left, false when a reader still
    /// needs it or the file is away.
    pub(crate) async fn checkpoint(&self) -> Result<bool, sqlx::Error> {
        if !self.is_open() {
            return Ok(false);
        }
        // Two checkpoints at a time are refused by SQLite: one that runs beside the commits is waited for.
        let _none_beside = self.0.checkpoints.lock().await;
        let mut writer = self.0.writer.lock().await;
        let (busy, _) = ask(writer.conn().await?, EMPTY).await?;
        Ok(!busy)
    }

    async fn connected<'a>(
        &self,
        slot: &'a mut Option<SqliteConnection>,
    ) -> Result<&'a mut SqliteConnection, sqlx::Error> {
        let conn = match slot.take() {
            Some(conn) => conn,
            None => {
                let mut conn = options::checkpoints(&self.0.path, &self.0.shape).connect().await?;
                options::put_behind(&mut conn).await?;
                conn
            }
        };
        Ok(slot.insert(conn))
    }
}

/// Runs one of the pragmas: whether somebody was in its way, and the log afterwards.
async fn ask(
    conn: &mut SqliteConnection,
    pragma: &'static str,
) -> Result<(bool, Log), sqlx::Error> {
    let (busy, pages, copied): (i64, i64, i64) = sqlx::query_as(pragma).fetch_one(conn).await?;
    // -1 where there is no log.
    let pages = u64::try_from(pages).unwrap_or(0);
    let left = pages.saturating_sub(u64::try_from(copied).unwrap_or(0));
    Ok((busy != 0, Log { pages, left }))
}

#[cfg(test)]
mod tests;
