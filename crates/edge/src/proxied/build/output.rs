//! The files of a build folder: manifests, prerendered pages, script chunks. Knows where Next.js puts what; blocking, for the blocking pool.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use mainstay_guard::csp::{Hash, PageFacts};
use serde_json::Value;

use super::page::{BuiltPage, Origin, Reader, read_payload};
use super::{Other, Settings, Wanted, joined};
use crate::path::SafePath;

/// Changes with every build.
pub(super) const BUILD_ID: &str = "BUILD_ID";

/// Written by the build alone, after its pages: a page that is younger was made by the running app.
const MANIFESTS: [&str; 6] = [
    BUILD_ID,
    "build-manifest.json",
    "export-marker.json",
    "prerender-manifest.json",
    "required-server-files.json",
    "routes-manifest.json",
];

/// Where a running app keeps the pages it made again (Next.js 15.5): a folder per route.
const MADE_AGAIN: [&str; 2] = ["server/route-cache/APP_PAGE", "server/route-cache/PAGES"];

/// Routes of an app whose folders are looked into.
const ROUTES_MAX: usize = 1_024;

/// Chunks whose integrity is remembered. Large apps have some hundreds.
const CHUNKS_MAX: usize = 8_192;

/// Chunks larger than this are not hashed.
const CHUNK_BYTES_MAX: u64 = 16 << 20;

/// One build.
pub(super) struct Output {
    base_path: String,
    locale: Option<String>,
    /// The youngest of the manifests.
    built_at: Option<SystemTime>,
    /// What error pages and the start page contain: the layout that every page shares is in them.
    pub(super) shared: PageFacts,
    chunks: Mutex<HashMap<String, Hash>>,
}

