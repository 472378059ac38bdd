//! A primary and its replicas, each behind a network that can fail, Redis beside them where a fault is its own, and what is
//! done to them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use mainstay_testkit::{ChaosProxy, Postgres, PostgresNode, Redis, RedisCluster, RedisNode};

use super::fault::{Blow, Fault, Struck};
use super::{REPLICAS, WELL};
use crate::server::pause;

/// How long replicas hear nothing before their primary is killed.
const BEHIND: Duration = Duration::from_secs(1);
/// The key that every process looks at now and then, whatever it keeps in Redis.
const LOOKED_AT: &str = "mainstay:generation";

/// The servers, with a network in front of each of the database's that can fail.
pub(super) struct Servers {
    servers: Postgres,
    pub(super) networks: Vec<ChaosProxy>,
    pub(super) database: String,
    redis: Option<RedisCluster>,
    /// Page views that the primary had before it was killed.
    had: Cell<u64>,
}

impl Servers {
    /// What this fault needs.
    pub(super) fn start(fault: Fault) -> Self {
        let servers = Postgres::launch().replicas(REPLICAS).start();
        let network = |node: &PostgresNode| {
            ChaosProxy::start(SocketAddr::from(([127, 0, 0, 1], node.port())))
        };
        let networks =
            std::iter::once(servers.primary()).chain(servers.replicas()).map(network).collect();
        let database = servers.create_database();
        servers.wait_replicated(WELL);
        let redis = || match fault.blow {
            Blow::Cut | Blow::Silence => Redis::launch().proxied().start_cluster(),
            _ => RedisCluster::start(),
        };
        let redis = fault.is_of_redis().then(redis);
        Self { servers, networks, database, redis, had: Cell::default() }
    }

    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let name = |place| match place {
            0 => "DATABASE_PRIMARY_URL".to_owned(),
            n => format!("DATABASE_REPLICA_{n}_URL"),
        };
        let url = |network: &ChaosProxy| Postgres::url_at(network.address(), &self.database);
        let database = self.networks.iter().enumerate().map(|(place, n)| (name(place), url(n)));
        let redis = self.redis.iter().flat_map(RedisCluster::addresses).enumerate();
        let redis = redis.flat_map(|(place, address)| {
            let name = |what| format!("REDIS_NODE_{}_{what}", place + 1);
            [(name("HOST"), address.ip().to_string()), (name("PORT"), address.port().to_string())]
        });
        database.chain(redis).collect()
    }

    pub(super) fn node(&self, place: usize) -> &PostgresNode {
        match place {
            0 => self.servers.primary(),
            n => &self.servers.replicas()[n - 1],
        }
    }

    /// Strikes, and answers what mends it.
    pub(super) fn strike(&self, fault: Fault) -> Mend<'_> {
        let place = match fault.struck {
            Struck::Database(place) => place,
            Struck::RedisMaster | Struck::Redis => return self.strike_redis(fault),
        };
        let (node, network) = (self.node(place), &self.networks[place]);
        match fault.blow {
            Blow::Kill => {
                node.kill();
                Box::new(|| node.restart())
            }
            Blow::Promote => {
                node.kill();
                Box::new(|| self.promote())
            }
            Blow::PromoteBehind => {
                (1..=REPLICAS).rev().for_each(|place| self.node(place).follow_nobody());
                pause(BEHIND);
                self.had.set(self.count_views(0));
                node.kill();
                Box::new(|| self.promote())
            }
            Blow::Return => {
                node.pause();
                Box::new(|| {
                    self.promote();
                    node.resume();
                })
            }
            Blow::Stop => {
                node.pause();
                Box::new(|| node.resume())
            }
            Blow::Cut => {
                network.cut();
                Box::new(|| network.heal())
            }
            Blow::Silence => {
                network.half_open();
                Box::new(|| network.heal())
            }
        }
    }

    /// The other replica follows the promoted one; made anew where it had heard more of the lost primary, which nobody can
    /// follow with.
    fn promote(&self) {
        let heard = |place| {
            let text = "SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::bigint";
            self.node(place).query("postgres", text).parse().unwrap_or(i64::MAX)
        };
        let is_ahead = heard(2) > heard(1);
        self.node(1).promote();
        if is_ahead {
            self.node(2).stop();
            self.node(2).rebuild_from(self.node(1));
        } else {
            self.node(2).follow(self.node(1));
        }
    }

    fn count_views(&self, place: usize) -> u64 {
        let text = "SELECT count(*) FROM mainstay.page_views";
        self.node(place).query(&self.database, text).parse().unwrap_or_default()
    }

    /// Page views that the killed primary had and this server has not.
    pub(super) fn count_lacking(&self, place: usize) -> u64 {
        self.had.get().saturating_sub(self.count_views(place))
    }

    /// Where Redis is, if this fault is its own.
    pub(super) fn redis_addresses(&self) -> Option<Vec<SocketAddr>> {
        self.redis.as_ref().map(RedisCluster::addresses)
    }

    /// The server of Redis that every process looks at now.
    pub(super) fn looked_at(&self) -> Option<SocketAddr> {
        self.redis.as_ref().map(|redis| redis.primary_of(LOOKED_AT).own_address())
    }

    /// Whether another server of Redis has taken the place of this one.
    pub(super) fn is_replaced(&self, struck: SocketAddr) -> bool {
        let nodes = self.redis.iter().flat_map(RedisCluster::nodes);
        let serves = |node: &RedisNode| {
            node.try_ask(&["EXISTS", LOOKED_AT]).is_ok_and(|said| !said.starts_with('-'))
        };
        nodes.filter(|node| node.own_address() != struck).any(serves)
    }

    fn strike_redis(&self, fault: Fault) -> Mend<'_> {
        let redis = self.redis.iter();
        let struck: Vec<&RedisNode> = match fault.struck {
            Struck::RedisMaster => redis.map(|redis| redis.primary_of(LOOKED_AT)).collect(),
            _ => redis.flat_map(RedisCluster::nodes).collect(),
        };
        let (strike, mend): (Act, Act) = match fault.blow {
            Blow::Stop | Blow::Return => (RedisNode::pause, RedisNode::resume),
            Blow::Kill | Blow::Promote | Blow::PromoteBehind => {
                (RedisNode::kill, RedisNode::restart)
            }
            Blow::Cut => (|node| node.network().cut(), |node| node.network().heal()),
            Blow::Silence => (|node| node.network().half_open(), |node| node.network().heal()),
        };
        struck.iter().for_each(|node| strike(node));
        Box::new(move || struck.into_iter().for_each(mend))
    }

    /// Who takes changes in the end, and who else must answer.
    pub(super) fn list_well(fault: Fault) -> (usize, Vec<usize>) {
        if fault.is_promotion() { (1, vec![1, 2]) } else { (0, vec![0, 1, 2]) }
    }
}

/// What is done to one server of Redis.
type Act = fn(&RedisNode);

/// What undoes a blow, or lets another take the lost one's place.
pub(super) type Mend<'a> = Box<dyn FnOnce() + 'a>;
