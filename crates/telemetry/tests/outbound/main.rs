//! The outbound client against real sockets: what it refuses in a network of the test's own, and what it bears on loopback.
#![expect(clippy::expect_used, reason = "a failed expectation is a failed test")]

mod answers;
mod asked;
mod caps;
mod hostile;
mod secure;
mod world;

use mainstay_base::Clock;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::outbound::{Client, Origin, Policy, Resolver, Trust};
use mainstay_testkit::Authority;

/// A client that resolves by a table and believes an authority of the test.
fn client(resolver: Resolver, authority: &Authority) -> (Client, Registry) {
    let registry = Registry::new(&mainstay_telemetry::settings::Metrics::default(), Clock::System);
    let trust = Trust::Pem(authority.cert().to_owned());
    (Client::new(&registry, resolver, &trust).expect("a client"), registry)
}

/// May ask this origin and no other.
fn ours(url: &str) -> Policy {
    Policy::ours(Origin::of(&url.parse().expect("a URL")))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
