//! The build output of a Next.js app (`.next`): which prerendered page an answer is, and which scripts the build is known to contain. Reads files, never an answer's word about itself.

mod flight;
mod output;
mod page;

use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use mainstay_guard::csp::PageFacts;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxHasher;

use crate::files::Stamp;
use crate::html::Tag;
use output::Output;
pub(super) use page::BuiltPage;

/// Waits for the app to write a page that it sends already: it keeps a new page in memory first. 2.6 s in all, for a busy
/// disk.
const FLUSH_WAITS_MS: [u64; 8] = [10, 20, 40, 80, 160, 320, 640, 1_280];

/// As many of them are waited where the last page was waited for in vain: an app that never writes its pages must not
/// keep visitors so long. 150 ms in all.
const WAITS_IN_DOUBT: usize = 4;

/// Pages remembered as not in the build output, so that nobody waits for them twice.
const MISSED_MAX: usize = 1_024;

/// Where the build output is, and what its pages are read with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) dir: PathBuf,
    pub(super) hosts: Vec<String>,
    pub(super) tag: Option<Tag>,
    /// Pages larger than this are not looked up.
    pub(super) page_bytes_max: usize,
    /// Memory for pages and their compressed variants.
    pub(super) cache_bytes_max: u64,
    /// How long the build is taken for the same without looking.
    pub(super) revalidate_ms: u32,
}

/// What is known of an answer's page.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Raw URL path.
    pub(super) path: String,
    pub(super) status: u16,
    /// The app says that it keeps the page: it may have made it anew.
    pub(super) kept: bool,
}

/// What an answer is to the build.
pub(super) enum Match {
    /// A page of the build, byte for byte.
    Page(Arc<BuiltPage>),
    /// Something else; this much of it is known.
    Other(Other),
}

/// An answer that is no page of the build.
pub(super) struct Other {
    /// The bytes with our tag and the integrity of the build's own scripts.
    pub(super) body: Bytes,
    /// What the build contains for this path, and the scripts vouched for in `body`.
    pub(super) known: PageFacts,
}

/// The build output of one site, looked at again when a new build takes its place.
pub(super) struct Build {
    settings: Arc<Settings>,
    state: RwLock<Arc<State>>,
    checked_ms: AtomicU32,
}

struct State {
    id: Option<Stamp>,
    output: Output,
    /// Pages by the length and a quick hash of what the app sends; compared byte by byte when used.
    pages: Cache<(usize, u64), Arc<BuiltPage>, ByBytes>,
    missed: Cache<(usize, u64), ()>,
    /// The last wait for a page to be written was in vain.
    in_vain: AtomicBool,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<(usize, u64), Arc<BuiltPage>> for ByBytes {
    fn weight(&self, _: &(usize, u64), page: &Arc<BuiltPage>) -> u64 {
        (page.bytes_held() as u64).max(1)
    }
}

impl Build {
    /// Reads the build's manifests. A folder that is not there yet is looked at again later.
    pub(super) fn open(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        let state = RwLock::new(Arc::new(State::read(&settings)));
        Self { settings, state, checked_ms: AtomicU32::new(0) }
    }

    /// Whether there is a build in the folder.
    pub(super) fn is_there(&self) -> bool {
        self.now().id.is_some()
    }

    /// Styles that any page of the build may show.
    pub(super) fn shared(&self) -> PageFacts {
        self.now().output.shared_styles()
    }

