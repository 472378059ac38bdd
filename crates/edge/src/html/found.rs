//! What a scan gathers, the insertions that follow from it, and the answers of the folder it has asked for.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_guard::csp::css::StyleSheet;
use mainstay_guard::csp::{Kind, PageFacts, Source, Target};

use super::import_map::ImportMap;
use super::modules::Root;
use super::{Own, Problem, Rewritten, Tag};

/// What a scan may ask.
pub(super) struct World<'w> {
    pub(super) tag: Option<&'w Tag>,
    files: &'w mut dyn FnMut(&str) -> Option<Own>,
    asked: BTreeMap<String, Option<Own>>,
}

impl<'w> World<'w> {
    pub(super) fn new(tag: Option<&'w Tag>, files: &'w mut dyn FnMut(&str) -> Option<Own>) -> Self {
        Self { tag, files, asked: BTreeMap::new() }
    }

    /// The file at an absolute decoded path.
    pub(super) fn find(&mut self, path: &str) -> Option<&Own> {
        if !self.asked.contains_key(path) {
            let own = (self.files)(path);
            self.asked.insert(path.to_owned(), own);
        }
        self.asked.get(path)?.as_ref()
    }
}

/// What a scan gathers. Offsets are those of the whole document.
#[derive(Default)]
pub(super) struct Found {
    pub(super) facts: PageFacts,
    pub(super) depends_on: BTreeSet<String>,
    /// The document references our script by itself.
    pub(super) has_tag: bool,
    pub(super) spot: Spot,
    /// The document's scripts that may import files.
    pub(super) roots: Vec<Root>,
    /// The document's own import maps.
    pub(super) maps: Vec<ImportMap>,
    /// A module of the document came already: an import map comes too late.
    pub(super) has_module: bool,
    insertions: Vec<(usize, String)>,
    problems: Vec<(usize, String)>,
    sheets: BTreeSet<String>,
}

/// Where our tag goes.
#[derive(Default)]
pub(super) struct Spot {
    after_html: Option<usize>,
    after_head: Option<usize>,
    before_first: Option<usize>,
}

impl Spot {
    /// Looks at one start tag of the document. A `<head>` that follows anything but `<html>` is none to a browser.
    pub(super) fn look_at(&mut self, name: &str, start: usize, end: usize) {
        let nothing_yet = self.before_first.is_none() && self.after_head.is_none();
        match name {
            "html" if nothing_yet && self.after_html.is_none() => self.after_html = Some(end),
            "head" if nothing_yet => self.after_head = Some(end),
            _ => _ = self.before_first.get_or_insert(start),
        }
    }

    /// Whether no later tag can change the place.
    pub(super) fn is_settled(&self) -> bool {
        self.after_head.is_some() || self.before_first.is_some()
    }

    /// The place behind `<head>` or `<html>`; `None` when neither came.
    pub(super) fn in_document(&self) -> Option<usize> {
        self.after_head.or(self.after_html)
    }

    /// First thing in the head, so that nothing of the page is missed; a document without any tag gets it at its end.
    pub(super) fn offset(&self, length: usize) -> usize {
        self.after_head.or(self.after_html).or(self.before_first).unwrap_or(length)
    }
}

impl Found {
    pub(super) fn insert(&mut self, offset: usize, text: String) {
        self.insertions.push((offset, text));
    }

    pub(super) fn report(&mut self, offset: usize, what: impl Into<String>) {
        self.problems.push((offset, what.into()));
    }

    /// Notes where a reference leads. Own files are allowed anyway, except as frames and as base.
    pub(super) fn name(&mut self, kind: Kind, target: &Target) {
        let source = target
            .source()
            .filter(|source| *source != Source::Own || matches!(kind, Kind::Frame | Kind::Base));
        self.facts.sources.extend(source.map(|source| (kind, source)));
    }

    /// Notes what a style sheet names, and what the own sheets it imports name. It belongs to the tag at `offset`.
    pub(super) fn name_sheet(&mut self, sheet: &StyleSheet, world: &mut World<'_>, offset: usize) {
        self.facts.sources.extend(sheet.sources.iter().cloned());
        let mut open: Vec<String> = sheet.imports.iter().cloned().collect();
        while let Some(path) = open.pop() {
            if !self.sheets.insert(path.clone()) {
                continue;
            }
            let Some(own) = world.find(&path) else {
                self.report(
                    offset,
                    format!("{path}, which a style sheet imports, is no file of this site"),
                );
                continue;
            };
            if let Some(sheet) = &own.style_sheet {
                self.facts.sources.extend(sheet.sources.iter().cloned());
                open.extend(sheet.imports.iter().cloned());
            }
            self.depends_on.insert(path);
        }
    }

    pub(super) fn insert_tag(&mut self, tag: &Tag, length: usize) {
        self.facts.external_scripts.insert(tag.integrity.clone());
        self.insert(self.spot.offset(length), tag_text(tag, ""));
    }

    pub(super) fn finish(mut self, html: &[u8], charset: &'static str) -> Rewritten {
        self.insertions.sort_by_key(|(offset, _)| *offset);
        self.problems.sort();
        let added: usize = self.insertions.iter().map(|(_, text)| text.len()).sum();
        let mut body = Vec::with_capacity(html.len() + added);
        let mut done = 0;
        for (offset, text) in &self.insertions {
            body.extend_from_slice(&html[done..*offset]);
            body.extend_from_slice(text.as_bytes());
            done = *offset;
        }
        body.extend_from_slice(&html[done..]);
        Rewritten {
            body,
            charset,
            facts: self.facts,
            depends_on: self.depends_on.into_iter().collect(),
            problems: with_lines(html, self.problems),
        }
    }
}

/// The problems are sorted by offset.
pub(super) fn with_lines(html: &[u8], problems: Vec<(usize, String)>) -> Vec<Problem> {
    let (mut line, mut counted) = (1, 0);
    let with_line = |(offset, what): (usize, String)| {
        line += memchr::memchr_iter(b'\n', &html[counted..offset]).count();
        counted = offset;
        Problem { line, what }
    };
    problems.into_iter().map(with_line).collect()
}

/// Our tag, with `more` among its attributes.
pub(super) fn tag_text(tag: &Tag, more: &str) -> String {
    let mut text = format!("<script src=\"{}\"", escaped(&tag.src));
    for (name, value) in &tag.attributes {
        text.push_str(&format!(" {name}=\"{}\"", escaped(value)));
    }
    text.push_str(&format!("{more} integrity=\"{}\" defer=\"\"></script>", tag.integrity.as_str()));
    text
}

pub(super) fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}
