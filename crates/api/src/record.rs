//! `POST /_mainstay/record`: what the app behind us records, by an API key of scope `record`; 204 once durable, else the
//! reason. Metrics, which live in memory, are counted at the same moment.

use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::ErrorCode;
use mainstay_guard::Facts;
use mainstay_identity::Scope;
use mainstay_insight::Insight;
use mainstay_insight::record::Sender;
use mainstay_store::Written;

use crate::intake::{answer, problem, read_body};
use crate::problem::Problem;
use crate::public::Public;

pub(crate) async fn record(public: &Public, head: &Head, body: Incoming) -> Response<Bytes> {
    answer(&public.insight, accept(public, head, body).await)
}

async fn accept(public: &Public, head: &Head, body: Incoming) -> Result<Written, Problem> {
    // Before the body: a stranger's costs nothing.
    let caller = public.gate.require(&head.headers, Scope::Record).await?;
    let Some(facts) = head.extensions.get::<Facts>() else {
        return Err(Problem::new(ErrorCode::Internal, "no facts of the request"));
    };
    let sender = Sender {
        site: facts.site.clone(),
        received: facts.received,
        request_id: facts.request_id,
        key: caller.id,
    };
    let taken = take(&public.insight, &head.headers, &sender, body).await;
    if let Err(problem) = &taken {
        public.insight.count_not_recorded(problem.status().as_u16());
    }
    taken
}

async fn take(
    insight: &Insight,
    headers: &HeaderMap,
    sender: &Sender,
    body: Incoming,
) -> Result<Written, Problem> {
    check_media_type(headers)?;
    let body = read_body(body, insight.record_bytes_max(), insight.body_timeout()).await?;
    insight.record(sender, &body).await.map_err(|error| problem(&error))
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or("").split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(ErrorCode::Invalid, "What is recorded is application/json.")
        .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        .with_field("content-type"))
}
