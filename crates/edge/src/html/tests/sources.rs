//! Which origins a document names, and for what.

use super::*;

fn assert_same(seen: &[String], expected: &[&str], html: &str) {
    let mut seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    seen.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seen, expected, "{html}");
}

#[test]
fn what_html_names_is_known_by_kind() {
    for (html, expected) in [
        ("<img src=https://i.example/a.png>", &["Img https://i.example"][..]),
        (
            "<img src=/a.png srcset='b.png 1x, //i.example:444/c.png 2x'>",
            &["Img https://i.example:444"],
        ),
        ("<img src='data:image/png;base64,AA'>", &["Img data:"]),
        ("<img src=http://i.example/a>", &["Img https://i.example"]),
        ("<img src='https://i.example/?a&amp;b'>", &["Img https://i.example"]),
        ("<img src='https://b\u{fc}cher.example/a'>", &["Img https://xn--bcher-kva.example"]),
        ("<picture><source srcset='https://p.example/x 1x'></picture>", &["Img https://p.example"]),
        (
            "<video poster=//v.example/p src=//v.example/v><source src=//w.example/v><track src=//t.example/t></video>",
            &[
                "Img https://v.example",
                "Media https://t.example",
                "Media https://v.example",
                "Media https://w.example",
            ],
        ),
        ("<iframe src=https://f.example/embed></iframe>", &["Frame https://f.example"]),
        ("<iframe src=/other></iframe>", &["Frame 'self'"]),
        ("<iframe src=about:blank></iframe>", &[]),
        (
            "<form action=https://form.example/x><button formaction=//b.example></form>",
            &["Form https://b.example", "Form https://form.example"],
        ),
        ("<form action=/here>", &[]),
        (
            "<a href=https://elsewhere.example ping='https://p.example/ //q.example'>",
            &["Connect https://p.example", "Connect https://q.example"],
        ),
        ("<link rel=stylesheet href=https://s.example/s.css>", &["Style https://s.example"]),
        (
            "<link rel=icon href=//i.example/x><link rel=manifest href=//m.example/x>",
            &["Img https://i.example", "Manifest https://m.example"],
        ),
        (
            "<link rel=preload as=font crossorigin href=//f.example/x><link rel=preload as=fetch href=//c.example/>",
            &["Font https://f.example", "Connect https://c.example"],
        ),
        ("<link rel=preload as=image imagesrcset='//i.example/x 2x'>", &["Img https://i.example"]),
        ("<link rel=preconnect href=//x.example><link rel=dns-prefetch href=//y.example>", &[]),
        (
            "<link rel=preconnect crossorigin href=//x.example>",
            &["Font https://x.example", "Connect https://x.example"],
        ),
        (
            "<svg><image href=//i.example/x /><use xlink:href=#a /></svg>",
            &["Img https://i.example"],
        ),
        ("<noscript><img src=https://pixel.example/p></noscript>", &["Img https://pixel.example"]),
        (
            "<table><tbody background=//a.example/x><tr background=//b.example/x><td background=//c.example/x>",
            &["Img https://a.example", "Img https://b.example", "Img https://c.example"],
        ),
        (
            "<base href=https://base.example/x/><img src=a.png>",
            &["Img https://base.example", "Base https://base.example"],
        ),
        ("<base href=/x/><img src=a.png>", &["Base 'self'"]),
        ("<img src=https://example.com/a.png>", &[]),
        (
            "<img src='https://a;b.example/;script-src *'><img src=https://[::1]/x><img src='https://'>",
            &[],
        ),
    ] {
        assert_same(&sources(html), expected, html);
    }
}

#[test]
fn what_css_names_is_known_by_kind() {
    for (html, expected) in [
        (
            "<style>@import 'https://s.example/a.css'; a { background: url( //i.example/x ) }</style>",
            &["Style https://s.example", "Img https://i.example"][..],
        ),
        (
            "<style>@font-face { font-family: x; src: url(data:font/woff2;base64,AA) }</style>",
            &["Font data:"],
        ),
        ("<p style='background:url(&quot;https://i.example/x&quot;)'>", &["Img https://i.example"]),
        (
            "<link rel=stylesheet href=/style.css>",
            &["Img https://img.example", "Font https://fonts.example"],
        ),
        (
            "<style>@import url(more.css);</style>",
            &["Img https://img.example", "Font https://fonts.example"],
        ),
    ] {
        assert_same(&sources(html), expected, html);
    }
    let depends = read("<style>@import url(more.css);</style>").depends_on;
    assert_eq!(depends, ["/style.css", "/sub/more.css"]);
}
