//! Scripts: inline ones are hashed, own files get their integrity, foreign ones keep theirs. A script nobody vouches for is never blessed.

use mainstay_guard::csp::{Hash, Source, Target};

use super::found::World;
use super::node::Node;
use super::scan::{Place, Scan, Text};

/// What `type` and `language` say a script is (HTML section 4.12.1, "prepare the script element").
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A classic script: runs, inline or from a file. It may import modules once it runs.
    Classic,
    /// A module: runs, inline or from a file.
    Module,
    /// An import map: read like a script, but inline only.
    ImportMap,
    /// Speculation rules: read like a script, but inline only.
    SpeculationRules,
    /// A data block: nothing to the browser.
    Data,
}

impl Kind {
    fn of(node: &Node) -> Self {
        let kind = match (node.get("type"), node.get_filled("language")) {
            (None, None) | (Some(""), _) => return Self::Classic,
            (None, Some(language)) => format!("text/{language}"),
            (Some(kind), _) => kind.to_owned(),
        };
        match kind.trim_ascii().to_ascii_lowercase().as_str() {
            "importmap" => Self::ImportMap,
            "speculationrules" => Self::SpeculationRules,
            "module" => Self::Module,
            essence if JAVASCRIPT.contains(&essence) => Self::Classic,
            _ => Self::Data,
        }
    }
}

/// JavaScript MIME type essences (MIME Sniffing section 4.6).
const JAVASCRIPT: &[&str] = &[
    "application/ecmascript",
    "application/javascript",
    "application/x-ecmascript",
    "application/x-javascript",
    "text/ecmascript",
    "text/javascript",
    "text/javascript1.0",
    "text/javascript1.1",
    "text/javascript1.2",
    "text/javascript1.3",
    "text/javascript1.4",
    "text/javascript1.5",
    "text/jscript",
    "text/livescript",
    "text/x-ecmascript",
    "text/x-javascript",
];

impl Scan<'_, '_> {
    /// `<script>`. One inside `<noscript>` never runs.
    pub(super) fn visit_script(&mut self, node: &Node) {
        let kind = Kind::of(node);
        if kind == Kind::Data || self.piece.place == Place::Noscript {
            return;
        }
        if node.foreign && node.svg_href().is_some() {
            self.report_script(
                node,
                "an SVG script with href stays blocked: use an HTML <script src>",
            );
            return;
        }
        let document = self.piece.place == Place::Document;
        self.found.has_module |= document && kind == Kind::Module;
        match (node.foreign, node.get("src"), kind) {
            (false, Some(src), Kind::Classic | Kind::Module) => self.visit_external(node, src),
            (false, Some(_), _) => {}
            (_, _, Kind::ImportMap) => self.open_text(Text::ImportMap, node),
            (_, _, Kind::SpeculationRules) => self.open_text(Text::SpeculationRules, node),
            _ => self.open_text(Text::Script, node),
        }
    }

    fn visit_external(&mut self, node: &Node, src: &str) {
        match self.base.target(src) {
            Target::Own(path) if is_tag(self.world, &path) => self.visit_tag(node, &path),
            Target::Own(path) => {
                let pinned = self.pin(node, &path);
                self.note_own_script(node, &path, pinned);
                self.add_root(src);
            }
            Target::Other(origin) => self.visit_foreign(node, Source::Other(origin)),
            Target::Data | Target::Blob => {
                self.report_script(
                    node,
                    "a script from a data: or blob: URL stays blocked: put it into a file",
                );
            }
            Target::Javascript | Target::Nothing => {}
        }
    }

    /// Our own script, referenced by the document itself: nothing is inserted, but it must be allowed to run.
    fn visit_tag(&mut self, node: &Node, path: &str) {
        self.found.has_tag = true;
        let Some(integrity) = find_edition(self.world, path).cloned() else { return };
        let pinned = self.pin_to(node, integrity);
        self.note_own_script(node, path, pinned);
    }

    fn note_own_script(&mut self, node: &Node, path: &str, pinned: Vec<Hash>) {
        if pinned.is_empty() {
            self.report_script(
                node,
                &format!("{path} is no file of this site: the script stays blocked"),
            );
        }
        self.found.facts.external_scripts.extend(pinned);
    }

    /// A foreign script with integrity is known by its bytes. One without may change any day: its host is allowed,
    /// and `'strict-dynamic'`, which would block it, is given up for this page.
    fn visit_foreign(&mut self, node: &Node, source: Source) {
        let hashes = Hash::parse_integrity(node.get("integrity").unwrap_or_default());
        if hashes.is_empty() {
            self.found.facts.unpinned_scripts.insert(source);
            return;
        }
        if node.get("crossorigin").is_none() {
            self.report_script(
                node,
                "a script of another origin with integrity needs crossorigin=anonymous, or browsers refuse it",
            );
        }
        self.found.facts.external_scripts.extend(hashes);
    }

    /// The hashes by which browsers will know the own file at `path`: those the element has, else ours, which are
    /// added to it. Empty when there is no such file, or when nothing may be inserted here.
    pub(super) fn pin(&mut self, node: &Node, path: &str) -> Vec<Hash> {
        let Some(integrity) = self.world.find(path).map(|own| own.integrity.clone()) else {
            return Hash::parse_integrity(node.get("integrity").unwrap_or_default());
        };
        self.found.depends_on.insert(path.to_owned());
        self.pin_to(node, integrity)
    }

    fn pin_to(&mut self, node: &Node, integrity: Hash) -> Vec<Hash> {
        let own = Hash::parse_integrity(node.get("integrity").unwrap_or_default());
        if !own.is_empty() {
            if is_stale(&own, &integrity) {
                self.report_script(
                    node,
                    "its integrity is that of other bytes than the file's: browsers refuse it",
                );
            }
            return own;
        }
        if self.piece.place == Place::Srcdoc {
            return Vec::new();
        }
        let at = self.offset(node.attributes_start());
        self.found.insert(at, format!(" integrity=\"{}\"", integrity.as_str()));
        vec![integrity]
    }

    fn report_script(&mut self, node: &Node, what: &str) {
        let what = format!("<{}>: {what}", node.name);
        self.found.report(self.offset(node.span.start), what);
    }
}

pub(super) fn is_tag(world: &World<'_>, path: &str) -> bool {
    find_edition(world, path).is_some()
}

/// The integrity of our script's edition at this path.
fn find_edition<'w>(world: &World<'w>, path: &str) -> Option<&'w Hash> {
    let tag = world.tag?;
    tag.known.iter().find(|(known, _)| known == path).map(|(_, integrity)| integrity)
}

/// Only digests of one algorithm can be compared. Browsers heed the strongest algorithm named (SRI section 3.3.4):
/// with a SHA-512 beside it, ours says nothing.
fn is_stale(own: &[Hash], file: &Hash) -> bool {
    let of = |algorithm: &'static str| {
        own.iter().filter(move |hash| hash.as_str().starts_with(algorithm))
    };
    of("sha512").next().is_none()
        && of("sha384").next().is_some()
        && of("sha384").all(|hash| hash != file)
}
