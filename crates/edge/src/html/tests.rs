//! Documents in, bytes and facts out. The folder is a table.

mod content;
mod modules;
mod property;
mod sources;

use super::*;
use mainstay_guard::csp::Source;

/// The files every test's folder has.
const FILES: &[(&str, &str)] = &[
    ("/app.js", "console.log(1)"),
    ("/sub/mod.js", "export {}"),
    ("/chunks.js", "import './sub/mod.js'; import('/a%20b.js')"),
    ("/a b.js", "1"),
    (
        "/style.css",
        "@import 'sub/more.css'; @font-face { src: url(https://fonts.example/f.woff2) }",
    ),
    ("/sub/more.css", "@import '../style.css'; body { background: url(//img.example/b.png) }"),
];

pub(super) fn own(path: &str) -> Option<Own> {
    FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| Own::of(path, text.as_bytes()))
}

pub(super) fn tag() -> Tag {
    Tag {
        src: "/_mainstay/m.js?v=1".to_owned(),
        integrity: Hash::of_file(b"beacon"),
        attributes: vec![("data-site".to_owned(), "a\"b".to_owned())],
        known: vec![
            ("/_mainstay/m.js".to_owned(), Hash::of_file(b"beacon")),
            ("/_mainstay/m.lite.js".to_owned(), Hash::of_file(b"lite")),
        ],
        inserted: true,
    }
}

pub(super) fn rewrite_bytes(html: &[u8], tag: Option<&Tag>) -> Rewritten {
    let hosts = ["example.com".to_owned()];
    let page = Page { path: "/sub/page.html", hosts: &hosts, tag };
    rewrite(html, &page, &mut |path| own(path)).unwrap()
}

pub(super) fn read(html: &str) -> Rewritten {
    rewrite_bytes(html.as_bytes(), None)
}

pub(super) fn body(html: &str) -> String {
    String::from_utf8(read(html).body).unwrap()
}

pub(super) fn sources(html: &str) -> Vec<String> {
    let facts = read(html).facts;
    let named = facts.sources.iter();
    named.map(|(kind, source)| format!("{kind:?} {}", source.expression(true))).collect()
}

fn integrity(path: &str) -> String {
    format!("integrity=\"{}\"", own(path).unwrap().integrity.as_str())
}

#[test]
fn our_tag_goes_first_into_the_head() {
    let ours = format!(
        "<script src=\"/_mainstay/m.js?v=1\" data-site=\"a&quot;b\" integrity=\"{}\" defer=\"\"></script>",
        tag().integrity.as_str()
    );
    for (html, expected) in [
        (
            "<!doctype html><html><head><title>x</title></head>",
            "<!doctype html><html><head>@<title>x</title></head>",
        ),
        (
            "<!DOCTYPE html>\n<HTML lang=de>\n<HEAD class=a>x",
            "<!DOCTYPE html>\n<HTML lang=de>\n<HEAD class=a>@x",
        ),
        ("<!doctype html><html lang=en><body>x", "<!doctype html><html lang=en>@<body>x"),
        ("<!doctype html><title>x</title>", "<!doctype html>@<title>x</title>"),
        ("<!-- <head> --><p>x", "<!-- <head> -->@<p>x"),
        ("<p>x</p><head>", "@<p>x</p><head>"),
        ("<header>x</header>", "@<header>x</header>"),
        ("plain text", "plain text@"),
        ("", "@"),
        ("\u{feff}<html><head></head>", "\u{feff}<html><head>@</head>"),
    ] {
        let rewritten = rewrite_bytes(html.as_bytes(), Some(&tag()));
        let body = String::from_utf8(rewritten.body).unwrap();
        assert_eq!(body, expected.replace('@', &ours), "{html}");
        assert!(rewritten.facts.external_scripts.contains(&tag().integrity));
        assert_eq!(rewrite_bytes(html.as_bytes(), None).body, html.as_bytes());
    }
}

