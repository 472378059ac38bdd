//! Builds the rooms in layer order and hands each what it needs. Decides nothing a room could decide itself.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use mainstay_api::admin::{self, Node};
use mainstay_api::control::{self, Status};
use mainstay_api::health::Health;
use mainstay_api::key::Gate;
use mainstay_api::live::{Live, Sources};
use mainstay_api::sites::ListSites;
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_edge::Edge;
use mainstay_edge::html::Tag;
use mainstay_identity::{AdminToken, Keys, Owner};
use mainstay_insight::Insight;
use mainstay_jobs::Jobs;
use mainstay_kv::Kv;
use mainstay_store::{Place, Recorder, Store};
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::log::Logged;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::{names, outbound, process};

use tokio::sync::watch;

use crate::allocator;
use crate::cli::Exit;
use crate::data_dir::DataDir;
use crate::plan;
use crate::served::list_sites;
use crate::settings::{Loaded, Settings, Site};
use crate::work;

mod traffic;

/// Everything that runs, in the order in which it was started.
pub(crate) struct Running {
    /// What writes to the disk: started first, stopped last, after everybody who records.
    pub(crate) storage: Group,
    /// Roll-ups, reports, live snapshots.
    pub(crate) services: Group,
    /// Who works on jobs: told first of a stop, so that nothing more is begun, and waited for before what writes.
    pub(crate) work: Group,
    /// Console, probes, control socket.
    pub(crate) control: Group,
    /// The site's traffic: started last, stopped first.
    pub(crate) traffic: Group,
    pub(crate) health: Health,
    pub(crate) store: Store,
    pub(crate) insight: Insight,
    pub(crate) edge: Edge,
    /// Tells the kinds of work which settings are in force.
    pub(crate) in_force: watch::Sender<Arc<Settings>>,
    /// Our script, as pages name it.
    pub(crate) tag: Tag,
    pub(crate) site_url: String,
    pub(crate) console_url: String,
    /// A sign-in link, when this data dir was never used before or a person watches.
    pub(crate) link: Option<String>,
    _data_dir: DataDir,
}

/// A start that failed, and the exit code that says what kind of failure it is.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl Failed {
    /// Settings refused, port in use, data dir unusable.
    fn refused(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Refused, error: error.into() }
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Unwell, error }
    }
}

/// What is built once and handed to whoever needs it.
struct Rooms {
    clock: Clock,
    entropy: Entropy,
    registry: Registry,
    http: HttpMetrics,
    store: Store,
    recorder: Recorder,
    kv: Kv,
    insight: Insight,
    jobs: Jobs,
    in_force: watch::Sender<Arc<Settings>>,
    owner: Owner,
    keys: Keys,
    gate: Gate,
    health: Health,
}

/// The groups, in the order in which they start.
struct Groups {
    storage: Group,
    services: Group,
    work: Group,
    control: Group,
    traffic: Group,
}

/// Builds and starts everything. On failure nothing is left running.
pub(crate) async fn boot(
    loaded: &Loaded,
    logged: &Logged,
    wants_link: bool,
) -> Result<Running, Failed> {
    let settings = &loaded.settings;
    let sites = loaded.sites().map_err(|problem| Failed::refused(anyhow::anyhow!("{problem}")))?;
    let token = admin_token(settings.admin.token_file.as_deref())?;
    let data_dir = DataDir::open(&settings.data_dir).map_err(Failed::refused)?;
    let groups = Groups {
        storage: Group::new(),
        services: Group::new(),
        work: Group::new(),
        control: Group::new(),
        traffic: Group::new(),
    };
    crate::descriptors::raise_limit(settings.edge.connections_max);
    let rooms = build((settings, logged), sites, &data_dir, &groups).await?;

    // Both sockets are taken before anything is served on either: a taken port leaves nothing half started.
    let admin_listener = admin::bind(&settings.admin)
        .with_context(|| format!("cannot listen on {} (admin)", settings.admin.listen))
        .map_err(Failed::refused)?;
    let (edge, tag) = traffic::start(loaded, &data_dir, &rooms, &groups)?;

    let site_url = site_url(settings, &edge);
    let admin_address = admin_listener.local_addr().context("the admin listener has no address")?;
    let console_url = format!("http://{admin_address}");
    let node = Node {
        id: rooms.entropy.uuid_v7(rooms.clock.now()).context("no random bytes")?.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        environment: settings.environment().into(),
        site_url: site_url.clone(),
        started: rooms.clock.now(),
    };
    let link = if wants_link || data_dir.fresh {
        match rooms.owner.create_link().await {
            Ok(token) => Some(control::link_url(&console_url, token.expose())),
            Err(error) => {
                // A full disk must not keep the site down.
                tracing::warn!(error = %error, "no sign-in link now; try `mainstay admin link` later");
                None
            }
        }
    } else {
        None
    };
    let status = Status {
        pid: std::process::id(),
        version: node.version.into(),
        site: site_url.clone(),
        address: edge.address,
        admin: console_url.clone(),
    };
    let served = list_sites(&edge);
    let served_on = (admin_listener, token);
    start_control(settings, &data_dir, &rooms, &groups, served_on, served, node, status)?;
    // Last of all: a start that fails must not have begun what others would have to do again.
    work::start(&rooms.jobs, &groups.work)?;
    rooms.health.serving();
    let (
        Groups { storage, services, work, control, traffic },
        Rooms { health, store, insight, in_force, .. },
    ) = (groups, rooms);
    Ok(Running {
        storage,
        services,
        work,
        control,
        traffic,
        health,
        store,
        insight,
        edge,
        in_force,
        tag,
        site_url,
        console_url,
        link,
        _data_dir: data_dir,
    })
}

