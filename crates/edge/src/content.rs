//! One file as a ready answer: served bytes, validators, compressed variants, and the whole header block of each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use mainstay_base::units::Size;
use mainstay_guard::csp::{self, Reporting};
use mainstay_guard::headers::{Kind as HeaderKind, security_headers};
use mainstay_guard::settings::{Environment, Headers};
use mainstay_telemetry::http::{Route, SiteMetrics};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::fast_path::Written;
use crate::html::{self, Own, Page, Tag};
use crate::kinds::{Kind, Media, cache_control};
use crate::variants;
use mainstay_base::Clock;
use mainstay_base::coding::Coding;

/// Route label of everything that is not a page.
const ASSET_ROUTE: &str = "{asset}";

/// The header decisions of one site, resolved once.
pub(crate) struct Policy {
    headers: Headers,
    tag: Option<Tag>,
    reporting: Option<Reporting>,
}

/// What is set over a header block when the client's own connection is TLS.
pub(crate) type OverTls = Arc<[(HeaderName, HeaderValue)]>;

/// Sets each of these in place of what was there.
pub(crate) fn set_all(headers: &mut HeaderMap, set: &[(HeaderName, HeaderValue)]) {
    for (name, value) in set {
        headers.insert(name.clone(), value.clone());
    }
}

/// The headers of an answer, ready to be copied.
pub(crate) struct Block {
    pub(crate) headers: HeaderMap,
    pub(crate) over_tls: OverTls,
}

impl Policy {
    /// `prefix` is that of our own paths, under which browsers report.
    pub(crate) fn new(
        headers: &Headers,
        environment: Environment,
        tag: Option<Tag>,
        prefix: &str,
    ) -> Self {
        let reporting = Reporting::new(prefix.trim_end_matches('/'));
        Self { headers: headers.resolved(environment), tag, reporting }
    }

    /// Headers of a document; `policy` gives its CSP for plain http and for TLS.
    pub(crate) fn document_headers(&self, policy: &dyn Fn(bool) -> csp::Policy) -> Block {
        let reported = |https| match &self.reporting {
            Some(reporting) => reporting.added_to(&policy(https), https),
            None => policy(https),
        };
        self.block(HeaderKind::Document, &reported)
    }

    /// Headers of a file that is no document.
    fn asset_headers(&self, policy: &csp::Policy) -> Block {
        self.block(HeaderKind::Asset, &|_| policy.clone())
    }

    /// Security headers of an answer without a body.
    pub(crate) fn bare_headers(&self) -> Block {
        self.block(HeaderKind::Document, &|_| csp::api_policy())
    }

    fn block(&self, kind: HeaderKind, policy: &dyn Fn(bool) -> csp::Policy) -> Block {
        let mut headers: HeaderMap = self.list(kind, policy, false).into_iter().collect();
        let mut over_tls = self.list(kind, policy, true);
        over_tls.retain(|(name, value)| headers.get(name) != Some(value));
        // Room for the id of each request: writing over a value is cheaper than growing a copied map.
        headers.insert(crate::phases::REQUEST_ID, HeaderValue::from_static("-"));
        Block { headers, over_tls: over_tls.into() }
    }

    fn list(
        &self,
        kind: HeaderKind,
        policy: &dyn Fn(bool) -> csp::Policy,
        https: bool,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mode = csp::Mode::of(&self.headers);
        let reports = https && kind == HeaderKind::Document && mode != csp::Mode::Off;
        let endpoints = self.reporting.as_ref().filter(|_| reports).map(Reporting::endpoints);
        let security = security_headers(&self.headers, kind, https).into_iter();
        security.chain(policy(https).header(mode)).chain(endpoints).collect()
    }
}

/// Where the identity bytes are.
pub(crate) enum Source {
    /// In memory.
    Memory(Bytes),
    /// Too large to keep: streamed from disk, never compressed.
    Disk { file: PathBuf, length: u64 },
}

/// One representation of a file, ready to send.
pub(crate) struct Variant {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
    pub(crate) headers: HeaderMap,
    pub(crate) headers_not_modified: HeaderMap,
    pub(crate) written: Written,
    pub(crate) written_not_modified: Written,
}

