//! Everything of ours that a stranger can reach, on one screen: method, path, who may, what answers.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use mainstay_base::ErrorCode;
use mainstay_guard::csp;
use mainstay_guard::headers::{Kind, security_headers};
use mainstay_guard::settings::{Environment, Headers};
use mainstay_insight::Insight;
use mainstay_jobs::Jobs;
use mainstay_telemetry::http::OURS_ROUTE;

use crate::key::Gate;
use crate::problem::Problem;
use crate::script::Script;
use crate::{intake, jobs, record, reports};

/// What the public endpoints work with.
pub struct Public {
    prefix: String,
    pub(crate) insight: Insight,
    pub(crate) gate: Gate,
    pub(crate) jobs: Jobs,
    full: Script,
    lite: Script,
    headers: HeaderMap,
}

/// The route template an answer counts for, and the answer.
pub type Answered = (&'static str, Response<Bytes>);

impl Public {
    /// `prefix` without a trailing slash, as in the edge's settings.
    #[must_use]
    pub fn new(
        prefix: &str,
        (insight, gate, jobs): (Insight, Gate, Jobs),
        (full, lite): (Script, Script),
        headers: &Headers,
        environment: Environment,
    ) -> Self {
        let headers = headers.resolved(environment);
        let mut set = security_headers(&headers, Kind::Api, false);
        set.extend(csp::api_policy().header(csp::Mode::Enforce));
        Self {
            prefix: prefix.trim_end_matches('/').to_owned(),
            insight,
            gate,
            jobs,
            full,
            lite,
            headers: set.into_iter().collect(),
        }
    }

    /// The handler for the data plane.
    pub fn handler(
        self: Arc<Self>,
    ) -> impl Fn(Arc<Head>, Incoming) -> Pin<Box<dyn Future<Output = Answered> + Send>>
    + Send
    + Sync
    + 'static {
        move |head, body| {
            let public = Arc::clone(&self);
            Box::pin(async move {
                let (route, mut response) = public.route(&head, body).await;
                // The other way round every answer would pay for growing its few headers to the whole set.
                let own = std::mem::replace(response.headers_mut(), public.headers.clone());
                response.headers_mut().extend(own);
                (route, response)
            })
        }
    }

    async fn route(&self, head: &Head, body: Incoming) -> Answered {
        // The data plane hands over what lies below the prefix, and posts to `edge.report_paths`.
        let path = head.uri.path().strip_prefix(self.prefix.as_str()).unwrap_or("/reports");
        let reading = matches!(head.method, Method::GET | Method::HEAD);
        match (path, reading, head.method == Method::POST) {
            ("/m.js", true, _) => {
                ("/_mainstay/m.js", self.full.answer(&head.headers, head.uri.query()))
            }
            ("/m.lite.js", true, _) => {
                ("/_mainstay/m.lite.js", self.lite.answer(&head.headers, head.uri.query()))
            }
            ("/events", _, true) => {
                ("/_mainstay/events", intake::events(&self.insight, head, body).await)
            }
            ("/reports", _, true) => {
                // Boxed: events would carry room for it.
                let answer = Box::pin(reports::reports(&self.insight, head, body)).await;
                ("/_mainstay/reports", answer)
            }
            ("/record", _, true) => {
                let answer = Box::pin(record::record(self, head, body)).await;
                ("/_mainstay/record", answer)
            }
            (path, ..) if let Some(below) = path.strip_prefix("/jobs/") => {
                Box::pin(jobs::jobs(self, below, head, body)).await
            }
            ("/m.js" | "/m.lite.js", ..) => (OURS_ROUTE, wrong_method("GET, HEAD")),
            ("/events" | "/reports" | "/record", ..) => (OURS_ROUTE, wrong_method("POST")),
            _ => (
                OURS_ROUTE,
                Problem::new(ErrorCode::NotFound, "There is nothing at this address.").into_bytes(),
            ),
        }
    }
}

pub(crate) fn wrong_method(allowed: &'static str) -> Response<Bytes> {
    let mut response = Problem::new(ErrorCode::Invalid, "This address does not take this method.")
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .into_bytes();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
