//! What a scan costs at most, and that it says when something was left out.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use mainstay_base::units::{Size, Span};
use mainstay_scanner::{Scan, Settings, Site};
use mainstay_testkit::{Answerer, Authority};

use crate::planted::{HOST, scan_site, weak};
use crate::world::{answer, read, settings};

/// A site that answers by plain http only.
fn scan_plain(server: &Answerer, settings: &Settings) -> Scan {
    let port = server.address.port();
    let site = Site { host: HOST.into(), http_port: port, https_port: 1, others: vec![] };
    scan_site(&Authority::new(), &site, settings).expect("a scan")
}

fn has(scan: &Scan, id: &str, path: &str) -> bool {
    scan.findings.iter().any(|found| found.id == id && found.url.ends_with(path))
}

#[test]
fn a_scan_keeps_its_bounds() {
    // Every page leads to another one.
    let endless = |head: &str| {
        let (_, path, _) = read(head);
        answer(200, "Content-Type: text/html\r\n", &format!("<a href={path}x>next</a>"))
    };
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let server = Answerer::plain(move |head| {
        seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        endless(head)
    });
    let port = server.address.port();
    let site = Site { host: HOST.into(), http_port: port, https_port: 1, others: vec![] };
    let asked = |settings: Settings| {
        count.store(0, std::sync::atomic::Ordering::SeqCst);
        let began = std::time::Instant::now();
        let scan = scan_site(&Authority::new(), &site, &settings).expect("a scan");
        assert!(!scan.complete, "{:?}", scan.findings);
        (count.load(std::sync::atomic::Ordering::SeqCst), began.elapsed())
    };
    let (few, _) = asked(Settings { requests_max: 12, ..settings() });
    // Those by https were never answered.
    assert!((8..=12).contains(&few), "{few}");
    let (slow, took) = asked(Settings { requests_max: 12, requests_per_second: 20, ..settings() });
    assert!((8..=12).contains(&slow) && took >= Duration::from_millis(500), "{slow} in {took:?}");
    let (pages, _) = asked(Settings { pages_max: 5, ..settings() });
    let (more, _) = asked(Settings { pages_max: 15, ..settings() });
    assert_eq!(more - pages, 10);
    let over = Settings {
        total_timeout: Span(Duration::from_millis(200)),
        requests_per_second: 20,
        ..settings()
    };
    let (brief, _) = asked(over);
    assert!(brief <= 5, "{brief}");
}

#[test]
fn files_longer_than_a_scan_reads_are_known_by_their_beginnings() {
    let settings = Settings { body_bytes_max: Size::mib(1), ..settings() };
    let long = |begin: &str, more: &str| {
        let body = format!("{begin}{}", more.repeat((5 << 20) / more.len()));
        answer(200, "Content-Type: application/octet-stream\r\n", &body)
    };
    let server = Answerer::plain(move |head| match read(head).1 {
        "/dump.sql" => long("CREATE TABLE users (id int);\n", "INSERT INTO users VALUES (1);\n"),
        "/backup.zip" => long("PK\u{3}\u{4}", "abc"),
        "/error.log" => long("", "[error] 1#1: open() failed\n"),
        "/.htpasswd" => long("", "administrator:$apr1$x$yyyyyyyy\n"),
        "/.env" => long("A=1\n", "B=2\n"),
        "/app.js.map" => long("{\"version\":3,\"sources\":[\"a.ts\"],\"sourcesContent\":[\"", "x"),
        _ => weak(head),
    });
    let scan = scan_plain(&server, &settings);
    for (id, path) in [
        ("exposed-database", "/dump.sql"),
        ("exposed-backup", "/backup.zip"),
        ("exposed-log", "/error.log"),
        ("exposed-secrets", "/.htpasswd"),
        ("exposed-secrets", "/.env"),
        ("source-map", "/app.js.map"),
    ] {
        let found = scan.findings.iter().find(|f| f.id == id && f.url.ends_with(path));
        let evidence = found.map(|found| found.evidence.as_str()).unwrap_or_default();
        assert!(evidence.starts_with("more than 65536 bytes"), "{path}: {evidence}: {scan:?}");
    }
    assert!(scan.complete);
}

