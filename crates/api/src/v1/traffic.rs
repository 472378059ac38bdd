//! `GET /api/v1/traffic?step=60`: requests, errors and latency percentiles per step, of one site or of all together.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use mainstay_insight::query::{ALL_SITES, Span};
use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One step. Percentiles are null when no request was answered in it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Traffic")]
pub(crate) struct Row {
    t: Timestamp,
    requests: i64,
    errors: i64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// Of the whole server, whichever site is asked for: they reached none.
    refused: i64,
    bytes: i64,
    /// Wait for the app, to the head of its answers; null when no app answered. `ours` is the rest of that time.
    upstream_p50_ms: Option<f64>,
    upstream_p95_ms: Option<f64>,
    ours_p50_ms: Option<f64>,
    ours_p95_ms: Option<f64>,
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let site = asked.scope.0.as_deref().unwrap_or(ALL_SITES);
    let points = asked
        .insight
        .list_traffic(&Span { site, ..asked.span() }, asked.step)
        .await
        .map_err(|error| Problem::of(&error))?;
    let rows = points.into_iter().map(|point| Row {
        t: point.t,
        requests: point.requests,
        errors: point.errors,
        p50_ms: point.p50.map(millis),
        p95_ms: point.p95.map(millis),
        p99_ms: point.p99.map(millis),
        refused: point.refused,
        bytes: point.bytes,
        upstream_p50_ms: point.split.map(|split| millis(split.upstream_p50)),
        upstream_p95_ms: point.split.map(|split| millis(split.upstream_p95)),
        ours_p50_ms: point.split.map(|split| millis(split.ours_p50)),
        ours_p95_ms: point.split.map(|split| millis(split.ours_p95)),
    });
    Ok(Json(Page::whole(rows.collect(), asked.as_of)))
}

/// Milliseconds with microseconds behind the point.
pub(crate) fn millis(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}
