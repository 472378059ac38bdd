//! Policies around an app behind us: what the app is told about the nonce, and what browsers are told about its answers. A nonce or a hash never comes from an answer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use mainstay_base::Entropy;
use mainstay_base::entropy::Exhausted;

use super::page::{
    HASHES_MAX, Named, PageFacts, ROADMAP_SCRIPTS, ROADMAP_STYLES, frame_ancestors, or_none,
    roadmap_rest,
};
use super::policy::{Builder, Mode, Policy};
use super::{Kind, Source};
use crate::settings::{Csp, Environment, Headers, Preset};

/// A number used once: 144 random bits in base64, of which frameworks read only letters, digits and `+/`.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// A fresh one.
    ///
    /// # Errors
    /// [`Exhausted`] when the operating system gives no random bytes.
    pub fn draw(entropy: &Entropy) -> Result<Self, Exhausted> {
        Ok(Self::of(entropy.bytes()?))
    }

    /// From bytes that nobody can guess and that are used for nothing else.
    #[must_use]
    pub fn of(random: [u8; 18]) -> Self {
        Self(STANDARD.encode(random).into())
    }

    /// The value of a `nonce` attribute.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn source(&self) -> String {
        format!("'nonce-{}'", self.0)
    }
}

/// A nonce that got into a log would outlive its page.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// `Content-Security-Policy` of a request: frameworks that know it (Next.js) put the nonce on every script they write.
#[must_use]
pub fn request_policy(nonce: &Nonce) -> HeaderValue {
    let text = format!("script-src 'nonce-{}' 'strict-dynamic'", nonce.as_str());
    // The alphabet of base64 is that of a header.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("script-src 'none'"))
}

/// What a document of the app may run.
#[derive(Clone, Copy, Debug)]
pub struct Trusted<'a> {
    /// The nonce that the app was told; `None` where its page was made before the request.
    pub nonce: Option<&'a Nonce>,
    /// What the app's build output is known to contain for this page.
    pub known: &'a PageFacts,
}

/// The policy of a document of the app. `settings` are resolved; `https` is [`crate::Facts::https`].
///
/// Pages of an app change their content and move to other pages without a new document, so only what can run code is
/// held tight. The one inline allowance is `style=""`, which components write and nobody can list.
#[must_use]
pub fn document_policy(trusted: Trusted<'_>, settings: &Headers, https: bool) -> Policy {
    let policy = match settings.headers {
        Preset::Default => strict(trusted, settings, https),
        Preset::Roadmap => roadmap(trusted, settings, https),
    };
    if https { policy.add("upgrade-insecure-requests", &[]).build() } else { policy.build() }
}

fn strict(trusted: Trusted<'_>, settings: &Headers, https: bool) -> Builder {
    let named = Named { facts: trusted.known, allow: &settings.allow, https };
    let passive = ["'self'", "data:", "blob:", "https:"];
    Builder::default()
        .fixed("default-src", "'none'")
        .add("script-src", &scripts(trusted, settings))
        .add("style-src", &styles(trusted, &named, &["'self'"]))
        .fixed("style-src-attr", "'unsafe-inline'")
        .add("img-src", &named.sources(Kind::Img, &passive))
        .add("font-src", &named.sources(Kind::Font, &["'self'", "data:", "https:"]))
        .add("connect-src", &named.sources(Kind::Connect, &["'self'"]))
        .add("media-src", &named.sources(Kind::Media, &passive))
        .add("manifest-src", &named.sources(Kind::Manifest, &["'self'"]))
        .fixed("worker-src", "'self' blob:")
        .add("frame-src", &named.sources(Kind::Frame, &["'self'"]))
        .add("form-action", &named.sources(Kind::Form, &["'self'"]))
        .add("base-uri", &or_none(named.sources(Kind::Base, &[])))
        .fixed("object-src", "'none'")
        .fixed("frame-ancestors", frame_ancestors(settings.frame))
}

/// The preset's directives as they are, plus the nonce and the hashes without which the app's own code would not run.
fn roadmap(trusted: Trusted<'_>, settings: &Headers, https: bool) -> Builder {
    let none = PageFacts::default();
    let extra = Named { facts: &none, allow: &settings.allow, https };
    let mut scripts = extra.list(Kind::Script, &ROADMAP_SCRIPTS, &trusted.known.inline_scripts);
    scripts.extend(trusted.nonce.map(Nonce::source));
    scripts.extend(settings.allow.wasm.then(|| "'wasm-unsafe-eval'".to_owned()));
    let policy = Builder::default()
        .fixed("default-src", "'self'")
        .add("script-src", &scripts)
        .add("style-src", &styles(trusted, &extra, &ROADMAP_STYLES))
        .fixed("style-src-attr", "'unsafe-inline'");
    roadmap_rest(policy, &extra, settings)
}

