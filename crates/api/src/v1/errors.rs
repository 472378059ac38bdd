//! `GET /api/v1/errors`: faults of the site's scripts, grouped, the latest seen first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use mainstay_store::error_event::{After, Group};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page::{Asked, Page};
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One fault.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ScriptError")]
pub(crate) struct Row {
    fingerprint: String,
    name: String,
    message: String,
    count: i64,
    visitors: i64,
    first_seen: Timestamp,
    last_seen: Timestamp,
    resolved: bool,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    t: Timestamp,
    f: String,
}

impl Row {
    pub(crate) fn of(group: &Group) -> Self {
        Self {
            fingerprint: group.fingerprint.clone(),
            name: group.error_type.clone(),
            message: group.message.clone(),
            count: group.count,
            visitors: group.visitors,
            first_seen: group.first_seen,
            last_seen: group.last_seen,
            resolved: group.resolved,
        }
    }
}

pub(crate) async fn list(
    State(_): State<Arc<Admin>>,
    _caller: Caller,
    asked: Asked,
) -> Result<Json<Page<Row>>, Problem> {
    let mark = asked.cursor::<Mark>()?;
    let after = mark.map(|mark| After { last_seen: mark.t, fingerprint: mark.f });
    let groups = asked
        .insight
        .list_errors(&asked.span(), after, asked.limit)
        .await
        .map_err(|error| Problem::of(&error))?;
    let full = groups.len() == asked.limit as usize;
    let next =
        groups.last().filter(|_| full).map(|g| Mark { t: g.last_seen, f: g.fingerprint.clone() });
    Ok(Json(Page::part(groups.iter().map(Row::of).collect(), next, asked.as_of)))
}
