//! One site: what answers for it, its headers, its pages of our own. What a site never does: look outside its folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri, header};
use mainstay_base::Clock;
use mainstay_base::task::Group;
use mainstay_guard::settings::{Cors, Environment, Headers};
use mainstay_telemetry::http::{HttpMetrics, Method, Route};
use mainstay_telemetry::metrics::Registry;
use mainstay_upstream::Target;

use crate::Settings;
use crate::app::{self, App};
use crate::files::{Files, UNMATCHED_ROUTE};
use crate::hidden::Hidden;
use crate::html::Tag;
use crate::pages::{Page, Pages};
use crate::phases::{Answer, Asking};
use crate::problem::Problem;
use crate::sites::split_port;
use crate::tls;

/// What a site is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its name: label, column, filter.
    pub name: Arc<str>,
    /// Host names it answers to (`example.com`, `*.example.com`, `example.com:8443`); none = every name that no other
    /// site has.
    pub hosts: Vec<String>,
    /// Names under which its pages may speak of themselves.
    pub known: Vec<String>,
    /// The name its visitors are sent to when they came by another.
    pub canonical: Option<String>,
    /// The certificate of its own that its visitors are shown.
    pub certificate: Option<tls::Files>,
    /// Where its answers come from.
    pub serves: Serves,
    /// Header and policy settings.
    pub headers: Headers,
    /// Cross-origin settings.
    pub cors: Cors,
    /// Which defaults apply.
    pub environment: Environment,
    /// Our script tag for HTML documents; none = no insertion.
    pub tag: Option<Tag>,
}

impl Plan {
    /// The name it is asked by, where it has one.
    fn own_host(&self) -> Option<&str> {
        let first = || self.hosts.iter().find(|host| !host.starts_with('*'));
        self.canonical.as_ref().or_else(first).map(String::as_str)
    }
}

/// Where a site's answers come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Serves {
    /// A folder of files.
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What must never be served.
        hidden: Vec<PathBuf>,
    },
    /// An app behind us.
    App {
        /// Its copies, at least one.
        upstreams: Vec<Target>,
        /// Build output of a Next.js app.
        build_dir: Option<PathBuf>,
        /// How they are asked.
        settings: Box<mainstay_upstream::Settings>,
    },
}

/// A site that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no site to serve")]
    NoSite,
    /// Its folder.
    #[error("the site folder {} cannot be read", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate.
    #[error("a certificate cannot be used")]
    Certificate(#[source] tls::Error),
    /// The app behind it.
    #[error("the app behind site \"{site}\" cannot be used")]
    App {
        /// The site's name.
        site: Arc<str>,
        /// Why.
        #[source]
        source: app::OpenError,
    },
}

/// What sites are opened with.
pub(crate) struct Opening<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) registry: &'a Registry,
    pub(crate) http: &'a HttpMetrics,
    pub(crate) group: &'a Group,
    /// Tells this process from others.
    pub(crate) process: u64,
    /// The time, for the dates of documents we change.
    pub(crate) clock: &'a Clock,
}

/// A site ready to answer.
pub(crate) struct Site {
    pub(crate) plan: Plan,
    pub(crate) answers: Answers,
    pub(crate) pages: Pages,
    /// Route of every path that leads nowhere.
    pub(crate) unmatched: Arc<Route>,
    /// Route of every redirect to the canonical host or to https.
    pub(crate) redirected: Arc<Route>,
}

/// What answers for a site.
pub(crate) enum Answers {
    Files(Arc<Files>),
    App(Box<App>),
}