/// As for pages of a folder: the last two sources are for browsers that know neither nonces nor `'strict-dynamic'`.
fn scripts(trusted: Trusted<'_>, settings: &Headers) -> Vec<String> {
    let known = trusted.known;
    let hashes = known.inline_scripts.union(&known.external_scripts).take(HASHES_MAX);
    let by: Vec<String> = trusted
        .nonce
        .map(Nonce::source)
        .into_iter()
        .chain(hashes.map(ToString::to_string))
        .collect();
    if by.is_empty() {
        return vec!["'none'".to_owned()];
    }
    let mut sources = vec!["'strict-dynamic'".to_owned()];
    sources.extend(by);
    sources.extend(settings.allow.wasm.then(|| "'wasm-unsafe-eval'".to_owned()));
    sources.extend(["'unsafe-inline'".to_owned(), "https:".to_owned()]);
    sources
}

fn styles(trusted: Trusted<'_>, named: &Named<'_>, always: &[&str]) -> Vec<String> {
    let mut sources = named.list(Kind::Style, always, &trusted.known.inline_styles);
    sources.extend(trusted.nonce.map(Nonce::source));
    sources
}

/// How much is known of the app that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// It puts our nonce on its scripts, or its build output is known.
    Recognised,
    /// It may be anything: its pages would break under a policy that it was not written for.
    Unknown,
}

/// What browsers do with [`document_policy`] under unresolved settings.
#[must_use]
pub fn mode(settings: &Headers, environment: Environment, app: App) -> Mode {
    match (settings.csp, environment, app) {
        (Csp::Off, _, _) => Mode::Off,
        (Csp::Enforce, _, _) | (Csp::Auto, Environment::Production, App::Recognised) => {
            Mode::Enforce
        }
        (Csp::Report, _, _) | (Csp::Auto, _, _) => Mode::Report,
    }
}

/// What an enforced policy of the app's own means to what we put into its page. `policies` are the values of its
/// `Content-Security-Policy` headers, each of which may hold several policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// Our script tag runs under it, and nothing in it speaks against our policy.
    Compatible,
    /// It does not allow our script tag.
    WithoutTag,
    /// The app guards its scripts with a nonce of its own. Our policy, which does not know it, would block them all.
    OwnNonce,
}

/// Reads the app's own enforced policies.
#[must_use]
pub fn read_own<'v>(policies: impl Iterator<Item = &'v str>, nonce: &Nonce) -> Own {
    let mut own = Own::Compatible;
    for policy in policies.flat_map(|value| value.split(',')) {
        let Some(sources) = find_script_sources(policy) else { continue };
        let has = |one: &str| sources.iter().any(|source| source.eq_ignore_ascii_case(one));
        // Only the letters of keywords are compared without regard to case, never those of a nonce.
        if sources.contains(&nonce.source().as_str()) {
            continue;
        }
        if sources.iter().any(|source| source.to_ascii_lowercase().starts_with("'nonce-")) {
            return Own::OwnNonce;
        }
        if has("'strict-dynamic'") || !(has("'self'") || has("*")) {
            own = Own::WithoutTag;
        }
    }
    own
}

/// The sources that decide over a `<script src>`; `None` when the policy does not speak of scripts. Of two directives
/// with one name the first counts (CSP3 section 2.2.1).
fn find_script_sources(policy: &str) -> Option<Vec<&str>> {
    let directives: Vec<Vec<&str>> =
        policy.split(';').map(|one| one.split_ascii_whitespace().collect()).collect();
    ["script-src-elem", "script-src", "default-src"].into_iter().find_map(|name| {
        let found = directives
            .iter()
            .find(|one| one.first().is_some_and(|own| own.eq_ignore_ascii_case(name)))?;
        Some(found.iter().skip(1).copied().collect())
    })
}

/// What of a page that was made again at run time is still the build's word. The page's markup is as trustworthy as
/// the data it was made from, so nothing counts for standing in it alone.
#[must_use]
pub fn restricted(page: &PageFacts, built: &PageFacts) -> PageFacts {
    PageFacts {
        inline_scripts: page.inline_scripts.intersection(&built.inline_scripts).cloned().collect(),
        external_scripts: page
            .external_scripts
            .intersection(&built.external_scripts)
            .cloned()
            .collect(),
        inline_styles: built.inline_styles.clone(),
        sources: built
            .sources
            .iter()
            .filter(|(kind, source)| *kind != Kind::Base || *source == Source::Own)
            .cloned()
            .collect(),
        ..PageFacts::default()
    }
}

#[cfg(test)]
mod tests;
