//! Changes in the folder, seen without a restart.

use std::time::Duration;

use mainstay_testkit::until;

use crate::{markup, serve};

/// Time after which a change must be there.
const SEEN: Duration = Duration::from_secs(2);

const PAGE: &str = "<!doctype html><html lang=en><head><title>t</title><script src=\"/app.js\"></script></head>\
<body><p>one</p></body></html>\n";

#[test]
fn changed_added_and_removed_files_are_seen() {
    let server = serve(&[
        ("index.html", PAGE),
        ("app.js", "1"),
        ("gone.txt", "here"),
        ("docs.html", "flat"),
    ]);
    let before = server.get("/");
    assert!(before.text().contains("<p>one</p>"));
    assert_eq!(server.get("/new.txt").status, 404);
    assert_eq!(server.get("/gone.txt").status, 200);
    assert_eq!(server.get("/docs").text().matches("flat").count(), 1);

    server.site().write("index.html", PAGE.replace("one", "two"));
    until("the changed page", SEEN, || server.get("/").text().contains("<p>two</p>"));
    assert_ne!(server.get("/").header("etag"), before.header("etag"));

    server.site().write("new.txt", "new");
    until("the added file", SEEN, || server.get("/new.txt").body == b"new");

    server.site().remove("gone.txt");
    until("the removed file", SEEN, || server.get("/gone.txt").status == 404);

    server.site().remove("docs.html");
    server.site().write("docs/index.html", "deep");
    until("a page that became a folder", SEEN, || {
        server.get("/docs").header("location") == Some("/docs/")
    });

    server.site().write("404.html", "<p>own 404</p>");
    until("an added 404 page", SEEN, || server.get("/missing").text().contains("own 404"));
}

#[test]
fn a_file_replaced_by_renaming_is_seen_even_with_its_old_date() {
    let server = serve(&[("a.txt", "old")]);
    assert_eq!(server.get("/a.txt").body, b"old");
    let date =
        std::fs::metadata(server.site().path("a.txt")).and_then(|m| m.modified()).expect("a date");
    server.site().write("a.tmp", "new");
    let file =
        std::fs::File::options().write(true).open(server.site().path("a.tmp")).expect("open");
    file.set_modified(date).expect("a date set");
    std::fs::rename(server.site().path("a.tmp"), server.site().path("a.txt")).expect("renamed");
    until("the replaced file", SEEN, || server.get("/a.txt").body == b"new");
}

#[test]
fn a_changed_script_changes_the_page_that_names_it() {
    let server = serve(&[("index.html", PAGE), ("app.js", "document.title='one'")]);
    let integrity = |page: &str| {
        let tag = markup::find_tag(page, "src=\"/app.js\"");
        markup::attribute(tag, "integrity").expect("a hash").to_owned()
    };
    let before = server.get("/");
    let old = integrity(&before.text());
    assert_eq!(old, markup::integrity(&old, b"document.title='one'"));
    assert!(before.header("content-security-policy").is_some_and(|csp| csp.contains(&old)));

    server.site().write("app.js", "document.title='two'");
    until("the page with the new hash", SEEN, || integrity(&server.get("/").text()) != old);
    let after = server.get("/");
    let new = integrity(&after.text());
    assert_eq!(new, markup::integrity(&new, b"document.title='two'"));
    let policy = after.header("content-security-policy").expect("a policy");
    assert!(policy.contains(&new) && !policy.contains(&old), "{policy}");
    assert_ne!(
        after.header("etag"),
        before.header("etag"),
        "a cached page would block the new script"
    );
    until("the new script", SEEN, || server.get("/app.js").text() == "document.title='two'");
}
