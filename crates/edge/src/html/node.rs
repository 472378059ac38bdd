//! One start tag, with its attributes as a browser sees them.

use std::ops::Range;

use lol_html::html_content::Element;
use mainstay_guard::csp::attribute_text;

/// A start tag.
pub(super) struct Node {
    /// Lower-case name.
    pub(super) name: String,
    /// Its bytes in what is being scanned.
    pub(super) span: Range<usize>,
    /// It belongs to SVG or MathML.
    pub(super) foreign: bool,
    attributes: Vec<(String, String)>,
}

impl Node {
    pub(super) fn of(element: &Element<'_, '_>) -> Self {
        let attributes = element.attributes().iter();
        Self {
            name: element.tag_name(),
            span: element.source_location().bytes(),
            foreign: element.namespace_uri() != "http://www.w3.org/1999/xhtml",
            attributes: attributes
                .map(|one| (one.name(), attribute_text(&one.value()).into_owned()))
                .collect(),
        }
    }

    /// The attribute's value, character references decoded. Of two with one name browsers keep the first.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// As [`Node::get`], without surrounding white space; `None` when nothing is left.
    pub(super) fn get_filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim_ascii).filter(|value| !value.is_empty())
    }

    /// `href` of an SVG element, in its new or its old spelling.
    pub(super) fn svg_href(&self) -> Option<&str> {
        self.get_filled("href").or_else(|| self.get_filled("xlink:href"))
    }

    /// The names of all attributes.
    pub(super) fn attribute_names(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(name, _)| name.as_str())
    }

    /// Where a further attribute goes: right behind the tag's name, so that it comes before one with the same name.
    pub(super) fn attributes_start(&self) -> usize {
        self.span.start + 1 + self.name.len()
    }
}
