//! Start of the data plane: the socket, the sites, the workers.

use std::future::Future;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::access::AccessLog;
use mainstay_telemetry::http::HttpMetrics;

use crate::Settings;
use crate::listen;
use crate::site::{OpenError, Plan, Site};
use crate::worker::{self, Shared};

/// Answers a request below our own prefix: the route template it counts for, and the answer. The request carries
/// [`mainstay_guard::Facts`] as an extension.
pub type Ours = Arc<
    dyn Fn(
            Request<Incoming>,
        ) -> Pin<Box<dyn Future<Output = (&'static str, Response<Bytes>)> + Send>>
        + Send
        + Sync,
>;

/// What the data plane is built from.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// The site.
    pub site: Plan,
    /// The handler of our own paths.
    pub ours: Ours,
    /// Request metrics.
    pub http: HttpMetrics,
    /// The access log.
    pub access: AccessLog,
    /// The time.
    pub clock: Clock,
    /// Randomness for request ids.
    pub entropy: Entropy,
}

/// The data plane, listening.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// The bound address (with the real port when port 0 was asked for).
    pub address: SocketAddr,
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is no address.
    #[error("\"{0}\" is not an address to listen on (host:port)")]
    Address(String),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The site's folder.
    #[error(transparent)]
    Site(#[from] OpenError),
    /// No thread, or no clone of the socket.
    #[error("cannot start a worker")]
    Worker(#[source] std::io::Error),
}

/// Binds the public listener and starts the workers in `group`.
///
/// # Errors
/// [`StartError`]; nothing was started then.
pub fn start(parts: Parts, group: &Group) -> Result<Edge, StartError> {
    let Parts { settings, site, ours, http, access, clock, entropy } = parts;
    let site = Site::open(site, &settings, &http)?;
    let wanted = resolve(&settings.listen)?;
    let listener =
        listen::bind(wanted).map_err(|source| StartError::Bind { address: wanted, source })?;
    let address = listener.local_addr().map_err(StartError::Worker)?;
    let workers = worker_count(settings.workers);
    let prefix = settings.prefix.trim_end_matches('/').into();
    let (open, began) = (AtomicUsize::new(0), Instant::now());
    let shared =
        Arc::new(Shared { settings, prefix, site, ours, http, clock, entropy, open, began });
    for _ in 0..workers {
        let (shared, buffer, connections) = (Arc::clone(&shared), access.writer(), group.branch());
        let listener = listener.try_clone().map_err(StartError::Worker)?;
        group
            .spawn_thread("edge-worker", move |stop| {
                worker::run(shared, listener, buffer, &connections, &stop)
            })
            .map_err(StartError::Worker)?;
    }
    Ok(Edge { address })
}

fn resolve(listen: &str) -> Result<SocketAddr, StartError> {
    let fault = || StartError::Address(listen.to_owned());
    listen.to_socket_addrs().map_err(|_| fault())?.next().ok_or_else(fault)
}

fn worker_count(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, NonZero::get) }
}
