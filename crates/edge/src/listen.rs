//! From the listening socket to a connection: accept, cap, sniff the protocol (HTTP/1.1 or HTTP/2 with prior knowledge), carry until its end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use mainstay_base::task::{Group, Stop};
use mainstay_telemetry::http::Refusal;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Settings;
use crate::activity::{Activity, Order, Watched};
use crate::phases;
use crate::worker::Worker;

/// Connections the kernel queues while all workers are busy.
const BACKLOG: i32 = 4_096;
/// What an HTTP/2 client with prior knowledge sends first (RFC 9113 §3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Pause after a failed accept (descriptors used up): the next try needs somebody to hang up first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Receive window of one HTTP/2 stream and of its connection (Envoy's edge guide).
const H2_STREAM_WINDOW: u32 = 64 << 10;
const H2_CONNECTION_WINDOW: u32 = 1 << 20;

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

/// Accepts until the soft stop.
pub(crate) async fn accept(
    worker: &Arc<Worker>,
    listener: TcpListener,
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
            Ok((stream, peer)) => adopt(worker, stream, peer.ip().to_canonical(), group),
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

fn adopt(worker: &Arc<Worker>, stream: TcpStream, client: IpAddr, group: &Group) {
    let shared = &worker.shared;
    if shared.open.fetch_add(1, Relaxed) >= shared.settings.connections_max {
        shared.open.fetch_sub(1, Relaxed);
        shared.http.refused(Refusal::Connections);
        return;
    }
    shared.http.connections.add(1.0);
    let activity = Arc::new(Activity::new(Arc::clone(&worker.coarse)));
    worker.adopt(Arc::clone(&activity));
    let (worker, owner) = (Arc::clone(worker), group.clone());
    group.spawn_child("connection", async move {
        let open = Open(Arc::clone(&worker));
        carry(&worker, stream, client, &activity, &owner).await;
        activity.closed();
        drop(open);
    });
}

/// Counts an open connection for as long as it lives, also when it ends by a panic.
struct Open(Arc<Worker>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared.open.fetch_sub(1, Relaxed);
        self.0.shared.http.connections.sub(1.0);
    }
}

/// Drives a connection of either protocol to its end, or to what it is told. A macro: hyper's two connection types
/// share no trait that knows `graceful_shutdown`.
macro_rules! drive {
    ($connection:ident, $activity:ident) => {{
        let mut connection = $connection;
        let order = tokio::select! {
            biased;
            ended = connection.as_mut() => Err(ended),
            order = $activity.ordered() => Ok(order),
        };
        match order {
            Err(ended) => ended,
            Ok(Order::Cut) => return,
            Ok(Order::Drain) => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = $activity.cut_off() => return,
                }
            }
        }
    }};
}

async fn carry(
    worker: &Arc<Worker>,
    mut stream: TcpStream,
    client: IpAddr,
    activity: &Arc<Activity>,
    group: &Group,
) {
    // Nagle's algorithm and delayed ACKs together hold small answers back for 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some((prefix, h2)) = sniff(&mut stream, activity).await else { return };
    let io = Watched::new(stream, prefix, Arc::clone(activity));
    let service = service_fn(|request| {
        let (worker, activity) = (Arc::clone(worker), Arc::clone(activity));
        async move {
            let in_hand = activity.begin_request();
            let response = phases::answer(worker, client, request).await;
            drop(in_hand);
            Ok::<_, Infallible>(response)
        }
    });
    let ended = if h2 {
        activity.multiplexed();
        let connection =
            pin!(h2_builder(&worker.shared.settings, group).serve_connection(io, service));
        drive!(connection, activity)
    } else {
        let connection = pin!(h1_builder(&worker.shared.settings).serve_connection(io, service));
        drive!(connection, activity)
    };
    if let Err(error) = ended {
        count_parse_error(worker, &error);
    }
}

/// Reads just enough to tell the protocols apart. `None`: the client left, or the server stops.
async fn sniff(stream: &mut TcpStream, activity: &Activity) -> Option<(Bytes, bool)> {
    let mut read = BytesMut::with_capacity(2 << 10);
    loop {
        let received = tokio::select! {
            received = stream.read_buf(&mut read) => received.ok()?,
            _ = activity.ordered() => return None,
        };
        if received == 0 {
            return None;
        }
        activity.sniffed();
        let compared = read.len().min(H2_PREFACE.len());
        if read.get(..compared) != H2_PREFACE.get(..compared) {
            return Some((read.freeze(), false));
        }
        if compared == H2_PREFACE.len() {
            return Some((read.freeze(), true));
        }
    }
}

fn h1_builder(settings: &Settings) -> hyper::server::conn::http1::Builder {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .header_read_timeout(None)
        .half_close(false)
        .keep_alive(true)
        .max_buf_size(settings.head_bytes_max.bytes().max(8 << 10));
    builder
}

fn h2_builder(settings: &Settings, group: &Group) -> hyper::server::conn::http2::Builder<OnWorker> {
    let mut builder = hyper::server::conn::http2::Builder::new(OnWorker(group.clone()));
    let head_bytes = u32::try_from(settings.head_bytes_max.0).unwrap_or(u32::MAX);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.h2_streams_max)
        .initial_stream_window_size(H2_STREAM_WINDOW)
        .initial_connection_window_size(H2_CONNECTION_WINDOW)
        .max_header_list_size(head_bytes)
        .keep_alive_interval(settings.idle_timeout.0)
        .keep_alive_timeout(settings.head_timeout.0);
    builder
}

/// Streams of one HTTP/2 connection, spawned and owned like everything else.
#[derive(Clone)]
struct OnWorker(Group);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for OnWorker {
    fn execute(&self, stream: F) {
        self.0.spawn_child("stream", stream);
    }
}

/// Requests that never parsed got hyper's bare closing answer; here they are counted by reason.
fn count_parse_error(worker: &Worker, error: &hyper::Error) {
    if error.is_parse_too_large() {
        worker.shared.http.refused(Refusal::HeaderTooLarge);
    } else if error.is_parse() {
        worker.shared.http.refused(Refusal::BadRequest);
    }
}
