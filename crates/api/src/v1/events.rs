//! `GET /api/v1/events`: named events of the site's pages and of its app, the most frequent first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One name.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventCount")]
pub(crate) struct Row {
    name: String,
    count: i64,
    /// Visitors who did it; events that the app recorded have none.
    visitors: i64,
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let counts = asked.insight.count_events(&asked.span(), asked.limit).await;
    let counts = counts.map_err(|error| Problem::of(&error))?;
    let row = |count: mainstay_insight::query::NameCount| Row {
        name: count.name,
        count: count.count,
        visitors: count.visitors,
    };
    Ok(Json(Page::whole(counts.into_iter().map(row).collect(), asked.as_of)))
}
