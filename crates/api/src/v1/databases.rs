//! `GET /api/v1/databases`: what keeps the rows and the shared state. Files of this machine, or servers as this process sees them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use mainstay_kv as kv;
use mainstay_store::{FileView, NodeView, Role};
use schemars::JsonSchema;
use serde::Serialize;

use super::page::Page;
use crate::access::Caller;
use crate::admin::Admin;
use crate::problem::Problem;

/// One server or file.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Database")]
pub(crate) struct Row {
    /// `host:port`, or the name of a file.
    server: String,
    /// `sqlite`, `postgres` or `redis`.
    engine: &'static str,
    /// `primary`, `replica`, `stale`, `unknown` or `file`.
    role: &'static str,
    region: Option<String>,
    /// Whether it is asked.
    healthy: bool,
    /// Why it is not.
    reason: Option<String>,
    /// How it keeps the days of events: `native partitions`, `TimescaleDB (Apache)` or `TimescaleDB (Community)`; null of files
    /// and Redis, and before the database was opened.
    time_series: Option<&'static str>,
    /// Bytes of changes it has not replayed; null where nothing is replayed.
    lag_bytes: Option<u64>,
    /// How long it has been behind; null where nothing is replayed.
    lag_ms: Option<u64>,
    /// Connections of this process that are in use.
    connections_active: Option<usize>,
    /// Its open connections that are not.
    connections_idle: Option<usize>,
    /// Statements of this process under way or waiting for a connection.
    in_flight: Option<usize>,
    /// Size of a file; null of servers.
    size_bytes: Option<u64>,
    /// Size of its write-ahead log; null of servers.
    wal_bytes: Option<u64>,
}

impl Row {
    fn bare(server: String, engine: &'static str, role: &'static str) -> Self {
        Self {
            server,
            engine,
            role,
            region: None,
            healthy: true,
            reason: None,
            time_series: None,
            lag_bytes: None,
            lag_ms: None,
            connections_active: None,
            connections_idle: None,
            in_flight: None,
            size_bytes: None,
            wal_bytes: None,
        }
    }

    fn of_server(view: NodeView) -> Self {
        let replays = matches!(view.role, Role::Primary | Role::Replica);
        let lag_ms = u64::try_from(view.lag.as_millis()).unwrap_or(u64::MAX);
        Self {
            region: view.region,
            healthy: view.healthy,
            reason: view.reason,
            time_series: view.time_series,
            lag_bytes: replays.then_some(view.lag_bytes),
            lag_ms: replays.then_some(lag_ms),
            connections_active: Some(view.connections_active),
            connections_idle: Some(view.connections_idle),
            in_flight: Some(view.in_flight),
            ..Self::bare(view.name, "postgres", view.role.as_str())
        }
    }

    fn of_file(view: FileView) -> Self {
        Self {
            healthy: view.reason.is_none(),
            reason: view.reason,
            connections_active: Some(view.connections_active),
            connections_idle: Some(view.connections_idle),
            size_bytes: view.size,
            wal_bytes: Some(view.wal_size),
            ..Self::bare(view.name.to_owned(), "sqlite", "file")
        }
    }

    /// A Redis that is away is away for all of its servers, whatever the last of them said.
    fn of_redis(health: &kv::Health, node: &kv::Node) -> Self {
        let silent = || (!node.ok).then(|| "did not answer".to_owned());
        let reason = health.reason.clone().filter(|_| !health.ok).or_else(silent);
        Self {
            healthy: health.ok && node.ok,
            reason,
            ..Self::bare(node.address.clone(), "redis", node.role.as_str())
        }
    }
}

pub(crate) async fn list(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
) -> Result<Json<Page<Row>>, Problem> {
    let mut rows: Vec<Row> = admin.store.list_servers().into_iter().map(Row::of_server).collect();
    rows.extend(admin.store.list_files().await.into_iter().map(Row::of_file));
    // In process there are none.
    let health = admin.kv.health().await;
    let mut servers: Vec<_> = health.nodes.iter().collect();
    servers.sort_by_key(|node| node.role != kv::Role::Primary);
    rows.extend(servers.into_iter().map(|node| Row::of_redis(&health, node)));
    Ok(Json(Page::whole(rows, admin.clock.now())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_who_replays_has_a_lag() {
        let view = |role| NodeView {
            name: "db:5432".into(),
            region: None,
            role,
            healthy: role != Role::Unknown,
            reason: None,
            time_series: Some("native partitions"),
            lag_bytes: 7,
            lag: Duration::from_millis(3),
            connections_active: 1,
            connections_idle: 2,
            in_flight: 1,
        };
        for (role, lag) in [
            (Role::Primary, (Some(7), Some(3))),
            (Role::Replica, (Some(7), Some(3))),
            (Role::Stale, (None, None)),
            (Role::Unknown, (None, None)),
        ] {
            let row = Row::of_server(view(role));
            assert_eq!((row.lag_bytes, row.lag_ms), lag, "{role:?}");
        }
    }

    #[test]
    fn a_redis_server_is_well_when_it_and_the_whole_are() {
        let health = |ok: bool| kv::Health {
            ok,
            latency: None,
            nodes: Vec::new(),
            since: None,
            reason: (!ok).then(|| "connection refused".to_owned()),
        };
        let node = |ok| kv::Node { address: "redis:6379".into(), role: kv::Role::Primary, ok };
        for (whole, one, reason) in [
            (true, true, None),
            (true, false, Some("did not answer")),
            (false, true, Some("connection refused")),
            (false, false, Some("connection refused")),
        ] {
            let row = Row::of_redis(&health(whole), &node(one));
            assert_eq!((row.healthy, row.reason.as_deref()), (whole && one, reason));
        }
    }
}
