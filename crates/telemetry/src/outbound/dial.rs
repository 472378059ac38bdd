//! TCP to an address that was checked. Knows no names.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::error::{Error, Phase};

/// A connection, and whom it is to.
pub(super) struct Dialled {
    pub(super) stream: TcpStream,
    pub(super) address: SocketAddr,
}

/// Connects to the first address that answers. All of them share the time, each gets its part of what is left.
pub(super) async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<Dialled, Error> {
    let mut last = Error::Connect(io::ErrorKind::NotFound.into());
    for (at, &address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let until = now + deadline.saturating_duration_since(now) / left;
        last = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is one small write: nothing is gained by waiting for more.
                drop(stream.set_nodelay(true));
                return Ok(Dialled { stream, address });
            }
            Ok(Err(source)) => Error::Connect(source),
            Err(_) => Error::Timeout(Phase::Connect),
        };
    }
    Err(last)
}
