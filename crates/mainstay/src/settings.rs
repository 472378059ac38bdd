//! The settings tree: every room's own settings and the few of the process; how values are found and checked lives in the files beneath.

mod bounded;
mod check;
mod file;
mod hosts;
mod layers;
mod load;
mod place;
mod print;
mod problem;
mod reference;
mod shape;
mod value;
mod variables;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use mainstay_api as api;
use mainstay_base::units::Span;
use mainstay_edge::settings as edge;
use mainstay_edge::tls::settings as tls;
use mainstay_guard::settings as guard;
use mainstay_identity as identity;
use mainstay_insight::settings as insight;
use mainstay_store::settings as store;
use mainstay_telemetry::settings as telemetry;
use mainstay_upstream as upstream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use layers::Sources;
pub use load::{FILE_NAME, Flag, Inputs, Loaded, Reading, load, survey};
pub use place::{KeyPath, Source, Step};
pub use print::{to_json, to_toml};
pub use problem::{Problem, Problems};
pub use reference::{Document, documents};
pub use variables::read_process;

/// Everything that can be set. Nothing has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where this runs. Not set: `development` while the public listener is on a loopback address, else `production`.
    /// `NODE_ENV=production` counts like `MAINSTAY_ENV=production`; other values of it say nothing.
    #[schemars(extend("examples" = ["production"]))]
    pub environment: Option<Environment>,
    /// Folder of databases, keys and logs; created with mode 0700. Never served, even inside the site's folder.
    pub data_dir: PathBuf,
    /// How long requests in hand may take once the process is asked to stop. `"0s"` = cut them at once.
    pub shutdown_grace: Span,
    /// How visitors reach the site, as scheme and host: used in links and for the site's own origin. Of several sites it
    /// is the one that answers for this host. Not set: as each request says.
    #[schemars(extend("examples" = ["https://example.org"]))]
    pub public_url: Option<String>,
    /// The public listener and what one client may take.
    pub edge: edge::Settings,
    /// Certificate and key: with them the public listener speaks TLS.
    pub tls: tls::Settings,
    /// Proxies in front of this server.
    pub trust: upstream::Trust,
    /// The app behind this server: how long it may take, how its health is judged.
    pub upstream: upstream::Settings,
    /// The private listener: console, metrics, health and the admin API.
    pub admin: api::Settings,
    /// Sign-in to the console.
    pub identity: identity::Settings,
    /// A site and how it differs from the sections above and below. Without any, the folder of the command line is the
    /// site `default`.
    pub site: Vec<Site>,
    /// Security headers and Content-Security-Policy of every site.
    pub headers: guard::Headers,
    /// Which other origins may read this site's answers from a browser.
    pub cors: guard::Cors,
    /// Where rows are kept and how they are written.
    pub store: store::Settings,
    /// PostgreSQL, for more than one machine.
    pub database: mainstay_store::Database,
    /// Redis or Valkey, for what many machines share from moment to moment.
    pub redis: mainstay_kv::Settings,
    /// Work that can wait.
    pub jobs: mainstay_jobs::Settings,
    /// What is kept of visits, and for how long.
    pub insight: insight::Settings,
    /// How letters are sent: by jobs of the queue `email`.
    pub mail: mainstay_mail::Settings,
    /// How jobs of the queue `webhook` are handed to workers over HTTP.
    pub webhook: crate::kinds::webhook::Settings,
    /// What a scan of one's own site may cost.
    pub scan: mainstay_scanner::Settings,
    /// The event log and the access log.
    pub log: telemetry::Log,
    /// Metrics and the bounds of their number.
    pub metrics: telemetry::Metrics,
}

/// Where the process runs; decides whether policies are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// On somebody's own machine: a page's policy is reported, not enforced.
    Development,
    /// Everywhere else.
    Production,
}

