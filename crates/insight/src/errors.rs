//! Which occurrences of a JavaScript error are the same fault; never symbolicates and never stores.
//!
//! Fingerprint version 1 = error type, message with its variable parts replaced, and the file name of the first frame
//! without the parts a bundler changes with every build. Lines, columns and function names are left out: minifiers
//! rename and move them, and the same fault must stay one group across releases.

use sha2::{Digest, Sha256};

/// Goes into every fingerprint: groups made by another version never mix with these.
const VERSION: u8 = 1;
/// Bytes of a message that decide about the group.
const MESSAGE_BYTES_MAX: usize = 512;

/// The group of an error: 32 hexadecimal digits.
#[must_use]
pub fn fingerprint(
    error_type: &str,
    message: &str,
    stack: Option<&str>,
    source: Option<&str>,
) -> String {
    let file = stack.and_then(first_file).or_else(|| source.map(file_name)).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update([VERSION]);
    for part in [error_type, &normalise(message), &file] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The message with addresses, e-mails, quoted texts, ids and numbers replaced by their kind.
#[must_use]
pub fn normalise(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = crate::scrub::shorten(message, MESSAGE_BYTES_MAX);
    let mut previous = ' ';
    while let Some(c) = rest.chars().next() {
        let (kind, length) = variable_part(rest, c, previous);
        match kind {
            Some(kind) => out.push_str(kind),
            None => push_without_numbers(&mut out, &rest[..length]),
        }
        previous = rest[..length].chars().next_back().unwrap_or(' ');
        rest = &rest[length..];
    }
    out
}

/// What begins here, and how many bytes of it.
fn variable_part(rest: &str, c: char, previous: char) -> (Option<&'static str>, usize) {
    if matches!(c, '"' | '\'' | '`') && !previous.is_alphanumeric() {
        if let Some(length) = quoted(rest, c) {
            return (Some("<text>"), length);
        }
        return (None, 1);
    }
    if !c.is_alphanumeric() {
        return (None, c.len_utf8());
    }
    let blank = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')' | ','));
    let word = &rest[..blank.unwrap_or(rest.len())];
    if word.contains("://") {
        return (Some("<url>"), word.len());
    }
    if word.split_once('@').is_some_and(|(_, domain)| domain.contains('.')) {
        return (Some("<email>"), word.len());
    }
    let token = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if is_uuid(word.get(..36)) {
        return (Some("<id>"), 36);
    }
    let kind = is_hex(&rest[..token]).then_some("<id>");
    (kind, token)
}

fn quoted(rest: &str, quote: char) -> Option<usize> {
    rest[1..]
        .match_indices(quote)
        .map(|(at, _)| at + 2)
        .find(|&end| rest[end..].chars().next().is_none_or(|after| !after.is_alphanumeric()))
}

fn is_uuid(text: Option<&str>) -> bool {
    text.is_some_and(|text| {
        text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    })
}

fn is_hex(token: &str) -> bool {
    let digits = token.strip_prefix("0x").unwrap_or(token);
    let prefixed = digits.len() < token.len() && !digits.is_empty();
    let mixed = digits.len() >= 8 && digits.bytes().any(|b| b.is_ascii_digit());
    (prefixed || mixed) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

fn push_without_numbers(out: &mut String, token: &str) {
    for c in token.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !out.ends_with('#') {
            out.push('#');
        }
    }
}

/// File name of the first frame that belongs to a page, not to a browser extension.
fn first_file(stack: &str) -> Option<String> {
    stack.lines().find_map(|line| {
        let at = line.find("https://").or_else(|| line.find("http://"))?;
        let extension = line[..at].contains("-extension:");
        (!extension).then(|| file_name(&line[at..]))
    })
}

