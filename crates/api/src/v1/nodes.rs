//! `GET /api/v1/nodes`: the processes that serve, and how they are. One, as long as nothing is shared.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::Page;
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One process.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Node")]
pub(crate) struct Row {
    id: String,
    version: &'static str,
    /// None until regions can be configured.
    region: Option<String>,
    started: Timestamp,
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NodeCheck")]
struct Check {
    name: &'static str,
    status: &'static str,
    output: String,
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
) -> Result<Json<Page<Row>>, Problem> {
    let (_, checks) = admin.health.report();
    let checks = checks.into_iter().map(|c| Check {
        name: c.name,
        status: c.status.as_str(),
        output: c.output,
    });
    let row = Row {
        id: admin.node.id.clone(),
        version: admin.node.version,
        region: None,
        started: admin.node.started,
        ready: admin.health.is_ready(),
        checks: checks.collect(),
    };
    Ok(Json(Page::whole(vec![row], admin.clock.now())))
}
