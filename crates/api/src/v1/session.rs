//! `GET /api/v1/session`: who is signed in, and where.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

#[derive(Serialize, JsonSchema)]
pub(crate) struct Session {
    /// `owner`, or `key` of a program.
    role: &'static str,
    /// None for the admin token and for keys that do not end by themselves.
    expires: Option<Timestamp>,
    version: &'static str,
    site_url: String,
    environment: &'static str,
    sites: Vec<String>,
}

pub(crate) async fn find(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
) -> Result<Json<Session>, Problem> {
    Ok(Json(Session {
        role: caller.role,
        expires: caller.expires,
        version: admin.node.version,
        site_url: admin.node.site_url.clone(),
        environment: admin.node.environment_name(),
        sites: admin.insight.list_sites().iter().map(ToString::to_string).collect(),
    }))
}
