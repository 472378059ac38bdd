//! Folders in, problems out.

use std::os::unix::fs::symlink;

use super::*;

struct Case {
    dir: tempfile::TempDir,
    headers: Headers,
    hosts: Vec<String>,
    hidden: Vec<PathBuf>,
}

impl Case {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { dir, headers: Headers::default(), hosts: Vec::new(), hidden: Vec::new() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn site(&self) -> Site<'_> {
        Site {
            dir: self.dir.path(),
            hosts: &self.hosts,
            headers: &self.headers,
            hidden: &self.hidden,
            prefix: "/_mainstay",
        }
    }

    /// `file:line: what`, with 0 for no line.
    fn problems(&self) -> Vec<String> {
        let found = check_site(&self.site()).unwrap().into_iter();
        found.map(|p| format!("{}:{}: {}", p.file.display(), p.line.unwrap_or(0), p.what)).collect()
    }
}

fn assert_named(seen: &[String], expected: &[(&str, &str)]) {
    assert_eq!(seen.len(), expected.len(), "{seen:#?}");
    for (place, what) in expected {
        let named = |one: &&String| one.starts_with(place) && one.contains(what);
        assert_eq!(seen.iter().filter(named).count(), 1, "{place} {what}: {seen:#?}");
    }
}

#[test]
fn handlers_and_dead_references_are_named_once_with_their_line() {
    let page = "<!doctype html>\n<html><head>\n<script src=\"/gone.js\"></script>\n<script src=\"/here.js\"></script>\n\
        <link rel=stylesheet href=/gone.css>\n<style>@import 'gone-too.css';</style>\n\
        </head><body>\n<button onclick=\"go()\">x</button></body></html>";
    let case = Case::new(&[
        ("index.html", page),
        ("here.js", "import './none.js'"),
        ("x.txt", "<p onclick=x()>"),
    ]);
    assert_named(
        &case.problems(),
        &[
            ("index.html:3: ", "/gone.js"),
            ("index.html:5: ", "/gone.css"),
            ("index.html:6: ", "/gone-too.css"),
            ("index.html:8: ", "onclick"),
        ],
    );
}

#[test]
fn our_own_script_and_the_sites_own_names_are_known() {
    let page =
        "<script src=/_mainstay/m.js></script><script src=https://example.com/a.js></script>";
    let mut case = Case::new(&[("index.html", page), ("a.js", "1")]);
    assert_named(&case.problems(), &[("index.html:0: ", "https://example.com has no integrity")]);
    case.hosts = vec!["example.com".to_owned()];
    assert_named(&case.problems(), &[]);
}

#[test]
fn concerns_of_a_pages_policy_are_named() {
    let many: String = (0..70).map(|n| format!("import './c{n}.js';")).collect();
    let html = format!("<iframe src=/other></iframe><script type=module>{many}</script>");
    let names: Vec<String> = (0..70).map(|n| format!("c{n}.js")).collect();
    let mut files: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    files.push(("index.html", &html));
    let mut case = Case::new(&files);
    assert_named(
        &case.problems(),
        &[
            ("index.html:0: ", "every script of this site"),
            ("index.html:0: ", "frame = \"same-origin\""),
        ],
    );
    case.headers.csp = Csp::Off;
    assert_named(&case.problems(), &[]);
}

#[test]
fn what_is_never_served_is_not_looked_at() {
    let bad = "<p onclick=x()>";
    let outside = Case::new(&[("out.html", bad), ("key.js", "1")]);
    let page = "<script src=/leak.js></script><script src=/data/own.js></script>";
    let mut case = Case::new(&[
        ("index.html", page),
        ("data/x.html", bad),
        ("data/own.js", "1"),
        (".hidden/x.html", bad),
        (".x.html", bad),
        (".well-known/x.html", bad),
        ("real.html", bad),
    ]);
    symlink(outside.dir.path(), case.at("folder")).unwrap();
    symlink(outside.at("out.html"), case.at("file.html")).unwrap();
    symlink(outside.at("key.js"), case.at("leak.js")).unwrap();
    symlink(case.at("real.html"), case.at("linked.html")).unwrap();
    case.hidden = vec![case.at("data")];
    assert_named(
        &case.problems(),
        &[
            (".well-known/x.html:1: ", "onclick"),
            ("index.html:1: ", "/leak.js"),
            ("index.html:1: ", "/data/own.js"),
            ("linked.html:1: ", "onclick"),
            ("real.html:1: ", "onclick"),
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_among_others() {
    let case = Case::new(&[("a.html", "<p onclick=x()>"), ("z.html", "<p onload=x()>")]);
    symlink(case.at("loop.html"), case.at("loop.html")).unwrap();
    let utf_16: Vec<u8> = "\u{feff}<p>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(case.at("m.html"), utf_16).unwrap();
    assert_named(
        &case.problems(),
        &[("a.html:1: ", "onclick"), ("m.html:1: ", "UTF-16LE"), ("z.html:1: ", "onload")],
    );
    let root = case.dir.path().canonicalize().unwrap();
    let folder = Folder { root, hidden: Hidden::default() };
    let gone = check_file(&case.site(), &folder, Path::new("gone.html"));
    assert_eq!(
        (gone.len(), gone[0].line, gone[0].file.as_path()),
        (1, None, Path::new("gone.html"))
    );
    assert!(gone[0].what.starts_with("cannot be read"), "{gone:?}");
}

#[test]
fn the_page_for_missing_addresses_must_not_be_relative() {
    let page = "<!doctype html>\n<link rel=stylesheet href=css/x.css>\n<a href=/>home</a>";
    let case = Case::new(&[
        ("404.html", page),
        ("sub/404.html", page),
        ("css/x.css", ""),
        ("sub/css/x.css", ""),
    ]);
    assert_named(&case.problems(), &[("404.html:2: ", "write \"/css/x.css\"")]);
}
