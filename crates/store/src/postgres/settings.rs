//! What an operator may set about PostgreSQL: one struct, no reading of files or environment.

use std::time::Duration;

use mainstay_base::units::{Size, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::{Cluster, Rules};
use super::node::Node;
use super::patience::Patience;
use super::pool::Shape;
use super::target::{Refused, Target};

/// PostgreSQL instead of the files of the data directory: shared by any number of servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// Address of the primary, `postgres://user:password@host:port/database?sslmode=verify-full`; `region=NAME` in it says
    /// where it stands, `pooled=true` that a pooler in transaction mode stands between (Neon's are known by their name).
    /// Not set (default): the files of the data directory. Also `DATABASE_PRIMARY_URL`.
    #[schemars(extend("examples" = ["postgres://mainstay@db.example/app?sslmode=verify-full"], "writeOnly" = true))]
    pub primary: Option<String>,
    /// Addresses of its streaming replicas, which answer reads. Which server is the primary is found out, so that a
    /// promoted replica is taken up without a restart. Also `DATABASE_REPLICA_1_URL` and so on.
    #[schemars(extend("writeOnly" = true))]
    pub replicas: Vec<String>,
    /// Password of every address that names none.
    #[schemars(extend("examples" = ["correct horse"], "writeOnly" = true))]
    pub password: Option<String>,
    /// Connections kept open to each server although nobody needs them. Default 5.
    pub pool_min: u32,
    /// Most connections to each server, of all processes that share the database together: each takes its share, and one that
    /// starts no more than `pool_min` until the others have made room, some 20 seconds later. One more of each process asks how
    /// the server stands. Default 50.
    pub pool_max: u32,
    /// A connection that has rested so long is closed, down to `pool_min`. Default `"5m"`.
    pub pool_idle: Span,
    /// Where this process runs: replicas of the same region are asked first. Not set: all alike.
    #[schemars(extend("examples" = ["eu-central-1"]))]
    pub region: Option<String>,
    /// How long making a connection may take. Default `"2s"`.
    pub connect_timeout: Span,
    /// How long a free connection is waited for. Default `"2s"`.
    pub acquire_timeout: Span,
    /// How long a question or a change may take; then its connection is given up and the server probed. Default `"5s"`.
    pub statement_timeout: Span,
    /// How often every server is asked how it stands; one that failed is tried sooner. Default `"30s"`.
    pub probe_every: Span,
    /// A replica that lacks more than this … Default `"8MiB"`.
    pub replica_lag_bytes_max: Size,
    /// … and has for longer than this is not asked. Default `"60s"`.
    pub replica_lag_max: Span,
    /// How long a read that must see an earlier change waits for a replica that is about to have it, before it goes to the
    /// primary. Default `"50ms"`.
    pub catch_up: Span,
    /// Percentage of its connections that the primary gives to reads while no replica is fit. Default 50.
    pub primary_read_share: u32,
    /// Nothing is sent while nobody asks (no probes, no kept connections, samples are held back), so that a serverless
    /// database may sleep. Not set: on when an address is Neon's.
    #[schemars(extend("examples" = [true]))]
    pub quiet: Option<bool>,
    /// How long a quiet database is kept awake after somebody asked or sent something. Default `"1m"`.
    pub quiet_after: Span,
    /// How long a database that may be asleep (a quiet one, or Neon's) may take to wake up: so long a connection to it is
    /// waited for, beyond `connect_timeout` and `acquire_timeout`, before it counts as failed. Default `"10s"`.
    pub wake_timeout: Span,
    /// Whether TimescaleDB is used where the server has it; else days are native partitions. Default `true`.
    pub timescale: bool,
    /// How many days ahead partitions are made. Default 7.
    pub partitions_ahead: u32,
    /// How long the ids of events are remembered, so that one sent again is known. Default `"48h"`.
    pub event_ids_kept: Span,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            primary: None,
            replicas: Vec::new(),
            password: None,
            pool_min: 5,
            pool_max: 50,
            pool_idle: Span::seconds(300),
            region: None,
            connect_timeout: Span::seconds(2),
            acquire_timeout: Span::seconds(2),
            statement_timeout: Span::seconds(5),
            probe_every: Span::seconds(30),
            replica_lag_bytes_max: Size::mib(8),
            replica_lag_max: Span::seconds(60),
            catch_up: Span(Duration::from_millis(50)),
            primary_read_share: 50,
            quiet: None,
            quiet_after: Span::seconds(60),
            wake_timeout: Span::seconds(10),
            timescale: true,
            partitions_ahead: 7,
            event_ids_kept: Span::days(2),
        }
    }
}

