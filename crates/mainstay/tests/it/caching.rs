//! What browsers and caches may keep: validators, conditional requests, lifetimes, and HEAD as GET without a body.

use mainstay_testkit::{Request, Response, Server};

use crate::serve;

const PAGE: &str =
    "<!doctype html><html lang=en><head><title>t</title></head><body><p>hello</p></body></html>\n";

fn etag(response: &Response) -> String {
    response.header("etag").expect("an etag").to_owned()
}

/// The headers of an answer but for those that differ between any two requests.
fn lasting_headers(response: &Response) -> Vec<(String, String)> {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"));
    headers.sort();
    headers
}

#[test]
fn a_copy_that_is_still_good_is_not_sent_again() {
    let server = serve(&[("index.html", PAGE), ("app.css", "body{color:red}")]);
    for path in ["/", "/app.css"] {
        let full = server.get(path);
        let tag = etag(&full);
        assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong tag: {tag}");
        let modified = full.header("last-modified").expect("a date").to_owned();
        for (name, value) in [
            ("if-none-match", tag.clone()),
            ("if-none-match", format!("W/{tag}")),
            ("if-none-match", format!("\"other\", {tag}")),
            ("if-none-match", "*".to_owned()),
            ("if-modified-since", modified.clone()),
        ] {
            let answer = server.send(&Request::get(path).header(name, &value));
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{path} {name}: {value}");
            assert_eq!(etag(&answer), tag);
            for kept in ["cache-control", "vary", "content-security-policy", "date"] {
                if kept != "date" {
                    assert_eq!(answer.header(kept), full.header(kept), "{path} {kept}");
                }
                assert_eq!(answer.count(kept), full.count(kept), "{path} {kept}");
            }
            assert_eq!(answer.header("content-type"), None);
        }
        for (name, value) in [
            ("if-none-match", "\"other\"".to_owned()),
            ("if-none-match", tag.trim_matches('"').to_owned()),
            ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            ("if-modified-since", "the other day".to_owned()),
            ("if-match", tag.clone()),
        ] {
            let answer = server.send(&Request::get(path).header(name, &value));
            assert_eq!((answer.status, &answer.body), (200, &full.body), "{path} {name}: {value}");
        }
        let both = Request::get(path)
            .header("if-none-match", "\"other\"")
            .header("if-modified-since", &modified);
        assert_eq!(server.send(&both).status, 200, "the tag decides when both are there");
        let demanded = Request::get(path).header("if-match", "\"other\"");
        assert_eq!(server.send(&demanded).status, 412);
    }
    let metrics = server.metrics();
    let fresh = metrics.value("http_requests_total", &[("status_code", "304"), ("route", "/")]);
    assert!((fresh - 5.0).abs() < 0.1, "{fresh}");
}

#[test]
fn only_names_that_change_with_their_bytes_are_kept_for_ever() {
    const FOREVER: &str = "public, max-age=31536000, immutable";
    let names = [
        ("_next/static/chunks/main.js", FOREVER),
        ("_astro/page.css", FOREVER),
        ("assets/logo.png", FOREVER),
        ("js/app.3f9a1c2b.js", FOREVER),
        ("css/site-BwX3k9Qz.css", FOREVER),
        ("js/app.js", "no-cache"),
        ("js/app.min.js", "no-cache"),
        ("img/portfolio-portfolio2024.png", "no-cache"),
        ("img/header-background.png", "no-cache"),
        ("assets/page.html", "no-cache"),
        ("index.html", "no-cache"),
        ("xassets/logo.png", "no-cache"),
    ];
    let files: Vec<_> = names.iter().map(|(name, _)| (*name, "x")).collect();
    let server = serve(&files);
    for (name, caching) in names {
        assert_eq!(
            server.get(&format!("/{name}")).header("cache-control"),
            Some(caching),
            "{name}"
        );
    }
    let missing = server.get("/assets/gone.png");
    assert_eq!((missing.status, missing.header("cache-control")), (404, Some("no-store")));
}

fn assert_head_is_get(server: &Server, method_like_get: &Request, head: &Request) {
    let (get, head) = (server.send(method_like_get), server.send(head));
    assert_eq!(head.status, get.status);
    assert_eq!(lasting_headers(&head), lasting_headers(&get));
    assert!(head.body.is_empty());
}

#[test]
fn head_tells_exactly_what_get_would_send() {
    let text = "the same words again and again\n".repeat(100);
    let server = serve(&[("index.html", PAGE), ("a.txt", &text), ("docs/index.html", PAGE)]);
    for path in ["/", "/a.txt", "/docs", "/missing", "/_mainstay/m.js", "/_mainstay/nothing"] {
        assert_head_is_get(&server, &Request::get(path), &Request::head(path));
        let coded = |request: Request| request.header("accept-encoding", "br");
        assert_head_is_get(&server, &coded(Request::get(path)), &coded(Request::head(path)));
    }
    let tag = etag(&server.get("/a.txt"));
    let conditional = |request: Request| request.header("if-none-match", &tag);
    let pair = (conditional(Request::get("/a.txt")), conditional(Request::head("/a.txt")));
    assert_head_is_get(&server, &pair.0, &pair.1);
    // RFC 9110 §14.2: a range is defined for GET alone.
    let ranged = server.send(&Request::head("/a.txt").header("range", "bytes=0-9"));
    assert_eq!((ranged.status, ranged.header("content-length")), (200, Some("3100")));
}
