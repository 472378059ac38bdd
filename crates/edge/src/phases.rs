//! The request, from its head to its answer, in one function that reads top to bottom.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use mainstay_base::agent::AgentClass;
use mainstay_base::{Timestamp, coding};
use mainstay_guard::Facts;
use mainstay_guard::cors::{self, Decision};
use mainstay_telemetry::access::Line;
use mainstay_telemetry::http::{self as metric, Refusal, Route};

use crate::body::Body;
use crate::conditional::{self, Outcome, Validators};
use crate::content::{Content, Source, Variant};
use crate::files::{Entry, redirect_headers};
use crate::pages::Page;
use crate::range::{self, Asked};
use crate::site::Site;
use crate::stream;
use crate::worker::Worker;

/// The header that names a request in answers and logs.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is known of a request once its head is read, kept until it is settled.
#[derive(Clone, Copy)]
struct Asking {
    client: IpAddr,
    agent: AgentClass,
    id: u128,
    began: Instant,
    received: Timestamp,
}

/// An answer and the route it counts for.
struct Answer {
    response: Response<Body>,
    route: Arc<Route>,
    /// Endpoints of ours are no traffic of the site.
    ours: bool,
}

/// Answers one request: who · id · our own paths · the site's file · headers · settle.
pub(crate) async fn answer(
    worker: Arc<Worker>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    // 1 who, 2 request id
    let asking = Asking {
        client,
        agent: worker.class_of(request.headers().get(header::USER_AGENT)),
        id: worker.next_id(),
        began: Instant::now(),
        received: worker.shared.clock.now(),
    };
    let shared = Arc::clone(&worker.shared);
    let site = shared.site_for(&request);
    // 3 may it pass
    let refusal = malformed(&request);
    let path = request.uri().path();
    let mut answer = if let Some(refusal) = refusal {
        shared.http.refused(refusal);
        Answer::page(&site.pages.bad_request, &site.files.unmatched)
    } else if path.strip_prefix(&*shared.prefix).is_some_and(|rest| rest.starts_with('/')) {
        // 4 what is ours
        return from_ours(&worker, &asking, site, request).await;
    } else {
        // 7 the site's file
        from_files(site, request.method(), request.uri(), request.headers(), worker.coarse.now())
            .await
    };
    // 8 headers that depend on the request
    let cors = cors_of(site, request.method(), request.headers());
    let (head, _unread) = request.into_parts();
    dress(&mut answer.response, asking.id, cors);
    // 9 settle
    settle(&worker, asking, &head, answer)
}

/// HTTP/1.1 demands exactly one `Host` (RFC 9112 §3.2); every version demands a path we can read.
fn malformed(request: &Request<Incoming>) -> Option<Refusal> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let first = hosts.next();
    let needs_host = request.version() == Version::HTTP_11 && first.is_none();
    let bad_path = !request.uri().path().starts_with('/') && request.method() != Method::OPTIONS;
    (needs_host || hosts.next().is_some() || bad_path).then_some(Refusal::BadRequest)
}

async fn from_ours(
    worker: &Arc<Worker>,
    asking: &Asking,
    site: &Site,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let facts = Facts {
        client: asking.client,
        https: false,
        host: host_of(request.headers(), request.uri()).map(Arc::from),
        site: Arc::clone(&site.name),
        agent: asking.agent,
        request_id: asking.id,
        received: asking.received,
    };
    request.extensions_mut().insert(facts);
    let (head, body) = request.into_parts();
    let kept = Head::clone(&head);
    let (route, response) = (worker.shared.ours)(Request::from_parts(head, body)).await;
    let mut response = response.map(Body::whole);
    dress(&mut response, asking.id, Decision::Silent);
    let answer = Answer { response, route: worker.shared.http.resolve_ours(route), ours: true };
    settle(worker, *asking, &kept, answer)
}

