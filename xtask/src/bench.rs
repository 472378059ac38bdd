//! `cargo xtask bench`: ours beside its peers on one machine, round by round in turn. Judges by ratios of one run, never by absolute times.
//!
//! The server has core 0, the load core 1; ours runs one worker, like the peers. First comes the processor time of the
//! server's whole process tree per request, which neighbours disturb least.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use mainstay_testkit::bench::{EVENTS, median};

mod caddy;
mod connections;
mod cost;
mod disk;
mod duel;
mod files;
mod footprint;
mod generator;
mod h2load;
mod handshakes;
mod haproxy;
mod headers;
mod intake;
mod nginx;
mod open_loop;
mod ours;
mod peer;
mod prepare;
mod proxy;
mod running;
mod secure;
mod site;
mod store;
mod table;
mod tls;
mod wakes;
mod wrk;

use nginx::Role;
use table::{Row, Table};

/// `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rows to measure, by the beginning of their name; all without any.
    names: Vec<String>,
    /// Rounds of each side; the value is the median of their ratios.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each closed-loop and open-loop run.
    #[arg(long, default_value_t = 2)]
    seconds: u32,
    /// One JSON object per row instead of the table.
    #[arg(long)]
    json: bool,
    /// Fail when a bar is missed.
    #[arg(long)]
    gate: bool,
    /// Measure this command instead of the release binary; `{port}`, `{data}`, `{site}` or `{upstream}`, `{cert}` and
    /// `{key}` are filled in.
    #[arg(long, value_name = "COMMAND")]
    ours_cmd: Option<String>,
    /// Where sites, databases and logs are put meanwhile: a disk, not memory, or fsync costs nothing.
    #[arg(long, default_value = "/var/tmp")]
    dir: PathBuf,
    /// Events behind the panels' rows. With fewer than the default no bar is met.
    #[arg(long, value_name = "COUNT", default_value_t = EVENTS)]
    events: u64,
    /// Install and build nothing but the benches of the store, which cargo runs.
    #[arg(long)]
    no_setup: bool,
    /// Be the load generator of a run.
    #[arg(long, hide = true, value_name = "JSON")]
    generate: Option<String>,
}

/// What every measurement needs.
struct Bench {
    rounds: usize,
    seconds: u32,
    events: u64,
    ours: ours::Ours,
    /// Where everything is put.
    dir: PathBuf,
    /// The site that both sides serve.
    site: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// When a peer or a tool is missing, a server does not start, or answers wrongly.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(load) = &args.generate {
        writeln!(std::io::stdout(), "{}", generator::generate(load)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(args.rounds % 2 == 1, "an odd number of rounds, so that one is the middle one");
    ensure!(args.seconds > 0, "at least one second");
    if !args.no_setup {
        prepare::install()?;
    }
    let ours = match &args.ours_cmd {
        Some(command) => ours::Ours::Command(command.clone()),
        None if args.no_setup => ours::Ours::Binary(prepare::release_binary()?),
        None => ours::Ours::Binary(prepare::build()?),
    };
    let dir = tempfile::Builder::new().prefix("mainstay-bench-").tempdir_in(&args.dir)?;
    prepare::open_to_all(dir.path())?;
    let site = site::write(dir.path()).context("writing the site")?;
    let bench = Bench {
        rounds: args.rounds,
        seconds: args.seconds,
        events: args.events,
        ours,
        dir: dir.path().to_owned(),
        site,
    };
    let mut table = Table::new(args.json);
    measure(&bench, &args.names, &mut table)?;
    table.finish(&bench.describe())?;
    let missed = table.rows().iter().any(|row| !row.is_met());
    Ok(if args.gate && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(bench: &Bench, names: &[String], table: &mut Table) -> anyhow::Result<()> {
    let wanted = |name: &str| {
        names.is_empty() || names.iter().any(|wanted| name.starts_with(wanted.as_str()))
    };
    let mut add = |row: Row| table.add(row);
    files::measure(bench, &wanted, &mut add)?;
    proxy::measure(bench, &wanted, &mut add)?;
    secure::measure(bench, &wanted, &mut add)?;
    intake::measure(bench, &wanted, &mut add)?;
    connections::measure(bench, &wanted, &mut add)?;
    footprint::measure(bench, &wanted, &mut add)?;
    store::measure(bench, &wanted, &mut add)
}

impl Bench {
    /// All configurations, so that a reader can judge whether the comparisons are fair.
    fn describe(&self) -> String {
        let (root, nobody) =
            (self.dir.display().to_string(), SocketAddr::from(([127, 0, 0, 1], 0)));
        let pair = tls::Pair { cert: "DIR/cert.pem".into(), key: "DIR/key.pem".into() };
        let text = [
            format!("ours:    {}", self.ours.describe()),
            format!("nginx:\n{}", nginx::config(Path::new("DIR"), 0, &Role::Site)),
            format!("nginx over TLS differs:\n{}", nginx::describe(&Role::SiteOverTls(&pair))),
            format!("nginx as proxy differs:\n{}", nginx::describe(&Role::Proxy(nobody))),
            format!("\nHAProxy:\n{}", haproxy::config(nobody, nobody)),
            format!("Caddy:\n{}", caddy::config(Path::new("DIR"), 0, &pair)),
            format!("Fastify: {}", peer::describe()),
            format!("Store: {}", store::PEERS),
        ];
        text.join("\n").replace(&root, "DIR")
    }
}
