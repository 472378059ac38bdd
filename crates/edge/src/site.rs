//! One site: its folder, its headers, its answers kept ready. What a site never does: look outside its folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_base::Clock;
use mainstay_guard::settings::{Cors, Environment, Headers};
use mainstay_telemetry::http::HttpMetrics;

use crate::Settings;
use crate::files::Files;
use crate::hidden::Hidden;
use crate::html::Tag;
use crate::pages::Pages;

/// What a site is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name: label, column, filter.
    pub name: Arc<str>,
    /// Host names the site is reached by (`example.com`, `example.com:8443`), as far as they are known.
    pub hosts: Vec<String>,
    /// The folder that is served.
    pub dir: PathBuf,
    /// Header and policy settings.
    pub headers: Headers,
    /// Cross-origin settings.
    pub cors: Cors,
    /// Which defaults apply.
    pub environment: Environment,
    /// Our script tag for HTML documents; none = no insertion.
    pub tag: Option<Tag>,
    /// The time, for the dates of documents we change.
    pub clock: Clock,
    /// What must never be served.
    pub hidden: Vec<PathBuf>,
}

/// A site whose folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the site folder {} cannot be read", dir.display())]
pub struct OpenError {
    dir: PathBuf,
    #[source]
    source: std::io::Error,
}

/// A site ready to answer.
pub(crate) struct Site {
    pub(crate) name: Arc<str>,
    pub(crate) files: Arc<Files>,
    pub(crate) pages: Pages,
    pub(crate) cors: Option<Cors>,
}

impl Site {
    pub(crate) fn open(
        plan: Plan,
        settings: &Settings,
        http: &HttpMetrics,
    ) -> Result<Self, OpenError> {
        let root = open_folder(&plan.dir)?;
        let policy = crate::content::Policy::new(&plan.headers, plan.environment, plan.tag);
        let cors = (!plan.cors.origins.is_empty()).then_some(plan.cors);
        let pages = Pages::new(&policy);
        let files = Files::new(
            root,
            Hidden::new(plan.hidden),
            policy,
            (plan.hosts, plan.clock),
            cors.is_some(),
            settings,
            http,
        );
        Ok(Self { name: plan.name, files: Arc::new(files), pages, cors })
    }
}

fn open_folder(dir: &Path) -> Result<PathBuf, OpenError> {
    let fault = |source| OpenError { dir: dir.to_owned(), source };
    // Kept as it was given, not resolved: it may be a link that a deployment points elsewhere.
    let root = std::path::absolute(dir).map_err(fault)?;
    std::fs::read_dir(&root).map_err(fault)?;
    Ok(root)
}
