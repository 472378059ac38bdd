//! `POST /_mainstay/reports`: what browsers report about the pages; 204 once durable. No token, cookie or Sec-Fetch header is asked for, because browsers send reports by themselves.

mod body;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::{Coded, ErrorCode};
use mainstay_guard::Facts;
use mainstay_insight::Insight;
use mainstay_insight::reports::{Error, Sender};
use mainstay_store::Written;

use crate::intake::answer;
use crate::problem::Problem;

/// CSP level 2, the Reporting API, and what browsers before both called them. The body tells what it is; the type only
/// keeps out what a form could send without a pre-flight.
const MEDIA_TYPES: [&str; 3] =
    ["application/csp-report", "application/reports+json", "application/json"];

pub(crate) async fn reports(insight: &Insight, head: &Head, body: Incoming) -> Response<Bytes> {
    answer(insight, accept(insight, head, body).await)
}

async fn accept(insight: &Insight, head: &Head, body: Incoming) -> Result<Written, Problem> {
    let Some(facts) = head.extensions.get::<Facts>() else {
        return Err(Problem::new(ErrorCode::Internal, "no facts of the request"));
    };
    // A flood is refused before its bodies cost anything.
    let mut pass = insight.admit_reports(facts.client, facts.received).map_err(|e| problem(&e))?;
    check_media_type(&head.headers).inspect_err(|_| insight.count_refused_report("media_type"))?;
    let body = body::read(insight, &mut pass, body).await?;
    let user_agent = head.headers.get(header::USER_AGENT);
    let sender = Sender {
        client: facts.client,
        user_agent: user_agent.and_then(|value| value.to_str().ok()).unwrap_or(""),
        host: facts.host.as_deref(),
        received: facts.received,
        site: facts.site.clone(),
    };
    insight.accept_reports(&sender, pass, &body).await.map_err(|error| problem(&error))
}

fn problem(error: &Error) -> Problem {
    match error.retry_after() {
        // Logged once by who noticed it: a line per report would fill the disk that is full.
        Some(seconds) => Problem::new(error.code(), error.public()).retry_after(seconds),
        None => match error {
            Error::Invalid(_) => Problem::of(error).with_field("body"),
            _ => Problem::of(error),
        },
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or("").split(';').next().unwrap_or("").trim();
    if MEDIA_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::Invalid,
        "Reports are application/csp-report or application/reports+json.",
    )
    .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    .with_field("content-type"))
}