async fn from_files(
    site: &Site,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
    now_ms: u32,
) -> Answer {
    let reading = matches!(*method, Method::GET | Method::HEAD);
    if !reading {
        let page = if *method == Method::OPTIONS {
            &site.pages.options
        } else {
            &site.pages.method_not_allowed
        };
        return Answer::page(page, &site.files.unmatched);
    }
    match site.files.find(uri.path(), now_ms).await {
        Entry::Content(content) => {
            let response = from_content(site, &content, method, headers).await;
            Answer { response, route: Arc::clone(&content.route), ours: false }
        }
        Entry::Redirect(redirect) => match redirect_headers(&redirect, uri.query()) {
            Some(headers) => {
                let response = plain(StatusCode::PERMANENT_REDIRECT, headers, Body::empty());
                Answer { response, route: Arc::clone(&site.files.redirected), ours: false }
            }
            None => Answer::page(&site.pages.not_found, &site.files.unmatched),
        },
        Entry::Missing => match site.files.find_not_found_page(now_ms).await {
            Some(content) => {
                let response = from_content(site, &content, method, headers).await;
                Answer { response, route: Arc::clone(&site.files.unmatched), ours: false }
            }
            None => Answer::page(&site.pages.not_found, &site.files.unmatched),
        },
        Entry::Unreadable => Answer::page(&site.pages.internal, &site.files.unmatched),
    }
}

/// Picks the representation: conditional first, then range (identity only), then the best coding.
async fn from_content(
    site: &Site,
    content: &Arc<Content>,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    let found = content.status == 200;
    // RFC 9110 §14.2: a range is defined for GET alone.
    let asks_range = found && *method == Method::GET && headers.contains_key(header::RANGE);
    let coded = if asks_range { None } else { coded_variant(content, headers).await };
    let variant = coded.as_deref().unwrap_or(&content.identity);
    if found {
        let validators = Validators { etag: &variant.etag, modified: content.modified };
        match conditional::evaluate(headers, &validators) {
            Outcome::Send => {}
            Outcome::NotModified => {
                return plain(
                    StatusCode::NOT_MODIFIED,
                    variant.headers_not_modified.clone(),
                    Body::empty(),
                );
            }
            Outcome::Failed => return site.pages.precondition_failed.response(),
        }
        if asks_range && conditional::range_allowed(headers, &validators) {
            let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
            match range::read(asked, content.length()) {
                Asked::Whole => {}
                Asked::Part(part) => return partial(site, content, part),
                Asked::Unsatisfiable => return unsatisfiable(content),
            }
        }
    }
    let status = StatusCode::from_u16(content.status).unwrap_or(StatusCode::OK);
    match (&content.source, &coded) {
        (Source::Disk { file, length }, None) => match stream::open(file, 0..*length) {
            Ok(pieces) => plain(status, variant.headers.clone(), Body::streamed(pieces, *length)),
            Err(_) => site.pages.not_found.response(),
        },
        _ => plain(status, variant.headers.clone(), Body::whole(variant.body.clone())),
    }
}

async fn coded_variant(content: &Arc<Content>, headers: &HeaderMap) -> Option<Arc<Variant>> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let coding = coding::best(accepted)?;
    match content.ready(coding) {
        Some(variant) => variant.cloned(),
        None => content.make(coding).await,
    }
}

fn partial(site: &Site, content: &Arc<Content>, part: std::ops::Range<u64>) -> Response<Body> {
    let mut headers = content.identity.headers.clone();
    let length = content.length();
    let span = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
    if let Ok(value) = HeaderValue::from_str(&span) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    let body = match &content.source {
        // A part lies inside the body and a body in memory is shorter than usize.
        Source::Memory(bytes) => Body::whole(bytes.slice(part.start as usize..part.end as usize)),
        Source::Disk { file, .. } => match stream::open(file, part.clone()) {
            Ok(pieces) => Body::streamed(pieces, part.end - part.start),
            Err(_) => return site.pages.not_found.response(),
        },
    };
    plain(StatusCode::PARTIAL_CONTENT, headers, body)
}

fn unsatisfiable(content: &Content) -> Response<Body> {
    let mut headers = content.identity.headers_not_modified.clone();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{}", content.length())) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    plain(StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty())
}

