//! Which encoding a browser will read a document in, when `Content-Type` repeats what is found here. Never decodes anything.

use std::cell::Cell;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};
use lol_html::{HtmlRewriter, Settings, element};

/// How far browsers look for `<meta charset>` (HTML section 13.2.3.2).
const PRESCAN_BYTES: usize = 1024;

/// The document's encoding: byte order mark, else the first `<meta>` that names one, else UTF-8.
pub(super) fn find_encoding(html: &[u8]) -> &'static Encoding {
    match Encoding::for_bom(html) {
        Some((encoding, _)) => encoding,
        None => find_meta_encoding(html).unwrap_or(UTF_8),
    }
}

fn find_meta_encoding(html: &[u8]) -> Option<&'static Encoding> {
    let head = html.get(..PRESCAN_BYTES).unwrap_or(html);
    let named: Cell<Option<&'static Encoding>> = Cell::new(None);
    let meta = element!("meta", |meta| {
        if named.get().is_none() {
            let charset = meta.get_attribute("charset");
            let label = charset.or_else(|| {
                let kind = meta.get_attribute("http-equiv")?;
                let content = meta.get_attribute("content")?;
                kind.eq_ignore_ascii_case("content-type").then(|| charset_of(&content))?
            });
            named.set(label.and_then(|label| Encoding::for_label(label.trim().as_bytes())));
        }
        Ok(())
    });
    let settings = Settings::new().append_element_content_handler(meta).with_strict(false);
    let mut reader = HtmlRewriter::new(settings, |_: &[u8]| {});
    // The head is cut somewhere, so the parser may end in the middle of a tag: what was found before counts.
    let _ = reader.write(head).and_then(|()| reader.end());
    named.get().map(|encoding| match encoding {
        // A document that could say this in ASCII is not UTF-16 (HTML section 13.2.3.2).
        encoding if encoding == UTF_16LE || encoding == UTF_16BE => UTF_8,
        encoding if encoding == X_USER_DEFINED => WINDOWS_1252,
        encoding => encoding,
    })
}

/// The `charset` parameter of a `Content-Type` value.
fn charset_of(content: &str) -> Option<String> {
    let lower = content.to_ascii_lowercase();
    let rest = lower[lower.find("charset")? + "charset".len()..].trim_start();
    let value = rest.strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    value.split([';', '"', '\'', ' ']).next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::find_encoding;

    #[test]
    fn the_mark_wins_then_the_first_meta_then_utf_8() {
        for (html, expected) in [
            (&b"\xef\xbb\xbf<meta charset=windows-1252>"[..], "UTF-8"),
            (b"\xff\xfe<\0", "UTF-16LE"),
            (b"\xfe\xff\0<", "UTF-16BE"),
            (b"<!doctype html><p>", "UTF-8"),
            (b"<!doctype html><META CHARSET='ISO-8859-1'>", "windows-1252"),
            (b"<meta name=x><meta charset=shift_jis><meta charset=utf-8>", "Shift_JIS"),
            (b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", "KOI8-R"),
            (b"<meta http-equiv=refresh content='1; charset=koi8-r'>", "UTF-8"),
            (b"<!-- <meta charset=koi8-r> --><p>", "UTF-8"),
            (b"<meta charset=utf-16le>", "UTF-8"),
            (b"<meta charset=x-user-defined>", "windows-1252"),
            (b"<meta charset=nonsense><meta charset=gbk>", "GBK"),
        ] {
            assert_eq!(find_encoding(html).name(), expected, "{}", String::from_utf8_lossy(html));
        }
        let late = format!("{}<meta charset=gbk>", " ".repeat(1024));
        assert_eq!(find_encoding(late.as_bytes()).name(), "UTF-8");
    }
}
