//! What a page's scripts import: the import map that is made, the policy when there are too many, and what is kept.

use super::*;

/// The import map of the document, as a browser parses it, and the facts beside it.
fn read_with(html: &str, files: &[(&str, &str)]) -> (Option<serde_json::Value>, Rewritten) {
    let page = Page { path: "/sub/page.html", hosts: &["example.com".to_owned()], tag: None };
    let rewritten = rewrite(html.as_bytes(), &page, &mut |path| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(|(_, text)| Own::of(path, text.as_bytes()))
    })
    .unwrap();
    let body = String::from_utf8(rewritten.body.clone()).unwrap();
    let map = body.split_once("importmap\">").map(|(_, rest)| {
        let text = rest.split_once("</script>").unwrap().0;
        assert!(rewritten.facts.inline_scripts.contains(&Hash::of_text(text)), "{text}");
        serde_json::from_str(text).unwrap()
    });
    (map, rewritten)
}

/// The addresses an import map lists, each with a hash that the policy has.
fn listed(html: &str, files: &[(&str, &str)]) -> Vec<String> {
    let (map, rewritten) = read_with(html, files);
    assert!(!rewritten.facts.open_imports, "{html}");
    let Some(map) = map else { return Vec::new() };
    let table = map["integrity"].as_object().unwrap();
    for hash in table.values() {
        let [hash] = &Hash::parse_integrity(hash.as_str().unwrap())[..] else { panic!("{hash}") };
        assert!(rewritten.facts.external_scripts.contains(hash), "{hash}");
    }
    table.keys().cloned().collect()
}

const CHUNKS: &[(&str, &str)] = &[
    ("/js/main.js", "import {b} from './b.js'; import('./c.js?v=1'); const d = ['assets/d-1.js']"),
    ("/js/b.js", "import '../js/main.js'; import './b.js'; import './gone.js'; export const b = 1"),
    ("/js/c.js", "export * from '/assets/d-1.js'"),
    ("/assets/d-1.js", "export const d = 1"),
    ("/js/alone.js", "export const x = 'no other file'"),
    ("/js/data.js", "import x from './data.json' with {type: 'json'}"),
    ("/js/data.json", "{}"),
    ("/js/remote.mjs", "import 'https://cdn.example/x.js'"),
    ("/js/computed.js", "import './b.js'; import(`./lang/${l}.js`)"),
];

#[test]
fn every_file_that_may_be_imported_is_listed() {
    let all = ["/assets/d-1.js", "/js/b.js", "/js/c.js?v=1", "/js/main.js"];
    for (html, expected) in [
        ("<script type=module src=/js/main.js></script>", &all[..]),
        ("<script type=module>import '../js/main.js'</script>", &all),
        ("<script>import('/js/main.js')</script>", &all),
        ("<script src=/js/main.js></script>", &all),
        ("<link rel=modulepreload href=/js/main.js>", &all),
        (
            "<script type=module>import 'https://example.com/js/c.js'</script>",
            &["/assets/d-1.js", "/js/c.js"],
        ),
        (
            "<base href=/js/><script type=module>import './c.js'</script>",
            &["/assets/d-1.js", "/js/c.js"],
        ),
        ("<script type=module src=/js/alone.js></script>", &[]),
        ("<script type=module src=/js/data.js></script>", &[]),
        ("<script type=module>import './none.js'; import 'bare.js'</script>", &[]),
        ("<noscript><script type=module src=/js/main.js></script></noscript>", &[]),
    ] {
        assert_eq!(listed(html, CHUNKS), expected, "{html}");
    }
}

#[test]
fn the_page_depends_on_what_its_scripts_import() {
    let (_, rewritten) = read_with("<script type=module src=/js/main.js></script>", CHUNKS);
    assert_eq!(rewritten.depends_on, ["/assets/d-1.js", "/js/b.js", "/js/c.js", "/js/main.js"]);
}

#[test]
fn the_map_comes_before_every_module_and_names_the_hash_an_element_has() {
    let html = "<!doctype html><head><base href=/x/><link rel=modulepreload href=/js/b.js>\
        <script type=module src=/js/main.js></script>";
    let (map, rewritten) = read_with(html, CHUNKS);
    let body = String::from_utf8(rewritten.body).unwrap();
    assert!(body.starts_with("<!doctype html><head><script type=\"importmap\">{"), "{body}");
    let (map, of) = (map.unwrap(), |path: &str| {
        let text = CHUNKS.iter().find(|(name, _)| *name == path).unwrap().1;
        Own::of(path, text.as_bytes())
    });
    assert_eq!(map["integrity"]["/js/main.js"], of("/js/main.js").integrity.as_str());
    assert_eq!(map["integrity"]["/js/b.js"], Hash::of_module(CHUNKS[1].1.as_bytes()).as_str());
    assert_eq!(rewritten.facts.external_scripts.len(), 4);
}

