//! `GET /api/v1/nodes`: the processes that serve, the one that answers first and in full. One, as long as nothing is shared.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use mainstay_store::{Process, list_processes};
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
    /// Kept over a restart where a database is shared.
    id: String,
    version: String,
    /// `database.region` of its settings.
    region: Option<String>,
    started: Timestamp,
    /// When it was last heard of.
    seen: Timestamp,
    /// Whether it is the one that answers.
    here: bool,
    /// Whether it may take traffic. Null of others: each answers that for itself.
    ready: Option<bool>,
    /// What it says of itself; none of others.
    checks: Vec<Check>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NodeCheck")]
struct Check {
    name: &'static str,
    /// Which of several: a database server, for one.
    component: Option<String>,
    status: &'static str,
    output: String,
}

impl Row {
    fn own(admin: &Admin) -> Self {
        let (_, checks) = admin.health.report();
        let checks = checks.into_iter().map(|c| Check {
            name: c.name,
            component: c.component,
            status: c.status.as_str(),
            output: c.output,
        });
        let shared = admin.store.process_id().map(|id| id.to_string());
        Self {
            id: shared.unwrap_or_else(|| admin.node.id.clone()),
            version: admin.node.version.to_owned(),
            region: admin.store.region().map(str::to_owned),
            started: admin.node.started,
            seen: admin.clock.now(),
            here: true,
            ready: Some(admin.health.is_ready()),
            checks: checks.collect(),
        }
    }

    fn other(process: Process) -> Self {
        Self {
            id: process.id.to_string(),
            version: process.version,
            region: process.region,
            started: process.started_at,
            seen: process.seen_at,
            here: false,
            ready: None,
            checks: Vec::new(),
        }
    }
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
) -> Result<Json<Page<Row>>, Problem> {
    admin.store.note_use();
    // With every database away this process knows of no other, and can still say how it is itself.
    let processes = list_processes(&admin.store).await.unwrap_or_else(|error| {
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "the other processes are not known"
        );
        Vec::new()
    });
    let own = admin.store.process_id();
    let others = processes.into_iter().filter(|process| Some(process.id) != own).map(Row::other);
    let rows = std::iter::once(Row::own(&admin)).chain(others).collect();
    Ok(Json(Page::whole(rows, admin.clock.now())))
}