/// Last segment of an address without position and build hashes: `app-BX3dK9sQ.js:3:14` as `app.js`.
fn file_name(address: &str) -> String {
    let address = address.split_whitespace().next().unwrap_or("");
    let bare = address.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | ')'));
    // A name ending in digits (`chunk12`) must not lose its own: only what follows the last colon is position.
    let bare = if address[bare.len()..].starts_with(':') { bare } else { address };
    let name = bare.rsplit('/').next().unwrap_or("");
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, ""));
    let mut out = String::new();
    for part in without_hash_suffix(stem).split(['.', '-', '_', '~']) {
        if !part.is_empty() && !is_hash(part) && !part.bytes().all(|b| b.is_ascii_digit()) {
            if !out.is_empty() {
                out.push('-');
            }
            out.push_str(part);
        }
    }
    out.push('.');
    out.push_str(kind);
    out
}

/// Vite and Rollup end names in `-` and eight characters of base64url, which may themselves contain `-` and `_`.
fn without_hash_suffix(stem: &str) -> &str {
    let Some(at) = stem.len().checked_sub(9) else { return stem };
    match (stem.get(..at), stem.get(at..at + 1), stem.get(at + 1..)) {
        (Some(name), Some("-" | "."), Some(hash)) if !name.is_empty() && is_hash(hash) => name,
        _ => stem,
    }
}

fn is_hash(part: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    let digit = has(u8::is_ascii_digit);
    let mixed_case = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    (part.len() >= 6 && digit && has(u8::is_ascii_alphabetic)) || (part.len() == 8 && mixed_case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_what_varies_and_keep_what_tells() {
        for (message, normal) in [
            (
                "Cannot read properties of undefined (reading 'name')",
                "Cannot read properties of undefined (reading <text>)",
            ),
            ("Can't find variable: foo", "Can't find variable: foo"),
            ("Order 12345 failed after 3.5 s", "Order # failed after #.# s"),
            ("user 550e8400-e29b-41d4-a716-446655440000 is gone", "user <id> is gone"),
            ("commit deadbeef42 at 0x7f", "commit <id> at <id>"),
            ("Failed to fetch https://h/a/1, again", "Failed to fetch <url>, again"),
            ("no jane@example.org here", "no <email> here"),
            ("item42 is not a function", "item# is not a function"),
            ("é \"open", "é \"open"),
            ("", ""),
        ] {
            assert_eq!(normalise(message), normal);
        }
    }

    #[test]
    fn one_fault_stays_one_group_across_ids_and_builds() {
        let stack = |file: &str| {
            format!(
                "TypeError: x\n    at b (chrome-extension://x/https://h/e.js:1:1)\n    at a (https://h/assets/{file})"
            )
        };
        let of =
            |message: &str, file: &str| fingerprint("TypeError", message, Some(&stack(file)), None);
        let first = of("no item 17", "app-BX3dK9sQ.js:3:14");
        assert_eq!(first.len(), 32);
        for file in [
            "app-CfQ_x-12.js:9:2",
            "app.3f2a9c1b77.js:1:1",
            "app.js:1:20514",
            "app-DkfJqPzm.js:1:5",
        ] {
            assert_eq!(of("no item 9001", file), first, "{file}");
        }
        assert_ne!(of("no item 17", "admin-BX3dK9sQ.js:3:14"), first);
        assert_ne!(of("no thing 17", "app-BX3dK9sQ.js:3:14"), first);
        assert_ne!(
            fingerprint("RangeError", "no item 17", Some(&stack("app.js:1:1")), None),
            first
        );
        assert_eq!(
            fingerprint("TypeError", "no item 1", None, Some("/assets/app-BX3dK9sQ.js")),
            first
        );
    }

    #[test]
    fn firefox_frames_and_hostile_texts_are_read() {
        let firefox = "a@https://h/assets/app-BX3dK9sQ.js:3:14\nb@https://h/b.js:1:1";
        assert_eq!(first_file(firefox).as_deref(), Some("app.js"));
        for text in [
            "'",
            "é'é'",
            "a@",
            "://",
            "0x",
            "\u{1f600}\"",
            "12-34-56-78-90-12-34-56-78-90-12-34-56",
        ] {
            assert!(normalise(text).len() <= 3 * text.len() && !file_name(text).is_empty());
        }
    }
}
