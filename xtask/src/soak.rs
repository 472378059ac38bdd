//! `cargo xtask soak`: the long forms of checks whose short forms are tests; the same code with larger numbers.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};

pub mod faults;
pub mod kill;
mod product;

/// `cargo xtask soak`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which check.
    name: Name,
    /// The long form.
    #[arg(long)]
    long: bool,
    /// Requests of each cell of the fault matrix.
    #[arg(long, value_name = "COUNT")]
    requests: Option<u64>,
    /// Only cells of the fault matrix whose names hold these words.
    #[arg(long, value_name = "WORDS")]
    only: Option<String>,
    /// Check this binary instead of a fresh build.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// The checks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Name {
    /// Events are loaded and the server is killed (SIGKILL), again and again.
    Kill,
    /// One stream of events into files, partitions and hypertables: the same answers.
    Rollups,
    /// Servers of the database are killed, stopped, cut off and promoted while requests come, and those of Redis killed and
    /// stopped.
    Faults,
}

/// Runs a check and says what came of it.
///
/// # Errors
/// When the server cannot be built or run, or the check found a fault.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let binary = || match &args.binary {
        Some(binary) => Ok(binary.clone()),
        None => build(),
    };
    match args.name {
        Name::Kill => {
            let binary = binary()?;
            let plan = if args.long { kill::Plan::long(binary) } else { kill::Plan::short(binary) };
            let outcome = kill::run(&plan)?;
            writeln!(std::io::stdout(), "{outcome}")?;
            outcome.verdict()?;
        }
        Name::Rollups => compare_rollups(args.long)?,
        Name::Faults => {
            let binary = binary()?;
            let plan =
                if args.long { faults::Plan::long(binary) } else { faults::Plan::short(binary) };
            let plan = match args.requests {
                Some(requests) => plan.requests(requests),
                None => plan,
            };
            let plan = match &args.only {
                Some(words) => plan.only(words),
                None => plan,
            };
            let outcome = faults::run(&plan)?;
            writeln!(std::io::stdout(), "{outcome}")?;
            outcome.verdict()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The test of `insight`, with its long stream when asked for.
fn compare_rollups(long: bool) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cargo.args(["test", "--locked", "--release", "-p", "mainstay-insight", "--lib"]);
    cargo.arg("rollup::differential");
    if long {
        cargo.env("MAINSTAY_EVENTS", "5000000");
    }
    ensure!(cargo.status().context("cargo")?.success(), "the answers differ");
    Ok(())
}

/// Builds the binary where this program was built, in the same profile.
fn build() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program")?;
    let folder = own.parent().context("this program is in no folder")?;
    let target = folder.parent().context("this program is in no target folder")?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cargo
        .args(["build", "--locked", "-p", "mainstay", "--bin", "mainstay", "--target-dir"])
        .arg(target);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.stdout(Stdio::from(std::io::stderr())).status().context("cargo")?;
    ensure!(status.success(), "the build failed");
    Ok(folder.join("mainstay"))
}
