//! Style sheets in, sources out.

use super::*;

fn read(css: &str) -> (Vec<String>, Vec<String>) {
    let sheet = read_style_sheet(css, &Base::new("/css/a.css", &[]).unwrap());
    let mut sources: Vec<_> = sheet
        .sources
        .iter()
        .map(|(kind, source)| format!("{kind:?} {}", source.expression(true)))
        .collect();
    sources.sort();
    (sources, sheet.imports.into_iter().collect())
}

#[test]
fn urls_are_found_with_what_they_are_for() {
    for (css, expected) in [
        ("a{background:url(https://i.example/x)}", &["Img https://i.example"][..]),
        ("a{background:URL( '//i.example/x' )}", &["Img https://i.example"]),
        ("a{background:u\\72l(https://i.example/x)}", &["Img https://i.example"]),
        ("a{background:url(https\\3a //i.example/x)}", &["Img https://i.example"]),
        ("a{background:url(b.png), url(data:image/png;base64,AA)}", &["Img data:"]),
        (
            "a{background:image-set('//i.example/x' type('image/avif') 1x)}",
            &["Img https://i.example"],
        ),
        ("a{background:-webkit-image-set(url(//i.example/x) 1x)}", &["Img https://i.example"]),
        ("a{mask:cross-fade(url(//i.example/x), red)}", &["Img https://i.example"]),
        (
            "@font-face{src:local('x'),url(//f.example/x) format('woff2')}",
            &["Font https://f.example"],
        ),
        (
            "@media print{@supports(display:grid){@font-face{src:url(//f.example/x)} a{b:url(//i.example)}}}",
            &["Font https://f.example", "Img https://i.example"],
        ),
        (
            "@font-face{src:url(//f.example/x)} a{b:url(//i.example)}",
            &["Font https://f.example", "Img https://i.example"],
        ),
        (
            "@import '//s.example/x';@import url(//t.example/x) layer(a) screen;",
            &["Style https://s.example", "Style https://t.example"],
        ),
        ("a{&:hover{b:url(//i.example/x)}}", &["Img https://i.example"]),
        ("background:url(//i.example/x)", &["Img https://i.example"]),
        ("@namespace url(http://www.w3.org/1999/xhtml);", &[]),
        ("/* url(//i.example/x) */ a{content:'url(//i.example/x)'}", &[]),
        ("a{b:'//i.example/x'}", &[]),
        ("a{filter:url(#f)}", &[]),
        ("a{b:url(//i.exa mple/x)}", &[]),
        ("a{b:url(https://a;b.example/x)}", &[]),
        ("} a{b:url(//i.example/x)", &["Img https://i.example"]),
    ] {
        assert_eq!(read(css).0, expected, "{css}");
    }
}

#[test]
fn own_imports_are_listed_by_path() {
    let (_, imports) =
        read("@charset 'utf-8'; @import url(b.css); @import \"/c.css?v=1\"; a{b:url(d.css)}");
    assert_eq!(imports, ["/c.css", "/css/b.css"]);
}
