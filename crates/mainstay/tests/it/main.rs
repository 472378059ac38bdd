//! Tests of the product as people meet it: the real binary, asked over the network, judged by its answers and their traces.
#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod caching;
mod changes;
mod compression;
mod files;
mod ranges;
mod stop;
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
