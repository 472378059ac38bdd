//! The answers of an app behind us, made ours: security headers, policy and nonce, our tag, compression. Never connects to an app, never trusts what an answer says about scripts.

mod ask;
mod build;
mod dress;
mod encode;
mod item;
mod page;
mod relay;
mod signs;
mod timing;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, HeaderName,
    HeaderValue,
};
use http::response::Parts;
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use mainstay_base::units::{Size, Span};
use mainstay_guard::csp::upstream::{self, App, Nonce, Own, read_own};
use mainstay_guard::csp::{Mode, Policy, Reporting, Resources, api_policy};
use mainstay_guard::headers::{Kind as HeaderKind, security_headers};
use mainstay_guard::settings::{Csp, Environment, Headers};

use crate::html::Tag;
use crate::kinds::{Kind, Media};
use crate::variants::COMPRESS_FROM_BYTES;
pub(crate) use ask::Asked;
use build::Build;
use dress::Sort;
use encode::Encoder;
use page::Passing;
use relay::Relay;
pub(crate) use relay::Relayed;
use signs::Signs;
pub(crate) use timing::add_timing;

/// What the documents of one site are made ours with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Header and policy settings as the operator wrote them.
    pub(crate) headers: Headers,
    /// Which defaults apply.
    pub(crate) environment: Environment,
    /// Our script tag; none = no insertion.
    pub(crate) tag: Option<Tag>,
    /// Names the site is reached by.
    pub(crate) hosts: Vec<String>,
    /// Build output of a Next.js app (`.next`).
    pub(crate) build_dir: Option<PathBuf>,
    /// Path prefix of our own endpoints; reports go below it.
    pub(crate) prefix: String,
    /// Prerendered pages larger than this are streamed like any other.
    pub(crate) page_bytes_max: Size,
    /// Memory for prerendered pages and their compressed variants.
    pub(crate) cache_bytes_max: Size,
    /// How long a build is taken for the same without looking at the disk.
    pub(crate) revalidate_after: Span,
}

/// The body of an answer that was made ours.
pub(crate) enum Payload {
    /// In memory.
    Whole(Bytes),
    /// Passed on as it arrives.
    Relayed(Relayed),
}

/// Makes the answers of one site's app ours.
pub(crate) struct Documents {
    settings: Headers,
    resolved: Headers,
    environment: Environment,
    tag: Option<Tag>,
    reporting: Option<Reporting>,
    build: Option<Build>,
    page_bytes_max: usize,
    security: [Vec<(HeaderName, HeaderValue)>; 2],
    data: Policy,
    resources: Resources,
    recognised: AtomicBool,
    told: AtomicBool,
}

impl Documents {
    /// Reads the manifests of `build_dir`, blocking.
    pub(crate) fn new(plan: Plan) -> Self {
        let page_bytes_max = usize::try_from(plan.page_bytes_max.0).unwrap_or(usize::MAX);
        let build = plan.build_dir.map(|dir| {
            Build::open(build::Settings {
                dir,
                hosts: plan.hosts,
                tag: plan.tag.clone(),
                page_bytes_max,
                cache_bytes_max: plan.cache_bytes_max.0,
                revalidate_ms: u32::try_from(plan.revalidate_after.0.as_millis())
                    .unwrap_or(u32::MAX),
            })
        });
        let resolved = plan.headers.resolved(plan.environment);
        let set = |https| security_headers(&resolved, HeaderKind::Document, https);
        Self {
            security: [set(false), set(true)],
            settings: plan.headers,
            resources: Resources::new(&resolved),
            resolved,
            environment: plan.environment,
            tag: plan.tag.filter(|tag| tag.inserted),
            reporting: Reporting::new(plan.prefix.trim_end_matches('/')),
            build,
            page_bytes_max,
            data: api_policy(),
            recognised: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }
    }

    /// Whether the app is one whose scripts carry our nonce, or whose build output is known.
    pub(crate) fn is_recognised(&self) -> bool {
        self.recognised.load(Relaxed) || self.has_build()
    }

    /// Reads a request, and changes the headers that the app will be sent.
    #[expect(clippy::unused_self, reason = "one door for requests and answers of a site")]
    pub(crate) fn ask(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        uri: &Uri,
        nonce: Nonce,
    ) -> Asked {
        ask::ask(headers, method, uri, nonce)
    }

