//! Where our tag goes in a document that is still arriving. Reads start tags until the place is certain, changes nothing.

use std::sync::{Arc, Mutex, PoisonError};

use lol_html::send::{Element, HtmlRewriter};
use lol_html::{Settings, doc_text, doctype, element};

use super::found::Spot;

/// What is known of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// More of the document is needed.
    Open,
    /// Before this byte of the document.
    At(usize),
    /// It is no document of its own (a fragment, a text) and gets no tag.
    Nowhere,
}

/// Reads a document piece by piece.
pub(crate) struct Locator {
    reader: HtmlRewriter<'static, fn(&[u8])>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    spot: Spot,
    has_doctype: bool,
    /// Text came before any tag.
    text_first: bool,
}

impl Seen {
    fn place(&self) -> Place {
        if let Some(at) = self.spot.in_document().filter(|_| self.spot.is_settled()) {
            return Place::At(at);
        }
        match (self.spot.is_settled(), self.has_doctype) {
            (true, true) => Place::At(self.spot.offset(0)),
            (true, false) => Place::Nowhere,
            (false, _) if self.text_first && !self.has_doctype => Place::Nowhere,
            (false, _) => Place::Open,
        }
    }
}

impl Locator {
    pub(crate) fn new() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (tags, doctypes, texts) = (Arc::clone(&seen), Arc::clone(&seen), Arc::clone(&seen));
        let on_tag = element!("*", move |element: &mut Element<'_, '_>| {
            let span = element.source_location().bytes();
            let mut seen = tags.lock().unwrap_or_else(PoisonError::into_inner);
            if !seen.spot.is_settled() {
                seen.spot.look_at(&element.tag_name(), span.start, span.end);
            }
            Ok(())
        });
        let on_doctype = doctype!(move |_| {
            doctypes.lock().unwrap_or_else(PoisonError::into_inner).has_doctype = true;
            Ok(())
        });
        let on_text = doc_text!(move |text| {
            let blank = text.as_str().chars().all(|c| c.is_ascii_whitespace() || c == '\u{feff}');
            let mut seen = texts.lock().unwrap_or_else(PoisonError::into_inner);
            seen.text_first |= !blank && !seen.spot.is_settled();
            Ok(())
        });
        let settings = Settings::new_send()
            .append_element_content_handler(on_tag)
            .append_document_content_handler(on_doctype)
            .append_document_content_handler(on_text)
            .with_strict(false);
        let nothing: fn(&[u8]) = |_| {};
        Self { reader: HtmlRewriter::new(settings, nothing), seen }
    }

    /// The next bytes. Once the answer is not [`Place::Open`], no more may be fed.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Place {
        if self.reader.write(bytes).is_err() {
            return Place::Nowhere;
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).place()
    }

    /// The document ended while the place was open.
    pub(crate) fn end(self) -> Place {
        if self.reader.end().is_err() {
            return Place::Nowhere;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (seen.place(), seen.spot.in_document()) {
            (Place::Open, Some(at)) => Place::At(at),
            (Place::Open, None) => Place::Nowhere,
            (place, _) => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `@` stands is where the tag goes; without one it goes nowhere.
    fn check(marked: &str, piece: usize) {
        let html = marked.replace('@', "");
        let expected = marked.find('@').map_or(Place::Nowhere, Place::At);
        let mut locator = Locator::new();
        for bytes in html.as_bytes().chunks(piece) {
            match locator.feed(bytes) {
                Place::Open => {}
                place => return assert_eq!(place, expected, "{marked} in pieces of {piece}"),
            }
        }
        assert_eq!(locator.end(), expected, "{marked} in pieces of {piece}");
    }

    #[test]
    fn the_place_is_the_same_however_the_document_arrives() {
        for marked in [
            "<!doctype html><html><head>@<title>x</title></head>",
            "<!DOCTYPE html><!--build--><html lang=\"de\"><head class='a>b'>@<meta charSet=\"utf-8\"/>",
            "\u{feff}  <html>\n<!-- <head> -->\n<head>@</head>",
            "<html lang=en>@<body>x",
            "<html>@",
            "<!doctype html>@<title>x</title>",
            "<!doctype html>text@<p>x",
            "<p>a fragment</p>",
            "plain text <b>and</b> more",
            "<li>1</li><head>",
            "",
            "<!-- nothing -->",
        ] {
            for piece in [1, 2, 7, 1_000] {
                check(marked, piece);
            }
        }
    }

    #[test]
    fn text_is_known_to_be_no_document_at_once() {
        assert_eq!(Locator::new().feed(b"progress: 1 %"), Place::Nowhere);
        assert_eq!(Locator::new().feed(b"<!-- wait"), Place::Open);
    }
}
