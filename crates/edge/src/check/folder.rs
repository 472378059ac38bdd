//! The files of a site's folder that are served: nothing hidden, nothing of ours, nothing that a link leads outside. Judges no file.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use super::SiteProblem;
use crate::hidden::Hidden;
use crate::kinds::{Kind, Media};

/// Files and folders looked at in one check.
const FILES_MAX: usize = 100_000;
/// Folders below folders that are followed.
const DEPTH_MAX: usize = 32;

/// A site's folder.
pub(super) struct Folder {
    /// Canonical.
    pub(super) root: PathBuf,
    pub(super) hidden: Hidden,
}

/// The pages of a folder, and what kept others from being found.
#[derive(Default)]
pub(super) struct Listing {
    /// Relative to the folder.
    pub(super) pages: Vec<PathBuf>,
    pub(super) problems: Vec<SiteProblem>,
}

impl Folder {
    /// Every HTML file.
    pub(super) fn list_pages(&self) -> io::Result<Listing> {
        self.list_bounded(FILES_MAX)
    }

    fn list_bounded(&self, files_max: usize) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let mut open = vec![(PathBuf::new(), std::fs::read_dir(&self.root)?, 0)];
        let mut seen = 0;
        while let Some((dir, entries, depth)) = open.pop() {
            for entry in entries {
                seen += 1;
                if seen > files_max {
                    let what =
                        format!("has more than {files_max} files: the others were not looked at");
                    listing.complain(Path::new(""), what);
                    return Ok(listing);
                }
                let Ok(entry) = entry else { continue };
                let path = dir.join(entry.file_name());
                match self.classify(&entry, &path) {
                    Some(What::Page) => listing.pages.push(path),
                    Some(What::Folder) if depth == DEPTH_MAX => {
                        listing.complain(
                            &path,
                            format!(
                                "lies more than {DEPTH_MAX} folders deep: it was not looked at"
                            ),
                        );
                    }
                    Some(What::Folder) => match std::fs::read_dir(entry.path()) {
                        Ok(entries) => open.push((path, entries, depth + 1)),
                        Err(error) => listing.complain(&path, format!("cannot be read: {error}")),
                    },
                    None => {}
                }
            }
        }
        Ok(listing)
    }

    /// The bytes of a file below the folder that is served.
    pub(super) fn read(&self, relative: &Path) -> io::Result<Vec<u8>> {
        let path = self.root.join(relative);
        match self.is_served(&path)? {
            true => std::fs::read(path),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_served(&self, path: &Path) -> io::Result<bool> {
        let (canonical, metadata) = (path.canonicalize()?, path.metadata()?);
        Ok(canonical.starts_with(&self.root) && !self.hidden.covers(&canonical, &metadata))
    }

    fn classify(&self, entry: &DirEntry, relative: &Path) -> Option<What> {
        let name = entry.file_name();
        let well_known = relative == Path::new(".well-known");
        if name.as_encoded_bytes().starts_with(b".") && !well_known {
            return None;
        }
        let kind = entry.file_type().ok()?;
        // A link to a folder shows pages that are found in their own place, or that are outside.
        if kind.is_dir() {
            return self.is_served(&entry.path()).unwrap_or(true).then_some(What::Folder);
        }
        let page = Media::of(relative).kind == Kind::Html;
        let file = kind.is_file() || entry.path().is_file();
        // What cannot be asked is read, which says why.
        (page && file && self.is_served(&entry.path()).unwrap_or(true)).then_some(What::Page)
    }
}

/// What is looked at.
enum What {
    Page,
    Folder,
}

impl Listing {
    fn complain(&mut self, file: &Path, what: String) {
        self.problems.push(SiteProblem { file: file.to_owned(), line: None, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_too_many_files_says_so() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.html", "b.html", "c.txt"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let root = dir.path().canonicalize().unwrap();
        let folder = Folder { root, hidden: Hidden::default() };
        let all = folder.list_bounded(3).unwrap();
        assert_eq!((all.pages.len(), all.problems.len()), (2, 0));
        let some = folder.list_bounded(2).unwrap();
        assert!(some.problems[0].what.contains("more than 2 files"), "{:?}", some.problems);
    }

    #[test]
    fn folders_too_deep_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        for _ in 0..=DEPTH_MAX {
            deep.push("d");
        }
        std::fs::create_dir_all(&deep).unwrap();
        let root = dir.path().canonicalize().unwrap();
        let found = Folder { root, hidden: Hidden::default() }.list_pages().unwrap();
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].what.contains("folders deep"), "{:?}", found.problems);
    }
}
