//! `GET /api/v1/traffic?step=60`: requests, errors and latency percentiles per step.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use serde::Serialize;

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One step. Percentiles are null when no request was answered in it.
#[derive(Serialize)]
pub(crate) struct Row {
    t: Timestamp,
    requests: i64,
    errors: i64,
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
    refused: i64,
    bytes: i64,
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let points = admin
        .insight
        .list_traffic(&asked.span(), asked.step)
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
    });
    Ok(Json(Page::whole(rows.collect(), asked.as_of)))
}

/// Milliseconds with microseconds behind the point.
fn millis(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e6).round() / 1e3
}
