//! From settings to what the data plane serves: one plan per site. Opens nothing.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_edge::html::Tag;
use mainstay_edge::site::{Plan, Serves};
use mainstay_upstream::{Target, TargetError};

use crate::settings::{Insert, Loaded, Settings, Site};

/// What is served, in the order of the settings. `tag` is our script's without a site's attributes.
///
/// # Errors
/// When an upstream's address is none: the check of the settings says so first.
pub(crate) fn plans(loaded: &Loaded, common: &Tag) -> Result<Vec<Plan>, TargetError> {
    loaded.settings.site.iter().map(|site| plan(loaded, site, common)).collect()
}

fn plan(loaded: &Loaded, site: &Site, common: &Tag) -> Result<Plan, TargetError> {
    let settings = &loaded.settings;
    Ok(Plan {
        name: Arc::from(site.name.as_str()),
        hosts: site.hosts.clone(),
        known: known_hosts(settings, site),
        canonical: site.canonical.clone(),
        serves: serves(loaded, site)?,
        headers: settings.headers_of(site),
        cors: settings.cors.clone(),
        environment: settings.environment().into(),
        tag: Some(tag(settings, site, common)),
    })
}

fn serves(loaded: &Loaded, site: &Site) -> Result<Serves, TargetError> {
    match &site.dir {
        Some(dir) => Ok(Serves::Folder { dir: dir.clone(), hidden: hidden(loaded) }),
        None => Ok(Serves::App {
            upstreams: site
                .upstreams
                .iter()
                .map(|url| Target::parse(url))
                .collect::<Result<_, _>>()?,
            build_dir: site.build_dir.clone(),
            settings: Box::new(loaded.settings.upstream.clone()),
        }),
    }
}

/// What is never served, wherever it lies.
pub(crate) fn hidden(loaded: &Loaded) -> Vec<PathBuf> {
    let settings = &loaded.settings;
    let named = [&settings.admin.token_file, &settings.tls.cert, &settings.tls.key];
    let data = std::iter::once(settings.data_dir.clone());
    data.chain(loaded.file.clone()).chain(named.into_iter().flatten().cloned()).collect()
}

/// Names under which pages of the site may speak of themselves: absolute references to these are its own files.
pub(crate) fn known_hosts(settings: &Settings, site: &Site) -> Vec<String> {
    let authority = |url: &str| url.parse::<http::Uri>().ok()?.authority().map(ToString::to_string);
    let public = settings.public_url.as_deref().and_then(authority);
    let named = site.hosts.iter().filter(|host| !host.starts_with('*')).cloned();
    let mut known: Vec<String> = named.chain(site.canonical.clone()).chain(public).collect();
    known.sort();
    known.dedup();
    known
}

fn tag(settings: &Settings, site: &Site, common: &Tag) -> Tag {
    let mut attributes = vec![("data-site".to_owned(), site.name.clone())];
    if let Some(release) = &settings.insight.release {
        attributes.push(("data-release".to_owned(), release.clone()));
    }
    Tag { attributes, inserted: site.insert == Insert::Auto, ..common.clone() }
}
