//! What a page's markup loads and says about itself. Runs nothing, follows nothing.

use std::cell::RefCell;

use lol_html::html_content::Element;
use lol_html::{HtmlRewriter, Settings, element};

/// Kinds of markup.
const HTML: [&str; 2] = ["text/html", "application/xhtml+xml"];
/// Things of one kind that are remembered of a page.
const KEPT_MAX: usize = 2_000;

/// Policies that are remembered of a page, and bytes of all of them: as much as a header could say.
const POLICIES_MAX: usize = 16;
const POLICY_BYTES_MAX: usize = 64 << 10;

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Every script, inline ones included.
    pub scripts: Vec<Script>,
    /// Policies of `<meta http-equiv=Content-Security-Policy>`.
    pub policies: Vec<String>,
    /// What the last `<meta name=referrer>` says.
    pub referrer: Option<String>,
    /// What a browser loads by itself: scripts, style sheets, frames, images, media, icons.
    pub loaded: Vec<Loaded>,
    /// Where links lead.
    pub links: Vec<String>,
    /// Where forms are sent.
    pub forms: Vec<String>,
    /// `<meta name=generator>`: which software made it.
    pub generator: Option<String>,
    /// Whether it has a field for a password.
    pub has_password: bool,
}

/// A script element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// As it is written.
    pub src: Option<String>,
    /// As it is written.
    pub integrity: Option<String>,
}

/// Something that a page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Which element.
    pub by: &'static str,
    /// As it is written.
    pub url: String,
    /// Whether it can change the page: scripts, frames, styles.
    pub is_active: bool,
    /// As it is written.
    pub integrity: Option<String>,
}

/// Whether a `Content-Type` is one of markup, as the Observatory tells it.
#[must_use]
pub fn is_html(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default();
    HTML.contains(&kind)
}

impl Page {
    /// Reads markup as far as it can be read.
    #[must_use]
    pub fn read(markup: &[u8]) -> Self {
        let page = RefCell::new(Self::default());
        let all = element!("*", |element| {
            page.borrow_mut().see(element);
            Ok(())
        });
        let settings = Settings::new().append_element_content_handler(all).with_strict(false);
        let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
        if rewriter.write(markup).is_ok() {
            // What was seen before a fault counts.
            drop(rewriter.end());
        } else {
            drop(rewriter);
        }
        page.into_inner()
    }

    fn see(&mut self, element: &Element<'_, '_>) {
        let get = |name: &str| element.get_attribute(name).map(|text| decode(&text));
        match element.tag_name().as_str() {
            "script" => {
                let (src, integrity) = (get("src"), get("integrity"));
                if let Some(url) = src.clone() {
                    self.load("script", url, true, integrity.clone());
                }
                push(&mut self.scripts, Script { src, integrity });
            }
            "meta" => self.see_meta(&get),
            "link" => self.see_link(&get),
            "a" | "area" => self.links.extend(get("href").filter(|_| self.links.len() < KEPT_MAX)),
            "form" => {
                if let Some(action) = get("action") {
                    push(&mut self.forms, action);
                }
            }
            "input" => {
                self.has_password |=
                    get("type").is_some_and(|t| t.eq_ignore_ascii_case("password"));
            }
            tag => {
                let source = match tag {
                    "iframe" | "frame" | "embed" => Some((get("src"), true)),
                    "object" => Some((get("data"), true)),
                    "img" | "audio" | "video" | "source" | "track" => Some((get("src"), false)),
                    _ => None,
                };
                if let Some((Some(url), is_active)) = source {
                    let by = if is_active { "frame" } else { "image or media" };
                    self.load(by, url, is_active, None);
                }
            }
        }
    }

    fn see_meta(&mut self, get: &dyn Fn(&str) -> Option<String>) {
        let content = get("content").filter(|content| !content.is_empty());
        let lower = |name: &str| get(name).map(|text| text.trim().to_lowercase());
        if let (Some(http_equiv), Some(_)) = (lower("http-equiv"), get("content")) {
            if http_equiv == "content-security-policy" {
                self.policies.extend(content.filter(|policy| self.has_room(policy)));
            }
            return;
        }
        match lower("name").as_deref() {
            Some("referrer") => self.referrer = content.or(self.referrer.take()),
            Some("generator") => self.generator = content.or(self.generator.take()),
            _ => {}
        }
    }

    fn has_room(&self, policy: &str) -> bool {
        let bytes: usize = self.policies.iter().map(String::len).sum();
        self.policies.len() < POLICIES_MAX && bytes + policy.len() <= POLICY_BYTES_MAX
    }

    fn see_link(&mut self, get: &dyn Fn(&str) -> Option<String>) {
        let rel = get("rel").unwrap_or_default().to_lowercase();
        let Some(href) = get("href") else { return };
        let mut rels = rel.split_ascii_whitespace();
        if rels.clone().any(|rel| rel == "stylesheet") {
            self.load("style sheet", href, true, get("integrity"));
        } else if rels.any(|rel| matches!(rel, "icon" | "manifest" | "preload")) {
            self.load("link", href, false, get("integrity"));
        }
    }

    fn load(&mut self, by: &'static str, url: String, is_active: bool, integrity: Option<String>) {
        push(&mut self.loaded, Loaded { by, url, is_active, integrity });
    }
}

fn push<T>(list: &mut Vec<T>, thing: T) {
    if list.len() < KEPT_MAX {
        list.push(thing);
    }
}

/// The references that URLs and policies in attributes are written with.
fn decode(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let known = [("&#39;", "'"), ("&#x27;", "'"), ("&quot;", "\""), ("&lt;", "<"), ("&gt;", ">")];
    let text = known.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_policies_in_markup_so_many_are_remembered_as_a_header_could_say() {
        let meta = |policy: &str| {
            format!("<meta http-equiv=content-security-policy content=\"{policy}\">")
        };
        let page = Page::read(meta("img-src 'self'").repeat(1_000).as_bytes());
        assert_eq!(page.policies.len(), POLICIES_MAX);
        let long = format!("img-src {}", "a.example ".repeat(1_000));
        let page = Page::read(meta(&long).repeat(10).as_bytes());
        assert_eq!(page.policies.len(), POLICY_BYTES_MAX / long.len());
    }
}
