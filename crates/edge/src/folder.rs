//! A request answered from a folder of files: conditional, ranges, codings. Asks [`crate::files`]; reads nothing itself.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::coding::{self, Coding};
use mainstay_telemetry::http::Route;

use crate::body::Body;
use crate::conditional::{self, Conditions, Outcome, Validators};
use crate::content::{Content, Source, Variant, set_all};
use crate::files::{Entry, Files, location};
use crate::pages::{Page, plain};
use crate::phases::{Answer, Asking};
use crate::range::{self, Asked};
use crate::site::Site;
use crate::stream;

/// The answer, where all of it is in memory: no file to look at, nothing to compress or to stream.
pub(crate) fn remembered(
    site: &Site,
    files: &Files,
    asking: &Asking,
    request: &Request<Incoming>,
    now_ms: u32,
) -> Option<Answer> {
    if let Some(refusal) = refuse_writing(site, asking, request.method()) {
        return Some(refusal);
    }
    let (content, route) = match find_ready(site, files, request.uri().path(), now_ms)? {
        Ready::Content(content, route) => (content, route),
        Ready::Page(page) => return Some(site.page(page, asking)),
    };
    let coded = match wanted_coding(&content, request) {
        Some(coding) => content.ready(coding)?,
        None => None,
    };
    match choose(site, &content, coded, request) {
        Chosen::Response(response) => Some(found(&content, route, asking, response)),
        Chosen::Page(page) => Some(refused(site, page, &content, asking)),
        Chosen::Streamed { .. } => None,
    }
}

/// What memory holds for a path.
pub(crate) enum Ready<'s> {
    /// A file, and the route it counts for where that is not its own.
    Content(Arc<Content>, Option<&'s Arc<Route>>),
    /// One of our own pages, for a path that leads nowhere.
    Page(&'s Page),
}

/// Asked by [`remembered`] and by [`crate::fast_path`].
pub(crate) fn find_ready<'s>(
    site: &'s Site,
    files: &Files,
    path: &str,
    now_ms: u32,
) -> Option<Ready<'s>> {
    Some(match files.remembered(path, now_ms)? {
        Entry::Content(content) => Ready::Content(content, None),
        Entry::Missing => match files.remembered_not_found_page(now_ms)? {
            Some(content) => Ready::Content(content, Some(&site.unmatched)),
            None => Ready::Page(&site.pages.not_found),
        },
        Entry::Redirect(_) | Entry::Unreadable => return None,
    })
}

/// What the preconditions say of a variant. An absent page is never "not modified".
pub(crate) fn judge(content: &Content, variant: &Variant, asked: &Conditions<'_>) -> Outcome {
    if content.status != 200 {
        return Outcome::Send;
    }
    conditional::evaluate(asked, &validators(content, variant))
}

fn validators<'v>(content: &Content, variant: &'v Variant) -> Validators<'v> {
    Validators { etag: &variant.etag, modified: content.modified }
}

/// The answer of a folder: reads only.
pub(crate) async fn answer(
    site: &Site,
    files: &Arc<Files>,
    asking: &Asking,
    request: &Request<Incoming>,
    now_ms: u32,
) -> Answer {
    if let Some(refusal) = refuse_writing(site, asking, request.method()) {
        return refusal;
    }
    let uri = request.uri();
    let (content, route) = match files.find(uri.path(), now_ms).await {
        Entry::Content(content) => (content, None),
        Entry::Redirect(path) => {
            return match location(&path, uri.query()) {
                Some(location) => site.redirect(location, asking),
                None => site.page(&site.pages.not_found, asking),
            };
        }
        Entry::Missing => match files.find_not_found_page(now_ms).await {
            Some(content) => (content, Some(&site.unmatched)),
            None => return site.page(&site.pages.not_found, asking),
        },
        Entry::Unreadable => return site.page(&site.pages.internal, asking),
    };
    let coded = match wanted_coding(&content, request) {
        Some(coding) => match content.ready(coding) {
            Some(variant) => variant.cloned(),
            None => content.make(coding).await,
        },
        None => None,
    };
    let response = match choose(site, &content, coded.as_ref(), request) {
        Chosen::Response(response) => response,
        Chosen::Page(page) => return refused(site, page, &content, asking),
        Chosen::Streamed { file, part, status, headers } => {
            match stream::open(file, part.clone()).await {
                Ok(pieces) => plain(status, headers, Body::streamed(pieces, part.end - part.start)),
                Err(_) => return refused(site, &site.pages.not_found, &content, asking),
            }
        }
    };
    found(&content, route, asking, response)
}

