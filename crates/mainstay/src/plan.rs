//! From settings to what the data plane serves: one plan per site. Opens nothing.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_edge::html::Tag;
use mainstay_edge::site::{Plan, Serves};
use mainstay_upstream::{Target, TargetError};

use crate::settings::{Insert, Loaded, Settings, Site};

/// What is served, in the order of the settings, and never what is `hidden`. `common` is our script's tag without a
/// site's attributes.
///
/// # Errors
/// When an upstream's address is none: the check of the settings says so first.
pub(crate) fn plans(
    settings: &Settings,
    hidden: &[PathBuf],
    common: &Tag,
) -> Result<Vec<Plan>, TargetError> {
    settings.site.iter().map(|site| plan(settings, site, hidden, common)).collect()
}

/// The names of sites, in their order.
pub(crate) fn names(sites: &[Site]) -> Vec<Arc<str>> {
    sites.iter().map(|site| Arc::from(site.name.as_str())).collect()
}

fn plan(
    settings: &Settings,
    site: &Site,
    hidden: &[PathBuf],
    common: &Tag,
) -> Result<Plan, TargetError> {
    Ok(Plan {
        name: Arc::from(site.name.as_str()),
        hosts: site.hosts.clone(),
        known: known_hosts(settings, site),
        canonical: site.canonical.clone(),
        certificate: site.tls.files(),
        serves: serves(settings, site, hidden)?,
        headers: settings.headers_of(site),
        cors: settings.cors.clone(),
        environment: settings.environment().into(),
        tag: Some(tag(settings, site, common)),
    })
}

fn serves(settings: &Settings, site: &Site, hidden: &[PathBuf]) -> Result<Serves, TargetError> {
    match &site.dir {
        Some(dir) => Ok(Serves::Folder { dir: dir.clone(), hidden: hidden.to_vec() }),
        None => Ok(Serves::App {
            upstreams: site
                .upstreams
                .iter()
                .map(|url| Target::parse(url))
                .collect::<Result<_, _>>()?,
            build_dir: site.build_dir.clone(),
            settings: Box::new(settings.upstream.clone()),
        }),
    }
}

/// What is never served, wherever it lies, in a fixed order.
pub(crate) fn hidden(loaded: &Loaded) -> Vec<PathBuf> {
    let settings = &loaded.settings;
    let named = [&settings.admin.token_file, &settings.tls.cert, &settings.tls.key];
    let own = settings.site.iter().flat_map(|site| [&site.tls.cert, &site.tls.key]);
    let named = named.into_iter().chain(own).flatten().cloned();
    let folders = std::iter::once(settings.data_dir.clone()).chain(settings.mail.templates.clone());
    let mut hidden: Vec<_> = folders.chain(loaded.file.clone()).chain(named).collect();
    hidden.sort();
    hidden.dedup();
    hidden
}

/// Names under which pages of the site may speak of themselves: absolute references to these are its own files.
pub(crate) fn known_hosts(settings: &Settings, site: &Site) -> Vec<String> {
    let authority = |url: &str| url.parse::<http::Uri>().ok()?.authority().map(ToString::to_string);
    let public = settings.public_url.as_deref().and_then(authority);
    let public = public.filter(|host| is_reached_by(settings, site, host));
    let named = site.hosts.iter().filter(|host| !host.starts_with('*')).cloned();
    let mut known: Vec<String> = named.chain(site.canonical.clone()).chain(public).collect();
    known.sort();
    known.dedup();
    known
}

/// Whether the name in `public_url` means this site. The only one is meant even where something in front of us changes
/// the host.
fn is_reached_by(settings: &Settings, site: &Site, public: &str) -> bool {
    settings.site.len() == 1
        || settings.site_of(public).is_some_and(|found| found.name == site.name)
}

fn tag(settings: &Settings, site: &Site, common: &Tag) -> Tag {
    let mut attributes = vec![("data-site".to_owned(), site.name.clone())];
    if let Some(release) = &settings.insight.release {
        attributes.push(("data-release".to_owned(), release.clone()));
    }
    Tag { attributes, inserted: site.insert == Insert::Auto, ..common.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(sites: &[(&str, &[&str])]) -> Settings {
        Settings {
            public_url: Some("https://shop.example:8443/".into()),
            ..Settings::of_sites(sites)
        }
    }

    fn known(settings: &Settings) -> Vec<Vec<String>> {
        settings.site.iter().map(|site| known_hosts(settings, site)).collect()
    }

    #[test]
    fn the_public_name_is_known_to_the_site_that_answers_for_it_alone() {
        let public = "shop.example:8443";
        assert_eq!(
            known(&settings(&[("shop", &["shop.example"]), ("blog", &["blog.example"])])),
            [vec!["shop.example", public], vec!["blog.example"]]
        );
        assert_eq!(
            known(&settings(&[("blog", &["blog.example"]), ("rest", &[])])),
            [vec!["blog.example"], vec![public]]
        );
        assert_eq!(
            known(&settings(&[("wild", &["*.example"]), ("rest", &[])])),
            [vec![public], vec![]]
        );
        let strangers = settings(&[("a", &["a.example"]), ("b", &["b.example"])]);
        assert_eq!(known(&strangers), [["a.example"], ["b.example"]]);
        let rewritten = settings(&[("only", &["origin.internal"])]);
        assert_eq!(known(&rewritten), [["origin.internal", public]]);
    }
}
