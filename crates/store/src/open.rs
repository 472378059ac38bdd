//! Opening the store: two files, created private, brought to the newest schema, refused when they are newer than us.
//! A file that is damaged or cannot be written now is away: it is tried again, and never touched.

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, Timestamp};
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::names;
use sqlx::migrate::Migrator;
use tokio::fs;
use tokio::sync::watch;

use crate::sqlite::{Db, InOp, Shape};
use crate::{Engine, Settings};

mod error;

pub use error::Error;
use error::classified;

static CORE: Migrator = sqlx::migrate!("migrations/core_sqlite");
static INSIGHT: Migrator = sqlx::migrate!("migrations/insight_sqlite");

/// Owner may read and write, nobody else anything.
const PRIVATE: u32 = 0o600;

/// A file that could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// `core.db` or `insight.db`.
    pub file: &'static str,
    /// Since when.
    pub since: Timestamp,
    /// The store's words. Names no path.
    pub reason: String,
}

/// The databases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    core: Engine,
    insight: Engine,
    pub(crate) clock: Clock,
    reopen_every: Duration,
    /// What is away; empty as soon as everything is open.
    away: Arc<watch::Sender<Vec<Away>>>,
}

const CORE_FILE: &str = "core.db";
const INSIGHT_FILE: &str = "insight.db";

impl Store {
    /// Opens or creates `core.db` and `insight.db` in `data_dir`, which must exist, and migrates both.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left half migrated.
    pub async fn open(settings: &Settings, data_dir: &Path, clock: Clock) -> Result<Self, Error> {
        let store = Self::away(settings, data_dir, clock).await;
        for file in [CORE_FILE, INSIGHT_FILE] {
            store.open_file(file).await?;
        }
        Ok(store)
    }

    /// Opens what can be opened. A file that is damaged or not to be written now is away: questions and changes to it
    /// are refused as unavailable until [`Store::start_reopening`] gets it open.
    ///
    /// # Errors
    /// [`Error::Newer`] and [`Error::Locked`]: whoever started this process must decide.
    pub async fn open_or_away(
        settings: &Settings,
        data_dir: &Path,
        clock: Clock,
    ) -> Result<Self, Error> {
        let store = Self::away(settings, data_dir, clock).await;
        for file in [CORE_FILE, INSIGHT_FILE] {
            store.try_file(file).await?;
        }
        Ok(store)
    }

    async fn away(settings: &Settings, data_dir: &Path, clock: Clock) -> Self {
        let core = Db::away(&data_dir.join(CORE_FILE), &Shape::core(settings)).await;
        let insight = Db::away(&data_dir.join(INSIGHT_FILE), &Shape::insight(settings)).await;
        Self {
            core: Engine::Sqlite(core),
            insight: Engine::Sqlite(insight),
            clock,
            reopen_every: settings.reopen_every.0.max(Duration::from_millis(10)),
            away: Arc::new(watch::Sender::new(Vec::new())),
        }
    }

    /// Shows how many connections there are to each file.
    pub fn register(&self, registry: &Registry) {
        for (name, Engine::Sqlite(db)) in [("core", &self.core), ("insight", &self.insight)] {
            let (active, idle) = (db.clone(), db.clone());
            let metric = &names::DATABASE_CONNECTIONS;
            registry
                .gauge_fn(metric, &[name, "active"], move || active.count_connections().0 as f64);
            registry.gauge_fn(metric, &[name, "idle"], move || idle.count_connections().1 as f64);
        }
    }

    /// Starts the task that tries what is away again and again.
    pub fn start_reopening(&self, group: &Group) {
        let store = self.clone();
        group.spawn("store reopening", |stop| store.reopen(stop));
    }

    async fn reopen(self, stop: Stop) -> Result<(), Infallible> {
        while !self.list_away().is_empty() && stop.rested(self.reopen_every).await {
            for away in self.list_away() {
                if let Err(error) = self.try_file(away.file).await {
                    self.note(away.file, &error).await;
                }
            }
        }
        stop.soft().await;
        Ok(())
    }