#[test]
fn a_document_that_references_our_script_keeps_its_own_reference() {
    for src in [
        "/_mainstay/m.js",
        "/_mainstay/m.js?v=old",
        "../_mainstay/m.js",
        "https://example.com/_mainstay/m.js",
    ] {
        let html = format!("<head></head><script src='{src}'></script>");
        let rewritten = rewrite_bytes(html.as_bytes(), Some(&tag()));
        let body = String::from_utf8(rewritten.body).unwrap();
        assert_eq!(body.matches("<script").count(), 1, "{body}");
        assert!(
            body.contains(&format!("<script integrity=\"{}\" src=", tag().integrity.as_str())),
            "{body}"
        );
        assert_eq!(rewritten.facts.external_scripts.len(), 1);
        assert_eq!(rewritten.problems, []);
    }
    let lite =
        rewrite_bytes(b"<head></head><script src=/_mainstay/m.lite.js></script>", Some(&tag()));
    assert!(!String::from_utf8_lossy(&lite.body).contains("m.js"));
    let noscript =
        rewrite_bytes(b"<noscript><script src=/_mainstay/m.js></script></noscript>", Some(&tag()));
    assert!(String::from_utf8_lossy(&noscript.body).contains("data-site"));
}

#[test]
fn own_scripts_and_style_sheets_are_pinned() {
    for (html, path) in [
        ("<script @src=/app.js></script>", "/app.js"),
        ("<SCRIPT @async src='../app.js?v=2#x'></SCRIPT>", "/app.js"),
        ("<script @type=module src=mod.js></script>", "/sub/mod.js"),
        ("<script @type=' Text/JavaScript ' src=https://EXAMPLE.com/app.js></script>", "/app.js"),
        ("<script @src=//example.com/app.js></script>", "/app.js"),
        ("<script @src=/a%20b.js></script>", "/a b.js"),
        ("<script @src='&#x2f;app&period;js'></script>", "/app.js"),
        ("<script @src=/app.js integrity></script>", "/app.js"),
        ("<base href=/><script @src=app.js></script>", "/app.js"),
        ("<base href=/><base href=/no/><script @src=app.js></script>", "/app.js"),
        ("<template><script @src=/app.js></script></template>", "/app.js"),
        ("<link @rel='x STYLESHEET' href=../style.css>", "/style.css"),
        ("<noscript><link @rel=stylesheet href=more.css></noscript>", "/sub/more.css"),
        ("<link @rel=modulepreload href=mod.js>", "/sub/mod.js"),
        ("<link @rel=preload as=script href=/app.js>", "/app.js"),
        ("<p>a\u{e9}\u{1f600}<script @src=/app.js></script>", "/app.js"),
    ] {
        let expected = html.replace('@', &format!("{} ", integrity(path)));
        let rewritten = read(&html.replace('@', ""));
        assert_eq!(String::from_utf8(rewritten.body).unwrap(), expected);
        assert!(rewritten.depends_on.contains(&path.to_owned()), "{html}");
        assert_eq!(rewritten.problems, [], "{html}");
        let scripts = &rewritten.facts.external_scripts;
        assert_eq!(
            scripts.contains(&own(path).unwrap().integrity),
            html.to_lowercase().contains("<script"),
            "{html}"
        );
    }
}

#[test]
fn what_is_not_an_own_file_is_left_as_it_is() {
    for html in [
        "<script src=/missing.js></script>",
        "<script type=text/template src=/app.js></script>",
        "<script type=importmap src=/app.js></script>",
        "<script src=/..%2fapp.js></script>",
        "<script src></script>",
        "<!-- <script src=/app.js></script> -->",
        "<textarea><script src=/app.js></script></textarea>",
        "<noscript><script src=/app.js></script></noscript>",
        "<iframe srcdoc='<script src=/app.js></script>'></iframe>",
        "<link rel=preload as=image href=/app.js>",
        "<link rel=canonical href=/style.css>",
    ] {
        assert_eq!(body(html), html);
    }
}

