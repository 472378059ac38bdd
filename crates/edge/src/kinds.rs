//! What a file is by its name: media type, whether it compresses, how long browsers may keep it.

use std::path::Path;

/// `Cache-Control` of names that never change their bytes.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// `Cache-Control` of everything else: kept, but asked for again each time (a 304 costs next to nothing).
const REVALIDATE: &str = "no-cache";
/// Folders whose names are made by a bundler from the content.
const HASHED_FOLDERS: [&str; 3] = ["/_next/static/", "/_astro/", "/assets/"];
/// Shortest content hash in a file name that is believed.
const HASH_LENGTH_MIN: usize = 8;

/// What kind of document an answer is; decides its policy headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Html,
    Svg,
    Script,
    Style,
    Other,
}

/// Facts that follow from a file's name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Media {
    pub(crate) kind: Kind,
    pub(crate) content_type: String,
    pub(crate) compressible: bool,
}

impl Media {
    pub(crate) fn of(file: &Path) -> Self {
        let guess = mime_guess::from_path(file).first();
        let essence = match file.extension().and_then(|e| e.to_str()) {
            Some("webmanifest") => "application/manifest+json".to_owned(),
            Some("mjs" | "js" | "cjs") => "text/javascript".to_owned(),
            Some("map") => "application/json".to_owned(),
            Some("ico") => "image/x-icon".to_owned(),
            _ => guess.as_ref().map_or_else(
                || "application/octet-stream".to_owned(),
                |m| m.essence_str().to_owned(),
            ),
        };
        let text = essence.starts_with("text/");
        let structured = essence.ends_with("+json")
            || essence.ends_with("+xml")
            || matches!(
                essence.as_str(),
                "application/json"
                    | "application/xml"
                    | "application/javascript"
                    | "application/wasm"
                    | "application/rtf"
                    | "font/ttf"
                    | "font/otf"
                    | "image/x-icon"
                    | "image/bmp"
                    | "application/vnd.ms-fontobject"
            );
        let kind = match essence.as_str() {
            "text/html" | "application/xhtml+xml" => Kind::Html,
            "image/svg+xml" => Kind::Svg,
            "text/javascript" => Kind::Script,
            "text/css" => Kind::Style,
            _ => Kind::Other,
        };
        let charset = text
            || matches!(
                essence.as_str(),
                "application/json" | "application/manifest+json" | "image/svg+xml"
            );
        let content_type = if charset { format!("{essence}; charset=utf-8") } else { essence };
        Self { kind, content_type, compressible: text || structured }
    }

    /// Names the charset a document really has; other types keep theirs.
    pub(crate) fn set_charset(&mut self, charset: &str) {
        if self.kind == Kind::Html && !charset.eq_ignore_ascii_case("utf-8") {
            let essence = self.content_type.split(';').next().unwrap_or_default();
            self.content_type = format!("{essence}; charset={}", charset.to_ascii_lowercase());
        }
    }
}

/// `Cache-Control` for a request path.
pub(crate) fn cache_control(path: &str, kind: Kind) -> &'static str {
    if kind != Kind::Html
        && (HASHED_FOLDERS.iter().any(|f| path.starts_with(f)) || has_hashed_name(path))
    {
        IMMUTABLE
    } else {
        REVALIDATE
    }
}

/// Whether the last path segment carries a content hash: a run of ≥ 8 letters and digits, both present,
/// set off by `.`, `-` or `_`. A word with a year behind it (`portfolio2024`) is no hash: outside of
/// hexadecimal, letters and digits must change places at least twice.
fn has_hashed_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some((stem, _extension)) = name.rsplit_once('.') else { return false };
    stem.split(['.', '-', '_']).skip(1).any(|part| {
        part.len() >= HASH_LENGTH_MIN
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
            && part.bytes().any(|b| b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_alphabetic())
            && (part.bytes().all(|b| b.is_ascii_hexdigit()) || changes_places(part) >= 2)
    })
}

fn changes_places(part: &str) -> usize {
    part.as_bytes()
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_follow_the_name() {
        let check = |name: &str, content_type: &str, compressible: bool| {
            let media = Media::of(Path::new(name));
            assert_eq!(
                (media.content_type.as_str(), media.compressible),
                (content_type, compressible),
                "{name}"
            );
        };
        check("index.html", "text/html; charset=utf-8", true);
        check("a.mjs", "text/javascript; charset=utf-8", true);
        check("a.css", "text/css; charset=utf-8", true);
        check("a.svg", "image/svg+xml; charset=utf-8", true);
        check("site.webmanifest", "application/manifest+json; charset=utf-8", true);
        check("a.wasm", "application/wasm", true);
        check("a.png", "image/png", false);
        check("a.woff2", "font/woff2", false);
        check("a.avif", "image/avif", false);
        check("LICENSE", "application/octet-stream", false);
    }

    #[test]
    fn only_hashed_names_and_bundler_folders_are_immutable() {
        for path in [
            "/_next/static/x.js",
            "/_astro/a.css",
            "/assets/a.css",
            "/app-3f9a1c7e.js",
            "/a/app.3f9a1c7e.css",
            "/logo_0a1b2c3d4e.svg",
            "/index-Bx9Yz12q.js",
            "/app.abcdef12.css",
        ] {
            assert_eq!(cache_control(path, Kind::Other), IMMUTABLE, "{path}");
        }
        for path in [
            "/app.js",
            "/photo-20240101.jpg",
            "/some-document.pdf",
            "/3f9a1c7e.js",
            "/my-portfolio.css",
            "/my-portfolio2024.css",
            "/a-3f9a1c.js",
            "/x/assets/a.css",
        ] {
            assert_eq!(cache_control(path, Kind::Other), REVALIDATE, "{path}");
        }
        assert_eq!(cache_control("/assets/page.html", Kind::Html), REVALIDATE);
    }
}
