//! A site full of planted faults, and its twin without: nearly all are found, and nothing where nothing is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainstay_base::{Clock, Entropy};
use mainstay_scanner::{Missing, Scan, Settings, Severity, Site, scan};
use mainstay_testkit::{Answerer, Authority, Pair, day};

use crate::world::{answer, client, read, runtime, settings};

pub(crate) const HOST: &str = "shop.example";
/// Of the planted faults, as the share that is to be found.
const FOUND_MIN: f64 = 0.95;

pub(crate) const STRICT: &str = "Content-Type: text/html; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'\r\n\
    Strict-Transport-Security: max-age=31536000\r\nX-Frame-Options: DENY\r\n\
    X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\nServer: shop\r\n";
const WEAK: &str = "Content-Type: text/html\r\nX-Content-Type-Options: sniff\r\n\
    Referrer-Policy: unsafe-url\r\nCross-Origin-Resource-Policy: none\r\n\
    Server: Apache/2.4.1 (Unix)\r\nX-Powered-By: PHP/5.6.40\r\n\
    Set-Cookie: session=secret-of-a-visitor; Path=/\r\nSet-Cookie: theme=dark; Secure; Path=/\r\n\
    Set-Cookie: cart=7; SameSite=Lax\r\n";

/// Rule and path of each fault: what is there, and what it holds.
const FILES: &[(&str, &str, &str)] = &[
    ("exposed-repository", "/.git/HEAD", "ref: refs/heads/main\n"),
    ("exposed-repository", "/.git/config", "[core]\n\trepositoryformatversion = 0\n"),
    ("exposed-repository", "/.svn/wc.db", "SQLite format 3\0..."),
    ("exposed-repository", "/.hg/requires", "revlogv1\nstore\n"),
    (
        "exposed-secrets",
        "/.env",
        "# of the shop\nAPP_KEY = base64:abc\ndb_password=hunter2\nsource it\n",
    ),
    ("exposed-secrets", "/.htpasswd", "admin:$apr1$x$yyyyyyyy\n"),
    ("exposed-secrets", "/.npmrc", "//registry.npmjs.org/:_authToken=npm_abc\n"),
    ("exposed-secrets", "/.aws/credentials", "[default]\naws_secret_access_key = abc\n"),
    ("exposed-secrets", "/id_rsa", "-----BEGIN RSA PRIVATE KEY-----\nabc\n"),
    ("exposed-secrets", "/.vscode/sftp.json", "{\"host\": \"shop\", \"username\": \"me\"}"),
    ("exposed-secrets", "/wp-config.php.bak", "<?php define('DB_PASSWORD', 'x');"),
    ("exposed-backup", "/index.php~", "<?php echo 1;"),
    ("exposed-backup", "/backup.zip", "PK\u{3}\u{4}abc"),
    ("exposed-database", "/dump.sql", "CREATE TABLE users (id int);\n"),
    ("exposed-database", "/db.sqlite3", "SQLite format 3\0..."),
    ("exposed-status", "/phpinfo.php", "<h1>PHP Version 5.6.40</h1> phpinfo()"),
    (
        "exposed-status",
        "/server-status",
        "<h1>Apache Server Status for shop</h1> Server uptime: 3 days",
    ),
    ("exposed-status", "/nginx_status", "Active connections: 1\nserver accepts handled requests\n"),
    ("exposed-status", "/actuator/env", "{\"propertySources\":[]}"),
    ("exposed-status", "/debug/pprof/", "<html>/debug/pprof/ 3 goroutine"),
    ("exposed-log", "/error.log", "[error] 1#1: open() failed\n[error] 1#2: open() failed\n"),
    ("exposed-settings", "/.htaccess", "RewriteEngine On\n"),
    ("exposed-settings", "/docker-compose.yml", "services:\n  db:\n"),
    ("exposed-settings", "/composer.lock", "{\"content-hash\": \"x\", \"packages\": []}"),
    (
        "directory-listing",
        "/uploads/",
        "<title>Index of /uploads</title><h1>Index of /uploads</h1>",
    ),
    ("source-map", "/app.js.map", "{\"version\":3,\"sources\":[\"a.ts\"],\"mappings\":\"AAAA\"}"),
];
/// Faults of headers, pages, TLS.
const OTHERS: &[(&str, &str)] = &[
    ("csp-not-implemented", "/"),
    ("hsts-not-implemented", "/"),
    ("x-frame-options-not-implemented", "/"),
    ("x-content-type-options-header-invalid", "/"),
    ("referrer-policy-unsafe", "/"),
    ("corp-header-invalid", "/"),
    ("redirection-missing", "/"),
    ("session-cookie-without-secure", "/"),
    ("session-cookie-without-httponly", "/"),
    ("cookie-without-secure", "/"),
    ("cookie-without-samesite", "/"),
    ("version-told", "/"),
    ("generator-told", "/"),
    ("cors-any-origin-with-credentials", "/"),
    ("certificate-ends-soon", "/"),
    ("security-txt-expired", "/.well-known/security.txt"),
    ("script-without-integrity", "/"),
    ("mixed-content-active", "/"),
    ("mixed-content-passive", "/about"),
    ("form-to-http", "/about"),
    ("token-in-url", "/about"),
    ("error-told", "/broken"),
];
const FRONT: &str = "<!doctype html><html><head><title>Shop</title><meta name=generator content=\"WordPress 4.1\">\
    <script src=/app.js></script><script src=https://cdn.example/x.js?key=hidden></script>\
    <link rel=stylesheet href=http://shop.example/a.css?key=hidden></head>\
    <body><a href=/about?from=home#top>About</a> <a href=/broken>Broken</a> <a href=https://elsewhere.example/>Friends</a></body></html>";
