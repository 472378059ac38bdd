//! A header field that is one word with parameters (RFC 9651 §3.3), as far as it must be told from a broken one. Knows no header.

/// The word, where nothing of the field is broken: browsers take one that is for none at all. Of the kinds of value those
/// of RFC 8941 are known; dates and display strings are newer than some parsers, and count as broken.
pub(super) fn word(field: &str) -> Option<&str> {
    let field = field.trim_matches(' ');
    let rest = skip_token(field)?;
    let word = &field[..field.len() - rest.len()];
    is_parameters(rest).then_some(word)
}

/// `;key`, `; key=value`, and so on; the blank is allowed behind the semicolon alone.
fn is_parameters(mut rest: &str) -> bool {
    while !rest.is_empty() {
        let key = rest.strip_prefix(';').map(|rest| rest.trim_start_matches(' '));
        let Some(behind) = key.and_then(skip_key) else { return false };
        let value = behind.strip_prefix('=').map(skip_value);
        let Some(behind) = value.unwrap_or(Some(behind)) else { return false };
        rest = behind;
    }
    true
}

fn skip_key(text: &str) -> Option<&str> {
    let is_first = |c: char| c.is_ascii_lowercase() || c == '*';
    text.starts_with(is_first).then(|| {
        text.trim_start_matches(|c: char| is_first(c) || c.is_ascii_digit() || "_-.".contains(c))
    })
}

fn skip_value(text: &str) -> Option<&str> {
    match text.as_bytes().first()? {
        b'"' => skip_string(&text[1..]),
        b'?' => text.strip_prefix("?0").or_else(|| text.strip_prefix("?1")),
        b':' => {
            let (bytes, rest) = text[1..].split_once(':')?;
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
            bytes.chars().all(is_base64).then_some(rest)
        }
        b'-' | b'0'..=b'9' => skip_number(text.strip_prefix('-').unwrap_or(text)),
        _ => skip_token(text),
    }
}

/// Behind its first quote.
fn skip_string(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let (at, found) =
            rest.char_indices().find(|(_, c)| !matches!(c, ' '..='~') || "\"\\".contains(*c))?;
        let behind = &rest[at + found.len_utf8()..];
        rest = match found {
            '"' => return Some(behind),
            '\\' => behind.strip_prefix(['"', '\\'])?,
            _ => return None,
        };
    }
}

/// At most 15 digits, or 12, a dot, and one to three.
fn skip_number(text: &str) -> Option<&str> {
    let skip = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (whole, behind) = text.split_at(text.len() - skip(text));
    let Some(fraction) = behind.strip_prefix('.') else {
        return (1..=15).contains(&whole.len()).then_some(behind);
    };
    let (places, behind) = fraction.split_at(fraction.len() - skip(fraction));
    ((1..=12).contains(&whole.len()) && (1..=3).contains(&places.len())).then_some(behind)
}

fn skip_token(text: &str) -> Option<&str> {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '*';
    text.starts_with(is_first).then(|| {
        text.trim_start_matches(|c: char| {
            c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(c)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_field_is_none() {
        for (field, expected) in [
            ("same-origin", Some("same-origin")),
            ("  same-origin  ", Some("same-origin")),
            ("Same-Origin", Some("Same-Origin")),
            ("a;b", Some("a")),
            ("a;b;c=?1;  d=?0", Some("a")),
            ("a; report-to=\"x\"; a=1", Some("a")),
            (r#"a;b="\" \\ ;";c=-1.5;d=tok:en/x;e=:aGk=:;*f=0"#, Some("a")),
            ("a;b=123456789012345;c=123456789012.123", Some("a")),
            ("", None),
            ("1", None),
            ("\"a\"", None),
            ("a b", None),
            ("a, a", None),
            ("a ;b", None),
            ("a;", None),
            ("a;b ;c", None),
            ("a;b =1", None),
            ("a;b= 1", None),
            ("a;b=", None),
            ("a;B", None),
            ("a;!!", None),
            ("a;b=\"x", None),
            (r#"a;b="\x""#, None),
            ("a;b=\"\u{e9}\"", None),
            ("a;b=?2", None),
            ("a;b=:aGk=", None),
            ("a;b=:a k:", None),
            ("a;b=1.", None),
            ("a;b=-", None),
            ("a;b=1234567890123456", None),
            ("a;b=1.1234", None),
            ("a;b=@1", None),
            ("a\t;b", None),
        ] {
            assert_eq!(word(field), expected, "{field:?}");
        }
    }
}
