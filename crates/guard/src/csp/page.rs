//! The policy of one page of the folder, from what the page contains. The folder is the owner's word: what its HTML and CSS name is allowed for that page, and nothing else.

use std::collections::BTreeSet;

use super::policy::{Builder, Policy};
use super::{Hash, Kind, Source};
use crate::settings::{Allow, Frame, Headers, Preset};

/// Distinct `style=""` values above which the policy allows all of them, because the header would outgrow what clients accept.
pub const STYLE_ATTRIBUTES_MAX: usize = 64;

/// Hashes per directive; what a page has beyond them stays blocked and is a concern ([`list_concerns`]).
pub const HASHES_MAX: usize = 128;

/// What a page contains, as far as a policy cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageFacts {
    /// Inline scripts that browsers execute, import maps and speculation rules included.
    pub inline_scripts: BTreeSet<Hash>,
    /// Integrity of every external script that has one, own or not.
    pub external_scripts: BTreeSet<Hash>,
    /// Inline `<style>` elements.
    pub inline_styles: BTreeSet<Hash>,
    /// Distinct `style=""` values.
    pub style_attributes: BTreeSet<Hash>,
    /// What the page's HTML and its own style sheets name.
    pub sources: BTreeSet<(Kind, Source)>,
    /// Where scripts without integrity come from. `'strict-dynamic'` would block these, so the page cannot have it.
    pub unpinned_scripts: BTreeSet<Source>,
    /// The files its modules import are not all in [`PageFacts::external_scripts`]: `'strict-dynamic'`, which would
    /// block the others, gives way to `'self'`.
    pub open_imports: bool,
}

impl PageFacts {
    /// What is assumed of a page whose bytes could not be read: files of this site, nothing inline.
    #[must_use]
    pub fn unread() -> Self {
        Self { unpinned_scripts: BTreeSet::from([Source::Own]), ..Self::default() }
    }
}

/// The policy of a page of the folder. `settings` are resolved; `https` is [`crate::Facts::https`].
#[must_use]
pub fn static_policy(facts: &PageFacts, settings: &Headers, https: bool) -> Policy {
    let policy = match settings.headers {
        Preset::Default => strict(facts, settings, https),
        Preset::Roadmap => roadmap(facts, settings, https),
    };
    // Over plain http the directive would turn every own file of a LAN address into an https URL nobody answers.
    if https { policy.add("upgrade-insecure-requests", &[]).build() } else { policy.build() }
}

/// The policy of a page that is served as it is because its bytes could not be read: files of this site, nothing inline.
#[must_use]
pub fn untouched_policy(settings: &Headers, https: bool) -> Policy {
    static_policy(&PageFacts::unread(), settings, https)
}

/// What an operator should know about the policy of a page: where it is weaker than it could be, or stricter than the page.
#[must_use]
pub fn list_concerns(facts: &PageFacts, settings: &Headers) -> Vec<String> {
    let mut concerns = Vec::new();
    for source in &facts.unpinned_scripts {
        if let Source::Other(origin) = source {
            concerns.push(format!(
                "a script of {origin} has no integrity attribute: the policy allows the whole host instead of one file"
            ));
        }
    }
    if facts.open_imports && settings.headers == Preset::Default {
        concerns.push(
            "the files that its modules import cannot be listed one by one: the policy allows every script of this site instead".to_owned(),
        );
    }
    for (what, hashes) in [
        ("inline scripts", facts.inline_scripts.len() + facts.external_scripts.len()),
        ("inline styles", facts.inline_styles.len()),
    ] {
        if hashes > HASHES_MAX {
            concerns.push(format!(
                "{hashes} different {what}: a policy holds {HASHES_MAX}, the others stay blocked; move them into files"
            ));
        }
    }
    let framed = facts.sources.contains(&(Kind::Frame, Source::Own));
    if framed && settings.frame == Frame::Deny {
        concerns.push("shows a page of this site in a frame, which `frame = \"deny\"` forbids: set `frame = \"same-origin\"`".to_owned());
    }
    concerns
}

fn strict(facts: &PageFacts, settings: &Headers, https: bool) -> Builder {
    let named = Named { facts, allow: &settings.allow, https };
    let policy = Builder::default()
        .fixed("default-src", "'none'")
        .add("script-src", &scripts(facts, &settings.allow, https))
        .add("style-src", &named.list(Kind::Style, &["'self'"], &facts.inline_styles));
    style_attributes(policy, facts)
        .add("img-src", &named.sources(Kind::Img, &["'self'", "data:"]))
        .add("font-src", &named.sources(Kind::Font, &["'self'"]))
        .add("connect-src", &named.sources(Kind::Connect, &["'self'"]))
        .add("media-src", &named.sources(Kind::Media, &["'self'"]))
        .add("manifest-src", &named.sources(Kind::Manifest, &["'self'"]))
        .fixed("worker-src", "'self'")
        .add("frame-src", &or_none(named.sources(Kind::Frame, &[])))
        .add("form-action", &named.sources(Kind::Form, &["'self'"]))
        .add("base-uri", &or_none(named.sources(Kind::Base, &[])))
        .fixed("object-src", "'none'")
        .fixed("frame-ancestors", frame_ancestors(settings.frame))
}

/// The preset's directives as they are, plus the hashes without which the page's own inline code would not run:
/// the preset never says `'unsafe-inline'`.
fn roadmap(facts: &PageFacts, settings: &Headers, https: bool) -> Builder {
    let none = PageFacts::default();
    let extra = Named { facts: &none, allow: &settings.allow, https };
    let policy = Builder::default()
        .fixed("default-src", "'self'")
        .add("script-src", &extra.list(Kind::Script, &ROADMAP_SCRIPTS, &facts.inline_scripts))
        .add("style-src", &extra.list(Kind::Style, &ROADMAP_STYLES, &facts.inline_styles));
    roadmap_rest(style_attributes(policy, facts), &extra, settings)
}

