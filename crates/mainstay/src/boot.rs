//! Builds the rooms in layer order and hands each what it needs. Decides nothing a room could decide itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use mainstay_api::admin::{self, Node};
use mainstay_api::control::{self, Status};
use mainstay_api::health::Health;
use mainstay_api::live::{Live, Sources};
use mainstay_api::public::Public;
use mainstay_api::script::{Name, Script};
use mainstay_base::task::Group;
use mainstay_base::{Clock, Entropy};
use mainstay_edge::html::Tag;
use mainstay_edge::site::Plan;
use mainstay_edge::{Edge, Parts};
use mainstay_identity::{AdminToken, Owner};
use mainstay_insight::Insight;
use mainstay_store::Store;
use mainstay_telemetry::access::AccessLog;
use mainstay_telemetry::http::HttpMetrics;
use mainstay_telemetry::metrics::Registry;
use mainstay_telemetry::process;

use crate::cli::Exit;
use crate::data_dir::DataDir;
use crate::settings::{Insert, Loaded, Settings, Site};

/// Everything that runs, in the order in which it was started.
pub(crate) struct Running {
    /// Recorder, roll-ups, live snapshots: started first, stopped last.
    pub(crate) services: Group,
    /// Console, probes, control socket.
    pub(crate) control: Group,
    /// The site's traffic: started last, stopped first.
    pub(crate) traffic: Group,
    pub(crate) health: Health,
    pub(crate) store: Store,
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

/// Builds and starts everything. On failure nothing is left running.
pub(crate) async fn boot(loaded: &Loaded, wants_link: bool) -> Result<Running, Failed> {
    let settings = &loaded.settings;
    let (site, dir) =
        loaded.site().map_err(|problem| Failed::refused(anyhow::anyhow!("{problem}")))?;
    let (clock, entropy) = (Clock::System, Entropy::System);
    let data_dir = DataDir::open(&settings.data_dir).map_err(Failed::refused)?;
    let [services, control, traffic] = std::array::from_fn(|_| Group::new());

    let registry = Registry::new(&settings.metrics, clock.clone());
    process::register(&registry);
    let http = HttpMetrics::new(&registry, settings.metrics.max_routes);
    let store = Store::open(&settings.store, data_dir.path(), clock.clone())
        .await
        .map_err(Failed::refused)?;
    let recorder = store.start_recorder(&settings.store, &services, &registry);
    let context = mainstay_insight::Context {
        sites: vec![Arc::from(site.name.as_str())],
        store: store.clone(),
        recorder: recorder.clone(),
        registry: registry.clone(),
        http: http.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
    };
    let insight =
        Insight::open(settings.insight.clone(), context).await.context("visitor analytics")?;
    insight.spawn(&services);
    let owner =
        Owner::new(settings.identity.clone(), store.clone(), clock.clone(), entropy.clone());
    let groups = vec![services.clone(), control.clone(), traffic.clone()];
    let health = Health::new(recorder.clone(), groups, clock.clone());

    let admin_listener = admin::bind(&settings.admin)
        .with_context(|| format!("cannot listen on {} (admin)", settings.admin.listen))
        .map_err(Failed::refused)?;
    let access = AccessLog::open(&settings.log, data_dir.path(), &registry, &services)
        .map_err(Failed::refused)?;
    let public = public(settings, site, &insight)?;
    let edge = mainstay_edge::start(
        Parts {
            settings: settings.edge.clone(),
            site: plan(loaded, site, dir, public.1),
            ours: Arc::new(Arc::new(public.0).handler()),
            http: http.clone(),
            access,
            clock: clock.clone(),
            entropy: entropy.clone(),
        },
        &traffic,
    )
    .map_err(Failed::refused)?;

    let site_url = site_url(settings, &edge);
    let admin_address = admin_listener.local_addr().context("the admin listener has no address")?;
    let console_url = format!("http://{admin_address}");
    let node = Node {
        id: entropy.uuid_v7(clock.now()).context("no random bytes")?.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        environment: settings.environment().into(),
        site_url: site_url.clone(),
        sites: vec![site.name.clone()],
        started: clock.now(),
    };
    let live = Live::new(settings.admin.live_streams_max);
    let sources = Sources {
        insight: insight.clone(),
        http,
        recorder,
        health: health.clone(),
        node: node.clone(),
        clock: clock.clone(),
    };
    live.start(sources, &services);
    let status = Status {
        pid: std::process::id(),
        version: node.version.into(),
        site: site_url.clone(),
        admin: console_url.clone(),
    };
    if let Err(error) = control::start(data_dir.path(), owner.clone(), status, &control) {
        tracing::warn!(error = %error, "no control socket: commands such as `mainstay admin link` cannot reach this server");
    }
    let link = if wants_link || data_dir.fresh {
        let token = owner.create_link().await.context("no sign-in link")?;
        Some(control::link_url(&console_url, token.expose()))
    } else {
        None
    };
    admin::start(
        admin::Parts {
            settings: settings.admin.clone(),
            listener: admin_listener,
            owner,
            token: admin_token(settings.admin.token_file.as_deref())?,
            insight,
            registry,
            health: health.clone(),
            live,
            node,
            clock,
        },
        &control,
    )
    .context("the admin listener cannot be served")?;
    health.serving();
    Ok(Running {
        services,
        control,
        traffic,
        health,
        store,
        site_url,
        console_url,
        link,
        _data_dir: data_dir,
    })
}

fn public(
    settings: &Settings,
    site: &Site,
    insight: &Insight,
) -> Result<(Public, Option<Tag>), Failed> {
    let script =
        |name| Script::load(name).with_context(|| format!("{} is not built in", Name::file(name)));
    let (full, lite) = (script(Name::Full)?, script(Name::Lite)?);
    let prefix = settings.edge.prefix.trim_end_matches('/');
    let tag = (site.insert == Insert::Auto).then(|| Tag {
        src: format!("{prefix}/m.js?v={}", full.version()),
        integrity: full.integrity().clone(),
        attributes: tag_attributes(settings, site),
        known: vec![format!("{prefix}/m.js"), format!("{prefix}/m.lite.js")],
    });
    let headers = settings.headers_of(site);
    let environment = settings.environment().into();
    Ok((Public::new(prefix, insight.clone(), (full, lite), &headers, environment), tag))
}

fn tag_attributes(settings: &Settings, site: &Site) -> Vec<(String, String)> {
    let mut attributes = vec![("data-site".to_owned(), site.name.clone())];
    if let Some(release) = &settings.insight.release {
        attributes.push(("data-release".to_owned(), release.clone()));
    }
    attributes
}

fn plan(loaded: &Loaded, site: &Site, dir: &Path, tag: Option<Tag>) -> Plan {
    let settings = &loaded.settings;
    let hidden: Vec<PathBuf> =
        [Some(settings.data_dir.clone()), loaded.file.clone(), settings.admin.token_file.clone()]
            .into_iter()
            .flatten()
            .collect();
    Plan {
        name: Arc::from(site.name.as_str()),
        hosts: hosts(settings),
        dir: dir.to_owned(),
        headers: settings.headers_of(site),
        cors: settings.cors.clone(),
        environment: settings.environment().into(),
        tag,
        hidden,
    }
}

/// The host of `public_url`, so that absolute links of pages to their own site are known as such.
fn hosts(settings: &Settings) -> Vec<String> {
    let rest = settings.public_url.as_deref().and_then(|url| url.split_once("://"));
    rest.and_then(|(_, rest)| rest.split('/').next()).map(str::to_owned).into_iter().collect()
}

fn site_url(settings: &Settings, edge: &Edge) -> String {
    match &settings.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // "Every address" is none that a browser can open.
        None if edge.address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", edge.address.port())
        }
        None => format!("http://{}", edge.address),
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
