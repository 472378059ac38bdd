//! `cargo xtask codegen`: writes `docs/` files that the source generates, or says which are stale. Their text is the product's own.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use mainstay::settings::{Document, documents};

/// `cargo xtask codegen`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail when a document is stale.
    #[arg(long)]
    check: bool,
}

/// Writes or checks every generated document.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let docs = mainstay_testkit::checkout().join("docs");
    let stale = list_stale(&docs)?;
    let mut out = std::io::stdout().lock();
    for document in &stale {
        if args.check {
            writeln!(out, "docs/{} is stale: run `cargo xtask codegen`", document.name)?;
        } else {
            let path = docs.join(document.name);
            std::fs::write(&path, &document.text)
                .with_context(|| format!("writing {}", path.display()))?;
            writeln!(out, "wrote docs/{}", document.name)?;
        }
    }
    Ok(if args.check && !stale.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn list_stale(docs: &Path) -> anyhow::Result<Vec<Document>> {
    std::fs::create_dir_all(docs).with_context(|| format!("creating {}", docs.display()))?;
    let metrics = Document { name: "metrics.md", text: xtask::tidy::metrics::document() };
    let stale = documents().into_iter().chain([metrics]).filter(|document| {
        std::fs::read_to_string(docs.join(document.name)).ok().as_deref() != Some(&document.text)
    });
    Ok(stale.collect())
}
