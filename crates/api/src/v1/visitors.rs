//! `GET /api/v1/visitors?step=60` and `/visitors/now`: people, page views, bounces, engaged time.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Asked, Page};
use super::scope::Scope;
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One step.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Visitors")]
pub(crate) struct Row {
    t: Timestamp,
    visitors: i64,
    pageviews: i64,
    bounces: i64,
    engaged_ms: i64,
}

/// People with a page view in the last five minutes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VisitorsNow")]
pub(crate) struct Now {
    now: i64,
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let points = asked
        .insight
        .list_visitors(&asked.span(), asked.step)
        .await
        .map_err(|error| Problem::of(&error))?;
    let rows = points.into_iter().map(|point| Row {
        t: point.t,
        visitors: point.visitors,
        pageviews: point.pageviews,
        bounces: point.bounces,
        engaged_ms: point.engaged_ms,
    });
    Ok(Json(Page::whole(rows.collect(), asked.as_of)))
}

pub(crate) async fn now(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    scope: Scope,
) -> Result<Json<Now>, Problem> {
    let now = admin
        .insight
        .count_visitors_now(&scope.one(&admin))
        .await
        .map_err(|error| Problem::of(&error))?;
    Ok(Json(Now { now }))
}
