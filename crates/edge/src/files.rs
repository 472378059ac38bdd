//! From a request path to a ready answer: clean URLs, redirects, the folder's own 404, all remembered and checked against the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use http::HeaderValue;
use mainstay_base::Clock;
use mainstay_base::units::Size;
use mainstay_telemetry::http::SiteMetrics;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::Settings;
use crate::content::{Content, Loader, Policy};
use crate::hidden::Hidden;
use crate::path::SafePath;

/// Route label of every path that leads nowhere.
pub(crate) const UNMATCHED_ROUTE: &str = "{unmatched}";

/// Key of the folder's own 404 page: no request path looks like this.
const NOT_FOUND_PAGE: &str = "404.html";

/// Shards of the cache.
const SHARDS: usize = 4;
/// A file may take one part in this many of the cache: twice that with its variants, so that a shard has room for its
/// heads too.
const FILE_SHARE: u64 = 16;

/// What a path leads to.
#[derive(Clone)]
pub(crate) enum Entry {
    /// A file's answer.
    Content(Arc<Content>),
    /// 308 to the canonical path; the query is appended when sent.
    Redirect(Arc<str>),
    /// Nothing.
    Missing,
    /// A file that is there but cannot be read now. Never remembered: the next request tries again.
    Unreadable,
}

/// A remembered entry: the state of every file it was made from, and when that was last compared.
struct Found {
    entry: Entry,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    checked_ms: AtomicU32,
}

impl Found {
    /// Whether every file it was made from is as it was then.
    fn is_current(&self) -> bool {
        self.stamps.iter().all(|(file, stamp)| Stamp::read(file) == *stamp)
    }
}

/// Enough of a file's metadata to notice any change that an editor, `cp` or `rsync` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: std::time::SystemTime,
    /// Changes of mode and owner count too: a file may become readable.
    changed_ns: i64,
    length: u64,
    inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &std::fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let modified = metadata.modified().ok()?;
        metadata.is_file().then_some(Self {
            modified,
            changed_ns: metadata
                .ctime()
                .wrapping_mul(1_000_000_000)
                .wrapping_add(metadata.ctime_nsec()),
            length: metadata.len(),
            inode: metadata.ino(),
        })
    }

    pub(crate) fn read(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().as_ref().and_then(Self::of)
    }
}

/// The ready answers of one folder.
pub(crate) struct Files {
    root: PathBuf,
    hidden: Hidden,
    loader: Loader,
    found: Cache<String, Arc<Found>, ByBytes>,
    revalidate_ms: u32,
}

/// Weighs entries so that both bounds hold: bytes, and the number of paths.
#[derive(Clone)]
struct ByBytes {
    entry_min: u64,
}

impl Weighter<String, Arc<Found>> for ByBytes {
    fn weight(&self, key: &String, found: &Arc<Found>) -> u64 {
        const ENTRY_BYTES: usize = 4_096;
        let content =
            if let Entry::Content(content) = &found.entry { content.bytes_held() } else { 0 };
        ((ENTRY_BYTES + key.len() + content) as u64).max(self.entry_min)
    }
}

impl Files {
    pub(crate) fn new(
        root: PathBuf,
        hidden: Hidden,
        policy: Policy,
        (hosts, clock): (Vec<String>, Clock),
        vary_origin: bool,
        settings: &Settings,
        http: &SiteMetrics,
    ) -> Self {
        // A file that would not fit its shard of the cache would be read anew for every request.
        let file_max = settings.cache_file_max.0.min(settings.cache_bytes_max.0 / FILE_SHARE);
        let loader = Loader::new(policy, hosts, vary_origin, Size(file_max), http.clone(), clock);
        Self {
            root,
            hidden,
            loader,
            found: cache(settings),
            revalidate_ms: u32::try_from(settings.revalidate_after.0.as_millis())
                .unwrap_or(u32::MAX),
        }
    }

