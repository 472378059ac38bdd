//! A site of a test: a temp folder of files. Serves nothing.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that goes away with the test.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// An empty folder.
    ///
    /// # Panics
    /// When the system gives no temp folder.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("site-").tempdir().expect("a temp folder");
        Self { dir }
    }

    /// A folder with these files.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let site = Self::new();
        for (name, text) in files {
            site.write(name, text);
        }
        site
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, its folders included.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a written file");
    }

    /// Removes a file.
    ///
    /// # Panics
    /// When it is not there.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("a removed file");
    }

    /// Makes `name` a symbolic link to `target`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn link(&self, name: &str, target: &Path) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("a link");
    }
}
