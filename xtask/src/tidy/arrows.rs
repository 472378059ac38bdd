//! Arrows between rooms go down only. Knows the layers, and nothing of what a room holds.

use super::Finding;
use super::tree::{Dependency, Kind, Manifest};

/// The rooms by layer; a room may depend on rooms of smaller numbers only.
const LAYERS: [(&str, u8); 19] = [
    ("mainstay-base", 0),
    ("mainstay-telemetry", 1),
    ("mainstay-store", 2),
    ("mainstay-kv", 2),
    ("mainstay-cache", 3),
    ("mainstay-jobs", 3),
    ("mainstay-mail", 3),
    ("mainstay-identity", 4),
    ("mainstay-guard", 4),
    ("mainstay-insight", 4),
    ("mainstay-upstream", 4),
    ("mainstay-alert", 4),
    ("mainstay-media", 4),
    ("mainstay-scanner", 4),
    ("mainstay-scaler", 4),
    ("mainstay-compliance", 4),
    ("mainstay-edge", 5),
    ("mainstay-api", 5),
    ("mainstay", 6),
];
const TESTKIT: &str = "mainstay-testkit";
const XTASK: &str = "xtask";

/// Every arrow that goes up or sideways, every room that no layer names, every room without the house's lints.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    manifests.iter().flat_map(check_room).collect()
}

fn check_room(manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !manifest.has_house_lints {
        findings.push(Finding::new(&manifest.path, "needs `[lints] workspace = true`"));
    }
    match (manifest.package.as_str(), layer(&manifest.package)) {
        (XTASK, _) => {}
        (TESTKIT, _) => {
            let rooms = manifest.dependencies.iter().filter(|d| layer(&d.package).is_some());
            findings.extend(rooms.map(|room| {
                let what = format!("testkit must not depend on {}: it knows no room", room.package);
                Finding::new(&manifest.path, what)
            }));
        }
        (name, None) => {
            let what =
                format!("{name} has no layer: name it in tidy/arrows.rs and ARCHITECTURE.md");
            findings.push(Finding::new(&manifest.path, what));
        }
        (_, Some(from)) => {
            let bad = manifest.dependencies.iter().filter_map(|to| check_arrow(manifest, from, to));
            findings.extend(bad);
        }
    }
    findings
}

fn check_arrow(manifest: &Manifest, from: u8, to: &Dependency) -> Option<Finding> {
    let (package, name) = (&manifest.package, &to.package);
    let what = match (name.as_str(), layer(name)) {
        (TESTKIT | XTASK, _) if to.kind == Kind::Development => return None,
        (TESTKIT | XTASK, _) => format!("{name} is for tests: a dev-dependency at most"),
        (_, None) => return None,
        (_, Some(layer)) if layer < from => return None,
        (_, Some(4)) if from == 4 => format!(
            "{package} and {name} are peers of layer 4: let `api` or `mainstay` compose them, or share a row or a pure type in base"
        ),
        (_, Some(5)) if from == 5 => {
            format!("{package} and {name} never meet: `mainstay` hands edge one boxed handler")
        }
        (_, Some(layer)) => format!(
            "{package} (layer {from}) must not depend on {name} (layer {layer}): arrows go down only"
        ),
    };
    Some(Finding::new(&manifest.path, what))
}

fn layer(package: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == package).map(|(_, layer)| *layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(package: &str, dependencies: &[(&str, Kind)]) -> usize {
        let dependencies = dependencies
            .iter()
            .map(|(name, kind)| Dependency { package: (*name).into(), kind: *kind })
            .collect();
        let manifest = Manifest {
            path: "Cargo.toml".into(),
            package: package.into(),
            dependencies,
            has_house_lints: true,
        };
        check(&[manifest]).len()
    }

    #[test]
    fn arrows_go_down_only() {
        for (from, to, findings) in [
            ("mainstay-store", "mainstay-base", 0),
            ("mainstay-base", "mainstay-store", 1),
            ("mainstay-kv", "mainstay-store", 1),
            ("mainstay-guard", "mainstay-identity", 1),
            ("mainstay-edge", "mainstay-guard", 0),
            ("mainstay-edge", "mainstay-api", 1),
            ("mainstay-api", "mainstay-edge", 1),
            ("mainstay", "mainstay-api", 0),
            ("mainstay-attic", "serde", 1),
            ("mainstay-testkit", "mainstay-base", 1),
            ("xtask", "mainstay", 0),
        ] {
            assert_eq!(count(from, &[(to, Kind::Normal)]), findings, "{from} -> {to}");
        }
    }

    #[test]
    fn test_rooms_are_for_tests() {
        assert_eq!(count("mainstay", &[(TESTKIT, Kind::Development)]), 0);
        assert_eq!(count("mainstay", &[(TESTKIT, Kind::Normal)]), 1);
        // An arrow of a test is an arrow.
        assert_eq!(count("mainstay-guard", &[("mainstay-insight", Kind::Development)]), 1);
    }

    #[test]
    fn a_room_without_the_lints_is_found() {
        let manifest = Manifest {
            path: "crates/base/Cargo.toml".into(),
            package: "mainstay-base".into(),
            dependencies: Vec::new(),
            has_house_lints: false,
        };
        assert_eq!(check(&[manifest]).len(), 1);
    }
}