/// `[[site]]`: one site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// Its name in tables, metrics and the console: letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// Names it is reached by: `"example.org"`, `"*.example.org"` for every name below, `"example.org:8443"` for one
    /// port. Empty: every name no other site has.
    pub hosts: Vec<String>,
    /// The name visitors shall see: requests by the site's other names are sent there (308). Not set: every name of
    /// `hosts` answers by itself.
    #[schemars(extend("examples" = ["example.org"]))]
    pub canonical: Option<String>,
    /// Folder that is served. Not set, and no `upstreams`: the folder of the command line.
    #[schemars(extend("examples" = ["./public"]))]
    pub dir: Option<PathBuf>,
    /// Addresses of the app that answers for the site, `"http://127.0.0.1:3000"`; several are copies of one app. Not
    /// together with `dir`.
    pub upstreams: Vec<String>,
    /// Build output of a Next.js app (its `.next` folder): the scripts of prerendered pages are allowed by what is
    /// found there.
    #[schemars(extend("examples" = ["./.next"]))]
    pub build_dir: Option<PathBuf>,
    /// Family of security headers. Not set: `headers.headers`.
    #[schemars(extend("examples" = ["default"]))]
    pub headers: Option<guard::Preset>,
    /// How long browsers shall refuse plain http. Not set: `headers.hsts`.
    #[schemars(extend("examples" = ["auto"]))]
    pub hsts: Option<guard::Hsts>,
    /// Whether windows of other origins keep hold of the site's pages; sign-in or payment in one may need
    /// `"same-origin-allow-popups"`. Not set: `headers.opener`.
    #[schemars(extend("examples" = ["same-origin"]))]
    pub opener: Option<guard::Opener>,
    /// What is done with a page's Content-Security-Policy. Not set: `headers.csp`.
    #[schemars(extend("examples" = ["auto"]))]
    pub csp: Option<guard::Csp>,
    /// Whether our script is put into the site's pages.
    pub insert: Insert,
    /// The site's own certificate, shown to visitors who ask for one of its `hosts`.
    pub tls: tls::OfSite,
}

/// Whether our script is put into pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Insert {
    /// Into every HTML page that does not name it already.
    #[default]
    Auto,
    /// Never; the pages may name it themselves.
    Off,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: None,
            data_dir: "./mainstay-data".into(),
            shutdown_grace: Span::seconds(30),
            public_url: None,
            edge: edge::Settings::default(),
            tls: tls::Settings::default(),
            trust: upstream::Trust::default(),
            upstream: upstream::Settings::default(),
            admin: api::Settings::default(),
            identity: identity::Settings::default(),
            site: Vec::new(),
            headers: guard::Headers::default(),
            cors: guard::Cors::default(),
            store: store::Settings::default(),
            database: mainstay_store::Database::default(),
            redis: mainstay_kv::Settings::default(),
            jobs: mainstay_jobs::Settings::default(),
            insight: insight::Settings::default(),
            mail: mainstay_mail::Settings::default(),
            webhook: crate::kinds::webhook::Settings::default(),
            scan: mainstay_scanner::Settings::default(),
            log: telemetry::Log::default(),
            metrics: telemetry::Metrics::default(),
        }
    }
}

impl Default for Site {
    fn default() -> Self {
        Self {
            name: "default".into(),
            hosts: Vec::new(),
            canonical: None,
            dir: None,
            upstreams: Vec::new(),
            build_dir: None,
            headers: None,
            hsts: None,
            opener: None,
            csp: None,
            insert: Insert::Auto,
            tls: tls::OfSite::default(),
        }
    }
}

impl Settings {
    /// The environment as set, else `development` while the public listener is on a loopback address.
    #[must_use]
    pub fn environment(&self) -> Environment {
        let loopback = || {
            let address = self.edge.listen.parse::<SocketAddr>();
            address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
        };
        match self.environment {
            Some(environment) => environment,
            None if loopback() => Environment::Development,
            None => Environment::Production,
        }
    }

    /// Whether the public listener speaks TLS.
    #[must_use]
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_on() || self.site.iter().any(|site| site.tls.cert.is_some())
    }

    /// The header settings of a site as they are written: the common ones with its own in their place.
    #[must_use]
    pub fn headers_of(&self, site: &Site) -> guard::Headers {
        let mut headers = self.headers.clone();
        headers.headers = site.headers.unwrap_or(headers.headers);
        headers.hsts = site.hsts.unwrap_or(headers.hsts);
        headers.opener = site.opener.unwrap_or(headers.opener);
        headers.csp = site.csp.unwrap_or(headers.csp);
        headers
    }

    /// The settings of logs and metrics, as their room takes them.
    #[must_use]
    pub fn telemetry(&self) -> telemetry::Settings {
        telemetry::Settings { log: self.log.clone(), metrics: self.metrics.clone() }
    }
}

impl Environment {
    /// As written in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Production => "production",
        }
    }
}

impl From<Environment> for guard::Environment {
    fn from(environment: Environment) -> Self {
        match environment {
            Environment::Development => Self::Development,
            Environment::Production => Self::Production,
        }
    }
}
