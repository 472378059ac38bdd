//! Values in free text that their own name calls secret: `password: x`, `access_token=x`, `Authorization: Bearer x`. Knows
//! names, judges no value.
//!
//! A name stands before a sign: `=`, `:`, `=>`, or the first two percent-encoded. In quotes, as in JSON, the value goes on
//! to its own quote, else to the next blank or bracket, and after `Authorization` and `Cookie` to the end of the line. Of
//! a list or an object all that is in it is hidden.

use std::borrow::Cow;

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
/// What begins and ends a list or an object.
const OPENING: [char; 3] = ['[', '(', '{'];
const CLOSING: [char; 3] = [']', ')', '}'];
/// What an item of a list in YAML begins with.
const ITEM: &str = "- ";
/// Backslashes before a quote that is one: JSON in a string of JSON in a string of JSON has seven. Bounds how often a
/// quote that never ends is looked for.
const BACKSLASHES_MAX: usize = 7;

/// How far a value without quotes goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    Word,
    /// To its end, or to the quote that the line stands in.
    Line(LineEnd),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    /// Any double quote: whether the line stands in one is not known.
    Double,
    /// The like of the one right before the name, which has so many backslashes before it.
    Like(char, usize),
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

/// The quote that begins at `at`: how many backslashes stand before it, and where it is itself.
fn quote(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text.as_bytes()[at..];
    let backslashes = rest.iter().take(BACKSLASHES_MAX + 1).take_while(|b| **b == b'\\').count();
    let is_quote = matches!(rest.get(backslashes), Some(b'"' | b'\'' | b'`'));
    (backslashes <= BACKSLASHES_MAX && is_quote).then_some((backslashes, at + backslashes))
}

/// Up to the quote that ends what one with `backslashes` before it began; where none does, up to the end of the line.
fn quoted_length(text: &str, backslashes: usize, quote: u8) -> usize {
    for at in memchr::memchr_iter(quote, text.as_bytes()) {
        let before = count_backslashes(&text[..at]);
        if is_like(before, backslashes) {
            return at - before.min(backslashes);
        }
    }
    memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len())
}

/// Where a block ends, as YAML has it, that begins at `first` on a line of its own: what is indented deeper than the line
/// of its name, or the items of a list. None where there is no block: then a value stands on that line.
fn block_end(text: &str, after: usize, first: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let line = after + text[after..first].rfind('\n')? + 1;
    let named = text[..after].rfind('\n').map_or(0, |at| at + 1);
    let (own, outer) = (first - line, indent(&text[named..]));
    let is_list = text[first..].starts_with(ITEM);
    let is_block = if is_list { own >= outer } else { own > outer };
    let is_value = first == text.len() || text[first..].starts_with(['"', '\'', '`', '\\']);
    if !is_block || is_value || text[first..].starts_with(OPENING) {
        return None;
    }
    let (mut at, mut end) = (line, first);
    for line in text[line..].split_inclusive('\n') {
        let (depth, inner) = (indent(line), line.trim());
        let is_within = depth > own || (depth == own && (!is_list || inner.starts_with(ITEM)));
        // A message that ends in a block; its stack.
        if !inner.is_empty() && (!is_within || inner.starts_with("at ")) {
            break;
        }
        if !inner.is_empty() {
            end = at + line.trim_end().len();
        }
        at += line.len();
    }
    Some(end)
}

/// Up to the end of the last value of a list or object, or of such in such, which begins with its first value and is
/// `depth` deep. Values have quotes of their own or end at the next comma, bracket or line; a comma stands between them.
fn list_length(text: &str, mut depth: usize) -> usize {
    let mut at = 0;
    loop {
        let end = match quote(text, at) {
            Some((backslashes, mark)) => {
                let value = &text[mark + 1..];
                let end = mark + 1 + quoted_length(value, backslashes, text.as_bytes()[mark]);
                at = end + backslashes + 1;
                end
            }
            None => {
                let (value, open) = bare_value(&text[at..]);
                (at, depth) = (at + value.len(), depth + open);
                at - (value.len() - value.trim_end().len())
            }
        };
        let (mut is_next, mut next) = (false, None);
        for (behind, c) in text.get(at..).unwrap_or_default().char_indices() {
            match c {
                // Of lists, and of pairs, whose names are left to what the whole is called.
                ',' | ':' | '=' | '>' => is_next = true,
                _ if OPENING.contains(&c) => depth += 1,
                _ if CLOSING.contains(&c) && depth == 1 => return end,
                _ if CLOSING.contains(&c) => depth -= 1,
                _ if c.is_whitespace() => {}
                _ => {
                    next = is_next.then_some(at + behind);
                    break;
                }
            }
        }
        let Some(next) = next else { return end };
        at = next;
    }
}

