//! `GET /api/v1/sites`: the sites that are served, and whether what is behind them is well.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::Page;
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;
use crate::sites::Site;

/// One site.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Site")]
pub(crate) struct Row {
    name: String,
    /// Host names it answers to; empty = every name that no other site has.
    hosts: Vec<String>,
    /// `folder` or `app`.
    kind: &'static str,
    /// Copies of the app; null for a folder.
    copies: Option<usize>,
    /// Those of them that get requests (healthy or starting); null for a folder.
    healthy: Option<usize>,
}

impl Row {
    fn of(site: Site) -> Self {
        let asked = |site: &Site| {
            let copies = site.upstreams.as_ref()?;
            Some(copies.iter().filter(|copy| copy.state.is_asked()).count())
        };
        Self {
            kind: if site.upstreams.is_some() { "app" } else { "folder" },
            copies: site.upstreams.as_ref().map(Vec::len),
            healthy: asked(&site),
            name: site.name.to_string(),
            hosts: site.hosts,
        }
    }
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
) -> Result<Json<Page<Row>>, Problem> {
    let rows = (admin.sites)().sites.into_iter().map(Row::of).collect();
    Ok(Json(Page::whole(rows, admin.clock.now())))
}
