//! Opening one SQLite file: created private, brought up to date, left alone when it has lost its bytes.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::Migrator;
use tokio::fs;

use super::{Error, classified};
use crate::sqlite::Db;

/// Owner may read and write, nobody else anything.
const PRIVATE: u32 = 0o600;

pub(super) async fn open(db: &Db, migrator: &Migrator) -> Result<(), Error> {
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
    length(path).await == Some(0) && length(&log_of(path)).await > Some(0)
}

/// The log beside a file has its name and an ending (SQLite, "The WAL File").
pub(crate) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
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
