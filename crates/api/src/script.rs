//! The browser script, embedded: its bytes, compressed forms, integrity and the tag that pages carry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use mainstay_base::coding::{self, Coding};
use mainstay_guard::csp::Hash;
use rust_embed::Embed;
use sha2::{Digest, Sha256};

/// Built from `beacon/`; the set-up script makes it.
#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../../beacon/dist"]
struct Built;

/// Which of the two scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Page views, vitals, errors, engagement.
    Full,
    /// Page views and engagement only.
    Lite,
}

impl Name {
    /// File name below our prefix.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Full => "m.js",
            Self::Lite => "m.lite.js",
        }
    }
}

/// One script, ready to send.
#[derive(Clone, Debug)]
pub struct Script {
    body: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
    version: String,
    integrity: Hash,
}

impl Script {
    /// Reads the embedded script; `None` when the binary was built without it.
    #[must_use]
    pub fn load(name: Name) -> Option<Self> {
        let body = Bytes::from(Built::get(name.file())?.data.into_owned());
        let digest = Sha256::digest(&body);
        let version = URL_SAFE_NO_PAD.encode(&digest[..9]);
        let integrity = Hash::of_file(&body);
        let packed = |suffix: &str| {
            Some(Bytes::from(Built::get(&format!("{}.{suffix}", name.file()))?.data.into_owned()))
        };
        Some(Self { body, brotli: packed("br"), gzip: packed("gz"), version, integrity })
    }

    /// Hash of the content, for `?v=`: a page names exactly the script it was built with.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// For the `integrity` attribute and the page's policy.
    #[must_use]
    pub fn integrity(&self) -> &Hash {
        &self.integrity
    }

    pub(crate) fn answer(&self, request: &HeaderMap, query: Option<&str>) -> Response<Bytes> {
        let (body, coding) = self.negotiate(request);
        let etag = match coding {
            Some(coding) => format!("\"{}-{}\"", self.version, coding.as_str()),
            None => format!("\"{}\"", self.version),
        };
        let same =
            request.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
        let pinned = query.and_then(|q| q.strip_prefix("v=")) == Some(self.version.as_str());
        let mut response = Response::new(if same { Bytes::new() } else { body });
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::from_str(&etag) {
            headers.insert(header::ETAG, etag);
        }
        let caching = if pinned { "public, max-age=31536000, immutable" } else { "no-cache" };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if same {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/javascript; charset=utf-8"),
        );
        if let Some(coding) = coding {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        response
    }

    fn negotiate(&self, request: &HeaderMap) -> (Bytes, Option<Coding>) {
        let accepted = request.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        match (coding::best(accepted), &self.brotli, &self.gzip) {
            (Some(Coding::Brotli), Some(body), _) => (body.clone(), Some(Coding::Brotli)),
            (Some(Coding::Gzip), _, Some(body)) => (body.clone(), Some(Coding::Gzip)),
            _ => (self.body.clone(), None),
        }
    }
}
