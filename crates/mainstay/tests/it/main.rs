//! Tests of the product as people meet it: the real binary, asked over the network, judged by its answers and their traces.
#![expect(clippy::expect_used, reason = "in a test a failed expectation is a failed test")]

mod access;
mod alone;
mod batches;
mod browser;
mod caching;
mod cardinality;
mod certificates;
mod changes;
mod cluster;
mod compression;
mod cors;
mod csp;
mod desync;
mod downloads;
mod draining;
mod engines;
mod example;
mod fast_path;
mod faults;
mod files;
mod flood;
mod full_disk;
mod gate;
mod h2;
mod headers;
mod intake;
mod jobs;
mod keys;
mod kill;
mod kinds;
mod kubernetes;
mod machines;
mod malformed;
mod markup;
mod migrate;
mod nextjs;
mod nodes;
mod observability;
mod observatory;
mod openapi;
mod pairs;
mod panels;
mod plain_app;
mod protocol;
mod proxy;
mod public_url;
mod ranges;
mod record;
mod reload;
mod reports;
mod scan;
mod secrets;
mod sites;
mod slow;
mod slowhttptest;
mod sslyze;
mod start;
mod stop;
mod store_away;
mod tls;
mod traversal;
mod visits;

use std::time::Duration;

use mainstay_testkit::{Launch, Server, Site, until};

/// A server to be started, in production. `MAINSTAY_BINARY` names another build of it, such as one to be released;
/// `MAINSTAY_TEST_ENGINES=shared` puts every test on PostgreSQL with replicas and a Redis Cluster that is not about files.
fn launch() -> Launch {
    match asked_for("MAINSTAY_TEST_ENGINES").as_deref() {
        Some("shared") => launch_bare().shared_engines(),
        _ => launch_bare(),
    }
}

/// The same for tests that say themselves where rows are kept.
fn launch_bare() -> Launch {
    let binary = asked_for("MAINSTAY_BINARY");
    Launch::new(binary.as_deref().unwrap_or(env!("CARGO_BIN_EXE_mainstay")))
}

/// What whoever runs the tests sets for the long form of one: a variable of the environment.
#[expect(clippy::disallowed_methods, reason = "tests have no settings file to read it from")]
fn asked_for(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Waits until the server has done what it does by itself after a start: the last of it is that queues are counted.
fn settle(server: &Server) {
    let is_counted = || server.metrics().text().contains("job_queue_size{");
    until("queues are counted", Duration::from_secs(20), is_counted);
}

/// A server of these files.
fn serve(files: &[(&str, &str)]) -> Server {
    launch().site(Site::of(files)).start()
}
