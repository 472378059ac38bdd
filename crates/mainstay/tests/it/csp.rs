//! The policy of a page and the page it belongs to: our tag once, every script and style known by its hash, nothing else changed.

use mainstay_testkit::{Request, Site};

use crate::{launch, markup, serve};

const INLINE: &str = "document.title = 'inline';";
const MODULE: &str = "import '/js/part.js';";
const STYLE: &str = "p { color: red }";
const PART: &str = "export const part = 1;";

fn page() -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>t</title>\n<style>{STYLE}</style>\n\
<link rel=\"stylesheet\" href=\"/site.css\">\n<script src=\"/app.js\"></script>\n</head>\n<body>\n\
<p style=\"margin: 0\">hello &amp; good-bye</p>\n<script>{INLINE}</script>\n\
<script type=\"module\">{MODULE}</script>\n<script type=\"application/json\">{{\"a\": 1}}</script>\n\
<img src=\"https://images.example/cat.png\" alt=\"\">\n</body>\n</html>\n"
    )
}

fn site() -> Site {
    Site::of(&[
        ("index.html", &page()),
        ("app.js", "1"),
        ("js/part.js", PART),
        ("site.css", "p{margin:0}"),
    ])
}

#[test]
fn the_policy_names_every_script_and_style_of_the_page_by_its_hash() {
    let server = launch().site(site()).start();
    let response = server.get("/");
    let text = response.text();
    let policy = response.header("content-security-policy").expect("a policy");
    let scripts = markup::directive(policy, "script-src");
    for inline in [INLINE, MODULE] {
        let hash = markup::integrity("sha256-", inline.as_bytes());
        assert!(scripts.contains(&format!("'{hash}'")), "{inline}: {scripts}");
    }
    let own = markup::attribute(markup::find_tag(&text, "src=\"/app.js\""), "integrity")
        .expect("integrity");
    assert_eq!(own, markup::integrity(own, b"1"));
    assert!(scripts.contains(&format!("'{own}'")), "{scripts}");
    let data = markup::integrity("sha256-", b"{\"a\": 1}");
    assert!(!policy.contains(&data), "a data block is no script");
    assert!(scripts.starts_with("'strict-dynamic'") && !scripts.contains("'self'"), "{scripts}");
    let styles = markup::directive(policy, "style-src");
    assert!(
        styles.contains(&markup::integrity("sha256-", STYLE.as_bytes()))
            && !styles.contains("unsafe-inline"),
        "{styles}"
    );
    let attributes = markup::directive(policy, "style-src-attr");
    assert!(attributes.contains(&markup::integrity("sha256-", b"margin: 0")), "{attributes}");
    assert!(markup::directive(policy, "img-src").contains("https://images.example"), "{policy}");
    for (name, value) in [
        ("default-src", "'none'"),
        ("object-src", "'none'"),
        ("base-uri", "'none'"),
        ("frame-ancestors", "'none'"),
    ] {
        assert_eq!(markup::directive(policy, name), value, "{policy}");
    }
}

#[test]
fn our_tag_is_inserted_once_and_names_the_script_it_was_built_with() {
    let server = launch().site(site()).start();
    let response = server.get("/");
    let text = response.text();
    assert_eq!(text.matches("/_mainstay/m").count(), 1, "{text}");
    let tag = markup::find_tag(&text, "/_mainstay/m.js");
    let source = markup::attribute(tag, "src").expect("a source");
    let integrity = markup::attribute(tag, "integrity").expect("integrity");
    let script = server.get(source);
    assert_eq!(script.status, 200);
    assert_eq!(integrity, markup::integrity(integrity, &script.body));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    let policy = response.header("content-security-policy").expect("a policy");
    assert!(markup::directive(policy, "script-src").contains(integrity), "{policy}");
    assert_eq!(markup::attribute(tag, "data-site"), Some("default"));
    assert_eq!(
        server.get("/_mainstay/m.js").header("cache-control"),
        Some("no-cache"),
        "unpinned is asked for again"
    );
    let tag = script.header("etag").expect("a tag").to_owned();
    assert_eq!(server.send(&Request::get(source).header("if-none-match", &tag)).status, 304);
}

