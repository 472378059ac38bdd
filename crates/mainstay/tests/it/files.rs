//! Files of a site as a visitor gets them: types, index files, clean URLs, redirects, the site's own 404.

use mainstay_testkit::Request;

use crate::serve;

const PAGE: &str =
    "<!doctype html><html lang=en><head><title>t</title></head><body><p>hello</p></body></html>\n";

#[test]
fn every_kind_of_file_has_its_media_type() {
    let kinds = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.xml", "text/xml; charset=utf-8"),
        ("a.webmanifest", "application/manifest+json; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.ico", "image/x-icon"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.pdf", "application/pdf"),
        ("a.mp4", "video/mp4"),
        ("a.unheard-of", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ];
    let files: Vec<_> = kinds.iter().map(|(name, _)| (*name, "x")).collect();
    let server = serve(&files);
    for (name, kind) in kinds {
        let response = server.get(&format!("/{name}"));
        assert_eq!((response.status, response.header("content-type")), (200, Some(kind)), "{name}");
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{name}");
    }
}

#[test]
fn clean_urls_lead_to_one_address_each() {
    let server = serve(&[
        ("index.html", PAGE),
        ("about.html", PAGE),
        ("docs/index.html", PAGE),
        ("both.html", PAGE),
        ("both/index.html", PAGE),
        ("a b/c.html", PAGE),
        ("café.html", PAGE),
    ]);
    for path in
        ["/", "/about", "/about.html", "/docs/", "/docs/index.html", "/a%20b/c", "/caf%C3%A9"]
    {
        let response = server.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert!(response.text().contains("<p>hello</p>"), "{path}");
    }
    for (path, location) in [
        ("/about/", "/about"),
        ("/docs", "/docs/"),
        ("/docs?a=1&b=%2F..", "/docs/?a=1&b=%2F.."),
        ("/about/?", "/about?"),
        ("/caf%C3%A9/", "/caf%C3%A9"),
    ] {
        let response = server.get(path);
        assert_eq!((response.status, response.header("location")), (308, Some(location)), "{path}");
        assert_eq!(response.body, b"", "{path}");
    }
    assert_eq!(server.get("/both").status, 200);
    assert_eq!(server.get("/both/").status, 200);
    let metrics = server.metrics();
    let of = |route: &str| metrics.value("http_requests_total", &[("route", route)]);
    assert!((of("/about") - 2.0).abs() < 0.1, "/about and /about.html are one route");
    assert!((of("/docs/") - 2.0).abs() < 0.1, "/docs/ and its index are one route");
    assert!((of("{redirect}") - 5.0).abs() < 0.1);
}

#[test]
fn a_redirect_never_leads_to_another_host() {
    let server = serve(&[("index.html", PAGE), ("evil.example/index.html", PAGE)]);
    for path in [
        "//evil.example",
        "//evil.example/..",
        "/%2fevil.example",
        "/\\evil.example",
        "/%5cevil.example",
    ] {
        let response = server.get(path);
        let location = response.header("location").unwrap_or("/");
        assert!(
            !location.starts_with("//") && !location.contains('\\') && location.starts_with('/'),
            "{path}: {} {location}",
            response.status
        );
    }
}

#[test]
fn the_sites_own_404_page_comes_with_status_404() {
    let server = serve(&[("index.html", PAGE), ("404.html", "<h1>nowhere</h1>")]);
    let response = server.get("/no/such/page");
    assert_eq!(response.status, 404);
    assert!(response.text().contains("<h1>nowhere</h1>"), "{}", response.text());
    assert_eq!(response.header("cache-control"), Some("no-cache"));
    let conditional =
        Request::get("/no").header("if-none-match", response.header("etag").expect("an etag"));
    assert_eq!(server.send(&conditional).status, 404, "an absent page is never \"not modified\"");
    let ranged = Request::get("/no").header("range", "bytes=0-1");
    assert_eq!(server.send(&ranged).status, 404);
}

#[test]
fn without_a_404_page_ours_is_sent() {
    let server = serve(&[("index.html", PAGE)]);
    let response = server.get("/no");
    assert_eq!(response.status, 404);
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(response.text().contains("<h1>Page not found</h1>"), "{}", response.text());
}
