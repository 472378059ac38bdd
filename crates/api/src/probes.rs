//! Probes and metrics on the private listener: alive, ready, started, well; and the scrape.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mainstay_telemetry::metrics::negotiate;
use serde::Serialize;

use crate::access::Caller;
use crate::admin::Admin;
use crate::health::{Check, Status};
use crate::problem::Problem;

/// `GET /livez`: the process answers. Looks at nothing: a store that is away must not restart anybody.
pub(crate) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: this node may take traffic.
pub(crate) async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    verdict(admin.health.is_ready(), "ready\n", "not ready\n")
}

/// `GET /startupz`: start-up is complete.
pub(crate) async fn startupz(State(admin): State<Arc<Admin>>) -> Response {
    verdict(admin.health.has_started(), "started\n", "starting\n")
}

fn verdict(good: bool, yes: &'static str, no: &'static str) -> Response {
    if good { yes.into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, no).into_response() }
}

#[derive(Serialize)]
struct Report {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(rename = "releaseId", skip_serializing_if = "Option::is_none")]
    release_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<BTreeMap<&'static str, Vec<Measured>>>,
}

#[derive(Serialize)]
struct Measured {
    #[serde(rename = "componentId", skip_serializing_if = "Option::is_none")]
    component_id: Option<String>,
    #[serde(rename = "componentType")]
    component_type: &'static str,
    status: &'static str,
    time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    output: String,
}

/// `GET /healthz`: health+json (draft-inadarei-api-health-check-06). The verdict for anybody, details for the owner.
pub(crate) async fn healthz(
    State(admin): State<Arc<Admin>>,
    caller: Result<Caller, Problem>,
) -> Response {
    let (status, checks) = admin.health.report();
    let owner = caller.is_ok();
    let report = Report {
        status: status.as_str(),
        version: owner.then_some(admin.node.version),
        release_id: owner.then(|| admin.node.id.clone()),
        checks: owner.then(|| group(checks)),
    };
    let code =
        if status == Status::Fail { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let kind = [(header::CONTENT_TYPE, "application/health+json")];
    (code, kind, Json(report).into_response().into_body()).into_response()
}

/// Checks of one name stand together (section 4 of the draft: an array per name).
fn group(checks: Vec<Check>) -> BTreeMap<&'static str, Vec<Measured>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for check in checks {
        groups.entry(check.name).or_default().push(Measured::of(check));
    }
    groups
}

impl Measured {
    fn of(check: Check) -> Self {
        Self {
            component_id: check.component,
            component_type: check.kind,
            status: check.status.as_str(),
            time: check.time.to_rfc3339(),
            output: check.output,
        }
    }
}

/// `GET /metrics`: text 0.0.4, or OpenMetrics with exemplars for who asks for it.
pub(crate) async fn metrics(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = negotiate(accept);
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()))];
    (kind, admin.registry.encode(format)).into_response()
}
