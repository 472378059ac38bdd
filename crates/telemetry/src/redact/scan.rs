//! One pass over free text, word by word, that leaves out what must not be written down.

use super::address::push_truncated;
use super::{REDACTED, is_sensitive};

/// What is known about the words to come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Next {
    #[default]
    Anything,
    /// The last word was a sensitive name; a `:` or `=` would make the next word its value.
    MaybeValue,
    /// The next word is a secret.
    Secret,
    /// Everything up to the end of the line is a secret, and has been replaced.
    SecretLine,
}

/// The state of one pass.
#[derive(Debug, Default)]
pub(super) struct Scan {
    out: String,
    next: Next,
}

impl Scan {
    pub(super) fn run(mut self, input: &str) -> String {
        let mut rest = input;
        while !rest.is_empty() {
            let end = rest.find(is_separator).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if !word.is_empty() {
                self.word(word);
            }
            let end = after.find(|c| !is_separator(c)).unwrap_or(after.len());
            self.separator(&after[..end]);
            rest = &after[end..];
        }
        self.out
    }

    fn separator(&mut self, between: &str) {
        match (self.next, between.find('\n')) {
            (Next::SecretLine, None) => {}
            (Next::SecretLine, Some(at)) => {
                self.out.push_str(&between[at..]);
                self.next = Next::Anything;
            }
            _ => self.out.push_str(between),
        }
    }

    fn word(&mut self, word: &str) {
        match self.next {
            Next::SecretLine => {}
            Next::Secret if word.chars().all(|c| matches!(c, ':' | '=')) => self.out.push_str(word),
            Next::Secret => {
                self.out.push_str(REDACTED);
                self.next = Next::Anything;
            }
            Next::MaybeValue if word.starts_with([':', '=']) => {
                self.out.push_str(&word[..1]);
                let rest = self.value(&word[1..], Next::Secret);
                self.ordinary(rest);
            }
            Next::MaybeValue | Next::Anything => {
                self.next = Next::Anything;
                self.ordinary(word);
            }
        }
    }

    /// A word of which nothing is known, pair by pair: `token=a&page=2`.
    fn ordinary(&mut self, word: &str) {
        let mut rest = word;
        while let Some((at, name)) = find_assignment(&rest[..end_of_path(rest)]) {
            push_clean(&mut self.out, &rest[..at]);
            self.out.push_str(&rest[at..=at]);
            let next = if is_header(name) { Next::SecretLine } else { Next::Secret };
            rest = self.value(&rest[at + 1..], next);
        }
        if rest.is_empty() {
            return;
        }
        push_clean(&mut self.out, rest);
        if rest.eq_ignore_ascii_case("bearer") {
            self.next = Next::Secret;
        } else if is_sensitive(name_at_end(rest)) {
            self.next = Next::MaybeValue;
        }
    }

    /// What stands right behind a sensitive name and its `=` or `:`. Returns what is no longer part of the value.
    fn value<'a>(&mut self, value: &'a str, next: Next) -> &'a str {
        if next == Next::SecretLine || !value.is_empty() {
            self.out.push_str(REDACTED);
        }
        if next == Next::SecretLine || value.is_empty() {
            self.next = next;
            return "";
        }
        self.next = Next::Anything;
        // What was redacted before ends in a bracket of its own.
        let value = value.strip_prefix(REDACTED).unwrap_or(value);
        match value.find(['&', ',', ';', ')', '}', ']']) {
            Some(end) => {
                self.out.push_str(&value[end..=end]);
                &value[end + 1..]
            }
            None => "",
        }
    }
}

/// Where the first sensitive name is followed by `=` or `:` (not `::`), and the name.
fn find_assignment(word: &str) -> Option<(usize, &str)> {
    word.match_indices(['=', ':']).find_map(|(at, _)| {
        let name = name_at_end(&word[..at]);
        let path = word[at..].starts_with("::") || word[..at].ends_with(':');
        (!path && is_sensitive(name)).then_some((at, name))
    })
}

fn name_at_end(text: &str) -> &str {
    let start = text.rfind(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    start.map_or(text, |at| {
        text[at..].trim_start_matches(|c: char| !(c.is_alphanumeric() || c == '_'))
    })
}

fn is_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("cookie") || name.contains("authorization")
}

/// Appends a word without a URL's query, fragment and credentials, and with addresses truncated.
fn push_clean(out: &mut String, word: &str) {
    let kept = &word[..end_of_path(word)];
    let mut rest = kept;
    // One word may hold several: a list between commas is one.
    while let Some((from, to)) = find_secret(rest) {
        push_truncated(out, &rest[..from]);
        out.push_str(REDACTED);
        rest = &rest[to..];
    }
    push_truncated(out, rest);
    if kept.len() < word.len() {
        let end = word.trim_end_matches([')', ']', '}', ',', '.', ';', ':']).len();
        out.push_str(&word[end..]);
    }
}

/// Where a query begins, or a fragment of something with a path; else the word's end. A question mark that ends a
/// sentence begins nothing.
fn end_of_path(word: &str) -> usize {
    let asks = |at: usize| word[at + 1..].contains(char::is_alphanumeric);
    let query = word.find('?').filter(|at| asks(*at));
    let fragment = word.find('#').filter(|at| word[..*at].contains('/'));
    query.into_iter().chain(fragment).min().unwrap_or(word.len())
}

/// Where `user:password` stands in `scheme://user:password@host/path` (RFC 3986, 3.2.1).
fn find_credentials(word: &str) -> Option<(usize, usize)> {
    let from = word.find("://")? + 3;
    let authority = word[from..].split('/').next().unwrap_or_default();
    authority.rfind('@').map(|at| (from, from + at))
}

/// The first of a URL's credentials and API keys.
fn find_secret(word: &str) -> Option<(usize, usize)> {
    let both = [find_credentials(word), find_api_key(word)];
    both.into_iter().flatten().min()
}

/// Where the secret part of an API key of ours stands (`ms_ID_SECRET`, see `identity`); the id may be told. Shorter ones
/// are somebody's cut-off key.
fn find_api_key(word: &str) -> Option<(usize, usize)> {
    const ID_BYTES: usize = 8;
    const SECRET_BYTES_MIN: usize = 16;
    word.match_indices("ms_").find_map(|(at, mark)| {
        let (id, from) = (at + mark.len(), at + mark.len() + ID_BYTES + 1);
        let (id, end) = word.get(id..from)?.split_at(ID_BYTES);
        let url_safe = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let secret = word.as_bytes()[from..].iter().take_while(|b| url_safe(**b)).count();
        let is_key = id.bytes().all(|b| b.is_ascii_alphanumeric())
            && end == "_"
            && secret >= SECRET_BYTES_MIN;
        is_key.then_some((from, from + secret))
    })
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\')
}
