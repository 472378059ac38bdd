//! The data dir: private, owned by one serving process at a time. What lies in it belongs to the rooms.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A data dir held by this process; dropping it lets go.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Nothing was ever stored here.
    pub(crate) fresh: bool,
    _lock: File,
}

/// Why the data dir cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be made, read or written.
    #[error("the data dir {} cannot be used", path.display())]
    Unusable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It holds other things, and others may read it: making it private could break them.
    #[error("{} is not empty, not private and no data dir; name a folder of its own with --data-dir", path.display())]
    NotOurs { path: PathBuf },
    /// Another process serves from it.
    #[error("the data dir {} is in use by another mainstay; stop it, or choose another with --data-dir", path.display())]
    Locked { path: PathBuf },
}

impl DataDir {
    /// Makes the folder when it is missing (0700, with `keys/` inside) and takes its lock.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |source| Error::Unusable { path: path.to_owned(), source };
        if is_somebody_elses(path).map_err(unusable)? {
            return Err(Error::NotOurs { path: path.to_owned() });
        }
        for dir in [path.to_owned(), path.join("keys")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(unusable)?;
            std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).map_err(unusable)?;
        }
        // Each store leaves something of its own: a database file, or the name among those who share one.
        let fresh = ["core.db", "node"].iter().all(|kept| !path.join(kept).exists());
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), fresh, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether the folder exists, is open to others, and holds something that is not ours.
fn is_somebody_elses(path: &Path) -> std::io::Result<bool> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let private = metadata.permissions().mode() & 0o077 == 0;
    let ours = ["lock", "core.db", "insight.db"].iter().any(|name| path.join(name).exists());
    Ok(!private && !ours && std::fs::read_dir(path)?.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_has_one_owner() {
        let parent = tempfile::tempdir().expect("tempdir");
        let path = parent.path().join("a/data");
        let held = DataDir::open(&path).expect("made");
        assert!(held.fresh);
        let mode = |p: PathBuf| p.metadata().expect("exists").permissions().mode() & 0o777;
        assert_eq!(
            (mode(path.clone()), mode(path.join("keys")), mode(path.join("lock"))),
            (0o700, 0o700, 0o600)
        );
        assert!(matches!(DataDir::open(&path), Err(Error::Locked { .. })));
        drop(held);
        assert!(DataDir::open(&path).is_ok());
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_as_it_is() {
        let parent = tempfile::tempdir().expect("tempdir");
        let path = parent.path().join("public");
        std::fs::create_dir(&path).expect("mkdir");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("chmod");
        assert!(DataDir::open(&path).is_ok(), "an empty folder may become ours");
        let path = parent.path().join("home");
        std::fs::create_dir(&path).expect("mkdir");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("chmod");
        std::fs::write(path.join("letter"), "dear").expect("write");
        assert!(matches!(DataDir::open(&path), Err(Error::NotOurs { .. })));
        assert_eq!(path.metadata().expect("exists").permissions().mode() & 0o777, 0o755);
    }
}
