//! Tests of the product as people meet it: the real binary, asked over the network, judged by its answers and their traces.
#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod access;
mod browser;
mod caching;
mod cardinality;
mod changes;
mod compression;
mod cors;
mod csp;
mod desync;
mod downloads;
mod example;
mod files;
mod flood;
mod full_disk;
mod gate;
mod h2;
mod headers;
mod intake;
mod kill;
mod malformed;
mod markup;
mod nextjs;
mod observability;
mod plain_app;
mod protocol;
mod proxy;
mod ranges;
mod reports;
mod secrets;
mod sites;
mod slow;
mod start;
mod stop;
mod store_away;
mod tls;
mod traversal;
mod visits;

use mainstay_testkit::{Launch, Server, Site};

/// A server to be started, in production.
fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_mainstay"))
}

/// A server of these files.
fn serve(files: &[(&str, &str)]) -> Server {
    launch().site(Site::of(files)).start()
}
