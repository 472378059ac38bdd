//! What a style sheet names: the sources of its `url()` and `@import`, and the style sheets it imports. The sheet itself is never changed.

use std::collections::BTreeSet;

use cssparser::{Parser, ParserInput, Token};

use super::{Base, Kind, Source, Target};

/// What a style sheet names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StyleSheet {
    /// Sources that are not this site's own files.
    pub sources: BTreeSet<(Kind, Source)>,
    /// Own style sheets it imports: absolute decoded paths.
    pub imports: BTreeSet<String>,
}

/// Blocks inside blocks that are looked into. Real sheets nest less than ten deep; the bound keeps the stack small.
const DEPTH_MAX: usize = 32;

/// Reads a style sheet, the text of a `<style>` element or the value of a `style` attribute. References are relative to `base`.
#[must_use]
pub fn read_style_sheet(css: &str, base: &Base) -> StyleSheet {
    let mut input = ParserInput::new(css);
    let mut reader = Reader { base, sheet: StyleSheet::default() };
    reader.read(&mut Parser::new(&mut input), Place::Anywhere, DEPTH_MAX);
    reader.sheet
}

/// What the tokens at hand belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing that gives a URL a meaning of its own: it is an image.
    Anywhere,
    /// Inside the block of `@font-face`.
    FontFace,
    /// Inside `image-set()`, where bare strings are images (CSS Images 4).
    ImageSet,
}

/// The at-rule whose prelude is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prelude {
    None,
    Import,
    FontFace,
    Namespace,
}

struct Reader<'a> {
    base: &'a Base,
    sheet: StyleSheet,
}

impl Reader<'_> {
    fn read(&mut self, parser: &mut Parser<'_, '_>, place: Place, depth: usize) {
        let mut prelude = Prelude::None;
        while let Ok(token) = parser.next().cloned() {
            match token {
                Token::AtKeyword(name) => prelude = Prelude::of(&name),
                Token::Semicolon => prelude = Prelude::None,
                Token::UnquotedUrl(url) => self.note(&url, prelude, place),
                Token::QuotedString(url)
                    if prelude == Prelude::Import || place == Place::ImageSet =>
                {
                    self.note(&url, prelude, place);
                }
                Token::Function(name) => self.read_function(parser, &name, prelude, place, depth),
                Token::CurlyBracketBlock => {
                    let inside = match prelude {
                        Prelude::FontFace => Place::FontFace,
                        _ => Place::Anywhere,
                    };
                    prelude = Prelude::None;
                    self.read_nested(parser, inside, depth);
                }
                Token::ParenthesisBlock | Token::SquareBracketBlock => {
                    self.read_nested(parser, place, depth);
                }
                _ => {}
            }
        }
    }

    fn read_function(
        &mut self,
        parser: &mut Parser<'_, '_>,
        name: &str,
        prelude: Prelude,
        place: Place,
        depth: usize,
    ) {
        let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        if is(&["url", "src"]) {
            let url = parser.parse_nested_block(|inner| {
                Ok::<_, cssparser::ParseError<'_, ()>>(inner.expect_string_cloned()?)
            });
            if let Ok(url) = url {
                self.note(&url, prelude, place);
            }
        } else if is(&["image-set", "-webkit-image-set"]) {
            self.read_nested(parser, Place::ImageSet, depth);
        } else if is(&["type", "format", "tech"]) && place != Place::Anywhere {
            // Strings in here are media types, not URLs.
        } else {
            self.read_nested(parser, place, depth);
        }
    }

    /// A block that is not entered is skipped by the parser.
    fn read_nested(&mut self, parser: &mut Parser<'_, '_>, place: Place, depth: usize) {
        if let Some(depth) = depth.checked_sub(1) {
            let _: Result<(), cssparser::ParseError<'_, ()>> = parser.parse_nested_block(|inner| {
                self.read(inner, place, depth);
                Ok(())
            });
        }
    }

    fn note(&mut self, url: &str, prelude: Prelude, place: Place) {
        let kind = match (prelude, place) {
            (Prelude::Namespace, _) => return,
            (Prelude::Import, _) => Kind::Style,
            (_, Place::FontFace) => Kind::Font,
            _ => Kind::Img,
        };
        match self.base.target(url) {
            Target::Own(path) if kind == Kind::Style => {
                self.sheet.imports.insert(path);
            }
            Target::Own(_) => {}
            other => self.sheet.sources.extend(other.source().map(|source| (kind, source))),
        }
    }
}

impl Prelude {
    fn of(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "import" => Self::Import,
            "font-face" => Self::FontFace,
            "namespace" => Self::Namespace,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests;
