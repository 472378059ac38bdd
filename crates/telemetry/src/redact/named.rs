//! Values in free text that their own name calls secret: `password: x`, `access_token=x`, `Authorization: Bearer x`. Knows
//! names, judges no value.
//!
//! A name stands before a sign: `=`, `:`, `=>`, or the first two percent-encoded. In quotes, as in JSON, the value goes on
//! to its own quote, else to the next blank or bracket, and after `Authorization` and `Cookie` to the end of the line. Of
//! a list or an object all that is in it is hidden.

use std::borrow::Cow;

mod reach;

use reach::{
    ITEM, LineEnd, OPENING, block_end, count_backslashes, line_length, list_length, named_length,
    quote, quoted_length,
};

/// What stands where a value was.
const REPLACEMENT: &str = "[secret]";
/// How a name that tells of a secret ends, in small letters without `_` and `-`.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secretkey",
    "apikey",
    "accesskey",
    "privatekey",
    "sessionid",
    "jwt",
    TOKEN,
];
/// The same; their values are more than one word (RFC 9110 §11.4, RFC 6265 §4).
const LINE_NAMES: [&str; 2] = ["authorization", "cookie"];
/// The one name that is also a word of parsers: "Unexpected token: name".
const TOKEN: &str = "token";
/// What stands before that word then. Also the end of "unexpected".
const PARSERS_SAY: [&str; 3] = ["expected", "unknown", "illegal"];
/// Bytes before a sign that can be its name.
const NAME_BYTES_MAX: usize = 40;
/// Schemes of HTTP authentication (RFC 9110 §11.1) that stand before a secret of one word.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// How far a value without quotes goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Word,
    /// To its end, or to the quote that the line stands in.
    Line(LineEnd),
}

/// `path` without such values. A path may hold pairs as a query does (`/cb&access_token=x`). Only an assignment is one:
/// `/wiki/Password:_a_tale` is a page.
#[must_use]
pub fn hide_assigned(path: &str) -> Cow<'_, str> {
    match memchr::memchr2(b'=', b'%', path.as_bytes()) {
        Some(at) if is_assigned(&path[at..]) => hide_named(path),
        _ => path.into(),
    }
}

fn is_assigned(path: &str) -> bool {
    path.contains('=') || path.contains("3D") || path.contains("3d")
}

/// `text` without such values.
#[must_use]
pub fn hide_named(text: &str) -> Cow<'_, str> {
    let (mut out, mut rest, mut from) = (String::new(), text, 0);
    // Every byte is looked at a bounded number of times: names are short, what is skipped holds no sign, and a value is
    // left behind.
    while let Some(found) = memchr::memchr3(b'=', b':', b'%', &rest.as_bytes()[from..]) {
        let at = from + found;
        from = at + 1;
        let Some(after) = after_sign(rest, at) else { continue };
        let Some(extent) = extent(&rest[..at]) else { continue };
        from = after;
        let (begin, end) = value(rest, after, extent);
        if begin < end {
            out.push_str(&rest[..begin]);
            out.push_str(REPLACEMENT);
            (rest, from) = (&rest[end..], 0);
        }
    }
    if out.is_empty() {
        return text.into();
    }
    out.push_str(rest);
    out.into()
}

/// Where the sign that begins at `at` ends, if there is one.
fn after_sign(text: &str, at: usize) -> Option<usize> {
    let (before, rest) = text.as_bytes().split_at(at);
    if before.ends_with(b"=") {
        // Within a sign, which is looked at once.
        return None;
    }
    if rest[0] == b':' {
        return Some(at + 1);
    }
    if rest[0] == b'%' {
        // Encoded once or more often: `%3D`, `%253D`.
        let mut digits = &rest[1..];
        while let Some(inner) = digits.strip_prefix(b"25") {
            digits = inner;
        }
        let is_sign = matches!(digits, [b'3', b'd' | b'D' | b'a' | b'A', ..]);
        return is_sign.then(|| text.len() - digits.len() + 2);
    }
    let signs = rest.iter().take_while(|byte| **byte == b'=').count();
    match rest.get(signs) {
        // Of a hash in Ruby or PHP. An arrow function has no quote on either side.
        Some(b'>') => {
            let is_quote = |c: char| matches!(c, '"' | '\'');
            let is_pair = text[..at].trim_end().ends_with(is_quote)
                || text[at + signs + 1..].trim_start().starts_with(is_quote);
            is_pair.then_some(at + signs + 1)
        }
        // A comparison.
        Some(b' ') if signs > 1 => None,
        _ => Some(at + signs),
    }
}

