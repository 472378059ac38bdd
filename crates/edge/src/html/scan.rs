//! The one pass over a document: start tags go to `visit`, the text of scripts and styles is hashed as the browser will hash it.

use std::cell::RefCell;
use std::ops::Range;

use encoding_rs::{Encoding, UTF_8};
use lol_html::{AsciiCompatibleEncoding, HtmlRewriter, Settings, element, text};
use mainstay_guard::csp::css::read_style_sheet;
use mainstay_guard::csp::{Base, Hash, inline_text, markup_text};

use super::Error;
use super::found::{Found, World};
use super::node::Node;

/// Documents inside documents (`srcdoc` in `srcdoc`) that are looked into.
const DEPTH_MAX: usize = 4;

/// What is being scanned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The document.
    Document,
    /// The content of `<noscript>`, which is markup only where scripts are off.
    Noscript,
    /// The value of `srcdoc`: a document that lives under its parent's policy (HTML section 7.1.7). Its bytes are
    /// those of an attribute, so nothing is inserted.
    Srcdoc,
}

/// A piece of markup inside the one being scanned.
pub(super) struct Piece {
    pub(super) html: Vec<u8>,
    pub(super) encoding: AsciiCompatibleEncoding,
    pub(super) place: Place,
    pub(super) base: Base,
    /// Offset in the document of the first byte (`Noscript`), or of the tag that carries the attribute (`Srcdoc`).
    pub(super) offset: usize,
    pub(super) depth: usize,
}

/// What the text of the element at hand is.
#[derive(Clone, Copy)]
pub(super) enum Text {
    Script,
    ImportMap,
    SpeculationRules,
    Style,
    Noscript,
}

/// The state of a scan.
pub(super) struct Scan<'s, 'w> {
    pub(super) piece: &'s Piece,
    pub(super) base: Base,
    pub(super) has_base: bool,
    pub(super) found: &'s mut Found,
    pub(super) world: &'s mut World<'w>,
    pub(super) inner: Vec<Piece>,
    text: Option<(Text, Range<usize>, bool)>,
}

/// Scans the document and everything inside it.
pub(super) fn scan_document(
    html: &[u8],
    encoding: AsciiCompatibleEncoding,
    base: &Base,
    world: &mut World<'_>,
    found: &mut Found,
) -> Result<(), Error> {
    let (place, base) = (Place::Document, base.clone());
    let mut open = vec![Piece { html: html.to_vec(), encoding, place, base, offset: 0, depth: 0 }];
    while let Some(piece) = open.pop() {
        open.extend(scan_piece(&piece, world, found)?);
    }
    Ok(())
}

fn scan_piece(
    piece: &Piece,
    world: &mut World<'_>,
    found: &mut Found,
) -> Result<Vec<Piece>, Error> {
    let base = piece.base.clone();
    let scan = Scan { piece, base, has_base: false, found, world, inner: Vec::new(), text: None };
    let scan = RefCell::new(scan);
    let start_tags = element!("*", |element| {
        scan.borrow_mut().visit(&Node::of(element));
        Ok(())
    });
    let texts = text!("script, style, noscript", |chunk| {
        scan.borrow_mut().extend_text(chunk.source_location().bytes().end);
        Ok(())
    });
    // Where the parser cannot be sure, it must still not fail: at worst a hash is wrong and something stays blocked.
    let settings = Settings::new()
        .append_element_content_handler(start_tags)
        .append_element_content_handler(texts)
        .with_encoding(piece.encoding)
        .with_strict(false);
    let mut reader = HtmlRewriter::new(settings, |_: &[u8]| {});
    reader.write(&piece.html)?;
    reader.end()?;
    let mut scan = scan.into_inner();
    scan.close_text();
    Ok(scan.inner)
}

impl Scan<'_, '_> {
    /// The place of a byte of this piece in the whole document.
    pub(super) fn offset(&self, at: usize) -> usize {
        match self.piece.place {
            Place::Document | Place::Noscript => self.piece.offset + at,
            Place::Srcdoc => self.piece.offset,
        }
    }

    /// The text of `node` begins.
    pub(super) fn open_text(&mut self, kind: Text, node: &Node) {
        self.text = Some((kind, node.span.end..node.span.end, node.foreign));
    }

    fn extend_text(&mut self, end: usize) {
        if let Some((_, range, _)) = &mut self.text {
            range.end = range.end.max(end);
        }
    }

    /// The text that was begun is complete.
    pub(super) fn close_text(&mut self) {
        let Some((kind, range, foreign)) = self.text.take() else { return };
        let bytes = &self.piece.html[range.clone()];
        let encoding: &'static Encoding = self.piece.encoding.into();
        let (source, _) = encoding.decode_without_bom_handling(bytes);
        let text = if foreign { markup_text(&source).into() } else { inline_text(&source) };
        match kind {
            // An empty script is not executed, so nothing asks whether it may be.
            Text::Script | Text::ImportMap | Text::SpeculationRules if text.is_empty() => {}
            Text::Script => self.note_inline_script(&text, range.start),
            Text::ImportMap if self.piece.place == Place::Document => {
                self.note_import_map(&text, &range);
            }
            Text::ImportMap | Text::SpeculationRules => {
                self.found.facts.inline_scripts.insert(Hash::of_text(&text));
            }
            Text::Style => {
                self.found.facts.inline_styles.insert(Hash::of_text(&text));
                let offset = self.offset(range.start);
                self.found.name_sheet(&read_style_sheet(&text, &self.base), self.world, offset);
            }
            Text::Noscript => {
                let (offset, html) = (self.offset(range.start), bytes.to_vec());
                self.open_piece(Place::Noscript, html, self.piece.encoding, offset);
            }
        }
    }

    /// `srcdoc` is text already, whatever the document's encoding.
    pub(super) fn open_srcdoc(&mut self, html: &str, node: &Node) {
        let offset = self.offset(node.span.start);
        if let Some(encoding) = AsciiCompatibleEncoding::new(UTF_8) {
            self.open_piece(Place::Srcdoc, html.as_bytes().to_vec(), encoding, offset);
        }
    }

    fn open_piece(
        &mut self,
        place: Place,
        html: Vec<u8>,
        encoding: AsciiCompatibleEncoding,
        offset: usize,
    ) {
        let depth = self.piece.depth + 1;
        if depth > DEPTH_MAX {
            self.found.report(
                offset,
                "documents nested this deep are not looked into: their code stays blocked",
            );
            return;
        }
        // What lies inside an attribute stays there.
        let place = if self.piece.place == Place::Srcdoc { Place::Srcdoc } else { place };
        let base = self.base.clone();
        self.inner.push(Piece { html, encoding, place, base, offset, depth });
    }
}
