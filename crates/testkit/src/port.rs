//! Ports for tests that must name one. Below the range from which the system gives ports to clients, so that no outgoing connection takes it in between.

use std::net::TcpListener;

/// A port nobody listens on at the moment.
///
/// # Panics
/// When none of them is free.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    // Tests run as processes beside each other: each starts its search elsewhere.
    let start = std::process::id().wrapping_mul(7_919) % COUNT;
    let mut ports = (0..COUNT).map(|n| (FIRST + (start + n) % COUNT) as u16);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
