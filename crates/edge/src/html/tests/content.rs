//! Inline code: the hash must be that of the text a browser makes of the source.

use super::*;

fn scripts(html: &[u8]) -> PageFacts {
    rewrite_bytes(html, None).facts
}

#[test]
fn inline_scripts_are_hashed_as_the_browser_reads_them() {
    for (html, text) in [
        (&b"<script>alert(1)</script>"[..], "alert(1)"),
        (b"<script>\n a && b < c &amp; d\n</script>", "\n a && b < c &amp; d\n"),
        (b"<script>a\r\nb\rc</script>", "a\nb\nc"),
        (b"<script>a\0b</script>", "a\u{fffd}b"),
        (b"<script> </script>", " "),
        (b"<script><!-- <script> </script> --></script>", "<!-- <script> </script> -->"),
        (b"<script>'<\\/script>'</script>", "'<\\/script>'"),
        (b"<SCRIPT type=''>x</SCRIPT >", "x"),
        (b"<script type=module>import './x.js'</script>", "import './x.js'"),
        (b"<script type=' TEXT/JavaScript '>x</script>", "x"),
        (b"<script language=JavaScript1.2>x</script>", "x"),
        (b"<script type=importmap>{}</script>", "{}"),
        (b"<script type=speculationrules>{}</script>", "{}"),
        (b"<template><script>t</script></template>", "t"),
        ("<script>'\u{e9}\u{1f600}'</script>".as_bytes(), "'\u{e9}\u{1f600}'"),
        (b"<meta charset=windows-1252><script>'\xe9\x80'</script>", "'\u{e9}\u{20ac}'"),
        (b"<meta charset=shift_jis><script>'\x83\x5c'</script>", "'\u{30bd}'"),
        (b"<script>'\xff'</script>", "'\u{fffd}'"),
        (b"<svg><script>a &lt; b <![CDATA[ && c ]]></script></svg>", "a < b  && c "),
        (b"<iframe srcdoc=\"<script>a &amp;&amp; 'b'</script>\"></iframe>", "a && 'b'"),
    ] {
        let facts = scripts(html);
        let expected = [Hash::of_text(text)];
        assert!(facts.inline_scripts.iter().eq(&expected), "{}", String::from_utf8_lossy(html));
    }
}

#[test]
fn what_does_not_run_is_not_blessed() {
    for html in [
        "<script></script>",
        "<script type=application/json>{}</script>",
        "<script type=application/ld+json>{}</script>",
        "<script type=text/template>x</script>",
        "<script type=text/babel>x</script>",
        "<script language=vbscript>x</script>",
        "<script src=/app.js>ignored()</script>",
        "<script src=''>ignored()</script>",
        "<noscript><script>x</script></noscript>",
        "<textarea><script>x</script></textarea>",
        "<title><script>x</script></title>",
        "<!--<script>x</script>-->",
        "<p title='<script>x</script>'>",
        "<p onclick='x()'><a href='javascript:x()'>",
    ] {
        assert!(read(html).facts.inline_scripts.is_empty(), "{html}");
    }
}

#[test]
fn every_inline_script_has_its_own_hash() {
    let html =
        "<script>1</script><script src=/app.js>2</script><script>3</script><script>1</script>";
    let expected = [Hash::of_text("1"), Hash::of_text("3")].into();
    assert_eq!(read(html).facts.inline_scripts, expected);
}

#[test]
fn inline_styles_and_style_attributes_are_hashed_as_the_browser_reads_them() {
    for (html, styles, attributes) in [
        ("<style>a{}</style>", &["a{}"][..], &[][..]),
        ("<style>a\r\nb &amp; <b></style>", &["a\nb &amp; <b>"], &[]),
        ("<style></style>", &[""], &[]),
        ("<style>never closed {", &["never closed {"], &[]),
        ("<style type=TEXT/css media=print>x</style>", &["x"], &[]),
        ("<style type=text/less>x</style>", &[], &[]),
        ("<noscript><style>n</style></noscript>", &["n"], &[]),
        ("<svg><style>a &gt; b</style></svg>", &["a > b"], &[]),
        ("<p style='color: red'>", &[], &["color: red"]),
        (
            "<p style=\"font: 1rem &quot;A&amp;B&quot;; &copy=1 &copy; &#10;\">",
            &[],
            &["font: 1rem \"A&B\"; &copy=1 \u{a9} \n"],
        ),
        ("<p style='a\r\nb'>", &[], &["a\nb"]),
        ("<p STYLE='first' style='second'>", &[], &["first"]),
        ("<p style>", &[], &[""]),
        ("<svg><path style='fill: red'/></svg>", &[], &["fill: red"]),
        ("<iframe srcdoc=\"<p style='x'><style>y</style>\">", &["y"], &["x"]),
    ] {
        let facts = read(html).facts;
        let hashes = |texts: &[&str]| texts.iter().map(|text| Hash::of_text(text)).collect();
        assert_eq!(facts.inline_styles, hashes(styles), "{html}");
        assert_eq!(facts.style_attributes, hashes(attributes), "{html}");
    }
}
