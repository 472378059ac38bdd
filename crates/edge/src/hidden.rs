//! What a site must never serve although it may lie inside its folder: the data dir, settings, keys, and what they link to.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How deep the data dir is walked for links that lead out of it.
const WALK_DEPTH_MAX: usize = 4;
/// How many entries are looked at in one walk.
const WALK_ENTRIES_MAX: usize = 10_000;

/// Paths of ours, resolved anew at each question so that a file made later is hidden too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hidden {
    paths: Vec<PathBuf>,
}

impl Hidden {
    /// Hides these files and folders, and whatever they link to.
    #[must_use]
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Whether this file (canonical path and its metadata) is one of ours, by path or by being the same inode.
    pub(crate) fn covers(&self, canonical: &Path, metadata: &Metadata) -> bool {
        let mut files = HashSet::new();
        for path in &self.paths {
            let Ok(resolved) = path.canonicalize() else { continue };
            if canonical.starts_with(&resolved) {
                return true;
            }
            collect_inodes(&resolved, WALK_DEPTH_MAX, &mut files);
        }
        files.contains(&(metadata.dev(), metadata.ino()))
    }
}

fn collect_inodes(path: &Path, depth: usize, into: &mut HashSet<(u64, u64)>) {
    let Ok(metadata) = path.metadata() else { return };
    if into.len() >= WALK_ENTRIES_MAX
        || !into.insert((metadata.dev(), metadata.ino()))
        || depth == 0
    {
        return;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            collect_inodes(&entry.path(), depth - 1, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(hidden: &Hidden, path: &Path) -> bool {
        let canonical = path.canonicalize().expect("exists");
        let metadata = canonical.metadata().expect("exists");
        hidden.covers(&canonical, &metadata)
    }

    #[test]
    fn the_data_dir_settings_and_their_links_are_covered_and_neighbours_are_not() {
        let site = tempfile::tempdir().expect("tempdir");
        let at = |name: &str| site.path().join(name);
        std::fs::create_dir_all(at("data/keys")).expect("mkdir");
        for name in ["data/core.db", "data/keys/k", "real.toml", "index.html", "outside.db"] {
            std::fs::write(at(name), name).expect("write");
        }
        std::os::unix::fs::symlink(at("real.toml"), at("mainstay.toml")).expect("link");
        std::os::unix::fs::symlink(at("outside.db"), at("data/insight.db")).expect("link");
        std::fs::hard_link(at("data/keys/k"), at("copy-of-key")).expect("link");
        let hidden = Hidden::new(vec![at("data"), at("mainstay.toml")]);
        for name in [
            "data/core.db",
            "data/keys/k",
            "real.toml",
            "mainstay.toml",
            "outside.db",
            "copy-of-key",
        ] {
            assert!(covers(&hidden, &at(name)), "{name}");
        }
        assert!(!covers(&hidden, &at("index.html")));
        std::fs::write(at("data/later"), "x").expect("write");
        assert!(covers(&hidden, &at("data/later")));
    }
}
