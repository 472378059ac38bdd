//! The connection to the store: one server's or a cluster's, found out when it is opened. Decides nothing when it breaks.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_read_routing::RandomReplicaStrategy;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo as _,
    ProtocolVersion, PushInfo, RedisError, RedisResult, TlsCertificates, Value, cmd,
};

use crate::Settings;

/// How often the client itself sends a command on: to where its slot moved, or to another server that may know.
/// What met a failover is repeated by who asked, who knows how long it may take.
const HOPS: u32 = 3;
/// Pause before that in ms, where there is one.
const HOP_REST: u64 = 1;

/// A connection. Cheap to clone.
#[derive(Clone)]
pub(super) enum Link {
    Single(MultiplexedConnection),
    Cluster {
        connection: ClusterConnection,
        /// Asks replicas, if they are asked at all. It is one of its own: where a primary cannot be reached the client asks
        /// another server of the shard, and a replica that was told READONLY, as by this one, answers instead of refusing.
        replicas: Option<ClusterConnection>,
        /// Whether the servers know channels that belong to a slot (Redis 7, Valkey).
        is_sharded: bool,
    },
}

/// Where a command goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum To<'a> {
    /// Who takes writes for this key.
    Primary(&'a str),
    /// Whoever has this key.
    Any(&'a str),
    /// This very server, of a cluster.
    Node(&'a str, u16),
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.is_single() { "Single" } else { "Cluster" })
    }
}

impl Link {
    /// Connects through the first server that answers, and makes sure that the store is ready to serve.
    pub(super) async fn open(settings: &Settings) -> RedisResult<Self> {
        let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no servers are named"));
        for node in &settings.nodes {
            match Self::open_through(settings, node).await {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_through(settings: &Settings, node: &str) -> RedisResult<Self> {
        let client = client(settings, node).await?;
        let config = config(settings);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let about: String = cmd("INFO").arg("cluster").query_async(&mut connection).await?;
        if !about.contains("cluster_enabled:1") {
            // A server that still loads its data refuses this.
            cmd("PING").query_async::<()>(&mut connection).await?;
            return Ok(Self::Single(connection));
        }
        let state: String = cmd("CLUSTER").arg("INFO").query_async(&mut connection).await?;
        if !state.contains("cluster_state:ok") {
            return Err((ErrorKind::ClusterConnectionNotFound, "the cluster is not whole").into());
        }
        let known: Value =
            cmd("COMMAND").arg("INFO").arg("SPUBLISH").query_async(&mut connection).await?;
        let is_sharded = matches!(known, Value::Array(found) if found.iter().all(|command| *command != Value::Nil));
        let connection = cluster(settings).await?.build()?.get_async_connection().await?;
        let replicas = if settings.replica_reads {
            let client =
                cluster(settings).await?.read_routing_strategy(RandomReplicaStrategy).build()?;
            Some(client.get_async_connection().await?)
        } else {
            None
        };
        Ok(Self::Cluster { connection, replicas, is_sharded })
    }

    pub(super) fn is_single(&self) -> bool {
        matches!(self, Self::Single(_))
    }

    /// The command by which messages are sent.
    pub(super) fn publish_verb(&self) -> &'static str {
        match self {
            Self::Cluster { is_sharded: true, .. } => "SPUBLISH",
            Self::Cluster { .. } | Self::Single(_) => "PUBLISH",
        }
    }

    pub(super) async fn send(&self, command: &Cmd, to: To<'_>) -> RedisResult<Value> {
        let answer = match self {
            Self::Single(connection) => connection.clone().req_packed_command(command).await?,
            Self::Cluster { connection, replicas, .. } => {
                let connection = match (to, replicas) {
                    (To::Any(_), Some(replicas)) => replicas,
                    _ => connection,
                };
                connection.clone().route_command(command.clone(), routing(to)).await?
            }
        };
        answer.extract_error()
    }
}

fn routing(to: To<'_>) -> RoutingInfo {
    RoutingInfo::SingleNode(match to {
        To::Primary(key) => {
            SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master))
        }
        To::Any(key) => {
            SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::ReplicaOptional))
        }
        To::Node(host, port) => SingleNodeRoutingInfo::ByAddress { host: host.to_owned(), port },
    })
}