#[test]
fn what_was_not_answered_or_not_read_to_its_end_is_not_complete() {
    let page = "<!doctype html><title>x</title><a href=/about>x</a><script src=/app.js></script>";
    let with = |path: &'static str, instead: fn() -> Vec<u8>| {
        let server = Answerer::plain(move |head| match read(head).1 {
            asked if asked == path => instead(),
            "/" => answer(200, "Content-Type: text/html\r\n", page),
            "/about" => answer(200, "Content-Type: text/html\r\n", "<!doctype html>"),
            "/app.js" => answer(200, "", "go()"),
            _ => answer(404, "", ""),
        });
        scan_plain(&server, &settings()).complete
    };
    let broken = || b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nabc".to_vec();
    let endless = || answer(200, "Content-Type: text/html\r\n", &"x".repeat(5 << 20));
    assert!(with("/nowhere", broken), "as it is");
    for path in ["/.git/HEAD", "/about", "/app.js", "/uploads/", "/.well-known/security.txt"] {
        assert!(!with(path, broken), "{path}: broke off");
    }
    assert!(!with("/app.js", endless) && !with("/about", endless), "longer than is read");
    assert!(with("/.git/HEAD", endless), "a file is known by its beginning");
}

#[test]
fn files_are_asked_for_before_pages_and_what_is_no_page_counts_too() {
    let links: String = (0..190).map(|at| format!("<a href=/picture{at}>x</a>")).collect();
    let (pictures, images) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (of_pictures, of_images) = (Arc::clone(&pictures), Arc::clone(&images));
    let server = Answerer::plain(move |head| match read(head).1 {
        "/" => answer(200, "Content-Type: text/html\r\n", &format!("<a href=/a.PNG>x</a>{links}")),
        "/.git/HEAD" => answer(200, "", "ref: refs/heads/main\n"),
        path if path.starts_with("/picture") => {
            of_pictures.fetch_add(1, SeqCst);
            answer(200, "Content-Type: image/png\r\n", "x")
        }
        "/a.PNG" => {
            of_images.fetch_add(1, SeqCst);
            answer(200, "Content-Type: image/png\r\n", "x")
        }
        _ => answer(404, "", ""),
    });
    let scan = scan_plain(&server, &Settings { requests_max: 100, pages_max: 1_000, ..settings() });
    assert!(has(&scan, "exposed-repository", "/.git/HEAD") && !scan.complete, "{scan:?}");
    pictures.store(0, SeqCst);
    let scan = scan_plain(&server, &Settings { pages_max: 5, ..settings() });
    assert!(!scan.complete, "{scan:?}");
    // The front page is one of them; what is called an image is none.
    assert_eq!((pictures.load(SeqCst), images.load(SeqCst)), (4, 0));
}

#[test]
fn a_page_is_read_where_a_redirect_within_the_site_leads() {
    let server = Answerer::plain(|head| match read(head).1 {
        "/" => answer(200, "Content-Type: text/html\r\n", "<a href=/old>x</a><a href=/away>x</a>"),
        "/old" => answer(301, "Location: /new?from=old\r\n", ""),
        "/away" => answer(302, "Location: http://127.0.0.1:1/new\r\n", ""),
        "/new" => {
            let body = "<a href=/old>x</a><pre>Traceback (most recent call last)";
            answer(200, "Content-Type: text/html\r\n", body)
        }
        _ => answer(404, "", ""),
    });
    let scan = scan_plain(&server, &settings());
    assert!(has(&scan, "error-told", "/new") && scan.complete, "{scan:?}");
}

#[test]
fn the_last_request_may_not_take_longer_than_all_of_it() {
    let (release, hold) = mpsc::channel::<()>();
    let hold = Mutex::new(hold);
    let server = Answerer::plain(move |head| match read(head).1 {
        "/" => answer(200, "Content-Type: text/html\r\n", "<!doctype html>"),
        // Until the test is over.
        "/.git/HEAD" => {
            let _over = hold.lock().map(|hold| hold.recv());
            Vec::new()
        }
        _ => answer(404, "", ""),
    });
    let began = Instant::now();
    let scan = scan_plain(
        &server,
        &Settings {
            total_timeout: Span(Duration::from_secs(2)),
            request_timeout: Span::seconds(12),
            ..settings()
        },
    );
    assert!(!scan.complete, "{scan:?}");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    drop(release);
}