    /// Makes an answer ours, and says how long the app's body was waited for. Hop-by-hop headers are gone already.
    /// `now_ms` is the coarse clock.
    ///
    /// # Errors
    /// The app broke off a prerendered page: nothing was sent yet.
    pub(crate) async fn answer(
        &self,
        asked: Asked,
        response: Response<Relayed>,
        https: bool,
        now_ms: u32,
    ) -> io::Result<(Response<Payload>, Duration)> {
        let (mut head, body) = response.into_parts();
        if head.status.is_informational() {
            return Ok((Response::from_parts(head, Payload::Relayed(body)), Duration::ZERO));
        }
        let signs = Signs::of(&head.headers);
        signs::remove(&mut head.headers);
        if signs.next && !self.recognised.load(Relaxed) {
            self.recognised.store(true, Relaxed);
        }
        dress::set_security(&mut head.headers, &self.security[usize::from(https)], https);
        let essence = dress::essence(&head.headers);
        match Sort::of(head.status, &essence) {
            Sort::Document => {
                let own = head.headers.get_all(CONTENT_SECURITY_POLICY).iter();
                let own = read_own(own.filter_map(|value| value.to_str().ok()), &asked.nonce);
                let passing = Passing { asked, head, signs, own, https };
                // Boxed: answers that are no page need no room for one.
                Box::pin(self.document(passing, body, now_ms)).await
            }
            sort => Ok((self.part(&asked, head, body, (sort, &essence, signs)), Duration::ZERO)),
        }
    }

    /// Everything that is no page.
    fn part(
        &self,
        asked: &Asked,
        mut head: Parts,
        body: Relayed,
        (sort, essence, signs): (Sort, &str, Signs),
    ) -> Response<Payload> {
        // Only a 304 does not say what it is of.
        let unchanged = (sort == Sort::Unchanged).then(|| Media::of(Path::new(&asked.path)));
        let policy = match (sort, &unchanged) {
            (Sort::Data, _) => Some((&self.data, App::Recognised)),
            // A 304 replaces the policy that the client has, so it says nothing where the type is a guess.
            (_, Some(media)) if media.kind == Kind::Html => None,
            (_, Some(_)) if essence.is_empty() && !names_a_type(&asked.path) => None,
            (_, Some(media)) => Some((self.resources.find(&media.content_type), self.app(signs))),
            (_, None) => Some((self.resources.find(essence), self.app(signs))),
        };
        if let Some((policy, app)) = policy {
            let mode = upstream::mode(&self.settings, self.environment, app);
            head.headers.extend(policy.header(mode).map(|(name, value)| (Some(name), value)));
        }
        // The client's copy may be one that we compressed, under a weak tag: a strong one would not stand for it
        // (RFC 9111 §4.3.4).
        if let Some(media) = &unchanged
            && asked.coding.is_some()
            && may_be_coded(essence, asked, media)
        {
            dress::weaken_tag(&mut head.headers);
        }
        let compressible = sort != Sort::Unchanged && encode::is_compressible(essence);
        let encoder = if compressible { start_coding(asked, &mut head) } else { None };
        let body = match encoder {
            Some(encoder) => Box::pin(Relay::new(body, None, Some(encoder))),
            None => body,
        };
        Response::from_parts(head, Payload::Relayed(body))
    }

    /// What browsers do with our policy of this page. `enforce` in the settings is the owner's last word; what we
    /// decide ourselves never breaks a page that we know we cannot judge.
    fn mode(&self, passing: &Passing) -> Mode {
        let mode = upstream::mode(&self.settings, self.environment, self.app(passing.signs));
        if mode != Mode::Enforce || self.settings.csp == Csp::Enforce {
            return mode;
        }
        if passing.own == Own::OwnNonce {
            return Mode::Report;
        }
        if passing.signs.kept && !self.has_build() {
            if !self.told.swap(true, Relaxed) {
                tracing::warn!(
                    "the app sends prerendered pages and `build_dir` is not set: their policy is only reported"
                );
            }
            return Mode::Report;
        }
        mode
    }

    fn app(&self, signs: Signs) -> App {
        if signs.next || self.has_build() { App::Recognised } else { App::Unknown }
    }

    fn has_build(&self) -> bool {
        self.build.as_ref().is_some_and(Build::is_there)
    }
}

/// Whether there is a body, and all of it.
fn has_whole_body(head: &Parts) -> bool {
    !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT)
        && !head.headers.contains_key(CONTENT_RANGE)
}

/// Begins to compress an answer where that pays, with the headers that go with it. `HEAD` gets the headers alone.
fn start_coding(asked: &Asked, head: &mut Parts) -> Option<Encoder> {
    let small = length(&head.headers).is_some_and(|length| length < COMPRESS_FROM_BYTES);
    let coded = head.headers.contains_key(CONTENT_ENCODING);
    if small || coded || !has_whole_body(head) || dress::forbids_changes(&head.headers) {
        return None;
    }
    dress::vary_by_coding(&mut head.headers);
    let coding = asked.coding?;
    let encoder = Encoder::new(coding).ok()?;
    dress::set_coding(&mut head.headers, coding);
    (asked.method != Method::HEAD).then_some(encoder)
}

/// Whether the answer that a 304 stands for may have been compressed, as far as type and path tell.
fn may_be_coded(essence: &str, asked: &Asked, media: &Media) -> bool {
    match essence {
        "" => media.compressible || !names_a_type(&asked.path),
        known => encode::is_compressible(known),
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether the last segment of a path has an extension that is a known type of file.
fn names_a_type(path: &str) -> bool {
    mime_guess::from_path(path).first().is_some()
}

#[cfg(test)]
mod tests;
