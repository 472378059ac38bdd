//! A new connection to an upstream: TCP, TLS where it is https, and the task that drives it. Chooses nobody, keeps nothing.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use mainstay_base::task::Group;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::place::{Place, Reach};
use crate::wire::{Noticed, Stream, Wire};
use crate::{RequestBody, Settings};

/// The smallest read buffer the HTTP library accepts.
const BUFFER_MIN: usize = 8 << 10;

/// One connection. Dropping it closes the socket, whatever it carries at the moment.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) noticed: Arc<Noticed>,
    /// When it was last put aside; none: it is new.
    pub(crate) kept_since: Option<Instant>,
    /// How long the upstream says it keeps it.
    pub(crate) kept_seconds: Option<u64>,
    _held: oneshot::Sender<Infallible>,
}

/// Connects. The driver runs in `group`, on the runtime of the caller.
pub(crate) async fn dial(
    place: &Place,
    settings: &Settings,
    group: &Group,
) -> io::Result<Connection> {
    let tcp = TcpStream::connect((place.target.host(), place.target.port())).await?;
    tcp.set_nodelay(true)?;
    let stream = match &place.reach {
        Reach::Clear => Stream::Plain(tcp),
        Reach::Tls(tls) => Stream::Tls(Box::new(tls.connect(tcp).await?)),
    };
    place.member.meters.connections.inc();
    let noticed = Arc::new(Noticed::default());
    let wire = Wire::new(stream, Arc::clone(&noticed));
    let head_max = settings.head_bytes_max.bytes().max(BUFFER_MIN);
    let (sender, connection) = Builder::new()
        .max_buf_size(head_max)
        .max_header_size(head_max)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(io::Error::other)?;
    let (held, dropped) = oneshot::channel();
    let mut connection = connection.with_upgrades();
    group.spawn_child("upstream-connection", async move {
        tokio::select! {
            biased;
            // What went wrong is told to whoever waits for an answer.
            _ = &mut connection => {}
            _ = dropped => {}
        }
    });
    Ok(Connection { sender, noticed, kept_since: None, kept_seconds: None, _held: held })
}
