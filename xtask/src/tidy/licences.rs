//! What we link: only crates.io, only the licences and crates that `deny.toml` allows. Says offline what `cargo deny` says.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::Finding;

mod expression;

/// One package, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None: part of this workspace.
    source: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The parts of `deny.toml` that are held here.
#[derive(Debug, Deserialize)]
struct Policy {
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    package: String,
    /// Those that may depend on it all the same.
    #[serde(default)]
    wrappers: Vec<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// Every package we link that `deny.toml` does not allow.
///
/// # Errors
/// When `deny.toml` or cargo's metadata cannot be read.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let text = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?;
    let policy: Policy = toml::from_str(&text).context("deny.toml")?;
    let told = Command::new("cargo")
        .current_dir(root)
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        // What other platforms would link need not be on this disk.
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .output()
        .context("cargo cannot be run")?;
    ensure!(told.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&told.stderr));
    let metadata: Metadata = serde_json::from_slice(&told.stdout).context("cargo metadata")?;
    Ok(check_all(&metadata.packages, &policy))
}

fn check_all(packages: &[Package], policy: &Policy) -> Vec<Finding> {
    packages.iter().flat_map(|package| check_package(package, packages, policy)).collect()
}

fn check_package(package: &Package, all: &[Package], policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |what: String| {
        let place = format!("{} {}", package.name, package.version);
        findings.push(Finding::new(place, what));
    };
    if let Some(source) = &package.source {
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        if !policy.sources.allow_registry.iter().any(|allowed| allowed == registry) {
            add(format!("comes from {source}"));
        }
    }
    if let Some(banned) = policy.bans.deny.iter().find(|banned| banned.package == package.name) {
        let uses = |user: &&Package| user.dependencies.iter().any(|d| d.name == package.name);
        let mut users = all.iter().filter(uses).map(|user| &user.name).peekable();
        if users.peek().is_none() || users.any(|user| !banned.wrappers.contains(user)) {
            add(format!("is banned: {}", banned.reason));
        }
    }
    let excepted = policy.licenses.exceptions.iter().filter(|e| e.package == package.name);
    let excepted: Vec<_> = excepted.flat_map(|e| &e.allow).collect();
    let is_allowed = |licence: &str| {
        policy
            .licenses
            .allow
            .iter()
            .chain(excepted.iter().copied())
            .any(|allowed| allowed == licence)
    };
    match &package.license {
        None => add("names no licence".into()),
        Some(licence) if !expression::is_met(licence, &is_allowed) => {
            add(format!("is licensed under {licence}, which deny.toml does not allow"));
        }
        Some(_) => {}
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "[licenses]\nallow = ['MIT']\n\
        exceptions = [{ crate = 'cssparser', allow = ['MPL-2.0'] }]\n\
        [bans]\ndeny = [{ crate = 'openssl-sys', reason = 'rustls' }, { crate = 'peer', wrappers = ['w'], reason = 'peer' }]\n\
        [sources]\nallow-registry = ['https://example.org/index']";

    fn package(name: &str, licence: Option<&str>, source: Option<&str>, uses: &[&str]) -> Package {
        Package {
            name: name.into(),
            version: "1.0.0".into(),
            license: licence.map(Into::into),
            source: source.map(Into::into),
            dependencies: uses.iter().map(|name| Dependency { name: (*name).into() }).collect(),
        }
    }

    #[test]
    fn what_is_banned_may_be_used_by_its_wrappers_alone() -> anyhow::Result<()> {
        let policy: Policy = toml::from_str(POLICY)?;
        let one = |name, uses: &[&str]| package(name, Some("MIT"), None, uses);
        for (users, findings) in [(vec!["w"], 0), (vec!["w", "x"], 1), (vec![], 1)] {
            let mut all = vec![one("peer", &[])];
            all.extend(users.iter().map(|user| one(user, &["peer"])));
            assert_eq!(check_all(&all, &policy).len(), findings, "{users:?}");
        }
        Ok(())
    }

    fn count(name: &str, licence: Option<&str>, source: Option<&str>) -> anyhow::Result<usize> {
        Ok(check_all(&[package(name, licence, source, &[])], &toml::from_str(POLICY)?).len())
    }

    #[test]
    fn what_is_not_allowed_is_found() -> anyhow::Result<()> {
        let registry = Some("registry+https://example.org/index");
        assert_eq!(count("a", Some("MIT"), registry)?, 0);
        assert_eq!(count("a", Some("GPL-3.0-only"), registry)?, 1);
        assert_eq!(count("a", None, registry)?, 1);
        assert_eq!(count("a", Some("MPL-2.0"), registry)?, 1);
        assert_eq!(count("cssparser", Some("MPL-2.0"), registry)?, 0);
        assert_eq!(count("openssl-sys", Some("MIT"), registry)?, 1);
        assert_eq!(count("a", Some("MIT"), Some("git+https://example.org/a"))?, 1);
        assert_eq!(count("a", Some("MIT"), None)?, 0);
        Ok(())
    }
}