#[test]
fn an_integrity_that_is_there_is_used_and_checked() {
    let theirs = Hash::of_file(b"other");
    let html =
        |hash: &Hash| format!("<p>\n<script src=/app.js integrity='{}'></script>", hash.as_str());
    let fresh = read(&html(&own("/app.js").unwrap().integrity));
    assert_eq!(fresh.problems, []);
    let stale = read(&html(&theirs));
    assert_eq!(stale.body, html(&theirs).as_bytes());
    assert!(stale.facts.external_scripts.contains(&theirs));
    assert_eq!((stale.problems.len(), stale.problems[0].line), (1, 2));
    assert!(stale.problems[0].what.contains("other bytes"), "{:?}", stale.problems);
}

#[test]
fn foreign_scripts_keep_their_integrity_or_cost_the_page_strict_dynamic() {
    let hash = Hash::of_text("x");
    let pinned = read(&format!(
        "<script src=//cdn.example/x.js crossorigin integrity={}></script>",
        hash.as_str()
    ));
    assert!(pinned.facts.external_scripts.contains(&hash));
    assert!(pinned.facts.unpinned_scripts.is_empty());
    assert_eq!(pinned.problems, []);
    let unpinned = read("<script src=https://cdn.example/x.js></script>");
    let names: Vec<_> =
        unpinned.facts.unpinned_scripts.iter().map(|s| s.expression(true)).collect();
    assert_eq!(names, ["https://cdn.example"]);
    assert!(!unpinned.facts.unpinned_scripts.contains(&Source::Own));
    let opaque =
        read(&format!("<script src=//cdn.example/x.js integrity={}></script>", hash.as_str()));
    assert!(opaque.problems[0].what.contains("crossorigin"));
}

#[test]
fn lines_and_reasons_of_what_stays_blocked() {
    let html = "<!doctype html>\n<body onload='x()'>\n<a href=' java\tscript:x()'>a</a>\n\
        <form action=javascript:x()></form>\n\n<embed src=a.swf><script src=/none.js></script>\n\
        <script src='data:text/javascript,x()'></script><svg><script href=/app.js /></svg>\n\
        <iframe srcdoc=\"<p onclick='x()'><script src=/app.js></script>\"></iframe>\n\
        <div one=1 online=1><object></object>";
    let problems = read(html).problems;
    let seen: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.what.split(' ').next().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            (2, "onload="),
            (3, "the"),
            (4, "the"),
            (6, "<embed>"),
            (6, "<script>:"),
            (7, "<script>:"),
            (7, "<script>:"),
            (8, "<script>:"),
            (8, "onclick=")
        ],
        "{problems:#?}"
    );
}

#[test]
fn documents_that_nothing_can_be_inserted_into_come_back_as_they_are() {
    let utf_16: Vec<u8> =
        "\u{feff}<head><script>x</script>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (html, charset) in [
        (&utf_16[..], "UTF-16LE"),
        (b"<meta charset=iso-2022-jp><script>x</script>", "ISO-2022-JP"),
    ] {
        let rewritten = rewrite_bytes(html, Some(&tag()));
        assert_eq!(rewritten.body, html);
        assert_eq!(rewritten.charset, charset);
        assert_eq!(rewritten.facts, PageFacts::unread());
        assert_eq!(rewritten.problems[0].line, 1);
    }
}

#[test]
fn a_document_that_names_an_edition_itself_gets_no_tag_but_may_run_it() {
    for (inserted, src, bytes) in [
        (true, "/_mainstay/m.lite.js", &b"lite"[..]),
        (false, "/_mainstay/m.js", &b"beacon"[..]),
        (false, "/_mainstay/m.lite.js", &b"lite"[..]),
    ] {
        let tag = Tag { inserted, ..tag() };
        let html =
            format!("<!doctype html><html><head><script src=\"{src}\"></script></head></html>");
        let rewritten = rewrite_bytes(html.as_bytes(), Some(&tag));
        assert_eq!(rewritten.facts.external_scripts, [Hash::of_file(bytes)].into(), "{src}");
        assert_eq!(rewritten.body.windows(7).filter(|w| w == b"<script").count(), 1, "{src}");
        assert!(rewritten.problems.is_empty(), "{:?}", rewritten.problems);
    }
    let bare =
        rewrite_bytes(b"<!doctype html><head></head>", Some(&Tag { inserted: false, ..tag() }));
    assert_eq!(bare.body, b"<!doctype html><head></head>");
}
