//! References of a document that depend on the address it is read at. Only the page for missing addresses, which answers at every depth, is asked for them.

use std::cell::RefCell;

use lol_html::{HtmlRewriter, Settings, element};
use mainstay_guard::csp::{Base, Target};

use super::found::with_lines;
use super::node::Node;
use super::{Error, Problem, charset, srcset};

/// Attributes that hold one address.
const ADDRESSES: &[&str] =
    &["href", "src", "action", "formaction", "poster", "data", "background", "xlink:href"];
/// Attributes that hold a list of addresses with sizes.
const SETS: &[&str] = &["srcset", "imagesrcset"];

/// A depth at which relative references lead elsewhere than at the root.
const DEEP: &str = "/a/b/404.html";

/// Lists the references of `html` that lead to another file when the page is shown for `/a/b/c` instead of `/c`.
///
/// # Errors
/// [`Error`] as of [`super::rewrite`]; a document in an encoding that is not read has none.
pub fn list_relative(html: &[u8]) -> Result<Vec<Problem>, Error> {
    let path = || Error::Path(DEEP.to_owned());
    let near = Base::new("/404.html", &[]).ok_or_else(path)?;
    let deep = Base::new(DEEP, &[]).ok_or_else(path)?;
    let encoding = charset::find_encoding(html);
    let Some(encoding) = lol_html::AsciiCompatibleEncoding::new(encoding) else {
        return Ok(Vec::new());
    };
    let search = RefCell::new(Search { near, deep, has_base: false, found: Vec::new() });
    let tags = element!("*", |element| {
        search.borrow_mut().visit(&Node::of(element));
        Ok(())
    });
    let settings = Settings::new()
        .append_element_content_handler(tags)
        .with_encoding(encoding)
        .with_strict(false);
    let mut reader = HtmlRewriter::new(settings, |_: &[u8]| {});
    reader.write(html)?;
    reader.end()?;
    Ok(with_lines(html, search.into_inner().found))
}

struct Search {
    near: Base,
    deep: Base,
    has_base: bool,
    found: Vec<(usize, String)>,
}

impl Search {
    fn visit(&mut self, node: &Node) {
        if node.name == "base" {
            return self.move_base(node);
        }
        for name in ADDRESSES {
            if let Some(address) = node.get_filled(name) {
                self.judge(node, name, address);
            }
        }
        for name in SETS {
            for address in node.get(name).into_iter().flat_map(srcset::list_urls) {
                self.judge(node, name, address);
            }
        }
    }

    fn move_base(&mut self, node: &Node) {
        let Some(href) = node.get("href").filter(|_| !self.has_base) else { return };
        self.has_base = true;
        self.near = self.near.joined(href);
        self.deep = self.deep.joined(href);
    }

    /// A bare fragment or query means the page at hand, wherever it is.
    fn judge(&mut self, node: &Node, name: &str, address: &str) {
        let near = self.near.target(address);
        if address.starts_with(['#', '?']) || near == self.deep.target(address) {
            return;
        }
        if let (Target::Own(_), Some(absolute)) = (near, self.near.address(address)) {
            let what = format!(
                "{name}=\"{address}\" of <{}> is relative, and this page is shown at any depth: write \"{absolute}\"",
                node.name
            );
            self.found.push((node.span.start, what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(html: &str) -> Vec<(usize, String)> {
        let found = list_relative(html.as_bytes()).unwrap().into_iter();
        found.map(|one| (one.line, one.what.rsplit("write ").next().unwrap().to_owned())).collect()
    }

    #[test]
    fn relative_references_are_found_with_what_to_write() {
        let html = "<!doctype html>\n<link rel=stylesheet href=css/x.css?v=1>\n<a href=about>a</a>\n\
            <img src=./i.png srcset='a.png 1x, /b.png 2x'>\n<form action=../send></form>";
        let expected = [
            (2, "\"/css/x.css?v=1\""),
            (3, "\"/about\""),
            (4, "\"/i.png\""),
            (4, "\"/a.png\""),
            (5, "\"/send\""),
        ];
        assert_eq!(seen(html), expected.map(|(line, what)| (line, what.to_owned())));
    }

    #[test]
    fn references_that_lead_to_the_same_place_everywhere_are_fine() {
        for html in [
            "<a href=/about><a href='#top'><a href='?q=1'><a href=''><a href>",
            "<a href=https://x.example/y><a href=//x.example><a href=mailto:a@x.example>",
            "<img src=data:image/png;base64,AA><a href=javascript:x()>",
            "<base href=/><a href=about><img src=i.png>",
            "<!-- <a href=about> --><p title=about>",
        ] {
            assert_eq!(seen(html), [], "{html}");
        }
        assert_eq!(seen("<base href=sub/><a href=about>").len(), 1);
    }
}
