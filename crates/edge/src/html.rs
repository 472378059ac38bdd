//! One HTML document of the folder: what it contains, and the changes we make to it (our script tag, integrity attributes, the import map of its modules). Never reads a file, never decides a policy.
//!
//! The document is parsed once and changed by insertions only: what is not inserted is the owner's bytes, unchanged.

mod charset;
mod found;
mod import_map;
mod inline;
mod links;
mod locate;
mod modules;
mod node;
mod relative;
mod scan;
mod scripts;
mod specifiers;
mod srcset;
mod visit;

use std::path::Path;

use mainstay_guard::csp::css::{StyleSheet, read_style_sheet};
use mainstay_guard::csp::{Base, Hash, PageFacts};

use crate::kinds::{Kind, Media};
use found::{Found, World};
pub(crate) use locate::{Locator, Place as TagPlace};
pub use relative::list_relative;
use specifiers::{Specifiers, read_specifiers};

/// The page a document is served as.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Its absolute URL path; relative references start here.
    pub path: &'a str,
    /// Names under which the site is known to be reached (`example.com`, `example.com:8443`): absolute URLs with
    /// these are the site's own files.
    pub hosts: &'a [String],
    /// Our script; `None` = no insertion.
    pub tag: Option<&'a Tag>,
}

/// Our own script, as documents reference it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Absolute path, with a query if wanted: `/_mainstay/m.js?v=3f9a`.
    pub src: String,
    /// Integrity of the script's bytes.
    pub integrity: Hash,
    /// Further attributes of the tag, name and value, such as `data-site`.
    pub attributes: Vec<(String, String)>,
    /// Paths and integrity of every edition of the script. A document that references one of these has chosen by
    /// itself: nothing is inserted, and what it names may run.
    pub known: Vec<(String, Hash)>,
    /// Whether documents that name no edition get the tag.
    pub inserted: bool,
}

impl Tag {
    /// The tag for a document whose policy names `nonce`.
    #[must_use]
    pub fn with_nonce(&self, nonce: &str) -> String {
        found::tag_text(self, &format!(" nonce=\"{}\"", found::escaped(nonce)))
    }
}

/// A file of the folder that documents may reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Integrity of its bytes.
    pub integrity: Hash,
    /// What it names, when it is a style sheet.
    pub style_sheet: Option<StyleSheet>,
    /// What it may import, when it is a script.
    pub script: Option<Script>,
}

/// A script as other scripts import it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Integrity of its bytes, in the short form for import maps.
    integrity: Hash,
    specifiers: Specifiers,
}

impl Own {
    /// From the bytes served at the absolute decoded path `path`.
    #[must_use]
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        let kind = Media::of(Path::new(path)).kind;
        let text = || String::from_utf8_lossy(bytes);
        let base = Base::new(path, &[]).filter(|_| kind == Kind::Style);
        Self {
            integrity: Hash::of_file(bytes),
            style_sheet: base.map(|base| read_style_sheet(&text(), &base)),
            script: (kind == Kind::Script).then(|| Script {
                integrity: Hash::of_module(bytes),
                specifiers: read_specifiers(&text()),
            }),
        }
    }
}

/// Whether browsers are told that the file at an absolute path is a script.
fn is_script(path: &str) -> bool {
    Media::of(Path::new(path)).kind == Kind::Script
}

/// A document as it is served, and what it contains.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The bytes to serve, in the document's own encoding.
    pub body: Vec<u8>,
    /// Charset to name in `Content-Type`: without it a browser's guess could differ from what was hashed.
    pub charset: &'static str,
    /// What the policy must allow.
    pub facts: PageFacts,
    /// Own files (absolute decoded paths) that `body` or `facts` depend on.
    pub depends_on: Vec<String>,
    /// What will not work under the policy.
    pub problems: Vec<Problem>,
}

/// Something in the document that the policy will not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the source, from 1.
    pub line: usize,
    /// What it is, and what to do.
    pub what: String,
}

/// A document that could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The page's path is no URL path.
    #[error("{0:?} is not a path of a page")]
    Path(String),
    /// The parser gave up.
    #[error("the document cannot be parsed")]
    Parse(#[from] lol_html::errors::RewritingError),
}

/// Analyses `html` and makes the bytes to serve.
///
/// `files` answers for an absolute decoded path of this site; it is asked at most once per path.
/// A document in an encoding that no insertion may be made in (UTF-16, ISO-2022-JP) comes back as it is, with a problem.
///
/// # Errors
/// [`Error`]: then serve the document as it is, under [`mainstay_guard::csp::untouched_policy`].
pub fn rewrite(
    html: &[u8],
    page: &Page<'_>,
    files: &mut dyn FnMut(&str) -> Option<Own>,
) -> Result<Rewritten, Error> {
    let encoding = charset::find_encoding(html);
    let Some(parsed_as) = lol_html::AsciiCompatibleEncoding::new(encoding) else {
        return Ok(unread(html, encoding.name()));
    };
    let base = Base::new(page.path, page.hosts).ok_or_else(|| Error::Path(page.path.to_owned()))?;
    let mut found = Found::default();
    let mut world = World::new(page.tag, files);
    scan::scan_document(html, parsed_as, &base, &mut world, &mut found)?;
    if let Some(tag) = page.tag.filter(|tag| tag.inserted && !found.has_tag) {
        found.insert_tag(tag, html.len());
    }
    modules::allow_imports(&mut found, &mut world, html.len());
    Ok(found.finish(html, encoding.name()))
}

fn unread(html: &[u8], charset: &'static str) -> Rewritten {
    let what = format!(
        "the document is {charset}: nothing can be inserted and no inline code is allowed; save it as UTF-8"
    );
    Rewritten {
        body: html.to_vec(),
        charset,
        facts: PageFacts::unread(),
        depends_on: Vec::new(),
        problems: vec![Problem { line: 1, what }],
    }
}

#[cfg(test)]
mod tests;
