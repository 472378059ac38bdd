//! Environment variables to assignments: `MAINSTAY_<ROOM>__<FIELD>`. The only file of the product that reads the environment.

use std::ffi::OsString;
use std::path::Path;

use serde_json::Value;

use super::layers::Assignment;
use super::place::{KeyPath, Source};
use super::problem::Problem;
use super::shape::{Field, Shape};
use super::{bounded, value};

const PREFIX: &str = "MAINSTAY_";
/// Names the settings file; read before everything else.
pub(super) const CONFIG: &str = "MAINSTAY_CONFIG";
/// A file that holds a secret is refused above this size.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// The release of the site, under the name that deployments use for it.
const APP_VERSION: &str = "APP_VERSION";
/// The databases, under the names that deployments use for them.
const PRIMARY: &str = "DATABASE_PRIMARY_URL";
const REPLICA: (&str, &str) = ("DATABASE_REPLICA_", "_URL");
const REDIS: &str = "REDIS_NODE_";
const REDIS_PASSWORD: &str = "REDIS_PASSWORD";
const REDIS_PORT: u16 = 6_379;

/// The environment of this process.
#[must_use]
pub fn read_process() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Reads the variables that are ours. An empty variable counts as not set.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    root: &Shape,
    problems: &mut Vec<Problem>,
) -> Vec<Assignment> {
    let names = list_names(root);
    let mut found = Vec::new();
    for (name, text) in variables {
        let Some(name) = name.to_str() else { continue };
        if text.is_empty() || name == CONFIG || !(name.starts_with(PREFIX) || is_borrowed(name)) {
            continue;
        }
        let Some(text) = text.to_str() else {
            let message = "is not UTF-8".to_owned();
            problems.push(Problem::new(Source::Env(name.into()), &KeyPath::default(), message));
            continue;
        };
        match read_one(name, text, &names) {
            Ok(assignment) => found.extend(assignment),
            Err(problem) => problems.push(problem),
        }
    }
    found.extend(read_replicas(variables));
    found.extend(read_redis_nodes(variables, problems));
    // These are what other programs are told too; our own variables win over them whatever the order.
    found.sort_by_key(|a| !matches!(&a.source, Source::Env(name) if is_borrowed(name)));
    found
}

/// Whether a variable is not ours and is read all the same.
fn is_borrowed(name: &str) -> bool {
    ["NODE_ENV", APP_VERSION, PRIMARY, REDIS_PASSWORD].contains(&name)
        || replica_number(name).is_some()
        || redis_number(name, "_HOST").is_some()
        || redis_number(name, "_PORT").is_some()
}

/// The `1` of `REDIS_NODE_1_HOST`.
fn redis_number(name: &str, what: &str) -> Option<u32> {
    name.strip_prefix(REDIS)?.strip_suffix(what)?.parse().ok()
}

/// The servers of Redis by their numbers; a port that is not named is the usual one.
fn read_redis_nodes(
    variables: &[(OsString, OsString)],
    problems: &mut Vec<Problem>,
) -> Option<Assignment> {
    let named = variables.iter().filter_map(|(name, text)| Some((name.to_str()?, text.to_str()?)));
    let named: Vec<_> = named.filter(|(_, text)| !text.is_empty()).collect();
    let mut hosts: Vec<_> = named
        .iter()
        .filter_map(|(name, host)| Some((redis_number(name, "_HOST")?, *host)))
        .collect();
    hosts.sort_unstable();
    let (first, _) = hosts.first()?;
    let source = Source::Env(format!("{REDIS}{first}_HOST"));
    let path = KeyPath::dotted("redis.nodes");
    let mut nodes = Vec::new();
    for (number, host) in &hosts {
        let port = named.iter().find(|(name, _)| redis_number(name, "_PORT") == Some(*number));
        match port.map_or(Ok(REDIS_PORT), |(_, port)| port.parse::<u16>()) {
            Ok(port) => nodes.push(Value::String(format!("{host}:{port}"))),
            Err(_) => {
                let source = Source::Env(format!("{REDIS}{number}_PORT"));
                let message = format!("\"{path}\" needs a port from 1 to 65535");
                problems.push(Problem::new(source, &KeyPath::default(), message));
            }
        }
    }
    Some(Assignment { path, value: Value::Array(nodes), source })
}

/// The `1` of `DATABASE_REPLICA_1_URL`.
fn replica_number(name: &str) -> Option<u32> {
    name.strip_prefix(REPLICA.0)?.strip_suffix(REPLICA.1)?.parse().ok()
}

