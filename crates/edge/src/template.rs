//! From a path of an app, whose routes we do not know, to a route label: what looks like an id becomes `{id}`. Never keeps a path.

use std::borrow::Cow;

/// Deeper paths share one label from here on.
const SEGMENTS_MAX: usize = 6;
/// A longer segment is text that somebody wrote, a slug or a token, not a name of a route.
const SEGMENT_BYTES_MAX: usize = 40;
/// Digits a segment may hold and still be a name (`v2`, `web3`; `2024` is an id already).
const DIGITS_MAX: usize = 2;

/// The label of a path without its query: `/orders/1234/items` is `/orders/{id}/items`.
pub(crate) fn template(path: &str) -> Cow<'_, str> {
    let plain = path.split('/').skip(1).take(SEGMENTS_MAX + 1).enumerate();
    if plain.clone().all(|(at, segment)| at < SEGMENTS_MAX && !is_id(segment)) {
        return Cow::Borrowed(path);
    }
    let mut label = String::with_capacity(path.len());
    for (at, segment) in plain {
        label.push('/');
        if at == SEGMENTS_MAX {
            label.push_str("{more}");
        } else if is_id(segment) {
            label.push_str("{id}");
        } else {
            label.push_str(segment);
        }
    }
    Cow::Owned(label)
}

fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    segment.len() > SEGMENT_BYTES_MAX
        || digits > DIGITS_MAX
        || segment.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"-_.~@".contains(&b)))
        || (digits > 0 && digits == segment.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_slugs_and_depth_are_folded_and_names_are_kept() {
        for (path, label) in [
            ("/", "/"),
            ("/about", "/about"),
            ("/about/", "/about/"),
            ("/api/v2/users", "/api/v2/users"),
            ("/orders/1234/items", "/orders/{id}/items"),
            ("/7", "/{id}"),
            ("/u/0197a3c2-77d0-7cc1-9f0a-6d2f9f6f2f11", "/u/{id}"),
            ("/blog/how-to-do-a-thing", "/blog/how-to-do-a-thing"),
            ("/blog/how-we-moved-the-whole-shop-to-another-database", "/blog/{id}"),
            ("/2026/11/22/news", "/{id}/{id}/{id}/news"),
            ("/a%20b", "/{id}"),
            ("/@name", "/@name"),
            ("/a/b/c/d/e/f", "/a/b/c/d/e/f"),
            ("/a/b/c/d/e/f/g/h", "/a/b/c/d/e/f/{more}"),
        ] {
            assert_eq!(template(path), label, "{path}");
        }
    }
}