    /// The answer for a raw request path (no query). `now_ms` is the coarse clock.
    ///
    /// However many ask for a path that is not known yet, it is read once. When a file changed, the one request that
    /// notices reads it anew; the others get the remembered answer until that is done.
    pub(crate) async fn find(self: &Arc<Self>, path: &str, now_ms: u32) -> Entry {
        if path.contains('%') {
            // One file has one key, one route and one set of variants, however its path is spelt.
            let Some(safe) = SafePath::parse(path) else { return Entry::Missing };
            return self.find_canonical(&safe.canonical(), now_ms).await;
        }
        self.find_canonical(path, now_ms).await
    }

    /// The answer for a raw request path, where nothing needs to be read for it: it is known, and the disk is as it was.
    pub(crate) fn remembered(&self, path: &str, now_ms: u32) -> Option<Entry> {
        let found = self.found.get(path)?;
        if now_ms.wrapping_sub(found.checked_ms.load(Relaxed)) >= self.revalidate_ms {
            if !found.is_current() {
                // Still due: whoever reads it anew shall be the one that notices.
                return None;
            }
            found.checked_ms.store(now_ms, Relaxed);
        }
        Some(found.entry.clone())
    }

    /// The folder's own page for paths that lead nowhere, likewise.
    pub(crate) fn remembered_not_found_page(&self, now_ms: u32) -> Option<Option<Arc<Content>>> {
        Some(match self.remembered(NOT_FOUND_PAGE, now_ms)? {
            Entry::Content(content) => Some(content),
            Entry::Redirect(_) | Entry::Missing | Entry::Unreadable => None,
        })
    }

    /// The folder's own page for paths that lead nowhere.
    pub(crate) async fn find_not_found_page(self: &Arc<Self>, now_ms: u32) -> Option<Arc<Content>> {
        match self.find_canonical(NOT_FOUND_PAGE, now_ms).await {
            Entry::Content(content) => Some(content),
            Entry::Redirect(_) | Entry::Missing | Entry::Unreadable => None,
        }
    }

    async fn find_canonical(self: &Arc<Self>, path: &str, now_ms: u32) -> Entry {
        let Some(found) = self.found.get(path) else { return self.find_new(path, now_ms).await };
        let checked = found.checked_ms.load(Relaxed);
        if now_ms.wrapping_sub(checked) < self.revalidate_ms
            || found.checked_ms.compare_exchange(checked, now_ms, Relaxed, Relaxed).is_err()
            || found.is_current()
        {
            return found.entry.clone();
        }
        match self.read(path, now_ms).await {
            Some(fresh) => {
                let entry = fresh.entry.clone();
                self.found.insert(path.into(), fresh);
                entry
            }
            // What was good a moment ago beats an error; the next look comes in a moment.
            None => found.entry.clone(),
        }
    }

    async fn find_new(self: &Arc<Self>, path: &str, now_ms: u32) -> Entry {
        let guard = match self.found.get_value_or_guard_async(path).await {
            Ok(found) => return found.entry.clone(),
            Err(guard) => guard,
        };
        let Some(fresh) = self.read(path, now_ms).await else { return Entry::Unreadable };
        let entry = fresh.entry.clone();
        // Refused only when somebody else made the entry in the meantime, which is as good.
        drop(guard.insert(fresh));
        entry
    }

    /// Resolves a path on the blocking pool; `None` when a file cannot be read, or the runtime is going away.
    async fn read(self: &Arc<Self>, path: &str, now_ms: u32) -> Option<Arc<Found>> {
        let (files, raw) = (Arc::clone(self), path.to_owned());
        let read = tokio::task::spawn_blocking(move || files.resolve(&raw, now_ms)).await;
        let found = read.inspect_err(
            |error| tracing::error!(error = %error, "reading a file of the site broke"),
        );
        found.ok().filter(|found| !matches!(found.entry, Entry::Unreadable)).map(Arc::new)
    }

