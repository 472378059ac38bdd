//! One prerendered page of an app's build output: the bytes the app will send, those we send instead, and what its policy allows.

use std::collections::BTreeSet;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use mainstay_base::coding::Coding;
use mainstay_guard::csp::upstream::restricted;
use mainstay_guard::csp::{Hash, PageFacts};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::flight::list_data_scripts;
use crate::html::{self, Own, Tag};
use crate::variants;

/// A page of the build output, ready to send.
pub(in crate::proxied) struct BuiltPage {
    /// What the app sends.
    pub(in crate::proxied) source: Bytes,
    /// What we send.
    pub(in crate::proxied) body: Bytes,
    /// Strong tag of `body`, with its quotes.
    etag: String,
    pub(in crate::proxied) facts: PageFacts,
    /// It is the build's own, not made again by the running app.
    pub(super) built: bool,
    encoded: [OnceCell<Option<Bytes>>; 3],
}

/// Whose word a file of the build folder is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// The build's: the page may name what it likes.
    Built,
    /// The running app's. What counts is what the build is known to contain, and data that the payload beside the
    /// page confirms.
    RunTime { built: &'a PageFacts, payload: &'a [u8] },
}

/// What a page is read with.
pub(super) struct Reader<'a> {
    pub(super) hosts: &'a [String],
    pub(super) tag: Option<&'a Tag>,
    /// The integrity of an own file by its decoded path.
    pub(super) find_file: &'a dyn Fn(&str) -> Option<Hash>,
}

/// HTML with our tag and the integrity of the build's scripts, what it contains, and the scripts we vouched for.
pub(super) struct Read {
    pub(super) body: Vec<u8>,
    pub(super) facts: PageFacts,
    pub(super) vouched: BTreeSet<Hash>,
}

impl Reader<'_> {
    /// `None` when the page cannot be read.
    pub(super) fn read(&self, html: &[u8], path: &str) -> Option<Read> {
        let mut vouched: BTreeSet<Hash> = self.tag.iter().flat_map(|tag| editions(tag)).collect();
        let mut files = |path: &str| {
            let integrity = (self.find_file)(path)?;
            vouched.insert(integrity.clone());
            // Its imports come by way of the app's own loader, which 'strict-dynamic' allows.
            Some(Own { integrity, style_sheet: None, script: None })
        };
        let page = html::Page { path, hosts: self.hosts, tag: self.tag };
        let rewritten = html::rewrite(html, &page, &mut files);
        let rewritten = rewritten.inspect_err(
            |error| tracing::warn!(path, error = %error, "a page of the build output cannot be read"),
        );
        let rewritten = rewritten.ok()?;
        Some(Read { body: rewritten.body, facts: rewritten.facts, vouched })
    }
}

impl BuiltPage {
    /// From the bytes of a file; `path` is the URL path it is served at. `None` when it cannot be read.
    pub(super) fn make(
        source: Vec<u8>,
        path: &str,
        origin: Origin<'_>,
        reader: &Reader<'_>,
    ) -> Option<Self> {
        let Read { body, facts, vouched } = reader.read(&source, path)?;
        let built = matches!(origin, Origin::Built);
        let facts = match origin {
            Origin::Built => facts,
            Origin::RunTime { built, payload } => {
                let mut known = built.clone();
                known.external_scripts.extend(vouched);
                known
                    .inline_scripts
                    .extend(list_data_scripts(&String::from_utf8_lossy(&source), payload));
                restricted(&facts, &known)
            }
        };
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]));
        let (source, body) = (Bytes::from(source), Bytes::from(body));
        let encoded = [const { OnceCell::const_new() }; 3];
        Some(Self { source, body, etag, facts, built, encoded })
    }

    /// Memory it holds or will hold, in bytes.
    pub(super) fn bytes_held(&self) -> usize {
        self.source.len() + self.body.len() * 2
    }

    /// The entity tag of the page in this coding.
    pub(in crate::proxied) fn etag(&self, coding: Option<Coding>) -> Option<HeaderValue> {
        match coding {
            None => HeaderValue::from_str(&self.etag),
            Some(coding) => HeaderValue::from_str(&format!(
                "{}-{}\"",
                self.etag.trim_end_matches('"'),
                coding.as_str()
            )),
        }
        .ok()
    }

    /// The page in this coding, made once however many ask; `None` when it would not pay.
    pub(in crate::proxied) async fn encoded(&self, coding: Coding) -> Option<Bytes> {
        if self.body.len() < variants::COMPRESS_FROM_BYTES {
            return None;
        }
        let body = self.body.clone();
        let made = self.encoded[coding as usize].get_or_init(|| async move {
            let pack = move || variants::make(coding, &body, None);
            tokio::task::spawn_blocking(pack).await.ok().flatten()
        });
        made.await.clone()
    }
}

fn editions(tag: &Tag) -> impl Iterator<Item = Hash> + '_ {
    std::iter::once(&tag.integrity).chain(tag.known.iter().map(|(_, hash)| hash)).cloned()
}

/// The payload that Next.js keeps beside a page; empty when there is none.
pub(super) fn read_payload(file: &Path, bytes_max: u64) -> Vec<u8> {
    let payload = file.with_extension("rsc");
    match std::fs::metadata(&payload) {
        Ok(metadata) if metadata.len() <= bytes_max => std::fs::read(payload).unwrap_or_default(),
        _ => Vec::new(),
    }
}