const ABOUT: &str = "<!doctype html><html><head><title>About</title></head><body><img src=http://me:hidden@shop.example/a.png>\
    <form action=http://shop.example/login?key=hidden method=post><input type=password name=p></form>\
    <a href=\"/reset?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc\">Reset</a></body></html>";
const CLEAN: &str = "<!doctype html><html><head><title>Shop</title><script src=/app.js></script>\
    <link rel=stylesheet href=/a.css></head><body><h1>Index of our goods</h1><a href=/about>About</a>\
    <img src=/a.png><form action=/search></form></body></html>";

pub(crate) fn weak(head: &str) -> Vec<u8> {
    let (method, path, _) = read(head);
    if method == "OPTIONS" {
        let origin = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("origin").then_some(value)
        });
        let allowed = format!(
            "Access-Control-Allow-Origin: {}\r\nAccess-Control-Allow-Credentials: true\r\n",
            origin.unwrap_or_default()
        );
        return answer(204, &allowed, "");
    }
    let file = FILES.iter().find(|(_, file, _)| *file == path);
    match (path, file) {
        (_, Some((_, _, body))) => answer(200, "Content-Type: text/plain\r\n", body),
        ("/", _) => answer(200, WEAK, FRONT),
        ("/about", _) => answer(200, WEAK, ABOUT),
        ("/broken", _) => answer(200, WEAK, "<pre>Traceback (most recent call last):\n x.py</pre>"),
        ("/app.js", _) => answer(200, "", "go()\n//# sourceMappingURL=app.js.map\n"),
        ("/.well-known/security.txt", _) => {
            answer(200, "", "Contact: mailto:a@shop.example\nExpires: 2020-01-01T00:00:00Z\n")
        }
        _ => answer(404, "Content-Type: text/html\r\n", "nothing here"),
    }
}

/// Answers everything with 200, as many an app does.
pub(crate) fn clean(head: &str) -> Vec<u8> {
    let (method, path, _) = read(head);
    match (method, path) {
        ("OPTIONS", _) => answer(204, "", ""),
        (_, "/") => answer(
            200,
            &format!("{STRICT}Set-Cookie: session=1; Secure; HttpOnly; SameSite=Lax\r\n"),
            CLEAN,
        ),
        (_, "/app.js") => answer(200, "", "go()"),
        (_, "/.well-known/security.txt") => {
            answer(200, "", "Contact: mailto:a@shop.example\nExpires: 2999-01-01T00:00:00Z\n")
        }
        (_, path) => fill(&ANYTHING[0], path),
    }
}

