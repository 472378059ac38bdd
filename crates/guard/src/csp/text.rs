//! The text a browser hashes, made from the text of the source: CSP hashes what the parser produced, not what the file holds.

use std::borrow::Cow;

/// The text of an HTML `<script>` or `<style>` element as the browser's parser produces it: CRLF and CR become LF
/// (HTML section 13.2.3.5), NUL becomes U+FFFD (raw text states).
#[must_use]
pub fn inline_text(source: &str) -> Cow<'_, str> {
    if !source.contains(['\r', '\0']) {
        return Cow::Borrowed(source);
    }
    let text = source.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    Cow::Owned(text)
}

/// The value of an attribute as the browser's parser produces it: as [`inline_text`], and character references decoded
/// by the rules for attributes (HTML section 13.2.5.73).
#[must_use]
pub fn attribute_text(source: &str) -> Cow<'_, str> {
    match inline_text(source) {
        Cow::Borrowed(text) => htmlize::unescape_attribute(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape_attribute(text).into_owned()),
    }
}

/// The text of a `<style>` or `<script>` element inside SVG or MathML, where the parser decodes character references
/// and unwraps CDATA sections.
#[must_use]
pub fn markup_text(source: &str) -> String {
    let normalised = inline_text(source);
    let mut rest: &str = &normalised;
    let mut text = String::with_capacity(rest.len());
    while let Some(start) = rest.find("<![CDATA[") {
        text.push_str(&htmlize::unescape(&rest[..start]));
        let section = &rest[start + "<![CDATA[".len()..];
        let end = section.find("]]>").unwrap_or(section.len());
        text.push_str(&section[..end]);
        rest = section.get(end + "]]>".len()..).unwrap_or_default();
    }
    text.push_str(&htmlize::unescape(rest));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_text_is_normalised_and_not_decoded() {
        for (source, text) in [
            ("a && b &amp; c", "a && b &amp; c"),
            ("a\r\nb\rc\n\r\nd", "a\nb\nc\n\nd"),
            ("a\0b", "a\u{fffd}b"),
        ] {
            assert_eq!(inline_text(source), text);
        }
    }

    #[test]
    fn attributes_are_decoded_by_the_rules_for_attributes() {
        for (source, text) in [
            ("a&amp;b&#39;&#x22;&lt", "a&b'\"<"),
            ("?a=1&copy=2&copy;&notit;&not", "?a=1&copy=2\u{a9}&notit;\u{ac}"),
            ("a\r\nb&#13;c", "a\nb\rc"),
            ("&#0;&#x80;&#xD800;", "\u{fffd}\u{20ac}\u{fffd}"),
        ] {
            assert_eq!(attribute_text(source), text, "{source}");
        }
    }

    #[test]
    fn markup_is_decoded_except_in_cdata() {
        for (source, text) in [
            ("a &lt; b", "a < b"),
            ("<![CDATA[ a && b &lt; ]]> &gt; c<![CDATA[d", " a && b &lt;  > cd"),
            ("&copy=1", "\u{a9}=1"),
        ] {
            assert_eq!(markup_text(source), text, "{source}");
        }
    }
}
