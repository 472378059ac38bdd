//! `cargo xtask tidy`: the laws of the house, held against manifests, sources and documents. Each law is a function from text to findings.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

mod arrows;
mod contract;
mod length;
mod licences;
mod locks;
pub mod metrics;
mod owners;
mod source;
mod tree;
mod words;

use tree::Tree;

/// A place that breaks a law.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// File, relative to the top of the checkout; with a line where one is to blame.
    pub place: String,
    /// What is wrong and what to do instead.
    pub what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// `cargo xtask tidy`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints every finding; fails when there is one.
///
/// # Errors
/// When the checkout cannot be read.
pub fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let findings = list_findings(&mainstay_testkit::checkout())?;
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Everything in the checkout at `root` that breaks a law, in order of place.
///
/// # Errors
/// When git, cargo or a file cannot be read.
pub fn list_findings(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = Vec::new();
    findings.extend(arrows::check(&tree.manifests));
    findings.extend(owners::check(&tree.manifests));
    findings.extend(source::check(&tree));
    findings.extend(length::check(&tree.files, length::EXCEPTIONS));
    findings.extend(words::check(&tree.files));
    findings.extend(locks::check(&tree.files));
    findings.extend(contract::check(&tree.files));
    findings.extend(metrics::check(tree.find_text(metrics::PATH)));
    findings.extend(licences::check(root)?);
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_keeps_its_laws() -> anyhow::Result<()> {
        let findings = list_findings(&mainstay_testkit::checkout())?;
        let text: Vec<_> = findings.iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "\n{}\n", text.join("\n"));
        Ok(())
    }
}
