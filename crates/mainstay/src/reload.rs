//! SIGHUP: what can be changed while serving. Everything else is named in the log and waits for a restart.

use serde_json::Value;

use crate::boot::Running;
use crate::plan;
use crate::settings::{Inputs, Loaded, Settings, load};

/// Sections that are taken into use at once. The keys of TLS are read anew by whoever holds them.
const AT_ONCE: [&str; 4] = ["site", "headers", "cors", "upstream"];

/// Reads the settings again and serves by them; whatever is wrong is logged, and everything stays as it is.
pub(crate) fn reload(running: &Running, inputs: &Inputs, in_force: &mut Loaded) {
    let loaded = match load(inputs) {
        Ok(loaded) => loaded,
        Err(problems) => {
            for problem in &problems.0 {
                tracing::error!(problem = %problem, "settings not taken into use");
            }
            return;
        }
    };
    match serve_by(running, &loaded) {
        Ok(()) => {
            let waiting = list_waiting(&in_force.settings, &loaded.settings);
            if waiting.is_empty() {
                tracing::info!("settings taken into use");
            } else {
                let sections = waiting.join(", ");
                tracing::warn!(sections, "settings taken into use; these need a restart");
            }
            take(in_force, loaded);
        }
        Err(error) => tracing::error!(error = %format!("{error:#}"), "settings not taken into use"),
    }
}

fn serve_by(running: &Running, loaded: &Loaded) -> anyhow::Result<()> {
    loaded.sites().map_err(|problem| anyhow::anyhow!("{problem}"))?;
    running.edge.reload(plan::plans(loaded, &running.tag)?)?;
    Ok(())
}

/// What is in force now; sections that wait keep their old values, so that the next reload names them again.
fn take(in_force: &mut Loaded, loaded: Loaded) {
    let settings = &mut in_force.settings;
    settings.site = loaded.settings.site;
    settings.headers = loaded.settings.headers;
    settings.cors = loaded.settings.cors;
    settings.upstream = loaded.settings.upstream;
}

/// Top-level keys that differ and are not taken into use.
fn list_waiting(before: &Settings, after: &Settings) -> Vec<String> {
    let tree = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(tree)) => tree,
        _ => serde_json::Map::new(),
    };
    let (before, after) = (tree(before), tree(after));
    let changed = after.iter().filter(|(key, value)| before.get(*key) != Some(*value));
    let mut waiting: Vec<String> = changed
        .map(|(key, _)| key.clone())
        .filter(|key| !AT_ONCE.contains(&key.as_str()))
        .collect();
    let names = |tree: &serde_json::Map<String, Value>| -> Vec<Value> {
        let sites = tree.get("site").and_then(Value::as_array);
        sites.into_iter().flatten().map(|site| site["name"].clone()).collect()
    };
    if names(&before) != names(&after) {
        // Their pages are served; the console and its roll-ups know the names of the start.
        waiting.push("the names of sites in the console".into());
    }
    waiting
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Site;

    #[test]
    fn what_needs_a_restart_is_named_and_nothing_else() {
        let before = Settings { site: vec![Site::default()], ..Settings::default() };
        let mut after = before.clone();
        assert!(list_waiting(&before, &after).is_empty());
        after.site[0].canonical = Some("example.org".into());
        after.upstream.in_flight_max += 1;
        assert!(list_waiting(&before, &after).is_empty());
        after.edge.workers += 1;
        after.site[0].name = "other".into();
        assert_eq!(list_waiting(&before, &after), ["edge", "the names of sites in the console"]);
    }
}