/// A folder is only read.
fn refuse_writing(site: &Site, asking: &Asking, method: &Method) -> Option<Answer> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => Some(site.page(&site.pages.options, asking)),
        _ => Some(site.page(&site.pages.method_not_allowed, asking)),
    }
}

fn found(
    content: &Content,
    route: Option<&Arc<Route>>,
    asking: &Asking,
    mut response: Response<Body>,
) -> Answer {
    if asking.https {
        set_all(response.headers_mut(), &content.over_tls);
    }
    let route = Arc::clone(route.unwrap_or(&content.route));
    Answer { response, route, ours: false, problem: None }
}

/// A file is there and not answered with. It counts for the file.
fn refused(site: &Site, page: &Page, content: &Content, asking: &Asking) -> Answer {
    Answer { route: Arc::clone(&content.route), ..site.page(page, asking) }
}

/// RFC 9110 §14.2: a range is defined for GET alone.
fn asks_range(content: &Content, request: &Request<Incoming>) -> bool {
    content.status == 200
        && *request.method() == Method::GET
        && request.headers().contains_key(header::RANGE)
}

/// A range is one of the bytes as they lie on the disk.
fn wanted_coding(content: &Content, request: &Request<Incoming>) -> Option<Coding> {
    if asks_range(content, request) {
        return None;
    }
    let accepted = request.headers().get(header::ACCEPT_ENCODING);
    coding::best(accepted.and_then(|value| value.to_str().ok()))
}

/// What is sent of a file.
enum Chosen<'a> {
    Response(Response<Body>),
    /// One of our own.
    Page(&'a Page),
    /// A part of a file that memory does not hold, or all of it.
    Streamed {
        file: &'a Path,
        part: Range<u64>,
        status: StatusCode,
        headers: HeaderMap,
    },
}

/// Picks the representation: conditional first, then range (identity only), then the best coding.
fn choose<'a>(
    site: &'a Site,
    content: &'a Content,
    coded: Option<&Arc<Variant>>,
    request: &Request<Incoming>,
) -> Chosen<'a> {
    let (method, headers) = (request.method(), request.headers());
    let variant = coded.map_or(&content.identity, Arc::as_ref);
    match judge(content, variant, &Conditions::of(headers)) {
        Outcome::Send => {}
        Outcome::NotModified => {
            let headers = variant.headers_not_modified.clone();
            return Chosen::Response(plain(StatusCode::NOT_MODIFIED, headers, Body::empty()));
        }
        Outcome::Failed => {
            return Chosen::Page(&site.pages.precondition_failed);
        }
    }
    let validators = validators(content, variant);
    if asks_range(content, request) && conditional::range_allowed(headers, &validators) {
        let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        match range::read(asked, content.length()) {
            Asked::Whole => {}
            Asked::Part(part) => return partial(content, part),
            Asked::Unsatisfiable => return Chosen::Response(unsatisfiable(content)),
        }
    }
    let status = StatusCode::from_u16(content.status).unwrap_or(StatusCode::OK);
    let mut headers = variant.headers.clone();
    match (&content.source, coded) {
        (Source::Disk { length, .. }, None) if *method == Method::HEAD => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(*length));
            Chosen::Response(plain(status, headers, Body::empty()))
        }
        (Source::Disk { file, length }, None) => {
            Chosen::Streamed { file, part: 0..*length, status, headers }
        }
        _ => Chosen::Response(plain(status, headers, Body::whole(variant.body.clone()))),
    }
}

fn partial(content: &Content, part: Range<u64>) -> Chosen<'_> {
    let mut headers = content.identity.headers.clone();
    let length = content.length();
    let span = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
    if let Ok(value) = HeaderValue::from_str(&span) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    let status = StatusCode::PARTIAL_CONTENT;
    match &content.source {
        // A part lies inside the body and a body in memory is shorter than usize.
        Source::Memory(bytes) => {
            let body = Body::whole(bytes.slice(part.start as usize..part.end as usize));
            Chosen::Response(plain(status, headers, body))
        }
        Source::Disk { file, .. } => Chosen::Streamed { file, part, status, headers },
    }
}

fn unsatisfiable(content: &Content) -> Response<Body> {
    let mut headers = content.identity.headers_not_modified.clone();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{}", content.length())) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    plain(StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty())
}
