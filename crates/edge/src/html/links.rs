//! `<link>`: style sheets, preloads, icons, manifests, connections opened ahead.

use mainstay_guard::csp::{Kind, Target};

use super::node::Node;
use super::scan::{Place, Scan};
use super::scripts::is_tag;

impl Scan<'_, '_> {
    /// `<link rel=… href=…>`.
    pub(super) fn visit_link(&mut self, node: &Node) {
        let rel = node.get("rel").unwrap_or_default().to_ascii_lowercase();
        let has = |name: &str| rel.split_ascii_whitespace().any(|token| token == name);
        if has("preload")
            && let Some(value) = node.get("imagesrcset")
        {
            self.name_srcset(value);
        }
        let Some(href) = node.get_filled("href") else { return };
        let target = self.base.target(href);
        if has("stylesheet") {
            self.visit_style_sheet(node, &target);
        } else if has("modulepreload") {
            self.found.has_module |= self.piece.place == Place::Document;
            self.pin_target(node, &target);
            self.add_root(href);
        } else if has("preload") {
            self.visit_preload(node, &target);
        }
        if ["icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon"]
            .into_iter()
            .any(has)
        {
            self.found.name(Kind::Img, &target);
        }
        if has("manifest") {
            self.found.name(Kind::Manifest, &target);
        }
        // With `crossorigin` the connection is for fonts or fetches; without, for what the page names elsewhere.
        if has("preconnect") && node.get("crossorigin").is_some() {
            self.found.name(Kind::Font, &target);
            self.found.name(Kind::Connect, &target);
        }
    }

    fn visit_style_sheet(&mut self, node: &Node, target: &Target) {
        self.found.name(Kind::Style, target);
        self.pin_target(node, target);
        if let Target::Own(path) = target {
            let sheet = self.world.find(path).and_then(|own| own.style_sheet.clone());
            if let Some(sheet) = sheet {
                let offset = self.offset(node.span.start);
                self.found.name_sheet(&sheet, self.world, offset);
            }
        }
    }

    /// A preload is used for a later element only when both have the same integrity (Fetch, "consume a preloaded resource").
    fn visit_preload(&mut self, node: &Node, target: &Target) {
        let kind = match node.get("as").unwrap_or_default().to_ascii_lowercase().as_str() {
            "script" => return self.pin_target(node, target),
            "style" => {
                self.pin_target(node, target);
                Kind::Style
            }
            "image" => Kind::Img,
            "font" => Kind::Font,
            "audio" | "video" | "track" => Kind::Media,
            "fetch" => Kind::Connect,
            _ => return,
        };
        self.found.name(kind, target);
    }

    fn pin_target(&mut self, node: &Node, target: &Target) {
        let Target::Own(path) = target else { return };
        self.pin(node, path);
        if self.world.find(path).is_none() && !is_tag(self.world, path) {
            let what = format!("<link>: {path} is no file of this site");
            self.found.report(self.offset(node.span.start), what);
        }
    }
}
