//! A client that finds every name on this machine, and how a test's answers are written.

use std::net::IpAddr;

use mainstay_base::Clock;
use mainstay_scanner::Settings;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::outbound::{Client, Resolver, Trust};
use mainstay_testkit::Authority;

/// No pause between requests: they go to this machine.
pub(crate) fn settings() -> Settings {
    Settings { requests_per_second: 1_000_000, ..Settings::default() }
}

pub(crate) fn client(authority: &Authority) -> Client {
    let registry = Registry::new(&mainstay_telemetry::settings::Metrics::default(), Clock::System);
    let here = Resolver::table(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])]));
    Client::new(&registry, here, &Trust::Pem(authority.cert().to_owned())).expect("a client")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// An answer in bytes; `headers` are whole lines.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// Method, path and host of a request.
pub(crate) fn read(head: &str) -> (&str, &str, &str) {
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let host = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    let host = host.unwrap_or_default();
    (method, path, host.split(':').next().unwrap_or(host))
}