    /// Finds the page that the app sent as `body`.
    pub(super) async fn find(&self, wanted: Wanted, body: &Bytes, now_ms: u32) -> Match {
        let state = self.current(now_ms).await;
        let key = key_of(body);
        if let Some(page) = state.pages.get(&key).filter(|page| page.source == *body) {
            return Match::Page(page);
        }
        let waits = wanted.kept && state.missed.get(&key).is_none();
        let mut found = self.look_up(&state, &wanted, body).await;
        let patience = match (waits, state.in_vain.load(Relaxed)) {
            (false, _) => 0,
            (true, true) => WAITS_IN_DOUBT,
            (true, false) => FLUSH_WAITS_MS.len(),
        };
        for wait in FLUSH_WAITS_MS.iter().take(patience) {
            if found.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(*wait)).await;
            found = self.look_up(&state, &wanted, body).await;
        }
        if waits {
            state.in_vain.store(found.is_none(), Relaxed);
        }
        if let Some(page) = found {
            state.pages.insert(key, Arc::clone(&page));
            return Match::Page(page);
        }
        if waits {
            tracing::warn!(
                path = wanted.path,
                "a prerendered page is not in build_dir: scripts that the build does not know stay blocked"
            );
            state.missed.insert(key, ());
        }
        let (sent, settings) = (body.clone(), Arc::clone(&self.settings));
        let read = move || state.output.read_other(&settings, &wanted, &sent);
        Match::Other(
            tokio::task::spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Other { body: body.clone(), known: PageFacts::default() }),
        )
    }

    /// Finds the page at a path by the length of what the app would send: for `HEAD`, where there are no bytes that
    /// could differ.
    pub(super) async fn find_by_length(
        &self,
        wanted: Wanted,
        length: usize,
        now_ms: u32,
    ) -> Option<Arc<BuiltPage>> {
        let state = self.current(now_ms).await;
        let settings = Arc::clone(&self.settings);
        let look = move || {
            let files = state.output.list_candidates(&settings, &wanted);
            let fits = |file: &PathBuf| file.metadata().is_ok_and(|of| of.len() == length as u64);
            let file = files.into_iter().find(fits)?;
            state.output.load(&settings, &file, &wanted.path).map(Arc::new)
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    /// The file whose bytes these are.
    async fn look_up(
        &self,
        state: &Arc<State>,
        wanted: &Wanted,
        body: &Bytes,
    ) -> Option<Arc<BuiltPage>> {
        let (settings, state) = (Arc::clone(&self.settings), Arc::clone(state));
        let (wanted, sent) = (wanted.clone(), body.clone());
        let look = move || {
            state.output.list_candidates(&settings, &wanted).into_iter().find_map(|file| {
                let source = output::read_page(&settings, &file).filter(|bytes| *bytes == sent)?;
                state.output.make(&settings, &file, source, &wanted.path).map(Arc::new)
            })
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    fn now(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state, read anew when `BUILD_ID` changed since the last look.
    async fn current(&self, now_ms: u32) -> Arc<State> {
        let state = self.now();
        let checked = self.checked_ms.load(Relaxed);
        if now_ms.wrapping_sub(checked) < self.settings.revalidate_ms
            || self.checked_ms.compare_exchange(checked, now_ms, Relaxed, Relaxed).is_err()
            || Stamp::read(&self.settings.dir.join(output::BUILD_ID)) == state.id
        {
            return state;
        }
        let settings = Arc::clone(&self.settings);
        let Ok(fresh) = tokio::task::spawn_blocking(move || State::read(&settings)).await else {
            return state;
        };
        let fresh = Arc::new(fresh);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fresh);
        fresh
    }
}

impl State {
    fn read(settings: &Settings) -> Self {
        let id = Stamp::read(&settings.dir.join(output::BUILD_ID));
        let output = Output::read(settings);
        let items = (settings.cache_bytes_max / 32_768).clamp(16, 65_536);
        let pages = Cache::with_weighter(
            usize::try_from(items).unwrap_or(16),
            settings.cache_bytes_max,
            ByBytes,
        );
        Self { id, output, pages, missed: Cache::new(MISSED_MAX), in_vain: AtomicBool::new(false) }
    }
}

/// Only spreads keys: bytes are compared before a page is used.
fn key_of(body: &[u8]) -> (usize, u64) {
    let mut hasher = FxHasher::default();
    hasher.write(body);
    (body.len(), hasher.finish())
}

fn joined(mut known: PageFacts, more: &PageFacts) -> PageFacts {
    known.inline_scripts.extend(more.inline_scripts.iter().cloned());
    known.external_scripts.extend(more.external_scripts.iter().cloned());
    known.inline_styles.extend(more.inline_styles.iter().cloned());
    known.sources.extend(more.sources.iter().cloned());
    known
}

#[cfg(test)]
mod tests;
