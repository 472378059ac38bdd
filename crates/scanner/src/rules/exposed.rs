//! Files that no visitor should get, each known by what is in it: a status says nothing. Asks nobody.

use super::content::{
    has, has_all, has_any, has_line, has_line_start, is_apache, is_container, is_environment,
    is_json, is_line_of_hex, is_log, is_markup, is_page, is_password_file, is_php, is_php_info,
    is_private_key, is_sql, starts, whole_lines,
};
use super::markup::length;
use crate::finding::{Finding, Rule, Severity};

/// A file that is looked for.
pub(crate) struct Exposed {
    pub(crate) path: &'static str,
    rule: Rule,
    is_it: fn(&[u8]) -> bool,
    /// Its words may stand in any page: what is told to be a page or JSON is not it.
    is_prose: bool,
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
    Exposed { path, rule, is_it, is_prose: false }
}

const fn prose(path: &'static str, rule: Rule, is_it: fn(&[u8]) -> bool) -> Exposed {
    Exposed { path, rule, is_it, is_prose: true }
}

/// Every file, the worst first.
pub(crate) const ALL: &[Exposed] = &[
    file("/.git/HEAD", REPOSITORY, |body| starts(body, "ref: refs/") || is_line_of_hex(body, 40)),
    file("/.git/config", REPOSITORY, |body| has_all(body, &["[core]", "repositoryformatversion"])),
    file("/.svn/wc.db", REPOSITORY, |body| starts(body, "SQLite format 3")),
    file("/.svn/entries", REPOSITORY, |body| {
        starts(body, "12\n") || has_all(body, &["dir\n", "svn"])
    }),
    prose("/.hg/requires", REPOSITORY, |body| {
        has_line(body, "revlogv1") || has_line(body, "store")
    }),
    file("/.env", SECRETS, is_environment),
    file("/.env.local", SECRETS, is_environment),
    file("/.env.production", SECRETS, is_environment),
    file("/.htpasswd", SECRETS, is_password_file),
    prose("/.npmrc", SECRETS, |body| has_any(body, &["_authToken", "_password"])),
    prose("/.aws/credentials", SECRETS, |body| has(body, "aws_secret_access_key")),
    file("/id_rsa", SECRETS, is_private_key),
    file("/.ssh/id_rsa", SECRETS, is_private_key),
    file("/server.key", SECRETS, is_private_key),
    file("/.vscode/sftp.json", SECRETS, |body| has_all(body, &["\"host\"", "\"username\""])),
    file("/wp-config.php.bak", SECRETS, |body| is_php(body) && has(body, "DB_PASSWORD")),
    file("/config.php.bak", BACKUP, is_php),
    file("/index.php.bak", BACKUP, is_php),
    file("/index.php~", BACKUP, is_php),
    file("/.index.php.swp", BACKUP, |body| starts(body, "b0VIM")),
    prose("/dump.sql", DATABASE, is_sql),
    prose("/backup.sql", DATABASE, is_sql),
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
    prose("/error.log", LOG, is_log),
    prose("/debug.log", LOG, is_log),
    prose("/npm-debug.log", LOG, |body| has(body, "verbose cli") || has(body, "info it worked")),
    file("/.DS_Store", SETTINGS, |body| body.starts_with(b"\0\0\0\x01Bud1")),
    prose("/.htaccess", SETTINGS, is_apache),
    file("/web.config", SETTINGS, |body| has_all(body, &["<configuration", "system.web"])),
    prose("/docker-compose.yml", SETTINGS, |body| has_line_start(body, "services:")),
    prose("/Dockerfile", SETTINGS, is_container),
    file("/composer.lock", SETTINGS, |body| has_all(body, &["\"packages\"", "\"content-hash\""])),
    prose("/mainstay.toml", SETTINGS, |body| has_any(body, &["[[site]]", "[edge]", "[admin]"])),
];

/// What came for a file.
pub(crate) struct Got<'a> {
    /// `Content-Type`, as it was sent.
    pub(crate) kind: &'a str,
    /// Its beginning.
    pub(crate) body: &'a [u8],
    /// Whether it goes on.
    pub(crate) is_cut: bool,
}

impl Exposed {
    /// A finding, when it is that file and nothing that the site answers to a path that is not there.
    pub(crate) fn judge(&self, url: &str, got: &Got<'_>, anything: &[u8]) -> Option<Finding> {
        let body = if got.is_cut { whole_lines(got.body) } else { got.body };
        let is_page = self.is_prose && (is_page(got.kind) || is_markup(body) || is_json(body));
        // Where the random path's answer would be that file, too, its content proves nothing.
        let is_it = !body.is_empty() && !is_page && (self.is_it)(body) && !(self.is_it)(anything);
        let told = || format!("{}, known by their content", length(got.body, got.is_cut));
        is_it.then(|| self.rule.at(url, told()))
    }
}
