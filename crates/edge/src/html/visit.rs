//! What each start tag means to the policy: where it fetches from, and what of it the policy will not allow.

use mainstay_guard::csp::css::read_style_sheet;
use mainstay_guard::csp::{Hash, Kind, Target};

use super::node::Node;
use super::scan::{Place, Scan, Text};
use super::srcset;

/// Attributes that hold one URL: element, attribute, what it is fetched for.
const FETCHES: &[(&str, &str, Kind)] = &[
    ("img", "src", Kind::Img),
    ("input", "src", Kind::Img),
    ("video", "poster", Kind::Img),
    ("body", "background", Kind::Img),
    ("table", "background", Kind::Img),
    ("thead", "background", Kind::Img),
    ("tbody", "background", Kind::Img),
    ("tfoot", "background", Kind::Img),
    ("tr", "background", Kind::Img),
    ("td", "background", Kind::Img),
    ("th", "background", Kind::Img),
    ("video", "src", Kind::Media),
    ("audio", "src", Kind::Media),
    ("source", "src", Kind::Media),
    ("track", "src", Kind::Media),
    ("iframe", "src", Kind::Frame),
    ("frame", "src", Kind::Frame),
    ("form", "action", Kind::Form),
    ("button", "formaction", Kind::Form),
    ("input", "formaction", Kind::Form),
    ("a", "ping", Kind::Connect),
    ("area", "ping", Kind::Connect),
];

/// SVG elements whose `href` is fetched; the parser gives their names in lower case.
const SVG_IMAGES: &[&str] = &["image", "feimage", "use"];

impl Scan<'_, '_> {
    /// A start tag.
    pub(super) fn visit(&mut self, node: &Node) {
        self.close_text();
        if self.piece.place == Place::Document {
            self.found.spot.look_at(&node.name, node.span.start, node.span.end);
        }
        self.visit_inline_code(node);
        self.visit_fetches(node);
        match node.name.as_str() {
            "base" if !node.foreign => self.visit_base(node),
            "script" => self.visit_script(node),
            "style" => self.visit_style(node),
            "noscript" if self.piece.place != Place::Noscript => {
                self.open_text(Text::Noscript, node);
            }
            "link" if !node.foreign => self.visit_link(node),
            "embed" | "object" => self.visit_plugin(node),
            "iframe" => {
                if let Some(html) = node.get("srcdoc") {
                    self.open_srcdoc(html, node);
                }
            }
            _ => {}
        }
    }

    /// The first base that has an address counts (HTML section 4.2.3).
    fn visit_base(&mut self, node: &Node) {
        let Some(href) = node.get("href").filter(|_| !self.has_base) else { return };
        self.has_base = true;
        let target = self.base.target(href);
        self.found.name(Kind::Base, &target);
        self.base = self.base.joined(href);
    }

    fn visit_style(&mut self, node: &Node) {
        let kind = node.get("type").unwrap_or_default();
        if kind.is_empty() || kind.eq_ignore_ascii_case("text/css") {
            self.open_text(Text::Style, node);
        }
    }

    fn visit_inline_code(&mut self, node: &Node) {
        if let Some(style) = node.get("style") {
            self.found.facts.style_attributes.insert(Hash::of_text(style));
            let offset = self.offset(node.span.start);
            self.found.name_sheet(&read_style_sheet(style, &self.base), self.world, offset);
        }
        for handler in node.attribute_names().filter(|name| is_handler(name)) {
            self.found.report(
                self.offset(node.span.start),
                format!(
                    "{handler}= on <{}> stays blocked: use addEventListener in a script",
                    node.name
                ),
            );
        }
        for name in ["href", "xlink:href", "src", "action", "formaction", "data"] {
            let target = node.get_filled(name).map(|value| self.base.target(value));
            if target == Some(Target::Javascript) {
                self.found.report(
                    self.offset(node.span.start),
                    format!("the javascript: URL in {name}= of <{}> stays blocked: use a button and a script", node.name),
                );
            }
        }
    }

    fn visit_fetches(&mut self, node: &Node) {
        for (_, attribute, kind) in FETCHES.iter().filter(|(name, _, _)| *name == node.name) {
            for url in
                node.get_filled(attribute).into_iter().flat_map(|value| urls_of(*kind, value))
            {
                self.found.name(*kind, &self.base.target(url));
            }
        }
        if matches!(node.name.as_str(), "img" | "source")
            && let Some(value) = node.get("srcset")
        {
            self.name_srcset(value);
        }
        if node.foreign
            && SVG_IMAGES.contains(&node.name.as_str())
            && let Some(href) = node.svg_href()
        {
            self.found.name(Kind::Img, &self.base.target(href));
        }
    }

    pub(super) fn name_srcset(&mut self, value: &str) {
        for url in srcset::list_urls(value) {
            self.found.name(Kind::Img, &self.base.target(url));
        }
    }

    fn visit_plugin(&mut self, node: &Node) {
        let address = node.get_filled(if node.name == "embed" { "src" } else { "data" });
        if address.is_some() {
            self.found.report(
                self.offset(node.span.start),
                format!(
                    "<{}> stays blocked (object-src 'none'): use <img>, <video> or <iframe>",
                    node.name
                ),
            );
        }
    }
}

/// `ping` is a list of URLs, everything else is one.
fn urls_of(kind: Kind, value: &str) -> impl Iterator<Item = &str> {
    let list = kind == Kind::Connect;
    value.split(move |c: char| list && c.is_ascii_whitespace()).filter(|url| !url.is_empty())
}

/// Whether an attribute is an event handler: `on` and a known event.
fn is_handler(name: &str) -> bool {
    name.strip_prefix("on").is_some_and(|event| EVENTS.split(' ').any(|known| known == event))
}

/// Events with a handler attribute (HTML section 8.1.8.2, Pointer, Touch, Clipboard, Animation, Transition events and SVG).
const EVENTS: &str = "abort afterprint animationcancel animationend animationiteration animationstart auxclick \
    beforeinput beforematch beforeprint beforetoggle beforeunload begin blur cancel canplay \
    canplaythrough change click close command contentvisibilityautostatechange contextlost \
    contextmenu contextrestored copy cuechange cut dblclick drag dragend dragenter dragleave \
    dragover dragstart drop durationchange emptied end ended error focus focusin focusout \
    formdata fullscreenchange fullscreenerror gotpointercapture hashchange input invalid \
    keydown keypress keyup languagechange load loadeddata loadedmetadata loadstart \
    lostpointercapture message messageerror mousedown mouseenter mouseleave mousemove \
    mouseout mouseover mouseup mousewheel offline online pagehide pagereveal pageshow \
    pageswap paste pause play playing pointercancel pointerdown pointerenter pointerleave \
    pointermove pointerout pointerover pointerrawupdate pointerup popstate progress \
    ratechange rejectionhandled repeat reset resize scroll scrollend scrollsnapchange \
    scrollsnapchanging search securitypolicyviolation seeked seeking select selectionchange \
    selectstart slotchange stalled storage submit suspend timeupdate toggle touchcancel \
    touchend touchmove touchstart transitioncancel transitionend transitionrun \
    transitionstart unhandledrejection unload volumechange waiting webkitanimationend \
    webkitanimationiteration webkitanimationstart webkittransitionend wheel";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_told_from_other_attributes() {
        for name in
            ["onclick", "onload", "onwheel", "onabort", "onsubmit", "oncommand", "onpagereveal"]
        {
            assert!(is_handler(name), "{name}");
        }
        for name in ["on", "once", "online", "only", "click", "onfoo"] {
            assert!(!is_handler(name), "{name}");
        }
    }
}
