//! Free text (messages, stacks, selectors, properties) without the secrets that addresses in it carry.
//!
//! A query begins at `?` and a fragment at `#` when the word before looks like an address or the word after assigns a
//! value; both end at the next blank, quote or angle bracket. Prose (`ready? yes`), optional chaining (`a?.b`) and
//! selectors (`div#main`) pass unharmed. The position at the end of a stack frame (`:3:14`) is kept.

use mainstay_base::path::find_query;
use mainstay_telemetry::redact::named::hide_named;

use super::shorten;

/// `text` without queries, fragments and user names of addresses, at most `bytes_max` bytes.
#[must_use]
pub fn scrub_text(text: &str, bytes_max: usize) -> String {
    let harmless = memchr::memchr3(b'?', b'#', b'%', text.as_bytes()).is_none();
    if harmless && memchr::memchr(b'@', text.as_bytes()).is_none() {
        return shorten(text, bytes_max).to_owned();
    }
    let bare = drop_credentials(text);
    let mut out = String::with_capacity(bare.len().min(bytes_max));
    let (mut rest, mut in_address) = (bare.as_str(), false);
    while out.len() <= bytes_max {
        let Some(at) = find_query(rest.as_bytes()) else {
            out.push_str(rest);
            break;
        };
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        in_address = ends_in_address(before, in_address);
        let run = query_run(after);
        if in_address || run.contains('=') || after.starts_with('%') {
            out.push_str(position(in_address, run));
            rest = &after[run.len()..];
        } else {
            // Only a slash can turn what follows into an address, so that no byte is looked at more than twice.
            let harmless = run.find('/').map_or(run.len(), |slash| slash + 1);
            out.push_str(&run[..harmless]);
            in_address = harmless < run.len() || run.ends_with('/');
            rest = &after[harmless..];
        }
    }
    out.truncate(out.floor_char_boundary(bytes_max));
    out
}

/// [`scrub_text`] that also takes e-mail addresses out, and what its own name calls secret, for messages and stacks.
#[must_use]
pub fn scrub_error_text(text: &str, bytes_max: usize) -> String {
    let scrubbed = hide_named(&scrub_text(text, usize::MAX)).into_owned();
    let mut out = String::with_capacity(scrubbed.len().min(bytes_max));
    let mut rest = scrubbed.as_str();
    while let Some(at) = memchr::memchr(b'@', rest.as_bytes()) {
        let local = rest[..at].bytes().rev().take_while(|b| is_local(*b)).count();
        let domain = rest[at + 1..].bytes().take_while(|b| is_domain(*b)).count();
        if local > 0 && is_mail_domain(&rest[at + 1..at + 1 + domain]) {
            out.push_str(&rest[..at - local]);
            out.push_str("[email]");
            rest = &rest[at + 1 + domain..];
        } else {
            out.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    shorten(&out, bytes_max).to_owned()
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// Whether the word that `text` ends in, begun in an address or not, looks like an address.
fn ends_in_address(text: &str, begun: bool) -> bool {
    let (word, begun) = match text.rfind(is_end) {
        Some(at) => (&text[at..], false),
        None => (text, begun),
    };
    begun || word.contains('/') || word.contains("%2F") || word.contains("%2f")
}

/// The query, its fragment, and everything up to where the address ends. A value in quotes belongs to it.
fn query_run(text: &str) -> &str {
    let mut previous = ' ';
    let mut closing = None;
    for (at, c) in text.char_indices() {
        match closing {
            Some(quote) if c == quote => closing = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') && previous == '=' => closing = Some(c),
            None if is_end(c) => return &text[..at],
            None => {}
        }
        previous = c;
    }
    text
}

/// What follows the query in a stack frame: `:line:column`, the brackets and commas after it.
fn position(in_address: bool, run: &str) -> &str {
    let open = run.trim_end_matches([')', ']', '}', ',', ';']);
    let closing = &run[open.len()..];
    let line = open.rsplitn(3, ':').collect::<Vec<_>>();
    match line[..] {
        [column, line, _] if is_number(column) && is_number(line) && in_address => {
            &run[open.len() - column.len() - line.len() - 2..]
        }
        _ => closing,
    }
}

fn is_number(text: &str) -> bool {
    (1..=7).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Takes `user:password@` out of every `scheme://user:password@host`.
pub(super) fn drop_credentials(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| is_end(c) || matches!(c, '/' | '?' | '#' | ')' | ','))
            .unwrap_or(after.len());
        let skip = after[..end].rfind('@').map_or(0, |at| at + 1);
        rest = &after[skip..];
    }
    out.push_str(rest);
    out
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

fn is_mail_domain(domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    domain.rsplit_once('.').is_some_and(|(name, top)| {
        !name.is_empty() && top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic())
    })
}