impl Output {
    pub(super) fn read(settings: &Settings) -> Self {
        let routes: Value = std::fs::read(settings.dir.join("routes-manifest.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let modified = |name: &&str| settings.dir.join(name).metadata().ok()?.modified().ok();
        let mut output = Self {
            base_path: text(&routes["basePath"]).unwrap_or_default(),
            locale: text(&routes["i18n"]["defaultLocale"]),
            built_at: MANIFESTS.iter().filter_map(modified).max(),
            shared: PageFacts::default(),
            chunks: Mutex::default(),
        };
        let mut shared = PageFacts::default();
        for status in [200, 404, 500] {
            for file in output.list_files("", status) {
                let file = settings.dir.join(file);
                let page = output.load(settings, &file, "/");
                let built = page.filter(|page| page.built);
                shared = built.iter().fold(shared, |known, page| joined(known, &page.facts));
            }
        }
        // Where these pages lead to is no other page's business.
        shared.sources.clear();
        output.shared = shared;
        output
    }

    /// The files that an answer at this path may be, most likely first; some of them may not be there.
    pub(super) fn list_candidates(&self, settings: &Settings, wanted: &Wanted) -> Vec<PathBuf> {
        let Some(relative) = self.relative(&wanted.path) else { return Vec::new() };
        let built = self.list_files(&relative, wanted.status).into_iter();
        let mut files: Vec<PathBuf> = built.map(|file| settings.dir.join(file)).collect();
        if wanted.kept {
            files.extend(list_made_again(settings, &relative, wanted.status));
        }
        files
    }

    /// An answer that is no page of the build: what of it the build vouches for.
    pub(super) fn read_other(&self, settings: &Settings, wanted: &Wanted, sent: &Bytes) -> Other {
        let path = wanted.path.as_str();
        let pages = self.list_candidates(settings, wanted).into_iter();
        let pages = pages.filter_map(|file| self.load(settings, &file, path));
        let mut known = pages.fold(self.shared_styles(), |known, page| joined(known, &page.facts));
        let find_file = |path: &str| self.find_chunk(settings, path);
        let reader =
            Reader { hosts: &settings.hosts, tag: settings.tag.as_ref(), find_file: &find_file };
        match reader.read(sent, path) {
            Some(read) => {
                known.external_scripts.extend(read.vouched);
                Other { body: read.body.into(), known }
            }
            None => Other { body: sent.clone(), known },
        }
    }

    /// Styles that any page of the build may show without a new document, such as those of the default 404.
    pub(super) fn shared_styles(&self) -> PageFacts {
        PageFacts { inline_styles: self.shared.inline_styles.clone(), ..PageFacts::default() }
    }

    /// The page's path below `server/app`, without extension: `index`, `blog/one`.
    fn relative(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix(&self.base_path).unwrap_or(path);
        let safe = SafePath::parse(if path.is_empty() { "/" } else { path })?;
        let relative = safe.relative().to_str()?.trim_end_matches('/').to_owned();
        Some(if relative.is_empty() { "index".to_owned() } else { relative })
    }

    /// Files of the build, relative to its folder. An empty `relative` stands for the start page.
    fn list_files(&self, relative: &str, status: u16) -> Vec<String> {
        let relative = if relative.is_empty() { "index" } else { relative };
        let mut names = vec![format!("app/{relative}"), format!("pages/{relative}")];
        names.extend(self.locale.iter().map(|locale| match relative {
            "index" => format!("pages/{locale}"),
            _ => format!("pages/{locale}/{relative}"),
        }));
        if status == 404 {
            names.extend(["app/_not-found".to_owned(), "pages/404".to_owned()]);
            names.extend(self.locale.iter().map(|locale| format!("pages/{locale}/404")));
        }
        if status >= 500 {
            names.extend(["app/_global-error".to_owned(), "pages/500".to_owned()]);
            names.extend(self.locale.iter().map(|locale| format!("pages/{locale}/500")));
        }
        names.into_iter().map(|name| format!("server/{name}.html")).collect()
    }

    /// The page in a file, served at `path`.
    pub(super) fn load(&self, settings: &Settings, file: &Path, path: &str) -> Option<BuiltPage> {
        self.make(settings, file, read_page(settings, file)?, path)
    }

    /// The page that `source`, the bytes of `file`, is at `path`.
    pub(super) fn make(
        &self,
        settings: &Settings,
        file: &Path,
        source: Vec<u8>,
        path: &str,
    ) -> Option<BuiltPage> {
        let metadata = file.metadata().ok()?;
        let built = self.is_built(&metadata) && !is_made_again(settings, file);
        let find_file = |path: &str| {
            let chunk = self.find_chunk(settings, path);
            // What the build's own page names in the app's public folder is the owner's word too.
            chunk.or_else(|| built.then(|| find_public(settings, path)).flatten())
        };
        let reader =
            Reader { hosts: &settings.hosts, tag: settings.tag.as_ref(), find_file: &find_file };
        if built {
            return BuiltPage::make(source, path, Origin::Built, &reader);
        }
        let payload = read_payload(file, settings.page_bytes_max as u64);
        let origin =
            Origin::RunTime { built: &self.built_facts(settings, path), payload: &payload };
        BuiltPage::make(source, path, origin, &reader)
    }

    /// What the build itself contains for a path: its page as it was built, where it is still there, and what is shared.
    fn built_facts(&self, settings: &Settings, path: &str) -> PageFacts {
        let files = self.relative(path).map(|relative| self.list_files(&relative, 200));
        let files = files.unwrap_or_default().into_iter().map(|file| settings.dir.join(file));
        let built = files
            .filter(|file| file.metadata().is_ok_and(|metadata| self.is_built(&metadata)))
            .filter_map(|file| self.load(settings, &file, path));
        built.fold(self.shared.clone(), |known, page| joined(known, &page.facts))
    }

    fn is_built(&self, metadata: &std::fs::Metadata) -> bool {
        let modified = metadata.modified().ok();
        self.built_at.zip(modified).is_some_and(|(built_at, modified)| modified <= built_at)
    }

    /// The integrity of a file that the build wrote for browsers.
    fn find_chunk(&self, settings: &Settings, path: &str) -> Option<Hash> {
        let path = path.strip_prefix(&self.base_path).unwrap_or(path);
        let relative = path.strip_prefix("/_next/static/")?;
        let chunks = || self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = chunks().get(relative) {
            return Some(known.clone());
        }
        let safe = SafePath::parse(path).filter(|safe| !safe.folder)?;
        let below = safe.relative().strip_prefix("_next").ok()?;
        let hash = hash_file(&settings.dir.join(below));
        let mut chunks = chunks();
        if let Some(hash) = hash.clone().filter(|_| chunks.len() < CHUNKS_MAX) {
            chunks.insert(relative.to_owned(), hash);
        }
        hash
    }
}

/// The bytes of a page's file; `None` when it is too large, or not there.
pub(super) fn read_page(settings: &Settings, file: &Path) -> Option<Vec<u8>> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    if metadata.len() > settings.page_bytes_max as u64 {
        return None;
    }
    std::fs::read(file).ok()
}

/// Pages that the running app made again. The folders' names are hashes of routes, which we do not know.
fn list_made_again(settings: &Settings, relative: &str, status: u16) -> Vec<PathBuf> {
    let mut names = vec![format!("$/{relative}.html")];
    if status == 404 {
        names.extend(["$/_not-found.html".to_owned(), "$/404.html".to_owned()]);
    }
    let kinds = MADE_AGAIN.iter().filter_map(|kind| settings.dir.join(kind).read_dir().ok());
    let routes = kinds.flatten().filter_map(Result::ok).take(ROUTES_MAX);
    let files = routes.flat_map(|route| {
        names.iter().map(move |name| route.path().join(name)).collect::<Vec<_>>()
    });
    files.filter(|file| file.is_file()).collect()
}

fn is_made_again(settings: &Settings, file: &Path) -> bool {
    MADE_AGAIN.iter().any(|kind| file.starts_with(settings.dir.join(kind)))
}

/// The integrity of a file in the `public` folder beside the build's.
fn find_public(settings: &Settings, path: &str) -> Option<Hash> {
    let safe = SafePath::parse(path).filter(|safe| !safe.folder)?;
    hash_file(&settings.dir.parent()?.join("public").join(safe.relative()))
}

fn hash_file(file: &Path) -> Option<Hash> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    if metadata.len() > CHUNK_BYTES_MAX {
        return None;
    }
    std::fs::read(file).ok().map(|bytes| Hash::of_file(&bytes))
}
