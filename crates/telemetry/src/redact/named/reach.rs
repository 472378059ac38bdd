//! How far a value goes: to its quote, to the end of a word, a line, a list, an object or a block. Knows no names.

/// What begins and ends a list or an object.
pub(super) const OPENING: [char; 3] = ['[', '(', '{'];
const CLOSING: [char; 3] = [']', ')', '}'];
/// What an item of a list in YAML begins with.
pub(super) const ITEM: &str = "- ";
/// Backslashes before a quote that is one: JSON in a string of JSON in a string of JSON has seven. Bounds how often a
/// quote that never ends is looked for.
const BACKSLASHES_MAX: usize = 7;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// Any double quote: whether the line stands in one is not known.
    Double,
    /// The like of the one right before the name, which has so many backslashes before it.
    Like(char, usize),
}

/// The quote that begins at `at`: how many backslashes stand before it, and where it is itself.
pub(super) fn quote(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text.as_bytes()[at..];
    let backslashes = rest.iter().take(BACKSLASHES_MAX + 1).take_while(|b| **b == b'\\').count();
    let is_quote = matches!(rest.get(backslashes), Some(b'"' | b'\'' | b'`'));
    (backslashes <= BACKSLASHES_MAX && is_quote).then_some((backslashes, at + backslashes))
}

/// Up to the quote that ends what one with `backslashes` before it began; where none does, up to the end of the line.
pub(super) fn quoted_length(text: &str, backslashes: usize, quote: u8) -> usize {
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
pub(super) fn block_end(text: &str, after: usize, first: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let line = after + text[after..first].rfind('\n')? + 1;
    let named = text[..after].rfind('\n').map_or(0, |at| at + 1);
    let (own, outer) = (first - line, indent(&text[named..]));
    let is_list = text[first..].starts_with(ITEM);
    let is_block = if is_list { own >= outer } else { own > outer };
    let is_value = first == text.len() || text[first..].starts_with(['"', '\'', '`', '\\']);
    // Other white space is no indentation.
    let is_indented = indent(&text[line..]) == own;
    if !is_block || !is_indented || is_value || text[first..].starts_with(OPENING) {
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
pub(super) fn list_length(text: &str, mut depth: usize) -> usize {
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
pub(super) fn line_length(text: &str, end: LineEnd) -> usize {
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

pub(super) fn count_backslashes(before: &str) -> usize {
    before.bytes().rev().take_while(|byte| *byte == b'\\').count()
}

/// Whether a quote with `before` backslashes before it ends what one with `backslashes` began.
///
/// Each string that a string is put into doubles the backslashes and adds one: `"` is `\"`, then `\\\"`.
fn is_like(before: usize, backslashes: usize) -> bool {
    before < backslashes || before % (2 * (backslashes + 1)) == backslashes
}

/// Up to the end of a word, and of the brackets that it opens or names: `Some("x")`, `Secret { value: "x" }`.
pub(super) fn named_length(text: &str) -> usize {
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
