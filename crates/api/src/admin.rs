//! Everything the private listener answers, on one screen, and its serving.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::{HeaderName, HeaderValue, header};
use mainstay_base::task::{Group, Stop};
use mainstay_base::{Clock, ErrorCode};
use mainstay_guard::headers::{Kind, security_headers};
use mainstay_guard::settings::{Environment, Headers};
use mainstay_identity::{AdminToken, Owner};
use mainstay_insight::Insight;
use mainstay_jobs::Jobs;
use mainstay_kv::Kv;
use mainstay_store::Store;
use mainstay_telemetry::metrics::Registry;
use tokio::net::TcpListener;

use crate::health::Health;
use crate::key::Gate;
use crate::live::Live;
use crate::problem::Problem;
use crate::sites::ListSites;
use crate::v1::openapi::Reads;
use crate::{Settings, access, console, probes, v1};

/// Everything but scripts: files of its own; Trusted Types leave no sink for injected markup.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; script-src";

/// Facts about this process that answers name.
#[derive(Clone, Debug)]
pub struct Node {
    /// Random id of this start.
    pub id: String,
    /// Version of the binary.
    pub version: &'static str,
    /// `production` or `development`.
    pub environment: Environment,
    /// Where the site is reached.
    pub site_url: String,
    /// When this process started.
    pub started: mainstay_base::Timestamp,
}

impl Node {
    /// `production` or `development`.
    pub(crate) fn environment_name(&self) -> &'static str {
        match self.environment {
            Environment::Development => "development",
            Environment::Production => "production",
        }
    }
}

/// What the admin endpoints work with.
pub struct Parts {
    /// Settings of the listener.
    pub settings: Settings,
    /// The bound listener.
    pub listener: std::net::TcpListener,
    /// Links and sessions.
    pub owner: Owner,
    /// The operator's bearer token.
    pub token: Option<AdminToken>,
    /// Who knows API keys.
    pub gate: Gate,
    /// What happened on the site.
    pub insight: Insight,
    /// Work that can wait.
    pub jobs: Jobs,
    /// What keeps the rows, and who shares it.
    pub store: Store,
    /// Fast state, of this process alone or shared.
    pub kv: Kv,
    /// All metrics.
    pub registry: Registry,
    /// Verdict about this process.
    pub health: Health,
    /// The live snapshots.
    pub live: Live,
    /// The sites as they are served.
    pub sites: ListSites,
    /// About this process.
    pub node: Node,
    /// The time.
    pub clock: Clock,
}

/// Shared state of all admin endpoints.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) hosts: Vec<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) owner: Owner,
    pub(crate) token: Option<AdminToken>,
    pub(crate) gate: Gate,
    pub(crate) insight: Insight,
    pub(crate) jobs: Jobs,
    pub(crate) store: Store,
    pub(crate) kv: Kv,
    pub(crate) registry: Registry,
    pub(crate) health: Health,
    pub(crate) live: Live,
    pub(crate) sites: ListSites,
    pub(crate) node: Node,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// Binds the private listener.
///
/// # Errors
/// The operating system's; an address that is none reads as `InvalidInput`.
pub fn bind(settings: &Settings) -> std::io::Result<std::net::TcpListener> {
    let fault = || {
        std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "not an address to listen on (host:port)",
        )
    };
    let address =
        settings.listen.to_socket_addrs().map_err(|_| fault())?.next().ok_or_else(fault)?;
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves the private listener in `group` until the stop.
///
/// # Errors
/// When the listener cannot be used.
pub fn start(parts: Parts, group: &Group) -> std::io::Result<()> {
    let address = parts.listener.local_addr()?;
    let listener = TcpListener::from_std(parts.listener)?.tap_io(|stream| {
        // Small answers must not wait for a delayed ACK.
        drop(stream.set_nodelay(true));
    });
    let admin = Arc::new(Admin {
        address,
        hosts: parts.settings.hosts,
        headers: headers(parts.node.environment),
        owner: parts.owner,
        token: parts.token,
        gate: parts.gate,
        insight: parts.insight,
        jobs: parts.jobs,
        store: parts.store,
        kv: parts.kv,
        registry: parts.registry,
        health: parts.health,
        live: parts.live,
        sites: parts.sites,
        node: parts.node,
        clock: parts.clock,
        stop: group.stop().clone(),
    });
    let forget = Arc::clone(&admin);
    group.spawn("forget ended sessions", |stop| forget_ended(forget, stop));
    group.spawn("admin listener", |stop| async move {
        let soft = stop.clone();
        let serving = axum::serve(listener, router(admin))
            .with_graceful_shutdown(async move { soft.soft().await });
        tokio::select! {
            served = serving.into_future() => served,
            () = stop.hard() => Ok(()),
        }
    });
    Ok(())
}