impl Site {
    /// Opens the site of a plan; `before` is the site of the same name that it takes the place of.
    pub(crate) fn open(
        plan: Plan,
        before: Option<&Self>,
        with: &Opening<'_>,
    ) -> Result<Self, OpenError> {
        let policy = || {
            let (tag, prefix) = (plan.tag.clone(), &with.settings.prefix);
            crate::content::Policy::new(&plan.headers, plan.environment, tag, prefix)
        };
        let http = with.http.site(&plan.name);
        let answers = match &plan.serves {
            Serves::Folder { dir, hidden } => Answers::Files(Arc::new(Files::new(
                open_folder(dir)?,
                Hidden::new(hidden.clone()),
                policy(),
                (plan.known.clone(), with.clock.clone()),
                !plan.cors.origins.is_empty(),
                with.settings,
                &http,
            ))),
            Serves::App { upstreams, build_dir, settings } => {
                let before = before.and_then(Self::app);
                let wanted = mainstay_upstream::Plan {
                    site: Arc::clone(&plan.name),
                    host: plan.own_host().map(Arc::from),
                    targets: upstreams.clone(),
                    settings: mainstay_upstream::Settings::clone(settings),
                };
                let app = App::open(&plan, wanted, build_dir.as_deref(), before, with);
                let fault = |source| OpenError::App { site: Arc::clone(&plan.name), source };
                Answers::App(Box::new(app.map_err(fault)?))
            }
        };
        let (unmatched, redirected) = (http.resolve(UNMATCHED_ROUTE), http.resolve("{redirect}"));
        unmatched.declare(Method::Get, 404);
        unmatched.declare(Method::Other, 405);
        let pages = Pages::new(&policy());
        Ok(Self { plan, answers, pages, unmatched, redirected })
    }

    /// Whether opening it again would read the same authorities of https upstreams. Blocking.
    pub(crate) fn is_current(&self) -> bool {
        self.app().is_none_or(|app| app.upstreams.is_current())
    }

    /// The app, where one answers.
    pub(crate) fn app(&self) -> Option<&App> {
        match &self.answers {
            Answers::App(app) => Some(app),
            Answers::Files(_) => None,
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.plan.name
    }

    /// Cross-origin settings, where any origin is named.
    pub(crate) fn cors(&self) -> Option<&Cors> {
        Some(&self.plan.cors).filter(|cors| !cors.origins.is_empty())
    }
}

impl Site {
    /// One of our own pages.
    pub(crate) fn page(&self, page: &Page, asking: &Asking) -> Answer {
        let response = page.response(asking.https);
        let problem = Problem::of_page(page.status);
        Answer { response, route: Arc::clone(&self.unmatched), ours: false, problem }
    }

    /// 308 to `location`.
    pub(crate) fn redirect(&self, location: HeaderValue, asking: &Asking) -> Answer {
        let mut response = self.pages.redirect.response(asking.https);
        response.headers_mut().insert(header::LOCATION, location);
        Answer { response, route: Arc::clone(&self.redirected), ours: false, problem: None }
    }

    /// 308 to the canonical host, for a request that named another. A port is kept: behind one, the canonical name has
    /// the same.
    pub(crate) fn canonical_redirect(
        &self,
        asking: &Asking,
        host: &str,
        uri: &Uri,
    ) -> Option<Answer> {
        let (canonical, port) = self.better_host(host, asking.https)?;
        let scheme = if asking.https { "https" } else { "http" };
        let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let path = if path.starts_with('/') { path } else { "/" };
        let location =
            HeaderValue::from_str(&format!("{scheme}://{canonical}{port}{path}")).ok()?;
        Some(self.redirect(location, asking))
    }

    /// The canonical host and the port to keep, for a request that named another.
    pub(crate) fn better_host<'a>(
        &'a self,
        host: &'a str,
        https: bool,
    ) -> Option<(&'a str, &'a str)> {
        let canonical = self.plan.canonical.as_deref()?;
        // Browsers leave it out: a request with it would never come.
        let default_port = if https { ":443" } else { ":80" };
        let canonical = canonical.strip_suffix(default_port).unwrap_or(canonical);
        let (name, port) = split_port(host);
        let has_port = !split_port(canonical).1.is_empty();
        let (named, port) = if has_port { (host, "") } else { (name, port) };
        (!canonical.eq_ignore_ascii_case(named)).then_some((canonical, port))
    }

    /// `Strict-Transport-Security` of the site, for answers of our own endpoints.
    pub(crate) fn set_hsts(&self, headers: &mut HeaderMap) {
        let set = self.pages.options.over_tls.iter();
        for (name, value) in set.filter(|(name, _)| name == header::STRICT_TRANSPORT_SECURITY) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

fn open_folder(dir: &Path) -> Result<PathBuf, OpenError> {
    let fault = |source| OpenError::Folder { dir: dir.to_owned(), source };
    // Kept as it was given, not resolved: it may be a link that a deployment points elsewhere.
    let root = std::path::absolute(dir).map_err(fault)?;
    std::fs::read_dir(&root).map_err(fault)?;
    Ok(root)
}