/// The addresses of all replicas by their numbers, which need not follow each other. An empty one is none.
fn read_replicas(variables: &[(OsString, OsString)]) -> Option<Assignment> {
    let named = variables.iter().filter_map(|(name, text)| Some((name.to_str()?, text.to_str()?)));
    let numbered = named.filter(|(_, text)| !text.is_empty());
    let mut urls: Vec<_> =
        numbered.filter_map(|(name, text)| Some((replica_number(name)?, text))).collect();
    urls.sort_unstable();
    let (first, _) = urls.first()?;
    Some(Assignment {
        path: KeyPath::dotted("database.replicas"),
        source: Source::Env(format!("{}{first}{}", REPLICA.0, REPLICA.1)),
        value: urls.into_iter().map(|(_, text)| text).collect(),
    })
}

fn read_one(
    name: &str,
    text: &str,
    names: &[(String, KeyPath, &Field)],
) -> Result<Option<Assignment>, Problem> {
    let source = Source::Env(name.to_owned());
    if name == APP_VERSION {
        let value = Value::String(text.to_owned());
        return Ok(Some(Assignment { path: KeyPath::dotted("insight.release"), value, source }));
    }
    if name == PRIMARY {
        let value = Value::String(text.to_owned());
        return Ok(Some(Assignment { path: KeyPath::dotted("database.primary"), value, source }));
    }
    if name == REDIS_PASSWORD {
        let value = Value::String(text.to_owned());
        return Ok(Some(Assignment { path: KeyPath::dotted("redis.password"), value, source }));
    }
    if is_borrowed(name) && !["NODE_ENV", APP_VERSION].contains(&name) {
        // Several of them are one setting.
        return Ok(None);
    }
    if name == "NODE_ENV" {
        // "test", "staging" and the like are words of other programs.
        return Ok((text == "production").then(|| Assignment {
            path: KeyPath::dotted("environment"),
            value: Value::String(text.to_owned()),
            source,
        }));
    }
    if let Some((_, path, field)) = names.iter().find(|(n, ..)| n == name) {
        return read_value(field, text, path, source).map(Some);
    }
    let secret = name
        .strip_suffix("_FILE")
        .and_then(|stem| names.iter().find(|(n, _, field)| n == stem && field.secret));
    if let Some((_, path, field)) = secret {
        let text = read_secret(Path::new(text))
            .map_err(|message| Problem::new(source.clone(), path, message))?;
        return read_value(field, &text, path, source).map(Some);
    }
    // The prefix is alike in all of them and says nothing about what was meant.
    let stems = names.iter().filter_map(|(n, ..)| n.strip_prefix(PREFIX));
    let meant = value::closest(name.trim_start_matches(PREFIX), stems);
    let meant = meant.map(|stem| format!("{PREFIX}{stem}"));
    // Without our separator and close to nothing of ours it is somebody else's: Kubernetes gives every pod
    // `MAINSTAY_SERVICE_HOST` and its like when a Service has this name.
    if meant.is_none() && !name.contains("__") {
        return Ok(None);
    }
    let message = format!("unknown variable \"{name}\"");
    Err(Problem::new(source, &KeyPath::default(), message).suggest(meant))
}

fn read_value(
    field: &Field,
    text: &str,
    path: &KeyPath,
    source: Source,
) -> Result<Assignment, Problem> {
    match value::read_text(&field.shape, text, path) {
        Ok(value) => Ok(Assignment { path: path.clone(), value, source }),
        Err(m) => Err(Problem::new(source, path, m.message).suggest(m.suggestion)),
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let text = bounded::read_text(path, SECRET_BYTES_MAX);
    text.map(|text| text.trim().to_owned()).map_err(|e| format!("\"{}\" {e}", path.display()))
}

/// Variable, path and field of every setting that a variable can give.
fn list_names(root: &Shape) -> Vec<(String, KeyPath, &Field)> {
    let leaves = value::list_leaves(root).into_iter();
    leaves.map(|(path, field)| (name_of(&path), path, field)).collect()
}

/// The variable that gives the setting at `path`.
pub(super) fn name_of(path: &KeyPath) -> String {
    match path.to_string().as_str() {
        "environment" => format!("{PREFIX}ENV"),
        dotted => format!("{PREFIX}{}", dotted.replace('.', "__").to_uppercase()),
    }
}
