//! Start of the data plane: the socket, the sites, the workers.

use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http::request::Parts as Head;
use hyper::body::Incoming;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_telemetry::access::AccessLog;
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;
use mainstay_upstream::{Leaving, Trust};

use crate::Settings;
use crate::app::App;
use crate::listen::{self, Listeners};
use crate::site::{OpenError, Opening, Plan};
use crate::sites::{LeftOut, Sites};
use crate::tls::{self, Tls};
use crate::worker::{self, Shared};

/// Answers a request below our own prefix: the route template it counts for, and the answer. The head carries
/// [`mainstay_guard::Facts`] as an extension; it is needed after the answer, too, for the access log.
pub type Ours = Arc<
    dyn Fn(
            Arc<Head>,
            Incoming,
        ) -> Pin<Box<dyn Future<Output = (&'static str, Response<Bytes>)> + Send>>
        + Send
        + Sync,
>;

/// What the data plane is built from.
pub struct Parts {
    /// Its settings.
    pub settings: Settings,
    /// The sites, at least one.
    pub sites: Vec<Plan>,
    /// Whose word about a client counts.
    pub trust: Trust,
    /// TLS on the public listener; none = plain http.
    pub tls: Option<Tls>,
    /// Port at which visitors reach TLS, where it is another than the listener's (`public_url`).
    pub https_port: Option<u16>,
    /// Where connections to apps are counted.
    pub registry: Registry,
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
#[derive(Clone)]
pub struct Edge {
    /// The bound address (with the real port when port 0 was asked for).
    pub address: SocketAddr,
    /// The bound address that only sends visitors to https.
    pub redirect: Option<SocketAddr>,
    shared: Arc<Shared>,
    registry: Registry,
    group: Group,
    /// Copies of apps that reloads left out. Each has a client's request in hand or goes at the next look, so that there
    /// are never more than connections.
    leaving: Arc<Mutex<LeftOut>>,
}

/// A site as it is served now.
#[derive(Clone, Debug)]
pub struct SiteStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Host names it answers to; none = every name that no other site has.
    pub hosts: Vec<String>,
    /// How the app behind it stands; none = it is a folder.
    pub app: Option<AppStatus>,
}

/// How the app behind a site stands.
#[derive(Clone, Debug)]
pub struct AppStatus {
    /// Its pages are known well enough for an enforced policy.
    pub recognised: bool,
    /// Its copies.
    pub upstreams: Vec<mainstay_upstream::Status>,
}

impl Edge {
    /// Serves these sites from the next request on, and certificates as their files are now; requests in hand end as they
    /// began.
    ///
    /// # Errors
    /// [`OpenError`]; the sites in force stay, and their certificates.
    pub fn reload(&self, sites: Vec<Plan>) -> Result<(), OpenError> {
        let shared = &self.shared;
        let opening = Opening {
            settings: &shared.settings,
            http: &shared.http,
            registry: &self.registry,
            group: &self.group,
            process: shared.process,
            clock: &shared.clock,
        };
        let renewal = match &shared.tls {
            Some(tls) => {
                let renewal = tls.open_for(sites.iter().map(tls::Site::of).collect());
                Some((tls, renewal.map_err(OpenError::Certificate)?))
            }
            None => None,
        };
        let opened = Arc::new(Sites::open(sites, Some(&shared.sites.load()), &opening)?);
        // Nothing can fail from here on.
        if let Some((tls, renewal)) = renewal {
            tls.renew(renewal);
        }
        let before = shared.sites.swap(Arc::clone(&opened));
        self.leaving().extend(before.give_way_to(&opened));
        Ok(())
    }

    /// The sites in the order of the settings, and how the apps behind them stand.
    #[must_use]
    pub fn list_sites(&self) -> Vec<SiteStatus> {
        let status =
            |app: &App| AppStatus { recognised: app.is_recognised(), upstreams: app.status() };
        let sites = self.shared.sites.load();
        let listed = sites.iter().map(|site| SiteStatus {
            name: Arc::clone(site.name()),
            hosts: site.plan.hosts.clone(),
            app: site.app().map(status),
        });
        listed.collect()
    }
}

impl Edge {
    /// Copies of apps that no site in force names and that still have something in hand, each with the name of its site,
    /// which may be gone as well.
    #[must_use]
    pub fn list_leaving(&self) -> Vec<(Arc<str>, mainstay_upstream::Status)> {
        let leaving = self.leaving();
        let tell = |(site, copy): &(Arc<str>, Leaving)| Some((Arc::clone(site), copy.status()?));
        leaving.iter().filter_map(tell).collect()
    }

    /// Those that are left.
    fn leaving(&self) -> MutexGuard<'_, LeftOut> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|(_, copy)| copy.status().is_some());
        leaving
    }
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
    let Parts { settings, sites, trust, tls, https_port, registry, ours, http, .. } = parts;
    let (access, clock, entropy) = (parts.access, parts.clock, parts.entropy);
    let redirect = tls.as_ref().and_then(|tls| tls.settings().redirect_listen.as_deref());
    let listeners = Listeners { site: settings.listen.as_str(), redirect }.map(bind)?;
    let address = listeners.site.local_addr().map_err(StartError::Worker)?;
    let redirect = listeners.redirect.as_ref().map(StdListener::local_addr).transpose();
    let redirect = redirect.map_err(StartError::Worker)?;
    let process =
        entropy.bytes().map_err(|error| StartError::Worker(std::io::Error::other(error)))?;
    let process = u64::from_be_bytes(process);
    let opening = Opening {
        settings: &settings,
        http: &http,
        registry: &registry,
        group,
        process,
        clock: &clock,
    };
    let sites = ArcSwap::from_pointee(Sites::open(sites, None, &opening)?);
    let workers = worker_count(settings.workers);
    let prefix = settings.prefix.trim_end_matches('/').into();
    let (open, began) = (AtomicUsize::new(0), Instant::now());
    let shared = Arc::new(Shared {
        settings,
        prefix,
        sites,
        trust,
        ours,
        http,
        clock,
        entropy,
        process,
        open,
        addresses: Arc::default(),
        tls,
        https_port: https_port.unwrap_or(address.port()),
        began,
    });
    if let Some(tls) = &shared.tls {
        tls.watch(group);
    }
    for _ in 0..workers {
        let (shared, buffer, connections) = (Arc::clone(&shared), access.writer(), group.branch());
        let listeners =
            listeners.as_ref().map(StdListener::try_clone).map_err(StartError::Worker)?;
        group
            .spawn_thread("edge-worker", move |stop| {
                worker::run(shared, listeners, buffer, &connections, &stop)
            })
            .map_err(StartError::Worker)?;
    }
    let leaving = Arc::default();
    Ok(Edge { address, redirect, shared, registry, group: group.clone(), leaving })
}

fn bind(listen: &str) -> Result<StdListener, StartError> {
    let address = resolve(listen)?;
    listen::bind(address).map_err(|source| StartError::Bind { address, source })
}

fn resolve(listen: &str) -> Result<SocketAddr, StartError> {
    let fault = || StartError::Address(listen.to_owned());
    listen.to_socket_addrs().map_err(|_| fault())?.next().ok_or_else(fault)
}

fn worker_count(asked: usize) -> usize {
    if asked > 0 { asked } else { std::thread::available_parallelism().map_or(1, NonZero::get) }
}
