//! Files that no visitor should get, each known by what is in it: a status says nothing. Asks nobody.

use crate::finding::{Finding, Rule, Severity};

/// A file that is looked for.
pub(crate) struct Exposed {
    pub(crate) path: &'static str,
    rule: Rule,
    is_it: fn(&[u8]) -> bool,
}

const MOVE: &str =
    "Move it out of the folder that is served ([[site]] dir), and change every secret in it";
const CLOSE: &str = "Switch it off in the app, or let only the private network reach it";

const fn rule(
    id: &'static str,
    severity: Severity,
    title: &'static str,
    fix: &'static str,
) -> Rule {
    Rule { id, severity, title, fix }
}

const REPOSITORY: Rule = rule(
    "exposed-repository",
    Severity::Critical,
    "The site's source code can be downloaded",
    MOVE,
);
const SECRETS: Rule =
    rule("exposed-secrets", Severity::Critical, "Passwords or keys can be downloaded", MOVE);
const DATABASE: Rule =
    rule("exposed-database", Severity::Critical, "A copy of a database can be downloaded", MOVE);
const BACKUP: Rule = rule(
    "exposed-backup",
    Severity::High,
    "A copy of the site or of its code can be downloaded",
    MOVE,
);
const SETTINGS: Rule = rule(
    "exposed-settings",
    Severity::Medium,
    "Settings of the site or its tools can be read",
    MOVE,
);
const LOG: Rule = rule("exposed-log", Severity::High, "A log can be read", MOVE);
const STATUS: Rule =
    rule("exposed-status", Severity::High, "The inner state of the server can be read", CLOSE);

const fn file(path: &'static str, rule: Rule, is_it: fn(&[u8]) -> bool) -> Exposed {
    Exposed { path, rule, is_it }
}

/// Every file, the worst first.
pub(crate) const ALL: &[Exposed] = &[
    file("/.git/HEAD", REPOSITORY, |body| starts(body, "ref: refs/") || is_line_of_hex(body, 40)),
    file("/.git/config", REPOSITORY, |body| has_all(body, &["[core]", "repositoryformatversion"])),
    file("/.svn/wc.db", REPOSITORY, |body| starts(body, "SQLite format 3")),
    file("/.svn/entries", REPOSITORY, |body| {
        starts(body, "12\n") || has_all(body, &["dir\n", "svn"])
    }),
    file("/.hg/requires", REPOSITORY, |body| has_line(body, "revlogv1") || has_line(body, "store")),
    file("/.env", SECRETS, is_environment),
    file("/.env.local", SECRETS, is_environment),
    file("/.env.production", SECRETS, is_environment),
    file("/.htpasswd", SECRETS, is_password_file),
    file("/.npmrc", SECRETS, |body| has(body, "_authToken") || has(body, "_password")),
    file("/.aws/credentials", SECRETS, |body| has(body, "aws_secret_access_key")),
    file("/id_rsa", SECRETS, is_private_key),
    file("/.ssh/id_rsa", SECRETS, is_private_key),
    file("/server.key", SECRETS, is_private_key),
    file("/.vscode/sftp.json", SECRETS, |body| has_all(body, &["\"host\"", "\"username\""])),
    file("/wp-config.php.bak", SECRETS, |body| has(body, "DB_PASSWORD")),
    file("/config.php.bak", BACKUP, is_php),
    file("/index.php.bak", BACKUP, is_php),
    file("/index.php~", BACKUP, is_php),
    file("/.index.php.swp", BACKUP, |body| starts(body, "b0VIM")),
    file("/dump.sql", DATABASE, is_sql),
    file("/backup.sql", DATABASE, is_sql),
    file("/database.sqlite", DATABASE, |body| starts(body, "SQLite format 3")),
    file("/db.sqlite3", DATABASE, |body| starts(body, "SQLite format 3")),
    file("/backup.zip", BACKUP, |body| body.starts_with(b"PK\x03\x04")),
    file("/backup.tar.gz", BACKUP, |body| body.starts_with(&[0x1f, 0x8b, 0x08])),
    file("/phpinfo.php", STATUS, is_php_info),
    file("/info.php", STATUS, is_php_info),
    file("/server-status", STATUS, |body| {
        has_all(body, &["Apache Server Status", "Server uptime"])
    }),
    file("/server-info", STATUS, |body| has(body, "Apache Server Information")),
    file("/nginx_status", STATUS, |body| has_all(body, &["Active connections:", "server accepts"])),
    file("/actuator/env", STATUS, |body| has_all(body, &["\"propertySources\""])),
    file("/debug/pprof/", STATUS, |body| has_all(body, &["/debug/pprof/", "goroutine"])),
    file("/elmah.axd", STATUS, |body| has(body, "Error Log for")),
    file("/telescope/requests", STATUS, |body| has(body, "<title>Telescope")),
    file("/error.log", LOG, is_log),
    file("/debug.log", LOG, is_log),
    file("/npm-debug.log", LOG, |body| has(body, "verbose cli") || has(body, "info it worked")),
    file("/.DS_Store", SETTINGS, |body| body.starts_with(b"\0\0\0\x01Bud1")),
    file("/.htaccess", SETTINGS, |body| {
        has_any(body, &["RewriteEngine", "RewriteRule", "AuthUserFile", "Options -", "Deny from"])
            && !has(body, "<html")
    }),
    file("/web.config", SETTINGS, |body| has_all(body, &["<configuration", "system.web"])),
    file("/docker-compose.yml", SETTINGS, |body| has_line_start(body, "services:")),
    file("/Dockerfile", SETTINGS, |body| has_line_start(body, "FROM ") && !has(body, "<html")),
    file("/composer.lock", SETTINGS, |body| has_all(body, &["\"packages\"", "\"content-hash\""])),
    file("/mainstay.toml", SETTINGS, |body| has_any(body, &["[[site]]", "[edge]", "[admin]"])),
];

