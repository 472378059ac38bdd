//! What files are known by: their beginnings, their lines, and that they are no page. Knows no paths and no rules.

/// How lines of a log call how bad it is.
const LEVELS: [&str; 12] = [
    "error",
    "warn",
    "warning",
    "info",
    "debug",
    "trace",
    "fatal",
    "critical",
    "notice",
    "alert",
    "emerg",
    "emergency",
];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
/// How lines of a dump begin.
const STATEMENTS: [&str; 7] = [
    "CREATE TABLE ",
    "INSERT INTO ",
    "DROP TABLE ",
    "-- MySQL dump",
    "-- MariaDB dump",
    "-- PostgreSQL database dump",
    "PRAGMA foreign_keys",
];
/// How lines of an `.htaccess` begin.
const DIRECTIVES: [&str; 12] = [
    "RewriteEngine ",
    "RewriteRule ",
    "RewriteCond ",
    "AuthUserFile ",
    "AuthType ",
    "Options ",
    "Deny from ",
    "Require ",
    "DirectoryIndex ",
    "ErrorDocument ",
    "<IfModule ",
    "<Files",
];
/// What stands beside `FROM` in a Dockerfile.
const STEPS: [&str; 7] = ["RUN ", "COPY ", "ADD ", "CMD ", "ENTRYPOINT ", "WORKDIR ", "EXPOSE "];
/// Lines of a log that begin as such.
const LOG_LINES_MIN: usize = 2;

pub(crate) fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

pub(crate) fn has_all(body: &[u8], texts: &[&str]) -> bool {
    texts.iter().all(|text| has(body, text))
}

pub(crate) fn has_any(body: &[u8], texts: &[&str]) -> bool {
    texts.iter().any(|text| has(body, text))
}

pub(crate) fn starts(body: &[u8], text: &str) -> bool {
    body.starts_with(text.as_bytes())
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

pub(crate) fn has_line(body: &[u8], text: &str) -> bool {
    lines(body).any(|line| line == text.as_bytes())
}

pub(crate) fn has_line_start(body: &[u8], text: &str) -> bool {
    lines(body).any(|line| starts(line, text))
}

fn has_any_line_start(body: &[u8], texts: &[&str]) -> bool {
    let begins = |line: &[u8], text: &str| {
        line.get(..text.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(text.as_bytes()))
    };
    lines(body).any(|line| texts.iter().any(|text| begins(line, text)))
}

/// Without the last line when it is not whole; what has no lines stays.
pub(crate) fn whole_lines(body: &[u8]) -> &[u8] {
    let end = body.iter().rposition(|byte| *byte == b'\n');
    end.and_then(|end| body.get(..=end)).unwrap_or(body)
}

/// Whether a `Content-Type` says that people or scripts are to read it as a page or as an answer of the app.
pub(crate) fn is_page(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "application/xhtml+xml" | "application/json")
        || kind.ends_with("+json")
}

/// Whether it begins as markup does, and not as Apache's settings or PHP do.
pub(crate) fn is_markup(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    starts(body, "<") && !["<IfModule", "<Files", "<Limit", "<?php"].iter().any(|m| starts(body, m))
}

pub(crate) fn is_json(body: &[u8]) -> bool {
    let body = body.trim_ascii_start();
    ["{", "[{", "[\""].iter().any(|mark| starts(body, mark))
}

pub(crate) fn is_line_of_hex(body: &[u8], length: usize) -> bool {
    let line = body.trim_ascii();
    line.len() == length && line.iter().all(u8::is_ascii_hexdigit)
}

/// Lines of `NAME=value`, most of them, and nothing of a page. A value in quotes may have lines of its own.
pub(crate) fn is_environment(body: &[u8]) -> bool {
    if is_markup(body) || is_json(body) {
        return false;
    }
    let (mut sets, mut others, mut open) = (0, 0, None);
    for line in lines(body) {
        if let Some(quote) = open {
            open = Some(quote).filter(|quote| !line.ends_with(&[*quote]));
        } else if line.is_empty() || line.starts_with(b"#") {
        } else if let Some(value) = find_value(line) {
            sets += 1;
            open = find_open_quote(value);
        } else {
            others += 1;
        }
    }
    sets > others
}

/// What stands behind the name and the `=`.
fn find_value(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let at = line.iter().position(|byte| *byte == b'=')?;
    let name = line.get(..at)?.trim_ascii();
    let is_name = name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    line.get(at + 1..).filter(|_| is_name).map(<[u8]>::trim_ascii)
}

/// The quote that a value begins with and does not end with.
fn find_open_quote(value: &[u8]) -> Option<u8> {
    let quote = *value.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let rest = value.get(1..).unwrap_or_default();
    (!rest.contains(&quote)).then_some(quote)
}

