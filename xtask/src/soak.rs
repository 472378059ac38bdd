//! `cargo xtask soak`: the long forms of checks whose short forms are tests; the same code with larger numbers.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, ensure};

pub mod faults;
pub mod kill;
pub mod pairs;
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
    /// Servers of the database are killed, stopped, cut off and promoted while requests come, and those of Redis killed,
    /// stopped and cut off.
    Faults,
    /// Writes through one process and reads with their tokens through two, while a replica is late.
    Pairs,
}

/// Says so when it is dropped, whatever came before.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a check and says what came of it.
///
/// # Errors
/// When the server cannot be built or run, or the check found a fault.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    refuse_idle_flags(args)?;
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
        Name::Pairs => {
            let binary = binary()?;
            let plan =
                if args.long { pairs::Plan::long(binary) } else { pairs::Plan::short(binary) };
            let outcome = pairs::run(&plan)?;
            writeln!(std::io::stdout(), "{outcome}")?;
            outcome.verdict()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A flag that changes nothing would let one believe that it did.
fn refuse_idle_flags(args: &Args) -> anyhow::Result<()> {
    let is_of_matrix = args.requests.is_some() || args.only.is_some();
    let is_matrix = matches!(args.name, Name::Faults);
    ensure!(is_matrix || !is_of_matrix, "--requests and --only are for `soak faults`");
    let has_binary = !matches!(args.name, Name::Rollups);
    ensure!(
        has_binary || args.binary.is_none(),
        "--binary is not for `soak rollups`: a test is run"
    );
    Ok(())
}

/// By its whole name, so that no other one stands in for it.
const ROLLUPS: &str =
    "rollup::differential::files_partitions_and_hypertables_give_the_same_answers";

/// The test of `insight`, with its long stream when asked for.
fn compare_rollups(long: bool) -> anyhow::Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(mainstay_testkit::checkout());
    cargo.args(["test", "--locked", "--release", "-p", "mainstay-insight", "--lib"]);
    cargo.args(["--", "--exact", ROLLUPS]);
    if long {
        cargo.env("MAINSTAY_EVENTS", "5000000");
    }
    let output = cargo.stderr(Stdio::inherit()).output().context("cargo")?;
    let said = String::from_utf8_lossy(&output.stdout);
    write!(std::io::stdout(), "{said}")?;
    ensure!(output.status.success(), "the answers differ");
    ensure!(has_run_one(&said), "no test is named {ROLLUPS}");
    Ok(())
}

/// Success of nothing is what the harness says of a name that it does not know.
fn has_run_one(said: &str) -> bool {
    said.lines().any(|line| line.starts_with("test result: ok. 1 passed;"))
}

/// Builds the binary where this program was built, in the same profile.
fn build() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program")?;
    let folder = own.parent().context("this program is in no folder")?;
    let target = folder.parent().context("this program is in no target folder")?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(mainstay_testkit::checkout());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: Name) -> Args {
        Args { name, long: false, requests: None, only: None, binary: None }
    }

    #[test]
    fn flags_that_would_change_nothing_are_refused() {
        for name in [Name::Kill, Name::Rollups, Name::Faults, Name::Pairs] {
            assert!(refuse_idle_flags(&args(name)).is_ok(), "{name:?}");
            let is_matrix = matches!(name, Name::Faults);
            let requests = Args { requests: Some(9), ..args(name) };
            assert_eq!(refuse_idle_flags(&requests).is_ok(), is_matrix, "{name:?}");
            let only = Args { only: Some("Redis".into()), ..args(name) };
            assert_eq!(refuse_idle_flags(&only).is_ok(), is_matrix, "{name:?}");
            let binary = Args { binary: Some("mainstay".into()), ..args(name) };
            let has_binary = !matches!(name, Name::Rollups);
            assert_eq!(refuse_idle_flags(&binary).is_ok(), has_binary, "{name:?}");
        }
    }

    #[test]
    fn a_test_that_did_not_run_is_no_success() {
        let said = |passed| {
            format!(
                "running {passed} test\n\ntest result: ok. {passed} passed; 0 failed; 0 ignored;"
            )
        };
        assert!(has_run_one(&said(1)));
        assert!(!has_run_one(&said(0)));
    }

    /// The name is another room's: it must be there.
    #[test]
    fn the_test_of_the_roll_ups_has_its_name() {
        let path = mainstay_testkit::checkout().join("crates/insight/src/rollup/differential.rs");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let name = ROLLUPS.rsplit("::").next().unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{ROLLUPS}");
    }
}
