//! The URLs of a `srcset` attribute (HTML section 4.8.4.2.1).

/// The candidate URLs, in order. Commas inside a URL (as in `data:`) belong to it; a trailing comma does not.
pub(super) fn list_urls(value: &str) -> Vec<&str> {
    let mut urls = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        if rest.is_empty() {
            return urls;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let (url, after) = rest.split_at(end);
        let bare = url.trim_end_matches(',');
        urls.push(bare);
        rest = if bare.len() < url.len() { after } else { skip_descriptors(after) };
    }
}

/// What follows the comma that ends the descriptors; commas in parentheses do not.
fn skip_descriptors(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => return &text[at..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::list_urls;

    #[test]
    fn candidates_are_cut_as_browsers_cut_them() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a.png", &["a.png"]),
            ("a.png 1x, b.png 2x", &["a.png", "b.png"]),
            ("a.png, b.png 2x,", &["a.png", "b.png"]),
            ("a.png 1x,b.png 2x", &["a.png", "b.png"]),
            ("a.png,b.png", &["a.png,b.png"]),
            (
                "data:image/png;base64,AA== 1x,\n //cdn/x 2x",
                &["data:image/png;base64,AA==", "//cdn/x"],
            ),
            ("a.png f(1,2) 3w, b.png", &["a.png", "b.png"]),
        ] {
            assert_eq!(list_urls(value), expected, "{value:?}");
        }
    }
}