/// How far the value goes if `before` ends in a name that tells of a secret.
fn extent(before: &str) -> Option<Extent> {
    let before = before.trim_end_matches([' ', '\t']);
    let bare = trim_closing(before);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !bare.as_bytes().last().is_some_and(is_part) {
        return None;
    }
    let name_length = bare.bytes().rev().take(NAME_BYTES_MAX).take_while(is_part).count();
    // From its end on: most texts before a sign differ from every name in their last letter.
    let reversed = bare.bytes().rev().take(name_length);
    let reversed = reversed.filter(u8::is_ascii_alphanumeric).map(|b| b.to_ascii_lowercase());
    let ends_in = |known: &&str| {
        let mut reversed = reversed.clone();
        known.bytes().rev().all(|byte| reversed.next() == Some(byte))
    };
    if LINE_NAMES.iter().any(&ends_in) {
        // An apostrophe may be part of a cookie (RFC 6265 §4.1.1), so that none ends the line but the one it stands in.
        let outside = &bare[..bare.len() - name_length];
        let end = match outside.chars().next_back() {
            Some(quote @ ('\'' | '`' | '"')) if bare.len() == before.len() => {
                LineEnd::Like(quote, count_backslashes(&outside[..outside.len() - 1]))
            }
            _ => LineEnd::Double,
        };
        return Some(Extent::Line(end));
    }
    let known = NAMES.iter().find(|known| ends_in(known))?;
    let is_said_by_parser = *known == TOKEN
        && bare.len() == before.len()
        && reversed.clone().nth(TOKEN.len()).is_none()
        && is_after_parser_word(&bare[..bare.len() - TOKEN.len()]);
    (!is_said_by_parser).then_some(Extent::Word)
}

/// `text` without the quotes and brackets at its end, whatever way they are written.
fn trim_closing(mut text: &str) -> &str {
    loop {
        let shorter = text.trim_end_matches(['"', '\'', '`', '\\', ']']);
        let encoded = ["%22", "%27", "%5D", "%5d"].iter().find_map(|end| shorter.strip_suffix(end));
        match encoded {
            Some(shorter) => text = shorter,
            None => return shorter,
        }
    }
}

fn is_after_parser_word(text: &str) -> bool {
    let word = text.trim_end_matches(' ').as_bytes();
    PARSERS_SAY.iter().any(|said| {
        let at = word.len().saturating_sub(said.len());
        word[at..].eq_ignore_ascii_case(said.as_bytes())
    })
}

/// Where the value after a sign begins and ends.
fn value(text: &str, after: usize, extent: Extent) -> (usize, usize) {
    let none = (after, after);
    let skip =
        |from: usize, over: &[char]| text.len() - text[from..].trim_start_matches(over).len();
    let blank = text.len() - text[after..].trim_start().len();
    if text[after..blank].contains('\n') && text[blank..].starts_with("at ") {
        // A message that ends in a sign; its stack.
        return none;
    }
    let is_hidden = |from: usize| text[from..].starts_with(REPLACEMENT);
    if let Some(end) = block_end(text, after, blank) {
        let begin = if text[blank..].starts_with(ITEM) { blank + ITEM.len() } else { blank };
        return if is_hidden(begin) { none } else { (begin, end) };
    }
    // A list of values or an object, or such in such.
    let (mut open, mut depth) = (blank, 0);
    while !is_hidden(open) && text[open..].starts_with(OPENING) {
        depth += 1;
        open = text.len() - text[open + 1..].trim_start().len();
    }
    let quoted = quote(text, open);
    let from = quoted.map_or(open, |(_, at)| at + 1);
    let begin = SCHEMES.iter().fold(from, |begin, scheme| {
        let word = text.get(begin..begin + scheme.len()).unwrap_or_default();
        let is_scheme =
            word.eq_ignore_ascii_case(scheme) && text[begin + scheme.len()..].starts_with(' ');
        if is_scheme { skip(begin + scheme.len(), &[' ']) } else { begin }
    });
    if is_hidden(begin) {
        return none;
    }
    let rest = &text[begin..];
    if depth > 0 {
        let list = open + list_length(&text[open..], depth);
        // A line may begin with a bracket of its own.
        let line = match (quoted, extent) {
            (None, Extent::Line(end)) if begin == from => begin + line_length(rest, end),
            _ => begin,
        };
        return (begin, list.max(line));
    }
    let length = match (quoted, extent) {
        (Some((backslashes, at)), _) => quoted_length(rest, backslashes, text.as_bytes()[at]),
        (None, Extent::Line(end)) if begin == from => line_length(rest, end),
        (None, _) => named_length(rest),
    };
    let is_frame = begin == after && is_position(&rest[..length]);
    if is_frame { none } else { (begin, begin + length) }
}

/// `3:14`, the line and column of a frame in a page such as `/reset-password`.
fn is_position(value: &str) -> bool {
    let is_number =
        |part: &str| (1..=7).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    value.split_once(':').is_some_and(|(line, column)| is_number(line) && is_number(column))
}

#[cfg(test)]
mod tests;
