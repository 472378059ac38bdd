//! The servers as the console and health show them.

use std::time::Duration;

use super::Db;
use super::history::Refused;
use super::node::Role;

/// One database server.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeView {
    /// Host and port.
    pub name: String,
    /// Where it stands.
    pub region: Option<String>,
    /// What it is to the others.
    pub role: Role,
    /// Whether it may be asked.
    pub healthy: bool,
    /// Why not, when it may not.
    pub reason: Option<String>,
    /// How it keeps the days of events: native partitions, or TimescaleDB and under which licence. None before it was
    /// opened.
    pub time_series: Option<&'static str>,
    /// Bytes it has not replayed.
    pub lag_bytes: u64,
    /// How long it has been behind.
    pub lag: Duration,
    /// Connections in use.
    pub connections_active: usize,
    /// Open connections that are not in use.
    pub connections_idle: usize,
    /// Statements under way.
    pub in_flight: usize,
}

/// Every server, in the order of the settings.
#[must_use]
pub fn list_nodes(db: &Db) -> Vec<NodeView> {
    db.cluster
        .nodes
        .iter()
        .map(|node| {
            let state = node.state();
            let (connections_active, connections_idle) = node.pool.count();
            let behind = state.lagging.then(|| "too far behind the primary".to_owned());
            let stale = (state.role == Role::Stale).then(|| {
                let refused = db.cluster.history.judge(state.history(), true);
                refused.map_or_else(|| "takes changes beside the primary".into(), Refused::reason)
            });
            let reason = state.ejected.map(|e| e.reason).or(stale).or(behind);
            NodeView {
                name: node.target.name.clone(),
                region: node.target.region.clone(),
                role: state.role,
                healthy: reason.is_none() && state.role != Role::Unknown,
                reason,
                time_series: db.cluster.time_series.get().map(|kept| kept.as_str()),
                lag_bytes: state.lag_bytes,
                lag: state.lag,
                connections_active,
                connections_idle,
                in_flight: node.in_flight(),
            }
        })
        .collect()
}