    fn resolve(&self, raw: &str, now_ms: u32) -> Found {
        // Asked each time: the folder may be a link that a deployment points elsewhere.
        let mut seen = Seen { stamps: Vec::new(), real_root: self.root.canonicalize().ok() };
        let entry = if raw == NOT_FOUND_PAGE {
            let file = self.servable(&self.root.join(NOT_FOUND_PAGE), &mut seen);
            file.map(|file| self.load(&file, "/404.html", 404, &mut seen))
        } else {
            SafePath::parse(raw).and_then(|path| self.look_up(raw, &path, &mut seen))
        };
        let entry = entry.unwrap_or(Entry::Missing);
        Found { entry, stamps: seen.stamps, checked_ms: AtomicU32::new(now_ms) }
    }

    fn look_up(&self, raw: &str, path: &SafePath, seen: &mut Seen) -> Option<Entry> {
        let base = self.root.join(path.relative());
        let at_root = path.relative().as_os_str().is_empty();
        let page = || with_suffix(&base, ".html");
        if path.folder {
            let index = base.join("index.html");
            if let Some(file) = self.servable(&index, seen) {
                return Some(self.load(&file, raw, 200, seen));
            }
            let page = (!at_root).then(page)?;
            self.servable(&page, seen)?;
            return Some(self.redirect(raw.trim_end_matches('/').to_owned()));
        }
        if let Some(file) = self.servable(&base, seen) {
            return Some(self.load(&file, raw, 200, seen));
        }
        if let Some(file) = self.servable(&page(), seen) {
            return Some(self.load(&file, raw, 200, seen));
        }
        self.servable(&base.join("index.html"), seen)?;
        Some(self.redirect(format!("{raw}/")))
    }

    /// The canonical path of a file that may be served: inside the folder after following links, and not ours.
    fn servable(&self, path: &Path, seen: &mut Seen) -> Option<PathBuf> {
        let metadata = std::fs::metadata(path).ok();
        let stamp = metadata.as_ref().and_then(Stamp::of);
        seen.stamps.push((path.to_owned(), stamp));
        let metadata = metadata.filter(|_| stamp.is_some())?;
        let canonical = path.canonicalize().ok()?;
        let inside = seen.real_root.as_ref().is_some_and(|root| canonical.starts_with(root));
        (inside && !self.hidden.covers(&canonical, &metadata)).then_some(canonical)
    }

    fn load(&self, file: &Path, raw: &str, status: u16, seen: &mut Seen) -> Entry {
        let mut own = |path: &str| {
            let safe = SafePath::parse(path).filter(|safe| !safe.folder)?;
            let file = self.servable(&self.root.join(safe.relative()), seen)?;
            std::fs::read(file).ok()
        };
        match self.loader.load(file, raw, status, &mut own) {
            Ok(content) => Entry::Content(Arc::new(content)),
            Err(error) => {
                tracing::warn!(path = raw, error = %error, "a file of the site cannot be read");
                Entry::Unreadable
            }
        }
    }

    fn redirect(&self, location: String) -> Entry {
        Entry::Redirect(location.into())
    }
}

/// Few shards, so that large files fit: a read takes a shard's lock only for a hash look-up.
fn cache(settings: &Settings) -> Cache<String, Arc<Found>, ByBytes> {
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(settings.cache_paths_max)
        .weight_capacity(settings.cache_bytes_max.0)
        .build();
    let paths_max = u64::try_from(settings.cache_paths_max).unwrap_or(u64::MAX).max(1);
    let weighter = ByBytes { entry_min: settings.cache_bytes_max.0 / paths_max };
    match options {
        Ok(options) => Cache::with_options(
            options,
            weighter,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        ),
        // Everything it asks for was given.
        Err(_) => {
            Cache::with_weighter(settings.cache_paths_max, settings.cache_bytes_max.0, weighter)
        }
    }
}

/// Every path looked at while resolving, with what was there; and where the folder really is.
struct Seen {
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    real_root: Option<PathBuf>,
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `Location` with the request's query kept.
pub(crate) fn location(path: &str, query: Option<&str>) -> Option<HeaderValue> {
    match query {
        None => HeaderValue::from_str(path),
        Some(query) => HeaderValue::from_str(&format!("{path}?{query}")),
    }
    .ok()
}