/// Hosts of scripts and of styles that the preset names.
pub(super) const ROADMAP_SCRIPTS: [&str; 4] =
    ["'self'", "https://cdn.jsdelivr.net", "https://unpkg.com", "https://cdnjs.cloudflare.com"];
pub(super) const ROADMAP_STYLES: [&str; 2] = ["'self'", "https://fonts.googleapis.com"];

/// The preset's directives behind those of scripts and styles.
pub(super) fn roadmap_rest(policy: Builder, extra: &Named<'_>, settings: &Headers) -> Builder {
    policy
        .add("font-src", &extra.sources(Kind::Font, &["'self'", "https://fonts.gstatic.com"]))
        .add("img-src", &extra.sources(Kind::Img, &["'self'", "data:", "https:", "blob:"]))
        .add("connect-src", &extra.sources(Kind::Connect, &["'self'"]))
        .add("media-src", &extra.sources(Kind::Media, &["'self'", "https://stream.mux.com"]))
        .fixed("object-src", "'none'")
        .fixed("base-uri", "'self'")
        .add("form-action", &extra.sources(Kind::Form, &["'self'"]))
        .fixed("frame-ancestors", frame_ancestors(settings.frame))
}

/// `'strict-dynamic'` with hashes: a script runs because its bytes are known, and may load what it needs. The last two
/// sources are for browsers that do not know `'strict-dynamic'` or hashes; the others ignore them (CSP3 section 8.2).
///
/// A foreign script without integrity has no hash to name, so such a page names hosts instead; its own modules then
/// need `'self'` for what they import. So do modules whose imports are too many to list.
fn scripts(facts: &PageFacts, allow: &Allow, https: bool) -> Vec<String> {
    let hashes = facts.inline_scripts.union(&facts.external_scripts).take(HASHES_MAX);
    let hashes = hashes.map(ToString::to_string);
    let wasm = allow.wasm.then(|| "'wasm-unsafe-eval'".to_owned());
    if facts.unpinned_scripts.is_empty() && !facts.open_imports {
        let hashes: Vec<_> = hashes.collect();
        if hashes.is_empty() {
            return vec!["'none'".to_owned()];
        }
        let mut sources = vec!["'strict-dynamic'".to_owned()];
        sources.extend(hashes);
        sources.extend(wasm);
        sources.extend(["'unsafe-inline'".to_owned(), "https:".to_owned()]);
        return sources;
    }
    let mut sources = vec!["'self'".to_owned()];
    sources.extend(hashes);
    sources.extend(wasm);
    let unpinned = facts.unpinned_scripts.iter().map(|source| source.expression(https));
    let allowed = allow.sources(Kind::Script).map(|source| source.expression(https));
    extend_distinct(&mut sources, unpinned.chain(allowed));
    sources
}

/// The values of `style=""` that the page has. Hashes of attributes count only beside `'unsafe-hashes'` (CSP3 section 8.3).
fn style_attributes(policy: Builder, facts: &PageFacts) -> Builder {
    match facts.style_attributes.len() {
        0 => policy,
        1..=STYLE_ATTRIBUTES_MAX => {
            let mut sources = vec!["'unsafe-hashes'".to_owned()];
            sources.extend(facts.style_attributes.iter().map(ToString::to_string));
            policy.add("style-src-attr", &sources)
        }
        _ => policy.fixed("style-src-attr", "'unsafe-inline'"),
    }
}

/// The value of `frame-ancestors`.
pub(super) fn frame_ancestors(frame: Frame) -> &'static str {
    match frame {
        Frame::Deny => "'none'",
        Frame::SameOrigin => "'self'",
    }
}

pub(super) fn or_none(sources: Vec<String>) -> Vec<String> {
    if sources.is_empty() { vec!["'none'".to_owned()] } else { sources }
}

/// A directive with a source twice is legal; one without is shorter.
fn extend_distinct(sources: &mut Vec<String>, more: impl Iterator<Item = String>) {
    for source in more {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
}

/// What the page and the operator name, per kind.
pub(super) struct Named<'a> {
    pub(super) facts: &'a PageFacts,
    pub(super) allow: &'a Allow,
    pub(super) https: bool,
}

impl Named<'_> {
    pub(super) fn sources(&self, kind: Kind, always: &[&str]) -> Vec<String> {
        self.list(kind, always, &BTreeSet::new())
    }

    pub(super) fn list(&self, kind: Kind, always: &[&str], hashes: &BTreeSet<Hash>) -> Vec<String> {
        let mut sources: Vec<String> = always.iter().map(|&source| source.to_owned()).collect();
        sources.extend(hashes.iter().take(HASHES_MAX).map(ToString::to_string));
        let page = self.page(kind).map(|source| source.expression(self.https));
        let implied =
            self.page(Kind::Style).flat_map(|sheet| implied(kind, sheet.expression(self.https)));
        let allowed = self.allow.sources(kind).map(|source| source.expression(self.https));
        extend_distinct(&mut sources, page.chain(implied).chain(allowed));
        sources
    }

    fn page(&self, kind: Kind) -> impl Iterator<Item = &Source> {
        self.facts.sources.iter().filter(move |(of, _)| *of == kind).map(|(_, source)| source)
    }
}

/// What a style sheet of another origin is known to need, though the page does not name it: its own fonts and images,
/// and the second host of Google Fonts.
fn implied(kind: Kind, sheet: String) -> Vec<String> {
    match kind {
        Kind::Font if sheet == "https://fonts.googleapis.com" => {
            vec!["https://fonts.gstatic.com".to_owned()]
        }
        Kind::Font | Kind::Img => vec![sheet],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
