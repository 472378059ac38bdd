//! What an operator may say about headers, CSP and CORS. Only shapes and defaults: what follows from them is decided in the neighbouring files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::csp::{Kind, Source};

/// Where this process runs, as decided once at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Environment {
    /// Someone's own machine: policies are reported, not enforced; browsers are told nothing that outlives a day of work.
    Development,
    /// Everything else.
    #[default]
    Production,
}

/// Which family of header values is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The strictest values that work for a site as it is.
    #[default]
    Default,
    /// A fixed set: allow-list CSP, COEP `require-corp`, CORP `cross-origin`, HSTS for two years with preload.
    Roadmap,
}

/// How long browsers shall refuse plain http for this host (RFC 6797). Sent over TLS only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hsts {
    /// `off`, except in the preset `roadmap`: `preload`.
    #[default]
    Auto,
    /// Not sent.
    Off,
    /// `max-age=86400`: the first rung, taken back within a day.
    Day,
    /// `max-age=31536000`: this host only.
    Year,
    /// `max-age=63072000; includeSubDomains; preload`: every subdomain, and browsers may build it in. Hard to take back.
    Preload,
}

/// Who may show the site in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Frame {
    /// Nobody (`X-Frame-Options: DENY`, `frame-ancestors 'none'`).
    #[default]
    Deny,
    /// Pages of the same origin (`SAMEORIGIN`, `frame-ancestors 'self'`).
    SameOrigin,
}

/// How much of a page's address other sites are told (`Referrer-Policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Referrer {
    /// Nothing to anyone.
    NoReferrer,
    /// The full address within the site, nothing to others.
    SameOrigin,
    /// The origin alone, over https only.
    StrictOrigin,
    /// The full address within the site, the origin to others, over https only.
    #[default]
    StrictOriginWhenCrossOrigin,
}

/// Which sites may load this one's files without CORS (`Cross-Origin-Resource-Policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// The same origin only.
    #[default]
    SameOrigin,
    /// The same registrable domain.
    SameSite,
    /// Everyone: files may be hot-linked.
    CrossOrigin,
}

/// Whether pages of other origins that open one of the site's, or are opened by one, keep hold of it
/// (`Cross-Origin-Opener-Policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Opener {
    /// Neither: no window of another origin reaches the site's.
    #[default]
    SameOrigin,
    /// Those that the site opens: for sign-in or payment in a window that reports back.
    SameOriginAllowPopups,
    /// Both: for pages that other sites open in a window and wait for.
    UnsafeNone,
}

/// What is done with a page's Content-Security-Policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Csp {
    /// `enforce` in production, `report` in development.
    #[default]
    Auto,
    /// Browsers block what the policy does not name.
    Enforce,
    /// Browsers only say what they would have blocked.
    Report,
    /// No policy is sent.
    Off,
}

/// Security headers and Content-Security-Policy of a site.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Headers {
    /// Family of values: `default` or `roadmap`. Default `default`.
    pub headers: Preset,
    /// HSTS ladder: `auto`, `off`, `day`, `year`, `preload`. Default `auto` (`off`; in the preset `roadmap` `preload`). Over TLS only.
    pub hsts: Hsts,
    /// Who may frame the site: `deny` or `same-origin`. Default `deny`.
    pub frame: Frame,
    /// `Referrer-Policy`: `no-referrer`, `same-origin`, `strict-origin`, `strict-origin-when-cross-origin`. Default `strict-origin-when-cross-origin`.
    pub referrer: Referrer,
    /// `Cross-Origin-Resource-Policy`: `same-origin`, `same-site`, `cross-origin`. Default `same-origin`; the preset `roadmap` sends `cross-origin`.
    pub resource: Resource,
    /// `Cross-Origin-Opener-Policy`: `same-origin`, `same-origin-allow-popups`, `unsafe-none`. Default `same-origin`.
    pub opener: Opener,
    /// Content-Security-Policy: `auto`, `enforce`, `report`, `off`. Default `auto` (`enforce` in production, `report` in development).
    pub csp: Csp,
    /// Origins that scripts of the site use and that no HTML or CSS names.
    pub allow: Allow,
}

