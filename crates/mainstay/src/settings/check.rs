//! What a type cannot say: addresses, folders, bounds that contradict each other. Never changes a setting.

mod admin;
mod database;
mod insight;
mod jobs;
mod kinds;
mod listeners;
mod redis;
mod sites;

use serde_json::Value;

use super::layers::Sources;
use super::place::KeyPath;
use super::problem::Problem;
use super::shape::{Kind, Shape};
use super::{Settings, value};

/// Settings whose manual gives zero a meaning; everywhere else zero would switch the product off by mistake.
const MAY_BE_ZERO: [&str; 18] = [
    "edge.workers",
    "edge.write_rate_min",
    "edge.body_rate_min",
    "upstream.slow_start",
    "shutdown_grace",
    "cors.max_age_seconds",
    "log.access_keep",
    "jobs.concurrency",
    "jobs.prefetch_max",
    "jobs.max_stalled",
    "jobs.timeout",
    "jobs.keep_completed",
    "jobs.keep_failed",
    "store.insight_size_max",
    "store.commit_gather",
    "database.pool_min",
    "database.catch_up",
    "database.primary_read_share",
];

struct Check<'a> {
    settings: &'a Settings,
    sources: &'a Sources,
    problems: Vec<Problem>,
}

/// The shape of the settings, with a floor of one under every number whose manual gives zero no meaning.
pub(super) fn shape(schema: &schemars::Schema) -> Shape {
    let mut shape = Shape::of(schema);
    raise_floors(&mut shape, &KeyPath::default());
    shape
}

fn raise_floors(shape: &mut Shape, at: &KeyPath) {
    match shape {
        Shape::Table(fields) => {
            for field in fields {
                raise_floors(&mut field.shape, &at.key(&field.name));
            }
        }
        Shape::Integer(least, _) if !MAY_BE_ZERO.contains(&at.to_string().as_str()) => {
            *least = (*least).max(1);
        }
        _ => {}
    }
}

/// Everything that is wrong beyond types.
pub(super) fn check(settings: &Settings, sources: &Sources, shape: &Shape) -> Vec<Problem> {
    let mut check = Check { settings, sources, problems: Vec::new() };
    check.zeroes(shape);
    check.listeners();
    check.tls();
    check.edge();
    check.public_url();
    check.admin();
    check.sites();
    check.headers();
    check.insight();
    check.jobs();
    check.database();
    check.redis();
    check.kinds();
    check.problems
}

impl Check<'_> {
    fn complain(&mut self, path: &KeyPath, message: impl std::fmt::Display) {
        self.complain_meaning(path, message, None);
    }

    fn complain_meaning(
        &mut self,
        path: &KeyPath,
        message: impl std::fmt::Display,
        meant: Option<String>,
    ) {
        let message = format!("\"{path}\" {message}");
        let problem = Problem::new(self.sources.nearest(path), path, message);
        self.problems.push(problem.suggest(meant));
    }

    fn zeroes(&mut self, shape: &Shape) {
        let tree = serde_json::to_value(self.settings).unwrap_or_default();
        for (path, field) in value::list_leaves(shape) {
            let value = value::find(&tree, &path);
            let zero = match (&field.shape, value) {
                (Shape::Integer(..), Some(Value::Number(n))) => n.as_i64() == Some(0),
                (Shape::Text(Kind::Duration | Kind::Size), Some(Value::String(text))) => {
                    text.starts_with('0')
                }
                _ => false,
            };
            if zero && !MAY_BE_ZERO.contains(&path.to_string().as_str()) {
                self.complain(&path, "must be more than zero");
            }
        }
    }

    fn edge(&mut self) {
        let edge = &self.settings.edge;
        let prefix = edge.prefix.as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
        let segments = prefix.strip_prefix('/').map(|rest| rest.split('/'));
        let well = segments.is_some_and(|mut s| s.all(|s| !s.is_empty() && s != "." && s != ".."));
        if !well || !prefix.chars().all(plain) {
            let message = "must be a path such as \"/_mainstay\", without a slash at the end";
            self.complain(&KeyPath::dotted("edge.prefix"), message);
        }
        // Browsers send cookies and referrers of several KiB; below 8 KiB ordinary visitors are refused.
        if edge.head_bytes_max.0 < 8 << 10 {
            self.complain(&KeyPath::dotted("edge.head_bytes_max"), "must be at least \"8KiB\"");
        }
        if edge.cache_file_max > edge.cache_bytes_max {
            let message =
                format!("must not exceed edge.cache_bytes_max ({})", edge.cache_bytes_max);
            self.complain(&KeyPath::dotted("edge.cache_file_max"), message);
        }
    }

    fn public_url(&mut self) {
        let Some(url) = &self.settings.public_url else { return };
        let origin = url.parse::<http::Uri>().is_ok_and(|url| {
            matches!(url.scheme_str(), Some("http" | "https"))
                && url.host().is_some_and(|host| !host.is_empty())
                && url.authority().is_some_and(|a| !a.as_str().contains('@'))
                && matches!(url.path(), "" | "/")
                && url.query().is_none()
        });
        if !origin || url.contains('#') {
            let message =
                format!("must be scheme and host such as \"https://example.org\", not \"{url}\"");
            self.complain(&KeyPath::dotted("public_url"), message);
        }
    }

    fn headers(&mut self) {
        let headers = self.settings.headers.allow.list_problems();
        let cors = self.settings.cors.list_problems();
        let headers = headers.into_iter().map(|problem| ("headers", problem));
        for (section, problem) in headers.chain(cors.into_iter().map(|problem| ("cors", problem))) {
            self.complain(&KeyPath::dotted(&format!("{section}.{}", problem.field)), problem.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_may_be_zero_exists() {
        let shape = Shape::of(&schemars::schema_for!(Settings));
        let leaves: Vec<_> =
            value::list_leaves(&shape).iter().map(|(p, _)| p.to_string()).collect();
        for path in MAY_BE_ZERO {
            assert!(leaves.iter().any(|leaf| leaf == path), "{path}");
        }
    }
}