/// A file as a ready answer.
pub(crate) struct Content {
    pub(crate) status: u16,
    pub(crate) route: Arc<Route>,
    pub(crate) source: Source,
    /// Whole seconds, as HTTP dates carry no more.
    pub(crate) modified: SystemTime,
    pub(crate) identity: Variant,
    pub(crate) over_tls: OverTls,
    /// The file whose `.br`, `.zst`, `.gz` siblings may be used; none when we changed the bytes.
    sibling_of: Option<PathBuf>,
    compressible: bool,
    encoded: [OnceCell<Option<Arc<Variant>>>; 3],
}

impl Content {
    /// Length of the identity body in bytes.
    pub(crate) fn length(&self) -> u64 {
        match &self.source {
            Source::Memory(body) => body.len() as u64,
            Source::Disk { length, .. } => *length,
        }
    }

    /// About what memory this content holds, or will hold once its variants are made.
    pub(crate) fn bytes_held(&self) -> usize {
        let Source::Memory(body) = &self.source else { return 0 };
        // A head of 200 and one of 304 of each representation: a site is mostly read over one of http and TLS.
        let head: usize =
            self.identity.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
        if self.compressible { body.len() * 2 + 8 * head } else { body.len() + 2 * head }
    }

    /// The variant in this coding, if it was made already; `None` when it must be made first.
    pub(crate) fn ready(&self, coding: Coding) -> Option<Option<&Arc<Variant>>> {
        if !self.compressible {
            return Some(None);
        }
        self.encoded[coding as usize].get().map(Option::as_ref)
    }

    /// Makes the variant on the blocking pool, once however many ask; `None` when it would not pay.
    pub(crate) async fn make(self: &Arc<Self>, coding: Coding) -> Option<Arc<Variant>> {
        let made = self.encoded[coding as usize].get_or_init(|| async {
            let content = Arc::clone(self);
            let packed = tokio::task::spawn_blocking(move || {
                let Source::Memory(body) = &content.source else { return None };
                variants::make(coding, body, content.sibling_of.as_deref())
            });
            packed.await.ok().flatten().map(|body| Arc::new(self.identity.encoded(coding, body)))
        });
        made.await.clone()
    }
}

impl Variant {
    fn new(body: Bytes, etag: String, mut headers: HeaderMap) -> Self {
        if let Ok(value) = HeaderValue::from_str(&etag) {
            headers.insert(header::ETAG, value);
        }
        let mut headers_not_modified = headers.clone();
        // RFC 9110 §15.4.5: a 304 carries what a cache needs to refresh, not what describes the body.
        for name in [
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::ACCEPT_RANGES,
            header::LAST_MODIFIED,
        ] {
            headers_not_modified.remove(name);
        }
        let (written, written_not_modified) = (Written::default(), Written::default());
        Self { body, etag, headers, headers_not_modified, written, written_not_modified }
    }

    fn encoded(&self, coding: Coding, body: Bytes) -> Self {
        let etag = format!("{}-{}\"", self.etag.trim_end_matches('"'), coding.as_str());
        let mut headers = self.headers.clone();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        headers.remove(header::ACCEPT_RANGES);
        Self::new(body, etag, headers)
    }
}

/// A document or file as it is served.
struct Served {
    body: Vec<u8>,
    headers: Block,
    /// Its bytes are no longer the file's: siblings on disk are of no use.
    touched: bool,
    charset: &'static str,
}

/// Turns files into [`Content`].
pub(crate) struct Loader {
    policy: Policy,
    hosts: Vec<String>,
    vary_origin: bool,
    file_max: Size,
    http: SiteMetrics,
    clock: Clock,
}

impl Loader {
    pub(crate) fn new(
        policy: Policy,
        hosts: Vec<String>,
        vary_origin: bool,
        file_max: Size,
        http: SiteMetrics,
        clock: Clock,
    ) -> Self {
        Self { policy, hosts, vary_origin, file_max, http, clock }
    }

