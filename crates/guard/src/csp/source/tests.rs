//! References as pages write them, and the source expressions that follow.

use super::*;

fn target(reference: &str) -> String {
    let base =
        Base::new("/docs/a b.html", &["example.com".to_owned(), "example.com:8443".to_owned()]);
    match base.unwrap().target(reference) {
        Target::Own(path) => format!("own {path}"),
        Target::Other(origin) => format!("{origin}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn references_lead_where_browsers_take_them() {
    for (reference, expected) in [
        ("x.js", "own /docs/x.js"),
        ("../x.js?q#f", "own /x.js"),
        ("/../../x.js", "own /x.js"),
        ("\\x.js", "own /x.js"),
        ("/a%20b%C3%A9.js", "own /a b\u{e9}.js"),
        ("/a%2fb", "own /a%2fb"),
        ("/%2e%2e/x", "own /x"),
        ("/a%00b", "own /a%00b"),
        ("/%ff", "own /%ff"),
        ("", "own /docs/a b.html"),
        ("#top", "own /docs/a b.html"),
        (" \n/x\t.js ", "own /x.js"),
        ("https://example.com/x", "own /x"),
        ("https://EXAMPLE.com:8443/x", "own /x"),
        ("https://example.com:9/x", "https://example.com:9"),
        ("https://www.example.com/x", "https://www.example.com"),
        ("https://cdn.example:443/x", "https://cdn.example"),
        ("http://cdn.example:8080/x", "http://cdn.example:8080"),
        ("//cdn.example/x", "//cdn.example"),
        ("\\\\cdn.example/x", "//cdn.example"),
        ("wss://ws.example/x", "wss://ws.example"),
        ("DATA:text/plain,x", "Data"),
        ("blob:https://x/1", "Blob"),
        (" JaVaScRiPt:x()", "Javascript"),
        ("java\nscript:x()", "Javascript"),
        ("mailto:a@b", "Nothing"),
        ("about:blank", "Nothing"),
        ("https://", "Nothing"),
        ("https://a;b.example/", "Nothing"),
        ("https://a,b.example/", "Nothing"),
        ("https://a'b.example/", "Nothing"),
        ("https://[::1]/", "Nothing"),
    ] {
        assert_eq!(target(reference), expected, "{reference:?}");
    }
}

#[test]
fn addresses_are_those_by_which_browsers_know_a_module() {
    let base = Base::new("/docs/page.html", &["example.com".to_owned()]).unwrap();
    for (reference, expected) in [
        ("./x.js", Some("/docs/x.js")),
        ("../x.js?v=1#f", Some("/x.js?v=1#f")),
        ("/a b\u{e9}<.js", Some("/a%20b%C3%A9%3C.js")),
        ("/a%2fb.js", Some("/a%2fb.js")),
        ("https://EXAMPLE.com/x.js", Some("/x.js")),
        ("https://cdn.example/x.js", None),
        ("data:text/javascript,1", None),
    ] {
        assert_eq!(base.address(reference).as_deref(), expected, "{reference}");
    }
    let module = base.joined("/js/main.js?v=2");
    assert_eq!(module.address("./b.js").as_deref(), Some("/js/b.js"));
}

#[test]
fn a_base_moves_what_follows() {
    let base = Base::new("/a/b.html", &[]).unwrap();
    let own = |path: &str| Target::Own(path.to_owned());
    assert_eq!(base.joined("/c/").target("x"), own("/c/x"));
    assert_eq!(base.joined("https://").target("x"), own("/a/x"));
    let foreign = base.joined("//cdn.example/d/");
    assert_eq!(foreign.target("x").source().unwrap().expression(false), "cdn.example");
    assert_eq!(base.joined("data:text/html,").target("x"), own("/a/x"));
}

#[test]
fn expressions_follow_the_page_scheme() {
    for (text, plain, secure) in [
        ("https://a.example", "https://a.example", "https://a.example"),
        ("http://a.example", "a.example", "https://a.example"),
        ("http://a.example:8080", "a.example:8080", "https://a.example:8080"),
        ("ws://a.example", "ws://a.example", "wss://a.example"),
        ("wss://a.example", "wss://a.example", "wss://a.example"),
        ("https://127.0.0.1:3000", "https://127.0.0.1:3000", "https://127.0.0.1:3000"),
    ] {
        let origin = Origin::parse(text).unwrap();
        assert_eq!(
            (origin.expression(false).as_str(), origin.expression(true).as_str()),
            (plain, secure)
        );
    }
    for wrong in [
        "https://a.example/x",
        "https://a.example?x",
        "https://u@a.example",
        "ftp://a.example",
        "*",
        "a.example",
    ] {
        assert_eq!(Origin::parse(wrong), None, "{wrong}");
    }
}
