//! The public name with several sites: its files are those of the site that answers for it, on every site's pages.

use mainstay_testkit::{Request, Site};

use crate::launch;

const PAGE: &str = "<!doctype html><html lang=en><head><title>x</title>\
    <link rel=stylesheet href=https://shop.example/x.css crossorigin>\
    <script src=https://shop.example/only-there.js></script></head><body>x</body></html>";

#[test]
fn references_to_it_are_foreign_on_the_pages_of_other_sites() {
    let shop = Site::of(&[("index.html", PAGE), ("x.css", "p{color:red}"), ("only-there.js", "1")]);
    let blog = Site::of(&[("index.html", PAGE), ("x.css", "p{color:blue}")]);
    let config = format!(
        "public_url = \"https://shop.example\"\n\
         [[site]]\nname = \"shop\"\nhosts = [\"shop.example\"]\ndir = \"{}\"\n\
         [[site]]\nname = \"blog\"\nhosts = [\"blog.example\"]\ndir = \"{}\"\n",
        shop.dir().display(),
        blog.dir().display(),
    );
    let server = launch().sites_in_settings().config(&config).start();
    let ask = |host| server.send(&Request::get("/").header("host", host));

    let own = ask("shop.example");
    assert!(own.text().matches("integrity=").count() >= 2, "{}", own.text());

    let foreign = ask("blog.example");
    let link = foreign.text();
    let link =
        link.split("x.css").nth(1).and_then(|rest| rest.split('>').next()).expect("the link");
    assert!(!link.contains("integrity"), "another site's file has its own bytes: {link}");
    let policy = foreign.header("content-security-policy").expect("a policy");
    assert!(policy.contains("https://shop.example"), "{policy}");
}