/// A connection of its own that hears messages; `hear` must not wait. Cheap to clone.
#[derive(Clone)]
pub(super) enum Ear {
    Single(MultiplexedConnection),
    Cluster { connection: ClusterConnection, is_sharded: bool },
}

impl Ear {
    pub(super) async fn open(
        settings: &Settings,
        link: &Link,
        hear: impl Fn(PushInfo) -> Result<(), redis::aio::SendError> + Send + Sync + 'static,
    ) -> RedisResult<Self> {
        match link {
            Link::Cluster { is_sharded, .. } => {
                let client = cluster(settings).await?.push_sender(hear).build()?;
                let connection = client.get_async_connection().await?;
                Ok(Self::Cluster { connection, is_sharded: *is_sharded })
            }
            Link::Single(_) => {
                let mut last = RedisError::from((ErrorKind::Client, "no server answers"));
                let config = config(settings).set_push_sender(hear);
                for node in &settings.nodes {
                    let client = client(settings, node).await?;
                    match client.get_multiplexed_async_connection_with_config(&config).await {
                        Ok(connection) => return Ok(Self::Single(connection)),
                        Err(error) => last = error,
                    }
                }
                Err(last)
            }
        }
    }

    pub(super) async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Single(connection) => connection.subscribe(channel).await,
            Self::Cluster { connection, is_sharded: true } => connection.ssubscribe(channel).await,
            Self::Cluster { connection, .. } => connection.subscribe(channel).await,
        }
    }
}

async fn client(settings: &Settings, node: &str) -> RedisResult<Client> {
    let info = info(settings, node)?;
    match authorities(settings).await? {
        Some(authorities) => Client::build_with_tls(info, authorities),
        None => Client::open(info),
    }
}

/// The authorities of `redis.ca_file`, read anew for each connection that is opened here. A single server's is opened anew
/// whenever it was lost, so that a new authority is trusted without a restart; what a cluster's client opens by itself, to
/// servers that come and that come back, trusts those of its beginning.
async fn authorities(settings: &Settings) -> RedisResult<Option<TlsCertificates>> {
    let (true, Some(file)) = (settings.tls, &settings.ca_file) else { return Ok(None) };
    let wrong = |why: String| {
        let what = format!("{}: {why}", file.display());
        RedisError::from((ErrorKind::InvalidClientConfig, "redis.ca_file cannot be used", what))
    };
    let read = tokio::fs::read(file).await.map_err(|error| wrong(error.to_string()))?;
    if !String::from_utf8_lossy(&read).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(read) }))
}

async fn cluster(settings: &Settings) -> RedisResult<ClusterClientBuilder> {
    let infos = settings.nodes.iter().map(|node| info(settings, node));
    let infos = infos.collect::<RedisResult<Vec<_>>>()?;
    let mut builder = ClusterClient::builder(infos);
    if let Some(authorities) = authorities(settings).await? {
        builder = builder.certs(authorities);
    }
    Ok(builder
        .retries(HOPS)
        .min_retry_wait(HOP_REST)
        .max_retry_wait(HOP_REST)
        .connection_timeout(settings.connect_timeout.0)
        .response_timeout(response_timeout(settings))
        .overall_response_timeout(None)
        .tcp_settings(tcp(settings))
        .use_protocol(ProtocolVersion::RESP3))
}

/// Callers give up on their own; this bounds what they left behind.
fn response_timeout(settings: &Settings) -> Duration {
    settings.answer_within.0.max(settings.connect_timeout.0).max(settings.patience.0)
}

fn config(settings: &Settings) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout.0))
        .set_response_timeout(Some(response_timeout(settings)))
}

/// A machine that vanished without a word is noticed by the system, not only by those who wait.
fn tcp(settings: &Settings) -> TcpSettings {
    TcpSettings::default().set_nodelay(true).set_user_timeout(settings.connect_timeout.0 * 2)
}

fn info(settings: &Settings, node: &str) -> RedisResult<ConnectionInfo> {
    let scheme = if settings.tls { "rediss" } else { "redis" };
    let info = format!("{scheme}://{node}").as_str().into_connection_info()?;
    let mut redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    if let Some(username) = &settings.username {
        redis = redis.set_username(username);
    }
    if let Some(password) = &settings.password {
        redis = redis.set_password(password);
    }
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp(settings)))
}

/// An address as the settings write it.
pub(super) fn address(host: &str, port: u16) -> String {
    match host.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}
