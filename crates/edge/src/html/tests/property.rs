//! Whatever the document: take away what was inserted, and the owner's bytes are left.

use super::*;

const PARTS: &[&[u8]] = &[
    b"<!doctype html>",
    b"<html>",
    b"<head>",
    b"</head>",
    b"<body onload=x()>",
    b"<base href=../>",
    b"<script src=/app.js></script>",
    b"<script src=/app.js",
    b"<script type=module src=/chunks.js></script>",
    b"<script>import('/chunks.js')</script>",
    b"<script type=importmap>{\"imports\":{\"a\":\"/app.js\"}} </script>",
    b"<script type=importmap>{}",
    b"<SCRIPT\n async src='../app.js?x'>",
    b"</script>",
    b"<script>",
    b"<style>",
    b"</style>",
    b"<!--",
    b"-->",
    b"<!-- <script> -->",
    b"<![CDATA[",
    b"]]>",
    b"<link rel=stylesheet href=../style.css>",
    b"<link rel=modulepreload href=mod.js integrity>",
    b"<noscript>",
    b"</noscript>",
    b"<svg>",
    b"</svg>",
    b"<math>",
    b"<select>",
    b"<xmp>",
    b"<plaintext>",
    b"<textarea>",
    b"</textarea>",
    b"<title>",
    b"<template>",
    b"<p style='a&quot;",
    b"'>",
    b"\"",
    b">",
    b"<",
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"text & more &amp;",
    b"<iframe srcdoc='<script>x</script>'>",
    b"<meta charset=windows-1252>",
    b"<meta charset=utf-8>",
    b"<img srcset='a, b 2x' src=//i.example>",
];

/// A small generator with a fixed seed: the same documents every time (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

fn without(mut body: Vec<u8>, inserted: &[u8]) -> Vec<u8> {
    while let Some(at) = memchr::memmem::find(&body, inserted) {
        body.drain(at..at + inserted.len());
    }
    body
}

/// Takes away an import map of ours, or what was added to one of the document.
fn without_import_map(mut body: Vec<u8>) -> (Vec<u8>, bool) {
    let find = |text: &[u8], what: &[u8]| memchr::memmem::find(text, what);
    let member = b"\"integrity\":{";
    let Some(start) = find(&body, member) else { return (body, false) };
    let end = start + find(&body[start..], b"}").unwrap() + 1;
    let (open, close) = (&b"<script type=\"importmap\">{"[..], &b"}</script>"[..]);
    let ours = body[..start].ends_with(open) && body[end..].starts_with(close);
    let comma = body[..start].ends_with(b",");
    let range = match (ours, comma) {
        (true, _) => start - open.len()..end + close.len(),
        (false, true) => start - 1..end,
        (false, false) => start..end,
    };
    body.drain(range);
    (body, true)
}

#[test]
fn the_owners_bytes_are_what_is_left_without_our_insertions() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut changed, mut mapped) = (0, 0);
    for _ in 0..3000 {
        let count = random.below(14);
        let parts: Vec<&[u8]> = (0..count).map(|_| PARTS[random.below(PARTS.len())]).collect();
        let html = parts.concat();
        let rewritten = rewrite_bytes(&html, Some(&tag()));
        changed += usize::from(rewritten.depends_on.contains(&"/app.js".to_owned()));
        let mut body = rewritten.body;
        let ours = format!(
            "<script src=\"/_mainstay/m.js?v=1\" data-site=\"a&quot;b\" integrity=\"{}\" defer=\"\"></script>",
            tag().integrity.as_str()
        );
        body = without(body, ours.as_bytes());
        for (path, _) in FILES {
            body = without(body, format!(" {}", integrity(path)).as_bytes());
        }
        let plain = without_import_map(body);
        mapped += usize::from(plain.1);
        body = plain.0;
        assert_eq!(body, html, "{}", String::from_utf8_lossy(&html));
    }
    assert!(changed > 300, "only {changed} documents were changed at all");
    assert!(mapped > 100, "only {mapped} documents got an import map");
}

#[test]
fn deep_and_broken_documents_do_not_bring_it_down() {
    let deep_css = format!("<style>{}</style>", "a{(".repeat(50_000));
    let deep_html = "<div><svg>".repeat(20_000);
    let mut srcdoc = "<script>x</script>".to_owned();
    for _ in 0..8 {
        srcdoc =
            format!("<iframe srcdoc=\"{}\">", srcdoc.replace('&', "&amp;").replace('"', "&quot;"));
    }
    for html in [&deep_css, &deep_html, &srcdoc] {
        assert_eq!(read(html).body, html.as_bytes());
    }
    assert!(read(&srcdoc).problems[0].what.contains("nested"));
}
