//! SIGHUP: what can be changed while serving. Everything else is named in the log and waits for a restart.

use std::path::PathBuf;
use std::sync::Arc;

use mainstay_guard::settings::Headers;
use serde_json::Value;

use crate::boot::Running;
use crate::plan;
use crate::settings::{Inputs, Loaded, Settings, load};

/// Sections that are taken into use at once. Certificates are read anew by whoever holds them.
const AT_ONCE: [&str; 4] = ["site", "headers", "cors", "upstream"];

/// The settings that are served by: those of the start, but for the sections that were taken into use since.
pub(crate) struct InForce {
    loaded: Loaded,
    started: Settings,
    /// Names of what is never served: all that were in use since the start, or will be after the restart. They only grow,
    /// as what a file no longer names can be in use until the restart: a key, while TLS goes on. What they lead to is
    /// looked up anew each time: a link that is pointed elsewhere hides its new target, and no longer the one before.
    hidden: Vec<PathBuf>,
}

impl InForce {
    /// Right after the start.
    pub(crate) fn of(loaded: Loaded) -> Self {
        Self { started: loaded.settings.clone(), hidden: plan::hidden(&loaded), loaded }
    }

    /// Reads the settings again and serves by them; whatever is wrong is logged, and everything stays as it is.
    pub(crate) fn reload(&mut self, running: &Running, inputs: &Inputs) {
        let read = match load(inputs) {
            Ok(read) => read,
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::error!(problem = %problem, "settings not taken into use");
                }
                return;
            }
        };
        match self.serve_by(running, &read) {
            Ok((next, hidden)) => {
                let waiting = list_waiting(&self.started, &read.settings);
                if waiting.is_empty() {
                    tracing::info!("settings taken into use");
                } else {
                    let sections = waiting.join(", ");
                    tracing::warn!(sections, "settings taken into use; these need a restart");
                }
                self.loaded.settings = next;
                self.hidden = hidden;
            }
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "settings not taken into use");
            }
        }
    }

    /// What is in force then, and what is hidden.
    fn serve_by(
        &self,
        running: &Running,
        read: &Loaded,
    ) -> anyhow::Result<(Settings, Vec<PathBuf>)> {
        read.sites().map_err(|problem| anyhow::anyhow!("{problem}"))?;
        let next = merge(&self.loaded.settings, &read.settings);
        let mut hidden = self.hidden.clone();
        hidden.extend(plan::hidden(read));
        hidden.sort();
        hidden.dedup();
        running.edge.reload(plan::plans(&next, &hidden, &running.tag)?)?;
        running.insight.set_sites(plan::names(&next.site));
        running.in_force.send_replace(Arc::new(next.clone()));
        Ok((next, hidden))
    }
}

/// What is in force, with the sections of `read` that are taken into use at once.
fn merge(in_force: &Settings, read: &Settings) -> Settings {
    Settings {
        site: read.site.clone(),
        headers: read.headers.clone(),
        cors: read.cors.clone(),
        upstream: read.upstream.clone(),
        ..in_force.clone()
    }
}

/// What differs from the start and is not taken into use; named again by each reload, until the restart.
fn list_waiting(started: &Settings, read: &Settings) -> Vec<String> {
    let tree = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(tree)) => tree,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (tree(started), tree(read));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let mut waiting: Vec<String> = changed
        .map(|(key, _)| key.clone())
        .filter(|key| !AT_ONCE.contains(&key.as_str()))
        .collect();
    if started.tls == read.tls && started.speaks_tls() != read.speaks_tls() {
        waiting.push("site.tls".to_owned());
    }
    let pages_own = Headers { csp: started.headers.csp, ..read.headers.clone() };
    if started.headers != (Headers { allow: started.headers.allow.clone(), ..pages_own }) {
        // Pages have them at once; what we answer ourselves was built at the start, and has a policy of its own.
        waiting.push(format!("headers of answers below {}", started.edge.prefix));
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Site};

    #[test]
    fn what_needs_a_restart_is_named_and_nothing_else() {
        let before = Settings { site: vec![Site::default()], ..Settings::default() };
        let mut after = before.clone();
        assert!(list_waiting(&before, &after).is_empty());
        after.site[0].canonical = Some("example.org".into());
        after.upstream.in_flight_max += 1;
        after.cors.origins.push("https://partner.example".into());
        after.headers.csp = mainstay_guard::settings::Csp::Off;
        assert!(list_waiting(&before, &after).is_empty());
        after.edge.workers += 1;
        after.site[0].name = "other".into();
        assert_eq!(list_waiting(&before, &after), ["edge"]);
        after.headers.referrer = mainstay_guard::settings::Referrer::NoReferrer;
        assert_eq!(list_waiting(&before, &after)[1], "headers of answers below /_mainstay");
    }

    #[test]
    fn whether_tls_is_spoken_at_all_needs_a_restart() {
        let plain = Settings { site: vec![Site::default()], ..Settings::default() };
        let mut secured = plain.clone();
        secured.site[0].tls.cert = Some("a.pem".into());
        assert_eq!(list_waiting(&plain, &secured), ["site.tls"]);
        assert_eq!(list_waiting(&secured, &plain), ["site.tls"]);
        let mut other = secured.clone();
        other.site[0].tls.cert = Some("b.pem".into());
        assert!(list_waiting(&secured, &other).is_empty());
        let mut common = plain.clone();
        common.tls.cert = Some("a.pem".into());
        assert_eq!(list_waiting(&plain, &common), ["tls"]);
        assert!(list_waiting(&secured, &secured).is_empty());
    }

    #[test]
    fn sections_that_wait_are_not_served_by() {
        let before = Settings { site: vec![Site::default()], ..Settings::default() };
        let mut read = before.clone();
        read.site[0].name = "other".into();
        read.upstream.in_flight_max += 1;
        read.cors.origins.push("https://partner.example".into());
        read.environment = Some(Environment::Production);
        read.data_dir = "./elsewhere".into();
        read.edge.listen = "0.0.0.0:80".into();
        read.public_url = Some("https://example.org".into());
        read.insight.release = Some("2".into());
        let next = merge(&before, &read);
        let at_once = |settings: &Settings| {
            (settings.site.clone(), settings.upstream.clone(), settings.cors.clone())
        };
        assert_eq!(at_once(&next), at_once(&read));
        let (site, upstream, cors) = at_once(&before);
        let waits = Settings { site, upstream, cors, ..next };
        assert_eq!(waits, before);
    }
}
