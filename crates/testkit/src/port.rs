//! Ports for tests that must name one. Below the range from which the system gives ports to clients, so that no outgoing connection takes it in between.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};

const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// Where the search goes on, and what is claimed so far.
static CLAIMS: Mutex<(u32, Vec<UnixDatagram>)> = Mutex::new((0, Vec::new()));

/// A port nobody listens on at the moment, and that no other call gives away while this process lives.
///
/// # Panics
/// When none of them is free.
#[must_use]
pub fn free_port() -> u16 {
    // Tests run as processes beside each other: each starts its search elsewhere.
    let start = std::process::id().wrapping_mul(7_919) % COUNT;
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..COUNT {
        let port = (FIRST + (start + claims.0) % COUNT) as u16;
        claims.0 += 1;
        if let Some(claim) = claim(port) {
            claims.1.push(claim);
            return port;
        }
    }
    panic!("no port is free");
}

/// A name in the kernel's own namespace of sockets: it is held by one process and goes away with it, whatever ends it.
fn claim(port: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("mainstay-test-port-{port}")).ok()?;
    let claim = UnixDatagram::bind_addr(&name).ok()?;
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(claim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: std::collections::HashSet<_> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
    }
}
