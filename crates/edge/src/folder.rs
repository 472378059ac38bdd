//! A request answered from a folder of files: conditional, ranges, codings. Asks [`crate::files`]; reads nothing itself.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::coding;

use crate::body::Body;
use crate::conditional::{self, Outcome, Validators};
use crate::content::{Content, Source, Variant, set_all};
use crate::files::{Entry, Files, location};
use crate::pages::plain;
use crate::phases::{Answer, Asking};
use crate::range::{self, Asked};
use crate::site::Site;
use crate::stream;

/// The answer of a folder: reads only.
pub(crate) async fn answer(
    site: &Site,
    files: &Arc<Files>,
    asking: &Asking,
    request: &Request<Incoming>,
    now_ms: u32,
) -> Answer {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let reading = matches!(*method, Method::GET | Method::HEAD);
    if !reading {
        let page = if *method == Method::OPTIONS {
            &site.pages.options
        } else {
            &site.pages.method_not_allowed
        };
        return site.page(page, asking);
    }
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
    let mut response = from_content(site, &content, asking, method, headers).await;
    if asking.https {
        set_all(response.headers_mut(), &content.over_tls);
    }
    let route = Arc::clone(route.unwrap_or(&content.route));
    Answer { response, route, ours: false }
}

/// Picks the representation: conditional first, then range (identity only), then the best coding.
async fn from_content(
    site: &Site,
    content: &Arc<Content>,
    asking: &Asking,
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
            Outcome::Failed => return site.pages.precondition_failed.response(asking.https),
        }
        if asks_range && conditional::range_allowed(headers, &validators) {
            let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
            match range::read(asked, content.length()) {
                Asked::Whole => {}
                Asked::Part(part) => return partial(site, content, asking, part).await,
                Asked::Unsatisfiable => return unsatisfiable(content),
            }
        }
    }
    let status = StatusCode::from_u16(content.status).unwrap_or(StatusCode::OK);
    match (&content.source, &coded) {
        (Source::Disk { length, .. }, None) if *method == Method::HEAD => {
            let mut headers = variant.headers.clone();
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(*length));
            plain(status, headers, Body::empty())
        }
        (Source::Disk { file, length }, None) => match stream::open(file, 0..*length).await {
            Ok(pieces) => plain(status, variant.headers.clone(), Body::streamed(pieces, *length)),
            Err(_) => site.pages.not_found.response(asking.https),
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

async fn partial(
    site: &Site,
    content: &Arc<Content>,
    asking: &Asking,
    part: std::ops::Range<u64>,
) -> Response<Body> {
    let mut headers = content.identity.headers.clone();
    let length = content.length();
    let span = format!("bytes {}-{}/{length}", part.start, part.end.saturating_sub(1));
    if let Ok(value) = HeaderValue::from_str(&span) {
        headers.insert(header::CONTENT_RANGE, value);
    }
    let body = match &content.source {
        // A part lies inside the body and a body in memory is shorter than usize.
        Source::Memory(bytes) => Body::whole(bytes.slice(part.start as usize..part.end as usize)),
        Source::Disk { file, .. } => match stream::open(file, part.clone()).await {
            Ok(pieces) => Body::streamed(pieces, part.end - part.start),
            Err(_) => return site.pages.not_found.response(asking.https),
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