#[test]
fn a_map_of_the_page_is_enlarged_and_followed() {
    let files: &[(&str, &str)] = &[
        ("/js/main.js", "import 'lib'; import 'deep/x.js'; import {y} from 'far'"),
        ("/lib-1.js", "1"),
        ("/vendor/x.js", "2"),
        ("/unused.js", "3"),
    ];
    let far = Hash::of_text("far");
    let html = format!(
        "<script type=importmap>\n{{\"imports\": {{\"lib\": \"/lib-1.js\", \"deep/\": \"../vendor/\", \"no\": \"/unused.js\",\
         \"far\": \"https://cdn.example/far.js\"}}, \"integrity\": {{\"https://cdn.example/far.js\": \"{}\"}}}}\n</script>\
         <script type=module src=/js/main.js></script>",
        far.as_str()
    );
    let (_, rewritten) = read_with(&html, files);
    let body = String::from_utf8(rewritten.body).unwrap();
    let text = body.split_once("importmap>").unwrap().1.split_once("</script>").unwrap().0;
    let map: serde_json::Value = serde_json::from_str(text).unwrap();
    let table = map["integrity"].as_object().unwrap();
    let keys: Vec<_> = table.keys().map(String::as_str).collect();
    assert_eq!(keys, ["https://cdn.example/far.js", "/lib-1.js", "/vendor/x.js"]);
    assert_eq!(map["imports"].as_object().unwrap().len(), 4);
    assert_eq!(rewritten.facts.inline_scripts, [Hash::of_text(text)].into());
    assert!(rewritten.facts.external_scripts.contains(&far));
    assert!(rewritten.facts.unpinned_scripts.is_empty() && !rewritten.facts.open_imports);
    // What was there is left, in its order, around what was added.
    let without = "<script type=importmap>\n{\"imports\"";
    assert!(body.starts_with(without) && body.contains("}}\n</script>"), "{body}");
}

#[test]
fn maps_that_browsers_do_not_follow_open_the_policy_and_are_a_problem() {
    for (html, what) in [
        ("<p>\n<script type=importmap>{oops}</script>", Some("cannot read")),
        (
            "<script type=module>1</script>\n<script type=importmap>{}</script>",
            Some("behind a module"),
        ),
        (
            "<link rel=modulepreload href=/js/b.js>\n<script type=importmap>{}</script>",
            Some("behind a module"),
        ),
        ("<base href=https://cdn.example/>\n<script type=importmap>{}</script>", None),
    ] {
        let html = format!("{html}<script type=module>import '/js/b.js'</script>");
        let (_, rewritten) = read_with(&html, CHUNKS);
        assert!(rewritten.facts.open_imports, "{html}");
        assert!(!String::from_utf8(rewritten.body).unwrap().contains("\"integrity\":"));
        let seen: Vec<_> = rewritten.problems.iter().map(|one| (one.line, &one.what)).collect();
        assert_eq!(seen.len(), usize::from(what.is_some()), "{seen:?}");
        if let Some(what) = what {
            assert!(seen[0].0 == 2 && seen[0].1.contains(what), "{seen:?}");
        }
    }
}

#[test]
fn too_many_files_open_the_policy() {
    let names: Vec<String> = (0..70).map(|number| format!("/js/chunk-{number}.js")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    for (count, open) in [(64, false), (65, true)] {
        let imports: String =
            names[..count].iter().map(|name| format!("import '{name}';")).collect();
        let (map, rewritten) =
            read_with(&format!("<script type=module>{imports}</script>"), &files);
        assert_eq!((map.is_none(), rewritten.facts.open_imports), (open, open), "{count}");
        assert!(rewritten.depends_on.len() >= 64);
    }
    let (_, computed) = read_with("<script type=module src=/js/computed.js></script>", CHUNKS);
    assert!(computed.facts.open_imports);
    let strings: String = (0..600).map(|n| format!("'./none-{n}.js',")).collect();
    let (_, many) = read_with(&format!("<script>import([{strings}][0])</script>"), &[]);
    assert!(many.facts.open_imports);
}

#[test]
fn imports_from_other_origins_cost_the_page_strict_dynamic() {
    for html in [
        "<script type=module>import 'https://cdn.example/x.js'; import '/js/b.js'</script>",
        "<script type=module src=/js/remote.mjs></script>",
        "<script type=importmap>{\"imports\":{\"x\":\"//cdn.example/x.js\"}}</script><script type=module>import 'x'</script>",
    ] {
        let (_, rewritten) = read_with(html, CHUNKS);
        let hosts: Vec<_> =
            rewritten.facts.unpinned_scripts.iter().map(|source| source.expression(true)).collect();
        assert_eq!(hosts, ["https://cdn.example"], "{html}");
        assert!(!String::from_utf8(rewritten.body).unwrap().contains("\"integrity\":"));
    }
    let (_, named) = read_with("<script>import(x); y = 'https://cdn.example/x.js'</script>", &[]);
    assert!(named.facts.unpinned_scripts.is_empty());
}

#[test]
fn imports_inside_srcdoc_are_a_problem() {
    let html = "<iframe srcdoc=\"<script type=module>import '/js/b.js'</script>\"></iframe>";
    let (map, rewritten) = read_with(html, CHUNKS);
    assert!(map.is_none());
    assert!(rewritten.problems[0].what.contains("inside srcdoc"), "{:?}", rewritten.problems);
}
