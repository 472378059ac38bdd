//! Which rooms may speak to which libraries, so that SQL, Redis, HTTP and command line each have one place.

use super::Finding;
use super::tree::Manifest;

/// A family of libraries (the name, and every name that begins with it and `-`), and the only packages that use it.
const OWNERS: [(&str, &[&str]); 16] = [
    ("sqlx", &["mainstay-store"]),
    ("rusqlite", &["mainstay-store"]),
    ("libsqlite3", &["mainstay-store"]),
    ("tokio-postgres", &["mainstay-store"]),
    ("redis", &["mainstay-kv", "mainstay-jobs"]),
    ("bullmq", &["mainstay-kv", "mainstay-jobs"]),
    ("axum", HTTP),
    ("hyper", HTTP),
    ("h2", HTTP),
    ("reqwest", &["mainstay-telemetry"]),
    ("tower", &["mainstay-api"]),
    ("anyhow", &["mainstay"]),
    ("clap", &["mainstay"]),
    ("opentelemetry", &["mainstay-telemetry"]),
    ("lettre", &["mainstay-mail"]),
    ("minijinja", &["mainstay-mail"]),
];
const HTTP: &[&str] = &["mainstay-edge", "mainstay-api", "mainstay-upstream", "mainstay-telemetry"];
/// What stands outside the product.
const EXEMPT: [&str; 2] = ["mainstay-testkit", "xtask"];

/// Every dependency of a room that belongs to another.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    let rooms = manifests.iter().filter(|room| !EXEMPT.contains(&room.package.as_str()));
    rooms
        .flat_map(|room| {
            room.dependencies.iter().filter_map(|dependency| {
                let owners = owners(&dependency.package)?;
                if owners.contains(&room.package.as_str()) {
                    return None;
                }
                let what = format!("{} belongs to {}", dependency.package, owners.join(", "));
                Some(Finding::new(&room.path, what))
            })
        })
        .collect()
}

fn owners(package: &str) -> Option<&'static [&'static str]> {
    let belongs = |family: &str| {
        package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    OWNERS.iter().find(|(family, _)| belongs(family)).map(|(_, owners)| *owners)
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Dependency, Kind};
    use super::*;

    #[test]
    fn libraries_stay_in_their_rooms() {
        for (package, library, findings) in [
            ("mainstay-store", "sqlx", 0),
            ("mainstay-store", "rusqlite", 0),
            ("mainstay-insight", "rusqlite", 1),
            ("mainstay-insight", "sqlx-core", 1),
            ("mainstay-cache", "redis", 1),
            ("mainstay-jobs", "redis", 0),
            ("mainstay-guard", "hyper-util", 1),
            ("mainstay-edge", "hyper-util", 0),
            ("mainstay-edge", "tower", 1),
            ("mainstay-edge", "anyhow", 1),
            ("mainstay-api", "opentelemetry-otlp", 1),
            ("mainstay-guard", "hyperlink", 0),
            ("mainstay-api", "lettre", 1),
            ("mainstay-mail", "minijinja", 0),
            ("xtask", "anyhow", 0),
        ] {
            let dependency = Dependency { package: library.into(), kind: Kind::Development };
            let manifest = Manifest {
                path: "Cargo.toml".into(),
                package: package.into(),
                dependencies: vec![dependency],
                has_house_lints: true,
            };
            assert_eq!(check(&[manifest]).len(), findings, "{package} uses {library}");
        }
    }
}
