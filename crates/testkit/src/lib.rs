//! What product tests are made of: the real binary on free ports, a site in a temp folder, a client that sends any bytes, database servers of their own. Depends on no room.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "this crate runs inside tests, where a failed expectation is a failed test"
)]

pub mod bench;
mod bytes;
mod chaos;
mod checkout;
mod clock;
mod daemon;
mod event;
mod home;
mod http;
mod launch;
mod log;
mod mail;
mod metrics;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod redis;
mod secure;
mod server;
mod shared;
mod site;
mod timescale;
mod tls;
mod tmpfs;
mod upstream;
mod wait;
mod waits;

pub use bytes::{find_bytes, list_files_with};
pub use chaos::ChaosProxy;
pub use checkout::checkout;
pub use clock::moved_clock;
pub use event::{Batch, CHROME, fresh_id};
pub use http::{Connection, Exchange, Request, Response};
pub use launch::{Launch, TOKEN};
pub use log::Log;
pub use mail::{MailServer, Taken};
pub use metrics::Metrics;
pub use pgbouncer::PgBouncer;
pub use port::free_port;
pub use postgres::{Postgres, PostgresLaunch, PostgresNode, SharedPostgres, Unmade};
pub use process::{Ended, Process};
pub use redis::{Redis, RedisCluster, RedisLaunch, RedisNode};
pub use secure::Answerer;
pub use server::Server;
pub use site::Site;
pub use timescale::Timescale;
pub use tls::{Authority, Day, Pair, TlsClient, day};
pub use tmpfs::Tmpfs;
pub use upstream::{Heard, Upstream, Wire};
pub use wait::{eventually, holds_for, until};
pub use waits::Waits;
