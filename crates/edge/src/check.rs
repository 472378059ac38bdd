//! What is wrong with a site's folder, file by file: what the policy will block, and references that lead nowhere. Serves nothing.

mod folder;

use std::io;
use std::path::{Path, PathBuf};

use mainstay_guard::csp::{self, Hash};
use mainstay_guard::settings::{Csp, Headers};

use crate::hidden::Hidden;
use crate::html::{self, Own, Page};
use crate::path::SafePath;
use folder::{Folder, Listing};

/// The folder's own page for addresses that lead nowhere.
const NOT_FOUND_PAGE: &str = "404.html";

/// Something in a file of the site that will not work as its author expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteProblem {
    /// The file, relative to the site's folder; empty when the folder itself is meant.
    pub file: PathBuf,
    /// Line, from 1; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// What it is, and what to do.
    pub what: String,
}

/// A site as it will be served.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Its folder.
    pub dir: &'a Path,
    /// Names under which it is known to be reached, as in [`Page::hosts`].
    pub hosts: &'a [String],
    /// Its header and policy settings.
    pub headers: &'a Headers,
    /// What is never served though it may lie in the folder: data dir, settings, keys.
    pub hidden: &'a [PathBuf],
    /// Path below which our own endpoints and scripts are, such as `/_mainstay`.
    pub prefix: &'a str,
}

/// Reads every HTML file of the folder as the server would.
///
/// # Errors
/// When the folder itself cannot be read. A file that cannot be read is a problem among the others.
pub fn check_site(site: &Site<'_>) -> io::Result<Vec<SiteProblem>> {
    let root = site.dir.canonicalize()?;
    let folder = Folder { hidden: Hidden::new(site.hidden.to_vec()), root };
    let Listing { mut pages, mut problems } = folder.list_pages()?;
    pages.sort();
    problems.extend(pages.iter().flat_map(|file| check_file(site, &folder, file)));
    Ok(problems)
}

fn check_file(site: &Site<'_>, folder: &Folder, file: &Path) -> Vec<SiteProblem> {
    let found = check_page(site, folder, file);
    let found = found.unwrap_or_else(|error| vec![(None, format!("cannot be read: {error}"))]);
    let of_file = |(line, what)| SiteProblem { file: file.to_owned(), line, what };
    found.into_iter().map(of_file).collect()
}

/// What is wrong with one page, with its line.
type Problems = Vec<(Option<usize>, String)>;

fn check_page(site: &Site<'_>, folder: &Folder, file: &Path) -> io::Result<Problems> {
    let html = folder.read(file)?;
    let path = format!("/{}", file.to_string_lossy());
    let page = Page { path: &path, hosts: site.hosts, tag: None };
    let mut files = |path: &str| find_own(site, folder, path);
    let with_lines = |found: Vec<html::Problem>| {
        found.into_iter().map(|one| (Some(one.line), one.what)).collect::<Problems>()
    };
    let rewritten = match html::rewrite(&html, &page, &mut files) {
        Ok(rewritten) => rewritten,
        Err(error) => return Ok(vec![(None, error.to_string())]),
    };
    let mut problems = with_lines(rewritten.problems);
    if file == Path::new(NOT_FOUND_PAGE) {
        problems.extend(with_lines(html::list_relative(&html).unwrap_or_default()));
        problems.sort_by_key(|(line, _)| *line);
    }
    if site.headers.csp != Csp::Off {
        let concerns = csp::list_concerns(&rewritten.facts, site.headers);
        problems.extend(concerns.into_iter().map(|what| (None, what)));
    }
    Ok(problems)
}

/// The file at a path of the site, as far as it is served. Our own scripts are, whatever their bytes.
fn find_own(site: &Site<'_>, folder: &Folder, path: &str) -> Option<Own> {
    let below = path.strip_prefix(site.prefix.trim_end_matches('/'));
    if below.is_some_and(|rest| rest.starts_with('/')) {
        return Some(Own { integrity: Hash::of_file(b""), style_sheet: None, script: None });
    }
    let safe = SafePath::parse(path).filter(|safe| !safe.folder)?;
    let bytes = folder.read(safe.relative()).ok()?;
    Some(Own::of(path, &bytes))
}

#[cfg(test)]
mod tests;
