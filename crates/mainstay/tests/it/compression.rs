//! Compressed answers: which coding, that it decodes to the same bytes, and that caches can tell them apart.

use std::collections::HashSet;
use std::io::{Read, Write};

use mainstay_testkit::{Request, Response, Server, Site};

use crate::{launch, serve};

const PAGE: &str =
    "<!doctype html><html lang=en><head><title>t</title></head><body><p>hello</p></body></html>\n";

fn decoded(response: &Response) -> Vec<u8> {
    let mut out = Vec::new();
    let body = response.body.as_slice();
    match response.header("content-encoding") {
        None => out.extend(body),
        Some("br") => {
            brotli::Decompressor::new(body, 4_096).read_to_end(&mut out).expect("brotli");
        }
        Some("zstd") => out = zstd::decode_all(body).expect("zstd"),
        Some("gzip") => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut out).expect("gzip");
        }
        Some(other) => unreachable!("a coding nobody asked for: {other}"),
    }
    out
}

fn get(server: &Server, path: &str, accept: &str) -> Response {
    server.send(&Request::get(path).header("accept-encoding", accept))
}

#[test]
fn the_best_coding_the_client_takes_is_sent() {
    let text = "body{color:red;background:blue}\n".repeat(100);
    let page = PAGE.replace("hello", &"hello ".repeat(300));
    let server = serve(&[("index.html", &page), ("app.css", &text)]);
    for path in ["/", "/app.css"] {
        let plain = server.get(path);
        assert_eq!(plain.header("content-encoding"), None);
        let mut tags = HashSet::from([plain.header("etag").map(str::to_owned)]);
        for (accept, coding) in [
            ("gzip", Some("gzip")),
            ("br", Some("br")),
            ("zstd", Some("zstd")),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0.5", Some("gzip")),
            ("gzip;q=0.2, zstd;q=0.7, br;q=0.1", Some("zstd")),
            ("br;q=0, gzip", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0, *;q=0.5", Some("zstd")),
            ("GZIP", Some("gzip")),
            ("identity", None),
            ("identity;q=1, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("deflate, compress", None),
            ("", None),
            ("gzip;q=nonsense", None),
        ] {
            let response = get(&server, path, accept);
            assert_eq!(response.status, 200);
            assert_eq!(response.header("content-encoding"), coding, "{path} {accept:?}");
            assert_eq!(decoded(&response), plain.body, "{path} {accept:?}");
            assert_eq!(response.header("vary"), Some("accept-encoding"), "{path} {accept:?}");
            assert_eq!(response.header("content-type"), plain.header("content-type"));
            if coding.is_some() {
                assert!(response.body.len() < plain.body.len() / 3, "{path} {accept:?}");
            }
            tags.insert(response.header("etag").map(str::to_owned));
        }
        assert_eq!(tags.len(), 4, "one tag per coding: {tags:?}");
    }
}

#[test]
fn a_compressed_copy_has_its_own_validator() {
    let text = "body{color:red;background:blue}\n".repeat(100);
    let server = serve(&[("app.css", &text)]);
    let coded = get(&server, "/app.css", "br");
    let tag = coded.header("etag").expect("a tag").to_owned();
    let asked = |accept: &str| {
        let request = Request::get("/app.css").header("if-none-match", &tag);
        server.send(&request.header("accept-encoding", accept))
    };
    let same = asked("br");
    assert_eq!(
        (same.status, same.header("etag"), same.header("vary")),
        (304, Some(tag.as_str()), Some("accept-encoding"))
    );
    assert_eq!(asked("gzip").status, 200, "another coding is another representation");
    assert_eq!(asked("identity").status, 200);
}

#[test]
fn what_compression_does_not_help_is_sent_as_it_is() {
    // xorshift64: no two bytes that follow from each other in a way a compressor finds.
    let mut state = 88_172_645_463_325_252_u64;
    let mut noise = Vec::new();
    while noise.len() < 8_192 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    let site = Site::of(&[("small.txt", "short"), ("image.png", &"x".repeat(5_000))]);
    site.write("noise.txt", noise);
    let server = launch().site(site).start();
    for path in ["/small.txt", "/image.png", "/noise.txt"] {
        assert_eq!(get(&server, path, "gzip, br, zstd").header("content-encoding"), None, "{path}");
    }
}

/// A gzip stream with a comment in its header, so that it can be told from one the server made.
fn marked_gzip(text: &str) -> Vec<u8> {
    let builder = flate2::GzBuilder::new().comment("made beforehand");
    let mut encoder = builder.write(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).expect("packed");
    encoder.finish().expect("packed")
}

#[test]
fn a_precompressed_sibling_is_used_only_when_it_is_exact() {
    let text = "body{color:red;background:blue}\n".repeat(100);
    let page = PAGE.replace("hello", &"hello ".repeat(300));
    let site = Site::of(&[
        ("good.css", &text),
        ("stale.css", &text),
        ("broken.css", &text),
        ("index.html", &page),
    ]);
    let stale = text.replace("red", "tan");
    site.write("good.css.gz", marked_gzip(&text));
    site.write("stale.css.gz", marked_gzip(&stale));
    site.write("broken.css.gz", "no gzip at all");
    site.write("index.html.gz", marked_gzip(&page));
    let server = launch().site(site).start();
    assert_eq!(get(&server, "/good.css", "gzip").body, marked_gzip(&text), "the sibling itself");
    for path in ["/stale.css", "/broken.css"] {
        let made = get(&server, path, "gzip");
        assert_eq!(
            (made.header("content-encoding"), decoded(&made)),
            (Some("gzip"), text.clone().into_bytes()),
            "{path}"
        );
    }
    let rewritten = get(&server, "/", "gzip");
    assert_eq!(
        decoded(&rewritten),
        server.get("/").body,
        "a page that carries our tag is not its file any more"
    );
    assert!(String::from_utf8_lossy(&decoded(&rewritten)).contains("/_mainstay/m.js"));
}
