//! What is wrong with a site's folder, file by file: what the policy will block, and references that lead nowhere. Serves nothing.

use std::path::{Path, PathBuf};

use crate::html::{self, Own, Page};
use crate::kinds::{Kind, Media};
use crate::path::SafePath;

/// Files looked at in one check.
const FILES_MAX: usize = 100_000;
/// Folders below folders that are followed.
const DEPTH_MAX: usize = 32;

/// Something in a file of the site that will not work as its author expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteProblem {
    /// The file, relative to the site's folder.
    pub file: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// What it is, and what to do.
    pub what: String,
}

/// Reads every HTML file of the folder as the server would.
///
/// # Errors
/// When the folder cannot be read.
pub fn check_site(dir: &Path) -> std::io::Result<Vec<SiteProblem>> {
    let root = dir.canonicalize()?;
    let mut pages = Vec::new();
    list_pages(&root, &mut pages, DEPTH_MAX)?;
    pages.sort();
    let mut problems = Vec::new();
    for file in pages {
        check_page(&root, &file, &mut problems)?;
    }
    Ok(problems)
}

fn list_pages(dir: &Path, into: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || into.len() >= FILES_MAX {
            continue;
        }
        let path = entry.path();
        if path.is_dir() && depth > 0 && !entry.file_type()?.is_symlink() {
            list_pages(&path, into, depth - 1)?;
        } else if path.is_file() && Media::of(&path).kind == Kind::Html {
            into.push(path);
        }
    }
    Ok(())
}

fn check_page(root: &Path, file: &Path, problems: &mut Vec<SiteProblem>) -> std::io::Result<()> {
    let relative = file.strip_prefix(root).unwrap_or(file).to_owned();
    let html = std::fs::read(file)?;
    let path = format!("/{}", relative.to_string_lossy());
    let mut missing = Vec::new();
    let mut files = |path: &str| {
        let found =
            SafePath::parse(path).and_then(|safe| std::fs::read(root.join(safe.relative())).ok());
        if found.is_none() {
            missing.push(path.to_owned());
        }
        found.map(|bytes| Own::of(path, &bytes))
    };
    let page = Page { path: &path, hosts: &[], tag: None };
    match html::rewrite(&html, &page, &mut files) {
        Ok(rewritten) => {
            let found = rewritten.problems.into_iter();
            problems.extend(found.map(|p| SiteProblem {
                file: relative.clone(),
                line: p.line,
                what: p.what,
            }));
        }
        Err(error) => {
            problems.push(SiteProblem { file: relative.clone(), line: 1, what: error.to_string() })
        }
    }
    for path in missing {
        let line = line_of(&html, &path);
        let what = format!("{path} is referenced here but is not in the folder");
        problems.push(SiteProblem { file: relative.clone(), line, what });
    }
    Ok(())
}

/// The line that names the last segment of a path; 1 when it is written in another way.
fn line_of(html: &[u8], path: &str) -> usize {
    let name = path.rsplit('/').next().unwrap_or(path);
    let at = memchr::memmem::find(html, name.as_bytes()).unwrap_or(0);
    1 + memchr::memchr_iter(b'\n', html.get(..at).unwrap_or_default()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_and_dead_references_are_named_with_their_line() {
        let dir = tempfile::tempdir().expect("tempdir");
        let page = "<!doctype html>\n<html><head>\n<script src=\"/gone.js\"></script>\n<script src=\"/here.js\"></script>\n\
</head><body>\n<button onclick=\"go()\">x</button></body></html>";
        std::fs::write(dir.path().join("index.html"), page).expect("write");
        std::fs::write(dir.path().join("here.js"), "1").expect("write");
        let problems = check_site(dir.path()).expect("readable");
        let found: Vec<_> = problems.iter().map(|p| (p.line, p.what.as_str())).collect();
        assert!(
            found.iter().any(|(line, what)| *line == 6 && what.contains("onclick")),
            "{found:?}"
        );
        assert!(
            found.iter().any(|(line, what)| *line == 3 && what.contains("/gone.js")),
            "{found:?}"
        );
        assert!(!found.iter().any(|(_, what)| what.contains("here.js")), "{found:?}");
    }
}
