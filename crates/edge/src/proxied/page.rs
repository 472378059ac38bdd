//! Pages on their way from the app to a browser: one of the build's, one that came in one piece, one that is made while it is sent. Everything that is no page is next door.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, LAST_MODIFIED,
};
use http::response::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use mainstay_guard::csp::upstream::{Own, Trusted, document_policy};
use mainstay_guard::csp::{Mode, PageFacts};
use mainstay_guard::settings::Csp;

use super::ask::{Asked, Wanted};
use super::build::{self, Build, BuiltPage, Match};
use super::relay::{Insertion, Rejoined, Relay, Relayed, read_whole};
use super::signs::Signs;
use super::{Documents, Payload, dress, has_whole_body, length, start_coding};
use crate::conditional::{self, Conditions, Outcome, Validators};

/// A document on its way through [`Documents`].
pub(super) struct Passing {
    pub(super) asked: Asked,
    pub(super) head: Parts,
    pub(super) signs: Signs,
    pub(super) own: Own,
    pub(super) https: bool,
}

impl Documents {
    pub(super) async fn document(
        &self,
        passing: Passing,
        body: Relayed,
        now_ms: u32,
    ) -> io::Result<(Response<Payload>, Duration)> {
        let at_once = |response| Ok((response, Duration::ZERO));
        let Some(build) = self.build.as_ref().filter(|_| self.may_be_prerendered(&passing)) else {
            return at_once(self.stream(passing, body));
        };
        let wanted = build::Wanted {
            path: passing.asked.path.clone(),
            status: passing.head.status.as_u16(),
            kept: passing.signs.kept,
        };
        if passing.asked.method == Method::HEAD {
            let length = length(&passing.head.headers).unwrap_or(0);
            return at_once(match build.find_by_length(wanted, length, now_ms).await {
                Some(page) => self.built(passing, &page, build).await,
                None => self.stream(passing, body),
            });
        }
        let began = Instant::now();
        let read = read_whole(body, self.page_bytes_max).await?;
        let waited = began.elapsed();
        let response = match read {
            Err(overlong) => self.stream(passing, Box::pin(Rejoined::new(overlong))),
            Ok(whole) => match build.find(wanted, &whole, now_ms).await {
                Match::Page(page) => self.built(passing, &page, build).await,
                Match::Other(other) => self.whole(passing, &whole, other),
            },
        };
        Ok((response, waited))
    }

    /// Pages that the app keeps ready, and those it writes in one go, come with their length.
    fn may_be_prerendered(&self, passing: &Passing) -> bool {
        let Passing { asked, head, .. } = passing;
        let status = head.status;
        asked.wanted == Wanted::Document
            && matches!(asked.method, Method::GET | Method::HEAD)
            && (status == StatusCode::OK
                || status == StatusCode::NOT_FOUND
                || status.is_server_error())
            && !head.headers.contains_key(CONTENT_ENCODING)
            && length(&head.headers).is_some_and(|length| length <= self.page_bytes_max)
            && self.has_build()
    }

    /// A page of the build output: sent from what was made of it once, with its own tag.
    async fn built(
        &self,
        mut passing: Passing,
        page: &Arc<BuiltPage>,
        build: &Build,
    ) -> Response<Payload> {
        let mut known = page.facts.clone();
        known.inline_styles.extend(build.shared().inline_styles);
        if !takes_changes(&passing) {
            return self.built_as_it_is(passing, page, &known);
        }
        let mode = self.mode(&passing);
        self.set_policy(&mut passing, Trusted { nonce: None, known: &known }, mode);
        let Passing { asked, head, .. } = &mut passing;
        dress::vary_by_coding(&mut head.headers);
        dress::forget_bytes(&mut head.headers);
        let packed = match asked.coding {
            Some(coding) => page.encoded(coding).await.map(|body| (coding, body)),
            None => None,
        };
        let coding = packed.as_ref().map(|(coding, _)| *coding);
        let etag = page.etag(coding);
        if let Some(etag) = &etag {
            head.headers.insert(ETAG, etag.clone());
        }
        if head.status == StatusCode::OK && is_unchanged(asked, etag.as_ref()) {
            head.status = StatusCode::NOT_MODIFIED;
            head.headers.remove(CONTENT_TYPE);
            return Response::from_parts(passing.head, Payload::Whole(Bytes::new()));
        }
        if let Some(coding) = coding {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        }
        let body = packed.map_or_else(|| page.body.clone(), |(_, body)| body);
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let body = if asked.method == Method::HEAD { Bytes::new() } else { body };
        Response::from_parts(passing.head, Payload::Whole(body))
    }

    /// A page of the build output that nobody may change. Its scripts lack the integrity that our policy asks for, so we
    /// do not enforce it of our own accord.
    fn built_as_it_is(
        &self,
        mut passing: Passing,
        page: &BuiltPage,
        known: &PageFacts,
    ) -> Response<Payload> {
        let mode = match self.mode(&passing) {
            Mode::Enforce if self.settings.csp != Csp::Enforce => Mode::Report,
            mode => mode,
        };
        self.set_policy(&mut passing, Trusted { nonce: None, known }, mode);
        let Passing { asked, mut head, .. } = passing;
        if head.status == StatusCode::OK && is_unchanged(&asked, head.headers.get(ETAG)) {
            head.status = StatusCode::NOT_MODIFIED;
            head.headers.remove(CONTENT_TYPE);
            head.headers.remove(CONTENT_LENGTH);
            return Response::from_parts(head, Payload::Whole(Bytes::new()));
        }
        in_one_piece(&asked, head, page.source.clone())
    }

