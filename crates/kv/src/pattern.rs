//! Patterns of keys, the same in every engine: `*` stands for any run of bytes, everything else for itself.

/// Whether a key is meant.
pub(crate) fn matches(pattern: &str, key: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| key.strip_prefix(first)) else {
        return false;
    };
    let mut last = None;
    for piece in pieces {
        // The piece before this one is not the last: the leftmost place is as good as any.
        if let Some(middle) = last.replace(piece) {
            let Some((_, after)) = rest.split_once(middle) else { return false };
            rest = after;
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

/// The same pattern in the words of Redis, whose other signs are taken literally.
pub(crate) fn to_glob(literal: &str, pattern: &str) -> String {
    let mut glob = String::with_capacity(literal.len() + pattern.len());
    let escape = |c: char| matches!(c, '?' | '[' | ']' | '^' | '-' | '\\');
    for (text, star) in [(literal, false), (pattern, true)] {
        for c in text.chars() {
            if escape(c) || (c == '*' && !star) {
                glob.push('\\');
            }
            glob.push(c);
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_the_rest_is_literal() {
        for (pattern, key, is) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*", "", true),
            ("*a", "ba", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abab", true),
            ("a?", "ab", false),
            ("a?", "a?", true),
            ("[ab]", "a", false),
        ] {
            assert_eq!(matches(pattern, key), is, "{pattern} {key}");
        }
    }

    #[test]
    fn other_signs_are_escaped() {
        assert_eq!(to_glob("n*:", "a?[b]*"), "n\\*:a\\?\\[b\\]*");
    }
}
