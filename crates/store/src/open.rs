//! Opening the store: two files, created private, brought to the newest schema, refused when they are newer than us.

use std::io;
use std::path::{Path, PathBuf};

use mainstay_base::{Clock, Coded, ErrorCode};
use sqlx::migrate::{MigrateError, Migrator};
use tokio::fs;

use crate::sqlite::{Db, InOp, Shape};
use crate::{Engine, Settings};

static CORE: Migrator = sqlx::migrate!("migrations/core_sqlite");
static INSIGHT: Migrator = sqlx::migrate!("migrations/insight_sqlite");

/// Owner may read and write, nobody else anything.
const PRIVATE: u32 = 0o600;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be created or made private.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file cannot be opened, or is no database.
    #[error("{path} cannot be opened", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// SQLite's reason.
        source: sqlx::Error,
    },
    /// A newer version of the product has written this file.
    #[error("{path} has schema version {version}, which this version does not know", path = path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The unknown version.
        version: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("{path} cannot be migrated", path = path.display())]
    Migrate {
        /// Which file.
        path: PathBuf,
        /// The reason.
        source: MigrateError,
    },
}

impl Coded for Error {
    fn code(&self) -> ErrorCode {
        match self {
            Self::File { .. } | Self::Open { .. } => ErrorCode::Unavailable,
            Self::Newer { .. } => ErrorCode::Conflict,
            Self::Migrate { .. } => ErrorCode::Internal,
        }
    }

    fn public(&self) -> String {
        "The store cannot be opened.".into()
    }
}

/// The open databases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    core: Engine,
    insight: Engine,
    pub(crate) clock: Clock,
}

impl Store {
    /// Opens or creates `core.db` and `insight.db` in `data_dir`, which must exist, and migrates both.
    ///
    /// # Errors
    /// See [`Error`]; nothing is left half migrated.
    pub async fn open(settings: &Settings, data_dir: &Path, clock: Clock) -> Result<Self, Error> {
        let core = open_file(&data_dir.join("core.db"), &Shape::core(settings), &CORE).await?;
        let insight =
            open_file(&data_dir.join("insight.db"), &Shape::insight(settings), &INSIGHT).await?;
        Ok(Self { core, insight, clock })
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

async fn open_file(path: &Path, shape: &Shape, migrator: &Migrator) -> Result<Engine, Error> {
    make_private(path).await.map_err(|source| Error::File { path: path.into(), source })?;
    let db =
        Db::open(path, shape).await.map_err(|source| Error::Open { path: path.into(), source })?;
    let migrated = {
        let mut writer = db.writer().await;
        match writer.conn().await {
            Ok(conn) => migrator.run(conn).await,
            Err(e) => Err(e.into()),
        }
    };
    migrated.map_err(|source| match source {
        MigrateError::VersionMissing(version) => Error::Newer { path: path.into(), version },
        source => Error::Migrate { path: path.into(), source },
    })?;
    Ok(Engine::Sqlite(db))
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