    /// Loads `file` as the answer for the request path `raw`; `read_own` gives the bytes of another file of the
    /// folder by its decoded path, for the hashes of scripts and styles the document uses.
    pub(crate) fn load(
        &self,
        file: &Path,
        raw: &str,
        status: u16,
        read_own: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    ) -> std::io::Result<Content> {
        let metadata = std::fs::metadata(file)?;
        let modified = whole_seconds(metadata.modified()?);
        let mut media = Media::of(file);
        if metadata.len() > self.file_max.0 {
            let source = Source::Disk { file: file.to_owned(), length: metadata.len() };
            let headers = match media.kind {
                Kind::Html => self.untouched(),
                _ => self.asset(&media),
            };
            let etag = format!("\"{:x}-{:x}\"", metadata.len(), nanos(metadata.modified()?));
            return Ok(self.finish(source, etag, modified, &media, raw, status, headers, None));
        }
        let bytes = std::fs::read(file)?;
        let served = match media.kind {
            Kind::Html => self.rewrite(bytes, raw, read_own),
            _ => Served {
                body: bytes,
                headers: self.asset(&media),
                touched: false,
                charset: "UTF-8",
            },
        };
        let Served { body, headers, touched, charset } = served;
        // What we made of a document depends on more files than its own, and on our script: it is as new as its making.
        let modified = if touched { self.made_at() } else { modified };
        media.set_charset(charset);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]));
        let sibling_of = (!touched).then(|| file.to_owned());
        let source = Source::Memory(Bytes::from(body));
        Ok(self.finish(source, etag, modified, &media, raw, status, headers, sibling_of))
    }

    fn made_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.clock.now().as_seconds()).unwrap_or(0))
    }

    fn rewrite(
        &self,
        bytes: Vec<u8>,
        raw: &str,
        read_own: &mut dyn FnMut(&str) -> Option<Vec<u8>>,
    ) -> Served {
        let mut files = |path: &str| read_own(path).map(|bytes| Own::of(path, &bytes));
        let page = Page { path: raw, hosts: &self.hosts, tag: self.policy.tag.as_ref() };
        match html::rewrite(&bytes, &page, &mut files) {
            Ok(rewritten) => {
                let policy =
                    |https| csp::static_policy(&rewritten.facts, &self.policy.headers, https);
                let headers = self.policy.document_headers(&policy);
                let touched = rewritten.body != bytes;
                Served { body: rewritten.body, headers, touched, charset: rewritten.charset }
            }
            Err(error) => {
                tracing::warn!(path = raw, error = %error, "an HTML file is served as it is: it cannot be read");
                let headers = self.untouched();
                Served { body: bytes, headers, touched: false, charset: "UTF-8" }
            }
        }
    }

    /// Headers of a document that nobody looked into.
    fn untouched(&self) -> Block {
        self.policy.document_headers(&|https| csp::untouched_policy(&self.policy.headers, https))
    }

    fn asset(&self, media: &Media) -> Block {
        self.policy.asset_headers(&csp::resource_policy(&media.content_type, &self.policy.headers))
    }

    #[expect(clippy::too_many_arguments, reason = "one private seam between two ways to load")]
    fn finish(
        &self,
        source: Source,
        etag: String,
        modified: SystemTime,
        media: &Media,
        raw: &str,
        status: u16,
        block: Block,
        sibling_of: Option<PathBuf>,
    ) -> Content {
        let in_memory = match &source {
            Source::Memory(body) => Some(body.clone()),
            Source::Disk { .. } => None,
        };
        let compressible = media.compressible
            && in_memory.as_ref().is_some_and(|b| b.len() >= variants::COMPRESS_FROM_BYTES);
        let html = media.kind == Kind::Html;
        let Block { mut headers, over_tls } = block;
        let mut set = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(header::CONTENT_TYPE, &media.content_type);
        set(
            header::CACHE_CONTROL,
            if status == 200 { cache_control(raw, media.kind) } else { "no-cache" },
        );
        set(header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        set(header::ACCEPT_RANGES, "bytes");
        match (compressible, self.vary_origin) {
            (true, true) => set(header::VARY, "accept-encoding, origin"),
            (true, false) => set(header::VARY, "accept-encoding"),
            (false, true) => set(header::VARY, "origin"),
            (false, false) => {}
        }
        let route =
            if html { self.http.resolve(page_route(raw)) } else { self.http.resolve(ASSET_ROUTE) };
        let route =
            if status == 200 { route } else { self.http.resolve(crate::files::UNMATCHED_ROUTE) };
        Content {
            status,
            route,
            identity: Variant::new(in_memory.unwrap_or_default(), etag, headers),
            over_tls,
            source,
            modified,
            sibling_of,
            compressible,
            encoded: [const { OnceCell::const_new() }; 3],
        }
    }
}

/// The route a page counts as: `/about.html` is `/about`, `/docs/index.html` is `/docs/`.
fn page_route(raw: &str) -> &str {
    let raw = raw.strip_suffix("index.html").filter(|folder| folder.ends_with('/')).unwrap_or(raw);
    raw.strip_suffix(".html").unwrap_or(raw)
}

fn nanos(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn whole_seconds(at: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