    /// A page that came in one piece and is not the build's: made for this request, or made anew and not on the disk.
    fn whole(&self, mut passing: Passing, sent: &Bytes, other: build::Other) -> Response<Payload> {
        let mode = self.mode(&passing);
        let trusted = Trusted { nonce: Some(&passing.asked.nonce.clone()), known: &other.known };
        self.set_policy(&mut passing, trusted, mode);
        let body = if takes_changes(&passing) { other.body } else { sent.clone() };
        let Passing { asked, mut head, .. } = passing;
        set_keeping(&mut head, mode, Wanted::Document);
        dress::forget_bytes(&mut head.headers);
        in_one_piece(&asked, head, body)
    }

    /// A page that is made while it is sent.
    fn stream(&self, mut passing: Passing, body: Relayed) -> Response<Payload> {
        let mode = self.mode(&passing);
        let known = self.build.as_ref().map(Build::shared).unwrap_or_default();
        let nonce = passing.asked.nonce.clone();
        self.set_policy(&mut passing, Trusted { nonce: Some(&nonce), known: &known }, mode);
        let tag = self.tag.as_ref().filter(|_| takes_changes(&passing));
        let Passing { asked, mut head, .. } = passing;
        set_keeping(&mut head, mode, asked.wanted);
        if tag.is_some() {
            dress::forget_bytes(&mut head.headers);
        }
        let encoder = start_coding(&asked, &mut head);
        if asked.method == Method::HEAD {
            return Response::from_parts(head, Payload::Relayed(body));
        }
        let insertion = tag.map(|tag| Insertion::new(tag.with_nonce(nonce.as_str())));
        let body: Relayed = match (insertion, encoder) {
            (None, None) => body,
            (insertion, encoder) => Box::pin(Relay::new(body, insertion, encoder)),
        };
        Response::from_parts(head, Payload::Relayed(body))
    }

    fn set_policy(&self, passing: &mut Passing, trusted: Trusted<'_>, mode: Mode) {
        let https = passing.https;
        let mut policy = document_policy(trusted, &self.resolved, https);
        if mode == Mode::Off {
            return;
        }
        let headers = &mut passing.head.headers;
        if let Some(reporting) = &self.reporting {
            policy = reporting.added_to(&policy, https);
            if https {
                let (name, value) = reporting.endpoints();
                headers.append(name, value);
            }
        }
        if let Some((name, value)) = policy.header(mode) {
            // The app's own policy stays: browsers heed both.
            headers.append(name, value);
        }
    }
}

/// Who may keep a page whose policy names a nonce.
fn set_keeping(head: &mut Parts, mode: Mode, wanted: Wanted) {
    match (mode, wanted) {
        (Mode::Enforce, _) => dress::forbid_keeping(&mut head.headers),
        // Under a policy that blocks nothing a kept page works, but it is never confirmed with another nonce.
        (Mode::Report, Wanted::Document) => {
            head.headers.remove(ETAG);
            head.headers.remove(LAST_MODIFIED);
        }
        _ => {}
    }
}

/// Bytes in memory, packed where that may be.
fn in_one_piece(asked: &Asked, mut head: Parts, body: Bytes) -> Response<Payload> {
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let encoder = start_coding(asked, &mut head);
    let relayed = |body| -> Relayed { Box::pin(Full::new(body).map_err(|never| match never {})) };
    let body = match encoder {
        _ if asked.method == Method::HEAD => Payload::Relayed(relayed(Bytes::new())),
        Some(encoder) => Payload::Relayed(Box::pin(Relay::new(relayed(body), None, Some(encoder)))),
        None => Payload::Whole(body),
    };
    Response::from_parts(head, body)
}

/// Whether a page may get our tag and the integrity of its scripts: nothing forbids it, and the app's own policy would
/// let the tag run.
fn takes_changes(passing: &Passing) -> bool {
    passing.own == Own::Compatible && is_changeable(passing)
}

/// Whether anything may be put into a page.
fn is_changeable(passing: &Passing) -> bool {
    let Passing { asked, head, .. } = passing;
    asked.wanted == Wanted::Document
        && !head.status.is_redirection()
        && has_whole_body(head)
        && !dress::forbids_changes(&head.headers)
        && !head.headers.contains_key(CONTENT_ENCODING)
        && dress::is_insertable(&head.headers)
}

fn is_unchanged(asked: &Asked, etag: Option<&HeaderValue>) -> bool {
    let Some((named, etag)) = asked.if_none_match.as_ref().zip(etag) else { return false };
    let Ok(etag) = etag.to_str() else { return false };
    let asked = Conditions { if_none_match: named.to_str().ok(), ..Conditions::default() };
    let validators = Validators { etag, modified: UNIX_EPOCH };
    conditional::evaluate(&asked, &validators) == Outcome::NotModified
}