#[test]
fn nothing_else_of_a_page_is_changed() {
    let page = "<!DOCTYPE html>\n<HTML lang=en>\n<head >\n  <title>A &amp; b</title><!-- <script> -->\n  <script src='/app.js' async></script>\n\
</head>\n<BODY class='x' data-a=1>\n<p>unclosed <br/> &nbsp;\n<textarea>\n <script>\n</textarea>\n</BODY>\n</HTML>\n\n";
    let server = serve(&[("index.html", page), ("app.js", "1")]);
    let text = server.get("/").text();
    let inserted = format!("<{}></script>", markup::find_tag(&text, "/_mainstay/m.js"));
    let hash = markup::integrity("sha384-", b"1");
    let own = format!(" integrity=\"{hash}\"");
    assert_eq!((text.matches(&inserted).count(), text.matches(&own).count()), (1, 1), "{text}");
    let rest =
        text.replace(&inserted, "").replace(&own, "").replace("src=\"/app.js\"", "src='/app.js'");
    assert_eq!(rest, page);
}

#[test]
fn modules_that_a_module_imports_are_known_by_their_hash_too() {
    let server = launch().site(site()).start();
    let response = server.get("/");
    let text = response.text();
    let part = markup::integrity("sha256-", PART.as_bytes());
    let map = format!("{{\"integrity\":{{\"/js/part.js\":\"{part}\"}}}}");
    assert!(text.contains(&format!("<script type=\"importmap\">{map}</script>")), "{text}");
    let policy = response.header("content-security-policy").expect("a policy");
    let scripts = markup::directive(policy, "script-src");
    assert!(scripts.contains(&markup::integrity("sha256-", map.as_bytes())), "{scripts}");
    let sheet =
        markup::attribute(markup::find_tag(&text, "/site.css"), "integrity").expect("integrity");
    assert_eq!(sheet, markup::integrity(sheet, b"p{margin:0}"));
}

#[test]
fn a_page_that_names_our_script_itself_gets_no_second_one() {
    for own in ["/_mainstay/m.js", "/_mainstay/m.lite.js"] {
        let page = format!(
            "<!doctype html><html lang=en><head><title>t</title><script src=\"{own}\" defer></script></head><body></body></html>"
        );
        let server = serve(&[("index.html", &page)]);
        let response = server.get("/");
        assert_eq!(response.text().matches("/_mainstay/").count(), 1, "{}", response.text());
    }
}

#[test]
fn insertion_can_be_turned_off_and_the_hashes_stay() {
    let server = launch()
        .site(site())
        .config(
            "[[site]]
insert = \"off\"
",
        )
        .start();
    let response = server.get("/");
    assert!(!response.text().contains("/_mainstay/"), "{}", response.text());
    let policy = response.header("content-security-policy").expect("a policy");
    assert!(policy.contains(&markup::integrity("sha256-", INLINE.as_bytes())), "{policy}");
    assert_eq!(server.get("/_mainstay/m.js").status, 200, "pages may name it themselves");
}

#[test]
fn other_files_get_a_policy_that_runs_nothing() {
    let server = serve(&[
        ("a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ("a.json", "{}"),
        ("a.txt", "a"),
    ]);
    for path in ["/a.svg", "/a.json", "/a.txt"] {
        let response = server.get(path);
        let policy = response.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("script-src"),
            "{path}: {policy}"
        );
        assert!(!response.text().contains("_mainstay"), "{path}");
    }
}

#[test]
fn a_page_in_another_charset_keeps_its_bytes_and_says_so() {
    let site = Site::new();
    let page = b"<!doctype html><html><head><meta charset=\"iso-8859-1\"><title>caf\xe9</title></head><body>\xfc</body></html>";
    site.write("index.html", page);
    let server = launch().site(site).start();
    let response = server.get("/");
    let kind = response.header("content-type").unwrap_or_default().to_ascii_lowercase();
    assert!(kind.contains("iso-8859-1") || kind.contains("windows-1252"), "{kind}");
    assert!(response.body.contains(&0xe9) && response.body.contains(&0xfc));
}
