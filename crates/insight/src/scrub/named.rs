//! Values in free text that their own name calls secret: `password: x`, `access_token=x`, `Authorization: Bearer x`. Knows
//! names, judges no value.

use std::borrow::Cow;

/// What stands where a value was.
const REPLACEMENT: &str = "[secret]";
/// How a name that tells of a secret ends, in small letters without `_` and `-`.
const NAMES: [&str; 9] = [
    "password",
    "passwd",
    "pwd",
    "secret",
    "authorization",
    "apikey",
    "accesskey",
    "privatekey",
    "sessionid",
];
/// The same, but before `=` alone: parsers say "Unexpected token: name".
const TOKEN: &str = "token";
/// Bytes before a sign that can be its name.
const NAME_BYTES_MAX: usize = 40;
/// Schemes of HTTP authentication (RFC 7235 §2.1) that stand before the secret.
const SCHEMES: [&str; 2] = ["bearer", "basic"];

/// `text` without such values.
pub(super) fn hide_named(text: &str) -> Cow<'_, str> {
    let (mut out, mut rest, mut from) = (String::new(), text, 0);
    while let Some(at) = memchr::memchr2(b'=', b':', &rest.as_bytes()[from..]) {
        let sign = from + at;
        from = sign + 1;
        if !is_secret(&rest[..sign], rest.as_bytes()[sign]) {
            continue;
        }
        let (begin, end) = value(rest, from);
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

/// Whether a text ends in a name that tells of a secret.
fn is_secret(before: &str, sign: u8) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name = before.trim_end_matches([' ', '"', '\'']).bytes().rev().take(NAME_BYTES_MAX);
    let mut name: Vec<u8> = name
        .take_while(is_part)
        .filter(u8::is_ascii_alphanumeric)
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    name.reverse();
    NAMES.iter().any(|known| name.ends_with(known.as_bytes()))
        || (sign == b'=' && name.ends_with(TOKEN.as_bytes()))
}

/// Where the value after a sign begins and ends.
fn value(text: &str, after: usize) -> (usize, usize) {
    let skip =
        |from: usize, blank: &[char]| text.len() - text[from..].trim_start_matches(blank).len();
    let mut begin = skip(after, &[' ', '"', '\'']);
    for scheme in SCHEMES {
        let word = text.get(begin..begin + scheme.len()).unwrap_or_default();
        if word.eq_ignore_ascii_case(scheme) && text[begin + scheme.len()..].starts_with(' ') {
            begin = skip(begin + scheme.len(), &[' ']);
        }
    }
    let is_end = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '<' | '>' | ')' | '}' | ']')
    };
    (begin, text[begin..].find(is_end).map_or(text.len(), |length| begin + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_name_calls_secret_is_hidden() {
        for (text, kept) in [
            (
                "Authorization: Bearer SECRET password: SECRET and token=SECRET",
                "Authorization: Bearer [secret] password: [secret] and token=[secret]",
            ),
            ("&token=SECRET11", "&token=[secret]"),
            ("foo ? token = SECRET10 now", "foo ? token = [secret] now"),
            ("a b&csrfToken=SECRET&x=1", "a b&csrfToken=[secret]&x=1"),
            (r#"{"api_key":"SECRET","n":1}"#, r#"{"api_key":"[secret]","n":1}"#),
            ("client-secret='SECRET'", "client-secret='[secret]'"),
            ("x-api-key: SECRET", "x-api-key: [secret]"),
            // Not secret, or no value.
            ("Unexpected token: keyword", "Unexpected token: keyword"),
            ("SyntaxError: Unexpected token '='", "SyntaxError: Unexpected token '='"),
            ("password: ", "password: "),
            ("at f (https://h/app.js:3:14)", "at f (https://h/app.js:3:14)"),
            ("é=é: é", "é=é: é"),
            ("password=é!", "password=[secret]"),
            ("", ""),
        ] {
            assert_eq!(hide_named(text), kept, "{text}");
        }
    }
}