/// What apps answer to whatever is asked, with 200: headers, and a template. What is asked for is in it: no two answers are alike.
const ANYTHING: &[(&str, &str)] = &[
    (STRICT, "<!doctype html><title>Shop</title><p>No PATH</p>"),
    (STRICT, "<!doctype html><title>ERROR</title><pre>CREATE TABLE a\nRewriteEngine On\nPATH"),
    ("Content-Type: text/html\r\n", "ERROR\nERROR: no PATH\nFROM a\nRUN b\nservices:\n"),
    ("Content-Type: application/json\r\n", "{\"status\":\"ERROR\",\"path\":\"PATH\"}"),
    ("", "{\"status\":\"ERROR\",\"path\":\"PATH\",\n\"a\":\"_password RewriteRule [edge]\"}"),
    ("Content-Type: text/plain\r\n", "ERROR: there is no PATH, INSERT INTO nothing"),
    ("Content-Type: text/plain\r\n", "status=404\npath=PATH\n"),
    ("", "2027-01-15 08:00:00 [error] no PATH\n2027-01-15 08:00:00 [info] bye\n"),
    ("", "INSERT INTO asked VALUES ('PATH');\nRequire all denied\n_password\n"),
];

/// Lines that all of those files have which are known by lines of theirs.
macro_rules! words {
    () => {
        "ERROR: a\nERROR: b\nINSERT INTO a\nFROM a\nRUN b\nservices:\n_password [edge]\nRewriteEngine On\n"
    };
}

/// What is shown of files, or said where one was asked for, as pages and answers of an app; other paths are told otherwise.
const ABOUT_FILES: &[(&str, &str)] = &[
    ("Content-Type: text/html; charset=utf-8\r\n", WORDS),
    ("Content-Type: application/problem+json\r\n", WORDS),
    ("", concat!("<!doctype html><title>PATH</title><pre>\n", words!())),
    ("", concat!("{\"path\": \"PATH\", \"shown\": \"\n", words!())),
];
const WORDS: &str = words!();

fn fill((headers, template): &(&str, &str), path: &str) -> Vec<u8> {
    answer(200, headers, &template.replace("PATH", path))
}

