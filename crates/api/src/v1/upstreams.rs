//! `GET /api/v1/upstreams`: the copies of the apps behind sites, and how each is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_base::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::page::Page;
use super::scope::Scope;
use super::traffic::millis;
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;
use crate::sites::{Served, Upstream};

/// One copy of an app.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Upstream")]
pub(crate) struct Row {
    site: String,
    /// `http://host:port`.
    url: String,
    /// `healthy`, `failing`, `starting` or `draining`.
    state: &'static str,
    /// Requests in hand.
    in_flight: u32,
    /// Requests since the start.
    requests: u64,
    /// Those without an answer.
    errors: u64,
    /// Running mean of the wait for the head of an answer; null before the first.
    latency_ms: Option<f64>,
    /// When it came into this state.
    since: Timestamp,
}

impl Row {
    fn of(site: &str, copy: &Upstream) -> Self {
        Self {
            site: site.to_owned(),
            url: copy.url.clone(),
            state: copy.state.as_str(),
            in_flight: copy.in_flight,
            requests: copy.requests,
            errors: copy.errors,
            latency_ms: copy.latency.map(millis),
            since: copy.since,
        }
    }
}

/// The copies behind the sites meant, in the order of the settings; last those that settings no longer name.
pub(crate) fn rows_of(served: &Served, scope: &Scope) -> Vec<Row> {
    let copies = served
        .sites
        .iter()
        .flat_map(|site| site.upstreams.iter().flatten().map(|copy| (&site.name, copy)));
    let all = copies.chain(served.leaving.iter().map(|(site, copy)| (site, copy)));
    let meant = all.filter(|(site, _)| scope.holds(site));
    meant.map(|(site, copy)| Row::of(site, copy)).collect()
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    scope: Scope,
) -> Result<Json<Page<Row>>, Problem> {
    let rows = rows_of(&(admin.sites)(), &scope);
    Ok(Json(Page::whole(rows, admin.clock.now())))
}
