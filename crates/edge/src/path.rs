//! A request path made safe: decoded segments that can only ever point below a folder. Never touches the disk.

use std::path::PathBuf;

/// Longest path that is looked up, in bytes as sent.
const PATH_BYTES_MAX: usize = 2_048;

/// The decoded segments of a path, and whether it ended in a slash.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SafePath {
    relative: PathBuf,
    /// The path ends in `/`: a folder is meant.
    pub(crate) folder: bool,
}

impl SafePath {
    /// Decodes a raw request path (no query). `None` for anything that must not reach the file system: dot
    /// segments, dotfiles (except `/.well-known/`, RFC 8615), empty segments, encoded separators, control
    /// characters, invalid escapes or UTF-8.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let rest = raw.strip_prefix('/').filter(|_| raw.len() <= PATH_BYTES_MAX)?;
        let mut relative = PathBuf::new();
        if rest.is_empty() {
            return Some(Self { relative, folder: true });
        }
        let (rest, folder) = rest.strip_suffix('/').map_or((rest, false), |rest| (rest, true));
        for (depth, segment) in rest.split('/').enumerate() {
            let decoded = decode(segment)?;
            let hidden = decoded.starts_with('.') && !(depth == 0 && decoded == ".well-known");
            if decoded.is_empty() || hidden {
                return None;
            }
            relative.push(decoded);
        }
        Some(Self { relative, folder })
    }

    /// The one spelling of this path: everything but unreserved characters (RFC 3986 §2.3) escaped in upper case.
    pub(crate) fn canonical(&self) -> String {
        let mut out = String::new();
        for segment in self.relative.iter().map(std::ffi::OsStr::as_encoded_bytes) {
            out.push('/');
            for &byte in segment {
                if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        if self.folder || out.is_empty() {
            out.push('/');
        }
        out
    }

    /// Path relative to the folder.
    pub(crate) fn relative(&self) -> &std::path::Path {
        &self.relative
    }
}

fn decode(segment: &str) -> Option<String> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte };
        if byte < 0x20 || matches!(byte, 0x7f | b'/' | b'\\') {
            return None;
        }
        out.push(byte);
    }
    String::from_utf8(out).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_decode() {
        let check = |raw: &str, relative: &str, folder: bool| {
            assert_eq!(
                SafePath::parse(raw),
                Some(SafePath { relative: relative.into(), folder }),
                "{raw}"
            );
        };
        check("/", "", true);
        check("/about", "about", false);
        check("/docs/", "docs", true);
        check("/a%20b/c%C3%A9.html", "a b/cé.html", false);
        check("/.well-known/security.txt", ".well-known/security.txt", false);
    }

    #[test]
    fn everything_that_could_climb_or_hide_is_refused() {
        for raw in [
            "",
            "about",
            "//",
            "//evil.example",
            "/a//b",
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/%2e%2e/x",
            "/%2e/x",
            "/.%2e/x",
            "/a/%2E%2E%2fb",
            "/..%5cx",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/%00",
            "/a%00.html",
            "/.git/HEAD",
            "/.env",
            "/a/.hidden",
            "/%2egit/HEAD",
            "/a/.well-known/x",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "/a%0d%0ab",
            "/a\u{1}b",
            "/..;/x",
            "/...",
        ] {
            assert_eq!(SafePath::parse(raw), None, "{raw}");
        }
        assert_eq!(SafePath::parse(&format!("/{}", "a".repeat(PATH_BYTES_MAX))), None);
    }

    #[test]
    fn every_spelling_has_one_canonical_form() {
        for (raw, canonical) in [
            ("/%61bout", "/about"),
            ("/a%20b/c%c3%a9.html", "/a%20b/c%C3%A9.html"),
            ("/docs%2Ehtml", "/docs.html"),
            ("/%252e/x", "/%252e/x"),
            ("/a/", "/a/"),
            ("/", "/"),
        ] {
            assert_eq!(
                SafePath::parse(raw).map(|p| p.canonical()).as_deref(),
                Some(canonical),
                "{raw}"
            );
        }
    }

    #[test]
    fn a_second_decoding_never_happens() {
        assert_eq!(SafePath::parse("/%252e%252e/x").map(|p| p.relative), Some("%2e%2e/x".into()));
    }
}