/// Scans a site by https beside what http answers.
pub(crate) fn run(
    pair: &Pair,
    authority: &Authority,
    http: impl Fn(&str, u16) -> Vec<u8> + Send + Sync + 'static,
    https: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> Scan {
    let port = Arc::new(OnceLock::new());
    let known = Arc::clone(&port);
    let plain = Answerer::plain(move |head| http(head, known.get().copied().unwrap_or_default()));
    let secure = Answerer::secure(pair, https);
    let https_port = *port.get_or_init(|| secure.address.port());
    let site =
        Site { host: HOST.into(), http_port: plain.address.port(), https_port, others: vec![] };
    scan_site(authority, &site, &settings()).expect("a scan")
}

pub(crate) fn scan_site(
    authority: &Authority,
    site: &Site,
    settings: &Settings,
) -> Result<Scan, Missing> {
    let client = client(authority);
    runtime().block_on(scan(&client, site, settings, &Clock::System, &Entropy::seeded(7)))
}

fn path(url: &str) -> String {
    url.parse::<url::Url>().map_or_else(|_| url.to_owned(), |url| url.path().to_owned())
}

#[test]
fn planted_faults_are_found() {
    let authority = Authority::new();
    // Days from now, by the system's clock: certificates are judged by it.
    let now = Clock::System.now().plus(Duration::from_secs(5 * 86_400)).to_rfc3339();
    let number = |at: std::ops::Range<usize>| now.get(at).and_then(|text| text.parse::<u8>().ok());
    let (month, of_month) = (number(5..7).expect("a month"), number(8..10).expect("a day"));
    let year = now.get(..4).and_then(|text| text.parse().ok()).expect("a year");
    let pair = authority.issue_until(&[HOST], day(year, month, of_month));
    let scan = run(&pair, &authority, |head, _| weak(head), weak);

    let found: BTreeSet<_> = scan.findings.iter().map(|f| (f.id, path(&f.url))).collect();
    let planted: Vec<_> = FILES
        .iter()
        .map(|(rule, path, _)| (*rule, (*path).to_owned()))
        .chain(OTHERS.iter().map(|(rule, path)| (*rule, (*path).to_owned())))
        .collect();
    assert!(planted.len() >= 30, "{}", planted.len());
    let missed: Vec<_> = planted.iter().filter(|fault| !found.contains(fault)).collect();
    let share = 1.0 - missed.len() as f64 / planted.len() as f64;
    assert!(share >= FOUND_MIN, "{share}: {missed:?}");
    let known: BTreeSet<_> = planted.into_iter().collect();
    let unplanned: Vec<_> = found.difference(&known).collect();
    assert!(unplanned.is_empty(), "{unplanned:?}");
    assert_eq!((scan.grade, scan.score), ("F", 0));
    assert!(scan.findings.is_sorted_by(|one, other| one.severity >= other.severity));
    assert_eq!(scan.findings.first().map(|worst| worst.severity), Some(Severity::Critical));
    // Every finding says what to do, and none gives away what it found.
    for finding in &scan.findings {
        assert!(!finding.fix.is_empty() && !finding.title.is_empty(), "{finding:?}");
        let text = serde_json::to_string(finding).expect("JSON");
        for secret in ["hunter2", "hidden", "secret-of-a-visitor", "npm_abc", "eyJzdWIi"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn the_clean_twin_has_no_finding_though_it_answers_everything() {
    let authority = Authority::new();
    let pair = authority.issue(&[HOST]);
    let to_https =
        |_: &str, port: u16| answer(308, &format!("Location: https://{HOST}:{port}/\r\n"), "");
    for anything in ANYTHING.iter().chain(ABOUT_FILES) {
        let https = move |head: &str| {
            let (_, path, _) = read(head);
            let is_known = ["/", "/app.js", "/.well-known/security.txt"].contains(&path);
            match is_known || head.starts_with("OPTIONS") {
                true => clean(head),
                false if ABOUT_FILES.contains(anything) && !path.contains('.') => clean(head),
                false => fill(anything, path),
            }
        };
        let scan = run(&pair, &authority, to_https, https);
        assert_eq!(scan.findings, [], "{anything:?}");
        assert_eq!((scan.grade, scan.complete), ("A+", true), "{anything:?}");
    }
}

#[test]
fn a_certificate_that_browsers_refuse_is_told_with_the_reason() {
    let (authority, other) = (Authority::new(), Authority::new());
    let to_https =
        |_: &str, port: u16| answer(308, &format!("Location: https://{HOST}:{port}/\r\n"), "");
    for (what, pair, rule) in [
        ("over", authority.issue_until(&[HOST], day(2020, 1, 1)), "certificate-expired"),
        ("another name", authority.issue(&["other.example"]), "certificate-refused"),
        ("another authority", other.issue(&[HOST]), "certificate-refused"),
    ] {
        let serves = |head: &str, _: u16| clean(head);
        let scan = run(&pair, &authority, serves, clean);
        let ids: BTreeMap<_, _> = scan.findings.iter().map(|f| (f.id, &f.evidence)).collect();
        assert!(ids.contains_key(rule), "{what}: {ids:?}");
        assert!(ids.contains_key("hsts-not-implemented-no-https"), "{what}: {ids:?}");
        // Where http leads to it as well, that is all there is to see.
        let scan = run(&pair, &authority, to_https, clean);
        assert!(scan.findings.iter().any(|found| found.id == rule), "{what}: {scan:?}");
        // Where it leads nowhere, there is nothing.
        let plain = Answerer::plain(move |head| to_https(head, 1));
        let port = plain.address.port();
        let site = Site { host: HOST.into(), http_port: port, https_port: 1, others: vec![] };
        assert!(scan_site(&authority, &site, &settings()).is_err(), "{what}");
    }
}