impl Headers {
    /// These settings with every `auto` replaced by what it means in `environment`.
    ///
    /// The preset `roadmap` keeps its own HSTS: whoever chooses it asked for two years with preload.
    #[must_use]
    pub fn resolved(&self, environment: Environment) -> Self {
        let mut settings = self.clone();
        if settings.csp == Csp::Auto {
            settings.csp = match environment {
                Environment::Development => Csp::Report,
                Environment::Production => Csp::Enforce,
            };
        }
        if settings.hsts == Hsts::Auto {
            settings.hsts = match settings.headers {
                Preset::Roadmap => Hsts::Preload,
                Preset::Default => Hsts::Off,
            };
        }
        settings
    }
}

/// Further sources per kind, as `https://host[:port]`, `wss://host`, `data:` or `blob:`. Anything else is refused. Default: none.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Allow {
    /// Script hosts. Heeded only on pages whose policy cannot use `'strict-dynamic'`.
    pub script: Vec<String>,
    /// Style sheets.
    pub style: Vec<String>,
    /// Images.
    pub img: Vec<String>,
    /// Fonts.
    pub font: Vec<String>,
    /// Audio and video.
    pub media: Vec<String>,
    /// Frames.
    pub frame: Vec<String>,
    /// `fetch`, XMLHttpRequest, WebSocket, EventSource, `sendBeacon`.
    pub connect: Vec<String>,
    /// Where forms may be sent.
    pub form: Vec<String>,
    /// Scripts may compile WebAssembly. Default `false`.
    pub wasm: bool,
}

impl Allow {
    /// The well-formed sources named for `kind`. Scripts from `data:` would be anybody's scripts, so they are none.
    pub fn sources(&self, kind: Kind) -> impl Iterator<Item = Source> {
        let named = self.lists().into_iter().filter(move |(_, of, _)| *of == kind);
        named.flat_map(|(_, kind, list)| list.iter().filter_map(move |text| parse(kind, text)))
    }

    /// Every entry that is not a source, with its field.
    #[must_use]
    pub fn list_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (field, kind, list) in self.lists() {
            for text in list.iter().filter(|text| parse(kind, text).is_none()) {
                problems.push(Problem {
                    field: format!("allow.{field}"),
                    what: format!(
                        "`{text}` is not a source: write `https://host`, with a port if needed, without a path"
                    ),
                });
            }
        }
        problems
    }

    fn lists(&self) -> [(&'static str, Kind, &[String]); 8] {
        [
            ("script", Kind::Script, &self.script),
            ("style", Kind::Style, &self.style),
            ("img", Kind::Img, &self.img),
            ("font", Kind::Font, &self.font),
            ("media", Kind::Media, &self.media),
            ("frame", Kind::Frame, &self.frame),
            ("connect", Kind::Connect, &self.connect),
            ("form", Kind::Form, &self.form),
        ]
    }
}

fn parse(kind: Kind, text: &str) -> Option<Source> {
    Source::parse(text).filter(|source| kind != Kind::Script || *source != Source::Data)
}

/// A value that the schema lets pass and that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, below the struct it belongs to: `allow.img`, `origins`.
    pub field: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

/// Which other origins may read answers of this site from a browser (CORS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Cors {
    /// Allowed origins, each exactly as a browser sends it: `https://app.example` or `http://localhost:3000`. No path, no wildcard, no `null`. Default: none (CORS off).
    pub origins: Vec<String>,
    /// Allowed origins may send cookies. Default `true`.
    pub credentials: bool,
    /// How long a browser may keep a pre-flight answer, in seconds (browsers cap it: Chromium at 7200). Default 7200.
    pub max_age_seconds: u32,
}

impl Default for Cors {
    fn default() -> Self {
        Self { origins: Vec::new(), credentials: true, max_age_seconds: 7200 }
    }
}

impl Cors {
    /// Every origin that no browser could ever send.
    #[must_use]
    pub fn list_problems(&self) -> Vec<Problem> {
        let wrong = self.origins.iter().filter(|text| !is_sent_by_browsers(text));
        wrong
            .map(|text| Problem {
                field: "origins".to_owned(),
                what: format!(
                    "`{text}` matches no browser's Origin header: write `https://host`, lower case, without a slash, a path or a default port"
                ),
            })
            .collect()
    }
}

fn is_sent_by_browsers(text: &str) -> bool {
    let web = text.starts_with("https://") || text.starts_with("http://");
    web && !text.contains('*')
        && Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests;