fn cors_of(site: &Site, method: &Method, headers: &HeaderMap) -> Decision {
    let Some(settings) = &site.cors else { return Decision::Silent };
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    cors::decide(
        settings,
        text(header::ORIGIN),
        method,
        text(header::ACCESS_CONTROL_REQUEST_METHOD),
    )
}

/// Headers that depend on the request: its id, and what CORS says.
fn dress(response: &mut Response<Body>, id: u128, cors: Decision) {
    let preflight = matches!(cors, Decision::Preflight(_));
    if let Decision::Pass(set) | Decision::Preflight(set) = cors {
        for (name, value) in set {
            // Files carry `Vary: origin` already where a list is configured.
            if name == header::VARY && response.headers().contains_key(header::VARY) && !preflight {
                continue;
            }
            response.headers_mut().insert(name, value);
        }
    }
    if preflight {
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Body::empty();
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&hex_id(id))) {
        match response.headers_mut().get_mut(REQUEST_ID) {
            Some(place) => *place = value,
            None => drop(response.headers_mut().insert(REQUEST_ID, value)),
        }
    }
}

/// Metrics and the access log, once the whole answer is known: at once for one in memory, at its end for a stream.
fn settle(worker: &Arc<Worker>, asking: Asking, head: &Head, answer: Answer) -> Response<Body> {
    let Answer { mut response, route, ours } = answer;
    frame(&mut response, head);
    if !matches!(response.body(), Body::Pieces(_)) {
        let bytes = response.body().length();
        note(worker, &asking, head, &route, ours, response.status(), bytes);
        return response;
    }
    let (worker, head, status) = (Arc::clone(worker), Head::clone(head), response.status());
    response.body_mut().on_end(Box::new(move |bytes| {
        note(&worker, &asking, &head, &route, ours, status, bytes);
    }));
    response
}

/// HEAD is answered like GET, without its body.
fn frame(response: &mut Response<Body>, head: &Head) {
    let bodiless = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if head.method == Method::HEAD && !bodiless {
        // The library drops the body itself on HTTP/1 alone, and leaves out a length of zero.
        let length = response.body().length();
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Body::empty();
    }
}

fn note(
    worker: &Worker,
    asking: &Asking,
    head: &Head,
    route: &Route,
    ours: bool,
    status: StatusCode,
    bytes: u64,
) {
    let elapsed = asking.began.elapsed();
    let method = metric::Method::of(head.method.as_str());
    if ours {
        route.record_ours(method, status.as_u16(), asking.agent, elapsed, bytes, asking.id);
    } else {
        route.record(method, status.as_u16(), asking.agent, elapsed, bytes, asking.id);
    }
    worker.log(&Line {
        at: asking.received,
        request_id: asking.id,
        client: asking.client,
        method: head.method.as_str(),
        host: host_of(&head.headers, &head.uri).unwrap_or(""),
        path: head.uri.path(),
        status: status.as_u16(),
        bytes,
        micros: micros(elapsed),
        agent: asking.agent,
        route: route.template(),
        protocol: protocol(head.version),
        referrer_host: head
            .headers
            .get(header::REFERER)
            .and_then(|v| v.to_str().ok())
            .and_then(host_of_url),
    });
}

fn host_of<'h>(headers: &'h HeaderMap, uri: &'h http::Uri) -> Option<&'h str> {
    headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| uri.authority().map(|a| a.as_str()))
}

/// The host of an absolute http(s) URL, without user information.
fn host_of_url(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit('@').next()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "h2c",
        Version::HTTP_10 => "http/1.0",
        _ => "http/1.1",
    }
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

fn plain(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn hex_id(id: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for (at, byte) in id.to_be_bytes().into_iter().enumerate() {
        out[at * 2] = DIGITS[usize::from(byte >> 4)];
        out[at * 2 + 1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

impl Answer {
    fn page(page: &Page, route: &Arc<Route>) -> Self {
        Self { response: page.response(), route: Arc::clone(route), ours: false }
    }
}

impl Page {
    fn response(&self) -> Response<Body> {
        plain(self.status, self.headers.clone(), Body::whole(self.body.clone()))
    }
}
