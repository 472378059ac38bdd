//! Building the data plane of what was built before.

use std::sync::Arc;

use anyhow::Context as _;
use mainstay_api::public::Public;
use mainstay_api::script::{Name, Script};
use mainstay_edge::html::Tag;
use mainstay_edge::site::Plan;
use mainstay_edge::tls::{self, Material, Tls};
use mainstay_edge::{Edge, Parts};
use mainstay_telemetry::access::AccessLog;

use super::{Failed, Groups, Rooms};
use crate::data_dir::DataDir;
use crate::plan;
use crate::settings::{Loaded, Settings};

/// Starts the data plane: sites, TLS, and our own endpoints among them.
pub(super) fn start(
    loaded: &Loaded,
    data_dir: &DataDir,
    rooms: &Rooms,
    groups: &Groups,
) -> Result<(Edge, Tag), Failed> {
    let settings = &loaded.settings;
    let access = AccessLog::open(&settings.log, data_dir.path(), &rooms.registry, &groups.services)
        .map_err(Failed::refused)?;
    let (public, tag) = public(settings, rooms)?;
    let sites = plan::plans(settings, &plan::hidden(loaded), &tag).map_err(Failed::refused)?;
    let parts = Parts {
        settings: settings.edge.clone(),
        trust: settings.trust.clone(),
        tls: tls(settings, &sites, data_dir, rooms)?,
        sites,
        https_port: https_port(settings),
        registry: rooms.registry.clone(),
        ours: Arc::new(Arc::new(public).handler()),
        http: rooms.http.clone(),
        access,
        clock: rooms.clock.clone(),
        entropy: rooms.entropy.clone(),
    };
    let edge = mainstay_edge::start(parts, &groups.traffic).map_err(Failed::refused)?;
    Ok((edge, tag))
}

fn public(settings: &Settings, rooms: &Rooms) -> Result<(Public, Tag), Failed> {
    let script =
        |name| Script::load(name).with_context(|| format!("{} is not built in", Name::file(name)));
    let (full, lite) = (script(Name::Full)?, script(Name::Lite)?);
    let prefix = settings.edge.prefix.trim_end_matches('/');
    let tag = Tag {
        src: format!("{prefix}/m.js?v={}", full.version()),
        integrity: full.integrity().clone(),
        attributes: Vec::new(),
        known: vec![
            (format!("{prefix}/m.js"), full.integrity().clone()),
            (format!("{prefix}/m.lite.js"), lite.integrity().clone()),
        ],
        inserted: true,
    };
    let environment = settings.environment().into();
    let who = (rooms.insight.clone(), rooms.gate.clone(), rooms.jobs.clone());
    Ok((Public::new(prefix, who, (full, lite), &settings.headers, environment), tag))
}

fn tls(
    settings: &Settings,
    sites: &[Plan],
    data_dir: &DataDir,
    rooms: &Rooms,
) -> Result<Option<Tls>, Failed> {
    if !settings.speaks_tls() {
        return Ok(None);
    }
    let material = Material {
        keys_dir: &data_dir.path().join("keys"),
        sites: sites.iter().map(tls::Site::of).collect(),
        clock: rooms.clock.clone(),
        registry: &rooms.registry,
    };
    material.open(&settings.tls).map(Some).map_err(Failed::refused)
}

/// The port of `public_url`, where visitors reach TLS when something in front of us maps ports.
fn https_port(settings: &Settings) -> Option<u16> {
    let url: http::Uri = settings.public_url.as_deref()?.parse().ok()?;
    let is_https = url.scheme_str() == Some("https");
    is_https.then(|| url.port_u16().unwrap_or(443))
}
