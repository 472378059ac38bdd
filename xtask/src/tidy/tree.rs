//! What a checkout is made of: its text files as git knows them, and its manifests. Judges nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use toml::{Table, Value};

/// A text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the top, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The checkout.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    pub(crate) manifests: Vec<Manifest>,
}

/// The manifest of one package.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) package: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) has_house_lints: bool,
}

/// One dependency by the name of its package, whatever it is renamed to.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) package: String,
    pub(crate) kind: Kind,
}

/// What a dependency is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Development,
    Build,
}

const KINDS: [(&str, Kind); 3] = [
    ("dependencies", Kind::Normal),
    ("dev-dependencies", Kind::Development),
    ("build-dependencies", Kind::Build),
];

impl Tree {
    /// Reads what git tracks, and what it would track if it were added now.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let files = list_paths(root)?
            .into_iter()
            .filter_map(|path| {
                // Deleted but not committed, or not text.
                let text = String::from_utf8(std::fs::read(root.join(&path)).ok()?).ok()?;
                Some(File { path, text })
            })
            .collect::<Vec<_>>();
        let top: Table = find(&files, "Cargo.toml").context("no Cargo.toml at the top")?.parse()?;
        let manifests = files
            .iter()
            .filter(|file| file.path.ends_with("/Cargo.toml"))
            .map(|file| {
                Manifest::read(&file.path, &file.text, &top).with_context(|| file.path.clone())
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { files, manifests })
    }

    /// The text of a file.
    pub(crate) fn find_text(&self, path: &str) -> Option<&str> {
        find(&self.files, path)
    }
}

impl Manifest {
    /// Reads a manifest; `top` is the workspace's, which may rename packages.
    pub(crate) fn read(path: &str, text: &str, top: &Table) -> anyhow::Result<Self> {
        let table: Table = text.parse()?;
        let package = table
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .context("no package name")?;
        let renamed = top.get("workspace").and_then(|workspace| workspace.get("dependencies"));
        let targets = table.get("target").and_then(Value::as_table);
        let sections = targets.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        let dependencies = std::iter::once(&table)
            .chain(sections)
            .flat_map(|section| list_dependencies(section, renamed))
            .collect();
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        Ok(Self {
            path: path.to_owned(),
            package: package.to_owned(),
            dependencies,
            has_house_lints: lints.and_then(Value::as_bool) == Some(true),
        })
    }
}

fn find<'a>(files: &'a [File], path: &str) -> Option<&'a str> {
    files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
}

fn list_paths(root: &Path) -> anyhow::Result<Vec<String>> {
    let listed = Command::new("git")
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .output()
        .context("git cannot be run")?;
    ensure!(listed.status.success(), "git: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let text = String::from_utf8(listed.stdout).context("a path is not UTF-8")?;
    Ok(text.split_terminator('\0').map(str::to_owned).collect())
}

fn list_dependencies(section: &Table, renamed: Option<&Value>) -> Vec<Dependency> {
    let mut found = Vec::new();
    for (key, kind) in KINDS {
        let Some(table) = section.get(key).and_then(Value::as_table) else { continue };
        for (name, value) in table {
            let own = value.get("package");
            let package = own.or_else(|| renamed?.get(name)?.get("package"));
            let package = package.and_then(Value::as_str).unwrap_or(name).to_owned();
            found.push(Dependency { package, kind });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_every_section_by_their_real_name() -> anyhow::Result<()> {
        let top = "[workspace.dependencies]\nweb = { package = 'axum', version = '1' }".parse()?;
        let text = "[package]\nname = 'mainstay-x'\n[lints]\nworkspace = true\n\
            [dependencies]\nweb.workspace = true\n[dev-dependencies]\nsql = { package = 'sqlx' }\n\
            [target.'cfg(unix)'.build-dependencies]\ncc = '1'";
        let manifest = Manifest::read("crates/x/Cargo.toml", text, &top)?;
        assert!(manifest.has_house_lints);
        let found: Vec<_> =
            manifest.dependencies.iter().map(|d| (d.package.as_str(), d.kind)).collect();
        let expected = [("axum", Kind::Normal), ("sqlx", Kind::Development), ("cc", Kind::Build)];
        assert_eq!(found, expected);
        Ok(())
    }
}
