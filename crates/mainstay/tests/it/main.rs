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
mod files;
mod full_disk;
mod gate;
mod headers;
mod intake;
mod kill;
mod malformed;
mod markup;
mod observability;
mod protocol;
mod ranges;
mod secrets;
mod slow;
mod start;
mod stop;
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
