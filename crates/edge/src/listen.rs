//! From the listening socket to a connection's task: accept, caps. What a client says is read elsewhere ([`crate::connection`]).

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use mainstay_base::task::{Group, Stop};
use mainstay_telemetry::http::Refusal;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::activity::Activity;
use crate::addresses::Place;
use crate::connection::Connection;
use crate::phases::{Peer, ToHttps};
use crate::worker::{Shared, Worker};

/// Connections the kernel queues while all workers are busy.
const BACKLOG: i32 = 4_096;
/// Pause after a failed accept (descriptors used up): the next try needs somebody to hang up first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The public sockets: the sites', and the one that only sends visitors to https.
#[derive(Debug)]
pub(crate) struct Listeners<T> {
    pub(crate) site: T,
    pub(crate) redirect: Option<T>,
}

impl<T> Listeners<T> {
    /// Both, made into something else.
    pub(crate) fn map<U, E>(self, make: impl Fn(T) -> Result<U, E>) -> Result<Listeners<U>, E> {
        let redirect = self.redirect.map(&make).transpose()?;
        Ok(Listeners { site: make(self.site)?, redirect })
    }

    pub(crate) fn as_ref(&self) -> Listeners<&T> {
        Listeners { site: &self.site, redirect: self.redirect.as_ref() }
    }
}

/// Opens the listening socket. Each worker gets a clone of it: one queue, and nothing for a hand-over to forget.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the soft stop. `to_https`: what comes in here is sent there.
pub(crate) async fn accept(
    worker: &Arc<Worker>,
    listener: TcpListener,
    to_https: Option<ToHttps>,
    group: &Group,
    stop: &Stop,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.soft() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let peer = Peer { address: peer.ip().to_canonical(), https: false, to_https };
                adopt(worker, stream, peer, group);
            }
            Err(error) if is_clients_fault(&error) => {}
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept connections");
                worker.shared.http.refused(Refusal::Connections);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_clients_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn adopt(worker: &Arc<Worker>, stream: TcpStream, peer: Peer, group: &Group) {
    let activity = Arc::new(Activity::new(Arc::clone(&worker.coarse)));
    let open = match Open::new(&worker.shared, peer.address, &activity) {
        Ok(open) => open,
        Err(refusal) => return worker.shared.http.refused(refusal),
    };
    worker.adopt(Arc::clone(&activity));
    let connection = Connection {
        worker: Arc::clone(worker),
        peer,
        presented: None,
        activity,
        group: group.clone(),
    };
    group.spawn_child("connection", async move {
        connection.carry(stream).await;
        drop(open);
    });
}

/// Counts an open connection for as long as it lives, also when it ends by a panic.
struct Open {
    shared: Arc<Shared>,
    /// No longer swept once this is dropped.
    activity: Arc<Activity>,
    /// Given back with it; none where addresses are not counted.
    place: Option<Place>,
}

impl Open {
    fn new(
        shared: &Arc<Shared>,
        address: IpAddr,
        activity: &Arc<Activity>,
    ) -> Result<Self, Refusal> {
        if shared.open.fetch_add(1, Relaxed) >= shared.settings.connections_max {
            shared.open.fetch_sub(1, Relaxed);
            return Err(Refusal::Connections);
        }
        shared.http.connections.add(1.0);
        let (shared, activity) = (Arc::clone(shared), Arc::clone(activity));
        let mut open = Self { shared, activity, place: None };
        // Behind a proxy, or a tunnel on this machine, one address is everybody.
        let shared = &open.shared;
        if !address.is_loopback() && !shared.trust.contains(address) {
            let max = shared.settings.connections_per_address_max;
            let place = shared.addresses.enter(address, max).ok_or(Refusal::AddressConnections)?;
            open.place = Some(place);
        }
        Ok(open)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.activity.closed();
        drop(self.place.take());
        self.shared.open.fetch_sub(1, Relaxed);
        self.shared.http.connections.sub(1.0);
    }
}