impl Exposed {
    /// A finding, when the body is that file and not what the site answers to anything.
    pub(crate) fn judge(&self, url: &str, body: &[u8], anything: &[u8]) -> Option<Finding> {
        let is_it = !body.is_empty() && body != anything && (self.is_it)(body);
        is_it.then(|| self.rule.at(url, format!("{} bytes, known by their content", body.len())))
    }
}

fn has(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn has_all(body: &[u8], texts: &[&str]) -> bool {
    texts.iter().all(|text| has(body, text))
}

fn has_any(body: &[u8], texts: &[&str]) -> bool {
    texts.iter().any(|text| has(body, text))
}

fn starts(body: &[u8], text: &str) -> bool {
    body.starts_with(text.as_bytes())
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

fn has_line(body: &[u8], text: &str) -> bool {
    lines(body).any(|line| line == text.as_bytes())
}

fn has_line_start(body: &[u8], text: &str) -> bool {
    lines(body).any(|line| line.starts_with(text.as_bytes()))
}

fn is_line_of_hex(body: &[u8], length: usize) -> bool {
    let line = body.trim_ascii();
    line.len() == length && line.iter().all(u8::is_ascii_hexdigit)
}

/// Lines of `NAME=value` and nothing of a page.
fn is_environment(body: &[u8]) -> bool {
    let is_name = |name: &[u8]| {
        !name.is_empty()
            && name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_')
    };
    let sets = |line: &[u8]| {
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        line.iter().position(|byte| *byte == b'=').is_some_and(|at| is_name(&line[..at]))
    };
    let mut said =
        lines(body).filter(|line| !line.is_empty() && !line.starts_with(b"#")).peekable();
    said.peek().is_some() && said.all(sets)
}

/// `name:$apr1$…`, `name:{SHA}…`, `name:$2y$…`.
fn is_password_file(body: &[u8]) -> bool {
    let is_row = |line: &[u8]| {
        let at = line.iter().position(|byte| *byte == b':');
        let hash = at.and_then(|at| line.get(at + 1..)).unwrap_or_default();
        [&b"$"[..], b"{SHA}"].iter().any(|mark| hash.starts_with(mark))
    };
    let mut rows = lines(body).filter(|line| !line.is_empty()).peekable();
    rows.peek().is_some() && rows.all(is_row)
}

fn is_private_key(body: &[u8]) -> bool {
    starts(body.trim_ascii_start(), "-----BEGIN ") && has(body, "PRIVATE KEY-----")
}

fn is_php(body: &[u8]) -> bool {
    starts(body.trim_ascii_start(), "<?php")
}

fn is_php_info(body: &[u8]) -> bool {
    has_all(body, &["PHP Version", "phpinfo()"])
}

fn is_sql(body: &[u8]) -> bool {
    has_any(body, &["CREATE TABLE", "INSERT INTO"]) && !has(body, "<html")
}

fn is_log(body: &[u8]) -> bool {
    has_any(body, &["[error]", "ERROR", "Fatal error", "Stack trace", "Traceback"])
        && !has(body, "<html")
}