fn headers(environment: Environment) -> Vec<(HeaderName, HeaderValue)> {
    let mut set = security_headers(&Headers::default().resolved(environment), Kind::Api, false);
    let policy = format!("{POLICY} {}", console::script_sources());
    // Without the console's hashes no script at all is the safe answer.
    let policy = HeaderValue::try_from(policy)
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    set.push((header::CONTENT_SECURITY_POLICY, policy));
    set.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    set
}

fn router(admin: Arc<Admin>) -> Router {
    routes(admin.node.version)
        .layer(from_fn_with_state(Arc::clone(&admin), access::gate))
        .with_state(admin)
}

pub(crate) fn routes(version: &str) -> Router<Arc<Admin>> {
    Router::new()
        // open on this private address: probes and metrics (see `probes` for what they give away: a verdict)
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .route("/startupz", get(probes::startupz))
        .route("/healthz", get(probes::healthz))
        .route("/metrics", get(probes::metrics))
        // the way in
        .route("/enter", get(console::show_enter).post(console::enter))
        .route("/session/end", post(console::end_session))
        // the console
        .route("/", get(console::index))
        .route("/assets/{*file}", get(console::asset))
        .merge(reads().into_router(version))
        .fallback(|| async {
            Problem::new(ErrorCode::NotFound, "There is nothing at this address.")
        })
}

/// What the owner may read, with what it takes. The last words of a row are the document's.
pub(crate) fn reads() -> Reads {
    use v1::openapi::{FIRST, GROUPS, JOBS, LIST, NONE, SERIES, SITE};
    let reads = Reads::new()
        .read("/api/v1/session", NONE, "Who is signed in, and where.", v1::session::find)
        .stream("/api/v1/live", SITE, "A snapshot a second, history first.", v1::live::stream)
        .read("/api/v1/traffic", SERIES, "Requests, errors and latency.", v1::traffic::list)
        .read("/api/v1/visitors", SERIES, "People, views, bounces, time.", v1::visitors::list)
        .read("/api/v1/visitors/now", SITE, "People of the last five minutes.", v1::visitors::now)
        .read("/api/v1/pages", LIST, "Views by page.", v1::breakdown::list_pages)
        .read("/api/v1/sources", LIST, "Views by source.", v1::breakdown::list_sources)
        .read("/api/v1/devices", LIST, "Views by device.", v1::breakdown::list_devices)
        .read("/api/v1/countries", LIST, "Views by country.", v1::breakdown::list_countries)
        .read("/api/v1/vitals", GROUPS, "75th percentiles of web vitals.", v1::vitals::list)
        .read("/api/v1/events", FIRST, "Named events, counted.", v1::events::list)
        .read("/api/v1/errors", LIST, "Faults of scripts, grouped.", v1::errors::list)
        .read("/api/v1/reports", LIST, "Browsers' reports, grouped.", v1::reports::list)
        .read("/api/v1/jobs/queues", NONE, "Queues of jobs, and how they stand.", v1::jobs::queues)
        .read("/api/v1/jobs", JOBS, "Jobs of a queue.", v1::jobs::list)
        .read("/api/v1/sites", NONE, "The sites, and what is behind them.", v1::sites::list)
        .read("/api/v1/upstreams", SITE, "Copies of apps and their health.", v1::upstreams::list)
        .read("/api/v1/nodes", NONE, "The processes that serve.", v1::nodes::list)
        .read("/api/v1/databases", NONE, "What keeps the rows.", v1::databases::list);
    v1::jobs::changes(reads)
}

async fn forget_ended(admin: Arc<Admin>, stop: Stop) -> Result<(), std::convert::Infallible> {
    const EVERY: Duration = Duration::from_secs(600);
    while stop.rested(EVERY).await {
        if let Err(error) = admin.owner.delete_expired().await {
            tracing::warn!(error = %error, "ended sessions are not forgotten yet");
        }
    }
    Ok(())
}
