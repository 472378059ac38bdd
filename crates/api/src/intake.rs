//! `POST /_mainstay/events`: a batch of visitor events; 204 once durable, else the reason.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use mainstay_base::{Coded, ErrorCode};
use mainstay_guard::{Facts, Origin};
use mainstay_insight::Insight;
use mainstay_insight::intake::{Error, Sender};
use mainstay_store::Written;

use crate::problem::Problem;
use crate::token::{self, TOKEN};

const SEC_GPC: HeaderName = HeaderName::from_static("sec-gpc");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

pub(crate) async fn events(insight: &Insight, head: &Head, body: Incoming) -> Response<Bytes> {
    answer(insight, accept(insight, head, body).await)
}

/// 204 and the token for what is durable, else the reason.
pub(crate) fn answer(insight: &Insight, accepted: Result<Written, Problem>) -> Response<Bytes> {
    match accepted {
        Ok(written) => {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            token::show(insight.seal(written), headers);
            if headers.contains_key(TOKEN) {
                // Listed origins may read the answer; of its headers a browser shows them those that are named (Fetch §3.2.3).
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(TOKEN));
            }
            response
        }
        Err(problem) => problem.into_bytes(),
    }
}

async fn accept(insight: &Insight, head: &Head, body: Incoming) -> Result<Written, Problem> {
    let Some(facts) = head.extensions.get::<Facts>() else {
        return Err(Problem::new(ErrorCode::Internal, "no facts of the request"));
    };
    if facts.origin == Origin::Foreign {
        let text =
            "Events come from this site's own pages, or from an origin that `cors.origins` names.";
        return Err(Problem::new(ErrorCode::Forbidden, text).with_field("origin"));
    }
    check_media_type(&head.headers)?;
    let body = read_body(body, insight.body_bytes_max(), insight.body_timeout()).await?;
    let text = |name: HeaderName| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let sender = Sender {
        client: facts.client,
        user_agent: text(header::USER_AGENT),
        opted_out: text(SEC_GPC) == "1" || text(header::DNT) == "1",
        prefetch: text(SEC_PURPOSE).contains("prefetch"),
        received: facts.received,
        site: facts.site.clone(),
    };
    insight.accept(&sender, &body).await.map_err(|error| problem(&error))
}

/// Why nothing was kept.
pub(crate) fn problem(error: &Error) -> Problem {
    // A store that is away was logged once by who noticed; a line per visitor would fill the disk that is full.
    let problem = match error.retry_after() {
        Some(_) => Problem::new(error.code(), error.public()),
        None => Problem::of(error),
    };
    let problem = match error.field() {
        Some((field, _reason)) => problem.with_field(field),
        None => problem,
    };
    match error.retry_after() {
        Some(seconds) => problem.retry_after(seconds),
        None => problem,
    }
}

/// Beacons come as `text/plain` (no pre-flight) or `application/json`; nothing else is read.
fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or("?").split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("text/plain")
        || essence.eq_ignore_ascii_case("application/json")
    {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Invalid, "Events are text/plain or application/json.")
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_field("content-type"))
}

/// A whole body within its bounds of size and time.
pub(crate) async fn read_body(
    body: Incoming,
    bytes_max: usize,
    within: Duration,
) -> Result<Bytes, Problem> {
    let limited = Limited::new(body, bytes_max);
    match tokio::time::timeout(within, limited.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(Problem::new(ErrorCode::TooLarge, format!("A body is at most {bytes_max} bytes.")))
        }
        Ok(Err(_)) => {
            Err(Problem::new(ErrorCode::Invalid, "The body ended before it was complete."))
        }
        Err(_) => Err(Problem::new(ErrorCode::Invalid, "The body took too long.")
            .with_status(StatusCode::REQUEST_TIMEOUT)),
    }
}