    /// The files that are away; none in a store that is well.
    #[must_use]
    pub fn list_away(&self) -> Vec<Away> {
        self.away.borrow().clone()
    }

    /// Waits until `insight.db` is open; false when a soft stop came first.
    pub async fn wait_insight(&self, stop: &Stop) -> bool {
        let mut away = self.away.subscribe();
        let is_open = |all: &Vec<Away>| all.iter().all(|away| away.file != INSIGHT_FILE);
        tokio::select! {
            biased;
            open = away.wait_for(is_open) => open.is_ok(),
            () = stop.soft() => false,
        }
    }

    /// Opens a file, or notes why it is away.
    async fn try_file(&self, file: &'static str) -> Result<(), Error> {
        match self.open_file(file).await {
            Ok(()) => {
                let known = self.away.send_if_modified(|all| {
                    let before = all.len();
                    all.retain(|away| away.file != file);
                    all.len() < before
                });
                if known {
                    tracing::info!(
                        file,
                        "the file is open: what was refused meanwhile is taken again"
                    );
                }
                Ok(())
            }
            Err(error) if error.is_passing() => {
                self.note(file, &error).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Logged when it is news: a file may be away for days.
    async fn note(&self, file: &'static str, error: &Error) {
        let reason = error.reason();
        let Engine::Sqlite(db) = self.find_engine(file);
        db.note_away(format!("{file} is away: {reason}")).await;
        let now = self.clock.now();
        let is_news = self.away.send_if_modified(|all| {
            match all.iter_mut().find(|away| away.file == file) {
                Some(away) if away.reason == reason => return false,
                Some(away) => away.reason.clone_from(&reason),
                None => all.push(Away { file, since: now, reason: reason.clone() }),
            }
            true
        });
        if is_news {
            tracing::warn!(
                path = %db.path().display(),
                reason,
                "{error}; the site is served without it and it is left as it is. To mend this: {}",
                error.advice()
            );
        }
    }

    async fn open_file(&self, file: &'static str) -> Result<(), Error> {
        let Engine::Sqlite(db) = self.find_engine(file);
        open_db(db, if file == CORE_FILE { &CORE } else { &INSIGHT }).await
    }

    fn find_engine(&self, file: &str) -> &Engine {
        if file == CORE_FILE { &self.core } else { &self.insight }
    }

    /// Identity, security, configuration.
    #[must_use]
    pub fn core(&self) -> &Engine {
        &self.core
    }

    /// Visitors' events and the server's metrics.
    #[must_use]
    pub fn insight(&self) -> &Engine {
        &self.insight
    }

    /// Checkpoints both databases and ends their readers. Called once, after everybody who uses them has stopped.
    ///
    /// # Errors
    /// [`crate::Error`] when the last checkpoint fails; committed data is safe in the log all the same.
    pub async fn close(&self) -> Result<(), crate::Error> {
        for engine in [&self.core, &self.insight] {
            let Engine::Sqlite(db) = engine;
            db.close().await.in_op("store.close")?;
        }
        Ok(())
    }
}

async fn open_db(db: &Db, migrator: &Migrator) -> Result<(), Error> {
    let path = db.path();
    if has_lost_its_bytes(path).await {
        let source = "the file is empty, but its log is not".into();
        return Err(Error::Damaged { path: path.into(), source });
    }
    make_private(path).await.map_err(|source| Error::File { path: path.into(), source })?;
    db.open(migrator).await.map_err(|source| classified(path.into(), source))
}

/// SQLite would throw the log of an empty file away, and with it what was committed.
async fn has_lost_its_bytes(path: &Path) -> bool {
    let length = async |path: &Path| fs::metadata(path).await.map(|file| file.len()).ok();
    length(path).await == Some(0) && length(&path.with_extension("db-wal")).await > Some(0)
}

/// SQLite gives its log and its shared memory the mode of the database file, so this one mode covers all three.
async fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE)
        .open(path)
        .await?;
    fs::set_permissions(path, std::fs::Permissions::from_mode(PRIVATE)).await
}

#[cfg(test)]
mod tests;
