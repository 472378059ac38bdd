//! What product tests are made of: the real binary on free ports, a site in a temp folder, a client that sends any bytes. Depends on no room.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "this crate runs inside tests, where a failed expectation is a failed test"
)]

mod bytes;
mod event;
mod http;
mod launch;
mod log;
mod metrics;
mod port;
mod process;
mod server;
mod site;
mod tls;
mod tmpfs;
mod upstream;
mod wait;

pub use bytes::{find_bytes, list_files_with};
pub use event::{Batch, CHROME, fresh_id};
pub use http::{Connection, Exchange, Request, Response};
pub use launch::{Launch, TOKEN};
pub use log::Log;
pub use metrics::Metrics;
pub use port::free_port;
pub use process::{Ended, Process};
pub use server::Server;
pub use site::Site;
pub use tls::{Authority, Pair, TlsClient};
pub use tmpfs::Tmpfs;
pub use upstream::{Heard, Upstream, Wire};
pub use wait::{eventually, holds_for, until};