/// How much longer than the server we wait for its answer.
const GRACE: Duration = Duration::from_millis(250);
/// How long a probe may take.
const PROBE: Duration = Duration::from_secs(1);

/// An address that cannot be used: which setting it stands in, and why. Never carries the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("database.{field} {why}")]
pub struct Problem {
    /// `primary` or `replicas[n]`.
    pub field: String,
    /// Why it is refused.
    pub why: Refused,
}

impl Database {
    /// Whether PostgreSQL is used at all.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.primary.is_some()
    }

    /// Every address that cannot be used.
    #[must_use]
    pub fn list_problems(&self) -> Vec<Problem> {
        self.targets().into_iter().filter_map(Result::err).collect()
    }

    /// Servers of other machines whose certificate nobody checks.
    #[must_use]
    pub fn list_exposed(&self) -> Vec<String> {
        let targets = self.targets().into_iter().filter_map(Result::ok);
        targets.filter(Target::is_exposed).map(|target| target.name).collect()
    }

    /// Most connections of this process to each server, when `processes` share the database.
    pub(crate) fn pool_share(&self, processes: usize) -> usize {
        let (max, min) = (self.pool_max as usize, self.pool_min as usize);
        (max / processes.max(1)).max(min).max(1)
    }

    /// Whether nothing is sent while nobody asks.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.quiet.unwrap_or_else(|| self.is_neon())
    }

    fn is_neon(&self) -> bool {
        let mut addresses = self.primary.iter().chain(&self.replicas);
        addresses.any(|url| url.contains(".neon.tech"))
    }

    fn may_sleep(&self) -> bool {
        self.is_quiet() || self.is_neon()
    }

    /// How long a connection is waited for: a database that sleeps has to wake up first, which is no failure.
    fn connected_within(&self, awake: Duration) -> Duration {
        if self.may_sleep() { awake.max(self.wake_timeout.0) } else { awake }
    }

    pub(crate) fn open(&self) -> Result<Cluster, Problem> {
        let targets = self.targets().into_iter().collect::<Result<Vec<_>, _>>()?;
        let patience = |span: Span| Patience(span.0.max(Duration::from_millis(10)));
        let max = self.pool_share(1);
        let shape = Shape {
            min: self.pool_min as usize,
            max,
            idle_for: self.pool_idle.0,
            connect: patience(Span(self.connected_within(self.connect_timeout.0))),
            ping: patience(self.connect_timeout),
            acquire: self.connected_within(self.acquire_timeout.0),
        };
        let rules = Rules {
            region: self.region.clone(),
            // The server is the first to give up: then it is known to be well, and the connection as well.
            patience: patience(Span(self.statement_timeout.0 + GRACE)),
            primary_share: self.primary_read_share.min(100) as usize,
            lag_bytes_max: self.replica_lag_bytes_max.0,
            lag_max: self.replica_lag_max.0,
            catch_up: self.catch_up.0,
            probe_every: self.probe_every.0.max(Duration::from_millis(50)),
            probe_patience: Patience(PROBE),
            probe_connect: Patience(self.connected_within(PROBE)),
            quiet: self.is_quiet(),
            may_sleep: self.may_sleep(),
        };
        let nodes = targets.into_iter().map(|target| Node::new(target, shape));
        Ok(Cluster::new(nodes.collect(), rules))
    }

    fn targets(&self) -> Vec<Result<Target, Problem>> {
        let fields = self.primary.iter().map(|url| ("primary".to_owned(), url));
        let replicas = self.replicas.iter().enumerate();
        fields
            .chain(replicas.map(|(n, url)| (format!("replicas[{n}]"), url)))
            .map(|(field, url)| {
                let password = self.password.as_deref().filter(|_| !names_password(url));
                Target::parse(url, password, self.statement_timeout.0)
                    .map_err(|why| Problem { field, why })
            })
            .collect()
    }
}

/// Whether an address holds a password of its own.
fn names_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or("");
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}
