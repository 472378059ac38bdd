//! A small file system of its own, to be filled. Needs the right to mount (root).

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A mounted tmpfs, unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// Mounts one of `kib` KiB.
    ///
    /// # Panics
    /// Where this process may not mount: a test that nobody runs checks nothing.
    #[must_use]
    pub fn mount(kib: usize) -> Self {
        Self::try_mount(kib).expect("a small disk to fill, which only root may mount")
    }

    /// The same; `None` where this process may not mount, for a test that has another way.
    ///
    /// # Panics
    /// When there is no temp folder.
    #[must_use]
    pub fn try_mount(kib: usize) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("tmpfs-").tempdir().expect("a temp folder");
        let size = format!("size={kib}k,mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self { dir })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that still holds a file there must not keep the mount alive for everybody.
        drop(Command::new("umount").arg("-l").arg(self.dir.path()).output());
    }
}