/// `name:$apr1$…`, `name:{SHA}…`, `name:$2y$…`.
pub(crate) fn is_password_file(body: &[u8]) -> bool {
    let is_row = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b':');
        let hash = at.and_then(|at| line.get(at + 1..)).unwrap_or_default();
        [&b"$"[..], b"{SHA}"].iter().any(|mark| hash.starts_with(mark))
    };
    let mut rows = lines(body).filter(|line| !line.is_empty()).peekable();
    rows.peek().is_some() && rows.all(is_row)
}

pub(crate) fn is_private_key(body: &[u8]) -> bool {
    starts(body.trim_ascii_start(), "-----BEGIN ") && has(body, "PRIVATE KEY-----")
}

pub(crate) fn is_php(body: &[u8]) -> bool {
    starts(body.trim_ascii_start(), "<?php")
}

pub(crate) fn is_php_info(body: &[u8]) -> bool {
    has_all(body, &["PHP Version", "phpinfo()"])
}

pub(crate) fn is_sql(body: &[u8]) -> bool {
    has_any_line_start(body, &STATEMENTS)
}

pub(crate) fn is_apache(body: &[u8]) -> bool {
    has_any_line_start(body, &DIRECTIVES)
}

pub(crate) fn is_container(body: &[u8]) -> bool {
    has_line_start(body, "FROM ") && has_any_line_start(body, &STEPS)
}

/// Several lines that begin with a time or with how bad it is; traces stand between them.
pub(crate) fn is_log(body: &[u8]) -> bool {
    lines(body).filter(|line| begins_entry(line)).count() >= LOG_LINES_MIN
}

fn begins_entry(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    let line = line.strip_prefix(b"[").or(line.strip_prefix(b"(")).unwrap_or(line);
    let length = line.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
    let (word, rest) = line.split_at(length);
    let next = rest.first().copied();
    // `2027-01-15`, `2027/01/15`, `15/Jan/2027`, `08:00:00`, seconds since 1970.
    if word.first().is_some_and(u8::is_ascii_digit) {
        let is_number = word.iter().all(u8::is_ascii_digit);
        let is_part = matches!((length, next), (4 | 2, Some(b'-' | b'/')) | (2, Some(b':')));
        return is_part && rest.get(1).is_some_and(u8::is_ascii_alphanumeric)
            || is_number && length >= 10;
    }
    let is_one_of = |words: &[&str]| words.iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()));
    let is_date = is_one_of(&DAYS) || is_one_of(&MONTHS);
    is_date && matches!(next, Some(b' ' | b',')) || is_one_of(&LEVELS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_known_as_people_write_them() {
        for (what, text, is_it) in [
            ("plain", "# shop\nAPP_KEY=abc\n\nexport DB_PASSWORD=hunter2\n", true),
            ("spaces around", "DB_PASSWORD = hunter2\n", true),
            ("lower case", "db_password=hunter2\nspring.datasource.url=x\n", true),
            (
                "a key of many lines",
                "KEY=\"-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\"\nA=1\n",
                true,
            ),
            ("a stray line", "A=1\nB=2\nsource .env.local\n", true),
            ("carriage returns", "A=1\r\nB='two'\r\n", true),
            ("a page", "<!doctype html>\n<a href=x>\n", false),
            ("a page of such lines", "<pre>\nA=1\nB=2\n</pre>", false),
            ("an answer", "{\"a\": \"b=c\"}\n", false),
            ("words", "Not found: /.env\n", false),
            ("a path in words", "No file .env here, a=b or not\n", false),
            ("nothing", "\n# only this\n", false),
        ] {
            assert_eq!(is_environment(text.as_bytes()), is_it, "{what}");
        }
    }

    #[test]
    fn logs_are_lines_that_begin_with_a_time_or_a_level() {
        for (text, is_it) in [
            ("2027/01/15 08:00:00 [error] 1#1: a\n2027/01/15 08:00:01 [warn] b\n", true),
            ("[Wed Oct 11 14:32:52 2027] [error] a\n[Wed Oct 11 14:32:53 2027] [error] b\n", true),
            (
                "[15-Jan-2027 08:00:00 UTC] PHP Fatal error: a\nStack trace:\n#0 {main}\n[15-Jan-2027 08:00:01 UTC] b\n",
                true,
            ),
            ("[2027-01-15 08:00:00] production.ERROR: a\n[2027-01-15 08:00:01] b\n", true),
            ("Jan 15 08:00:00 host app: a\nJan 15 08:00:01 host app: b\n", true),
            ("ERROR: a\nINFO - b\n", true),
            ("1800000000.123 a\n1800000001.456 b\n", true),
            ("ERROR /error.log\n", false),
            ("Traceback of what you asked for: ERROR, Fatal error\nnot found\n", false),
            ("404 Not Found\n500 more words\n", false),
            ("monday\nerrors\n", false),
        ] {
            assert_eq!(is_log(text.as_bytes()), is_it, "{text}");
        }
    }

    #[test]
    fn of_what_was_cut_the_last_line_does_not_count() {
        assert_eq!(whole_lines(b"a:$1\nb"), b"a:$1\n");
        assert_eq!(whole_lines(b"PK"), b"PK");
    }
}