/// A value without quotes, and how many of its brackets are not closed.
fn bare_value(text: &str) -> (&str, usize) {
    let mut open = 0;
    let end = text.find(|c| match c {
        _ if OPENING.contains(&c) => {
            open += 1;
            false
        }
        _ if CLOSING.contains(&c) && open > 0 => {
            open -= 1;
            false
        }
        ',' | '\n' => true,
        _ => CLOSING.contains(&c),
    });
    (&text[..end.unwrap_or(text.len())], open)
}

/// Up to the end of the line or the quote that the line stands in; quotes after `=` (`Digest realm="x"`) or in brackets
/// (`prefs={"a":1}`) belong to it.
fn line_length(text: &str, end: LineEnd) -> usize {
    let (mut previous, mut closing, mut from, mut depth) = (' ', None, 0, 0_usize);
    for (at, c) in text.char_indices().filter(|(_, c)| *c != '\\') {
        if at < from {
            continue;
        }
        let apostrophe =
            if end == LineEnd::Like('\'', 0) { apostrophe_length(&text[at..]) } else { 0 };
        let is_end = || match end {
            LineEnd::Double => c == '"' && depth == 0,
            LineEnd::Like(quote, backslashes) => {
                c == quote && is_like(count_backslashes(&text[..at]), backslashes)
            }
        };
        match closing {
            _ if matches!(c, '\n' | '\r') => return at,
            _ if apostrophe > 0 => from = at + apostrophe,
            Some(open) if c == open => closing = None,
            Some(_) => {}
            None if previous == '=' && matches!(c, '"' | '\'' | '`') => closing = Some(c),
            None if is_end() => return text[..at].trim_end_matches('\\').len(),
            None if OPENING.contains(&c) => depth += 1,
            None if CLOSING.contains(&c) => depth = depth.saturating_sub(1),
            None => {}
        }
        previous = c;
    }
    text.len()
}

/// The length of what a shell writes for an apostrophe within apostrophes, plain and in a string of JSON; 0 for all else.
fn apostrophe_length(text: &str) -> usize {
    const WRITTEN: [&str; 4] = [r"'\''", r"'\\''", r#"'"'"'"#, r#"'\"'\"'"#];
    WRITTEN.iter().find(|written| text.starts_with(**written)).map_or(0, |written| written.len())
}

fn count_backslashes(before: &str) -> usize {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count()
}

/// Whether a quote with `before` backslashes before it ends what one with `backslashes` began.
///
/// Each string that a string is put into doubles the backslashes and adds one: `"` is `\"`, then `\\\"`.
fn is_like(before: usize, backslashes: usize) -> bool {
    before < backslashes || before % (2 * (backslashes + 1)) == backslashes
}

/// Up to the end of a word, and of the brackets that it opens or names: `Some("x")`, `Secret { value: "x" }`.
fn named_length(text: &str) -> usize {
    let word = word_length(text);
    let count = |brackets: &[char]| text[..word].chars().filter(|c| brackets.contains(c)).count();
    let open = count(&OPENING).saturating_sub(count(&CLOSING));
    let named = text[word..].trim_start_matches(' ').strip_prefix('{').filter(|_| word > 0);
    let (begin, depth) = match named {
        _ if open > 0 => (word, open),
        Some(inner) => (text.len() - inner.len(), 1),
        None => return word,
    };
    let begin = text.len() - text[begin..].trim_start().len();
    begin + list_length(&text[begin..], depth)
}

fn word_length(text: &str) -> usize {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let is_end = |c: char| {
        c.is_whitespace()
            || is_quote(c)
            || matches!(c, ',' | ';' | '&' | '<' | '>' | ')' | '}' | ']')
    };
    let word = &text[..text.find(is_end).unwrap_or(text.len())];
    if text[word.len()..].starts_with(is_quote) {
        word.trim_end_matches('\\').len()
    } else {
        word.len()
    }
}

/// `3:14`, the line and column of a frame in a page such as `/reset-password`.
fn is_position(value: &str) -> bool {
    let is_number =
        |part: &str| (1..=7).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    value.split_once(':').is_some_and(|(line, column)| is_number(line) && is_number(column))
}

#[cfg(test)]
mod tests;
