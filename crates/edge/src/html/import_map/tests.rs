//! Maps in, targets and enlarged texts out.

use super::*;

fn base(path: &str) -> Base {
    Base::new(path, &["example.com".to_owned()]).unwrap()
}

fn read(text: &str) -> Option<ImportMap> {
    ImportMap::read(text, text.as_bytes(), text.len(), &base("/sub/page.html"))
}

fn listed(addresses: &[&str]) -> BTreeMap<String, Hash> {
    addresses.iter().map(|one| ((*one).to_owned(), Hash::of_text(one))).collect()
}

/// The text with the insertion at its place, checked against the hash.
fn enlarged(text: &str, addresses: &[&str]) -> String {
    let made = read(text).unwrap().enlarged(&listed(addresses)).unwrap();
    let (before, after) = text.split_at(made.offset);
    let whole = format!("{before}{}{after}", made.insertion);
    assert_eq!(made.hash, Hash::of_text(&whole));
    whole
}

#[test]
fn specifiers_stand_for_what_every_table_says() {
    let map = read(
        r#"{"imports": {"a": "./a.js", "lib/": "/lib/", "/old.js": "/new.js", "/pre/": "/post/", "none": null},
            "scopes": {"/x/": {"a": "https://cdn.example/a.js"}, "/y/": 1}}"#,
    )
    .unwrap();
    for (specifier, expected) in [
        ("a", &["./a.js", "https://cdn.example/a.js"][..]),
        ("lib/deep/x.js", &["/lib/deep/x.js"]),
        ("lib", &[]),
        ("b", &[]),
        ("none", &[]),
        ("../old.js", &["/new.js"]),
        ("https://example.com/old.js", &["/new.js"]),
        ("/pre/x.js", &["/post/x.js"]),
        ("./old.js", &[]),
    ] {
        assert_eq!(map.targets(specifier, &base("/js/main.js")), expected, "{specifier}");
    }
}

#[test]
fn the_member_is_added_and_the_rest_is_left() {
    let hash = Hash::of_text("/a.js");
    let member = format!("\"integrity\":{{\"/a.js\":\"{}\"}}", hash.as_str());
    for (text, expected) in [
        ("{}", format!("{{{member}}}")),
        (" { }\n", format!(" {{ {member}}}\n")),
        ("{\"imports\": {}\n}\n", format!("{{\"imports\": {{}}\n,{member}}}\n")),
        ("{\"x\":\"\u{e9}\"}", format!("{{\"x\":\"\u{e9}\",{member}}}")),
    ] {
        assert_eq!(enlarged(text, &["/a.js"]), expected);
    }
}

#[test]
fn integrity_that_is_there_is_kept_and_comes_last() {
    let theirs = Hash::of_file(b"theirs");
    let text =
        format!("{{\"integrity\":{{\"../a.js\":\"{}\"}},\"imports\":{{}}}}", theirs.as_str());
    let whole: Value = serde_json::from_str(&enlarged(&text, &["/a.js", "/b.js"])).unwrap();
    assert_eq!(whole["integrity"]["../a.js"], theirs.as_str());
    assert_eq!(whole["integrity"]["/b.js"], Hash::of_text("/b.js").as_str());
    assert_eq!(whole["integrity"].as_object().unwrap().len(), 2);
    assert!(read(&text).unwrap().enlarged(&listed(&["/a.js"])).is_none());
    assert_eq!(read(&text).unwrap().list_integrity()["/a.js"], [theirs]);
}

#[test]
fn what_browsers_refuse_is_no_map() {
    for text in
        ["", "[]", "{", "{} x", "{,}", "{'a':1}", "{\"imports\":[]}", "{\"integrity\":1}", "null"]
    {
        assert!(read(text).is_none(), "{text}");
    }
}

#[test]
fn addresses_cannot_end_the_element() {
    let text = new_map(&listed(&["/a.js?</script><!--\u{e9}\"\\"]));
    assert!(!text.contains('<') && text.is_ascii(), "{text}");
    let back: Value = serde_json::from_str(&text).unwrap();
    assert!(back["integrity"]["/a.js?</script><!--\u{e9}\"\\"].is_string());
}