async fn build(
    (settings, logged): (&Settings, &Logged),
    sites: &[Site],
    data_dir: &DataDir,
    groups: &Groups,
) -> Result<Rooms, Failed> {
    let (clock, entropy) = (Clock::System, Entropy::System);
    let registry = Registry::new(&settings.metrics, clock.clone());
    process::register(&registry);
    outbound::register(&registry);
    registry.gauge_fn(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], || 1.0);
    logged.register(&registry);
    let http = HttpMetrics::new(&registry, &settings.metrics);
    let place = Place {
        settings: &settings.store,
        database: Some(&settings.database),
        data_dir: data_dir.path(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let store = Store::open_or_away(place).await.map_err(Failed::refused)?;
    store.register(&registry);
    store.start_reopening(&groups.storage);
    let recorder = store.start_recorder(&settings.store, &groups.storage, &registry);
    let kv = Kv::open(&settings.redis, clock.clone(), entropy.clone(), &registry);
    kv.start(&groups.storage);
    let context = mainstay_insight::Context {
        sites: plan::names(sites),
        store: store.clone(),
        recorder: recorder.clone(),
        registry: registry.clone(),
        http: http.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let insight = Insight::open(settings.insight.clone(), context)
        .await
        .context("visitor analytics cannot start")
        .map_err(Failed::refused)?;
    insight.spawn(&groups.services);
    let (in_force, settings_of_work) = watch::channel(Arc::new(settings.clone()));
    let of_work = work::Rooms {
        store: store.clone(),
        insight: insight.clone(),
        settings: settings_of_work,
        registry: registry.clone(),
    };
    let jobs = work::open(settings, of_work, &groups.storage).map_err(Failed::refused)?;
    groups.services.spawn("memory", allocator::look_for_free_memory);
    let owner =
        Owner::new(settings.identity.clone(), store.clone(), clock.clone(), entropy.clone());
    let keys = Keys::new(settings.identity.clone(), store.clone(), clock.clone(), entropy.clone());
    // Of those that write: traffic that ends last is noted as well.
    keys.start(&groups.storage);
    let gate = Gate::new(keys.clone(), &registry);
    let Groups { storage, services, work, control, traffic } = groups;
    let watched = [storage, services, work, control, traffic].map(Group::clone).to_vec();
    let health = Health::new(store.clone(), recorder.clone(), kv.clone(), watched, clock.clone());
    Ok(Rooms {
        clock,
        entropy,
        registry,
        http,
        store,
        recorder,
        kv,
        insight,
        jobs,
        in_force,
        owner,
        keys,
        gate,
        health,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "the last step of one start: everything made before meets here"
)]
fn start_control(
    settings: &Settings,
    data_dir: &DataDir,
    rooms: &Rooms,
    groups: &Groups,
    (listener, token): (std::net::TcpListener, Option<AdminToken>),
    served: ListSites,
    node: Node,
    status: Status,
) -> Result<(), Failed> {
    rooms.health.watch_apps(Arc::clone(&served));
    let live = Live::new(settings.admin.live_streams_max);
    let sources = Sources {
        insight: rooms.insight.clone(),
        http: rooms.http.clone(),
        recorder: rooms.recorder.clone(),
        health: rooms.health.clone(),
        sites: Arc::clone(&served),
        node: node.clone(),
        clock: rooms.clock.clone(),
    };
    live.start(sources, &groups.services);
    let who = (rooms.owner.clone(), rooms.keys.clone());
    let work = (rooms.jobs.clone(), rooms.clock.clone());
    if let Err(error) = control::start(data_dir.path(), who, work, status, &groups.control) {
        tracing::warn!(error = %error, "no control socket: commands such as `mainstay admin link` cannot reach this server");
    }
    let parts = admin::Parts {
        settings: settings.admin.clone(),
        listener,
        owner: rooms.owner.clone(),
        token,
        gate: rooms.gate.clone(),
        insight: rooms.insight.clone(),
        jobs: rooms.jobs.clone(),
        store: rooms.store.clone(),
        kv: rooms.kv.clone(),
        registry: rooms.registry.clone(),
        health: rooms.health.clone(),
        live,
        sites: served,
        node,
        clock: rooms.clock.clone(),
    };
    admin::start(parts, &groups.control).context("the admin listener cannot be served")?;
    Ok(())
}

fn site_url(settings: &Settings, edge: &Edge) -> String {
    let scheme = if settings.speaks_tls() { "https" } else { "http" };
    match &settings.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // "Every address" is none that a browser can open.
        None if edge.address.ip().is_unspecified() => {
            format!("{scheme}://127.0.0.1:{}", edge.address.port())
        }
        None => format!("{scheme}://{}", edge.address),
    }
}

fn admin_token(file: Option<&Path>) -> Result<Option<AdminToken>, Failed> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the admin token file {} cannot be read", file.display()))
        .map_err(Failed::refused)?;
    let token = AdminToken::parse(&text)
        .with_context(|| format!("the admin token file {} is empty", file.display()))
        .map_err(Failed::refused)?;
    Ok(Some(token))
}
