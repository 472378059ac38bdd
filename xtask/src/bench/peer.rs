//! The peer for intake: Fastify that buffers events for 200 ms and stores them by one `unnest`, into Debian's PostgreSQL with fsync on.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::prepare::open_to_all;
use super::running::{Launch, Running, SERVER_CORE, free_address};
use crate::server::{Place, Server, placed, retry};

const START_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SETTINGS: [&str; 4] =
    ["shared_buffers=512MB", "max_wal_size=4GB", "fsync=on", "synchronous_commit=on"];
const TABLE: &str = "create table events (received_at timestamptz not null, id text not null, \
    site text not null, page text not null, url text not null, referrer text, width int, agent text); \
    create index on events (site, received_at)";

/// Both processes; stopped in this order when dropped.
pub(super) struct Fastify {
    pub(super) running: Running,
    postgres: Postgres,
}

struct Postgres {
    server: Server,
    address: SocketAddr,
    binaries: PathBuf,
}

impl Fastify {
    /// Makes a database in `dir`, starts it and the Node process before it.
    pub(super) fn start(dir: &Path) -> anyhow::Result<Self> {
        let postgres = Postgres::start(dir)?;
        postgres.query(TABLE)?;
        let address = free_address()?;
        let script = mainstay_testkit::checkout().join("xtask/bench/fastify.mjs");
        let program: Vec<String> = vec![
            "env".into(),
            "NODE_ENV=production".into(),
            "node".into(),
            script.display().to_string(),
            address.port().to_string(),
            postgres.address.port().to_string(),
        ];
        let own = dir.join("fastify");
        let launch = Launch { program: &program, address, dir: &own, core: SERVER_CORE };
        let running = launch.until_it_answers("/").context("Fastify")?;
        Ok(Self { running, postgres })
    }

    /// The process trees that the work costs.
    pub(super) fn roots(&self) -> [u32; 2] {
        [self.running.server.pid(), self.postgres.server.pid()]
    }

    /// Events stored so far.
    pub(super) fn count_rows(&self) -> anyhow::Result<u64> {
        self.postgres.query("select count(*) from events")?.parse().context("no number of rows")
    }
}

impl Postgres {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let binaries = find_binaries()?;
        let own = dir.join("postgres");
        std::fs::create_dir_all(&own)?;
        open_to_all(&own)?;
        if rustix::process::geteuid().is_root() {
            run(Command::new("chown").arg("postgres").arg(&own))?;
        }
        let data = own.join("data");
        let initdb = binaries.join("initdb").display().to_string();
        let init = ["-A", "trust", "-U", "postgres", "-D"].map(str::to_owned);
        let init: Vec<_> = as_postgres(initdb).into_iter().chain(init).collect();
        run(Command::new(&init[0]).args(&init[1..]).arg(&data))?;

        let address = free_address()?;
        let mut program = as_postgres(binaries.join("postgres").display().to_string());
        program.extend(["-D".into(), data.display().to_string()]);
        program.extend([
            "-p".into(),
            address.port().to_string(),
            "-k".into(),
            own.display().to_string(),
        ]);
        program.extend(["-c".into(), "listen_addresses=127.0.0.1".into()]);
        program.extend(SETTINGS.iter().flat_map(|setting| ["-c".into(), (*setting).to_owned()]));
        let mut command = placed(&program, Place::default());
        let log = std::fs::File::create(dir.join("postgres.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let server = Server::start(command).context("PostgreSQL cannot be started")?;
        let postgres = Self { server, address, binaries };
        retry(START_PATIENCE, LOOK_EVERY, || postgres.query("select 1"))?;
        Ok(postgres)
    }

    fn query(&self, text: &str) -> anyhow::Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        run(psql.args(["-U", "postgres", "-X", "-q", "-A", "-t", "-c", text]))
    }
}

/// The command line that runs a program of PostgreSQL, which refuses to be root, and ends it with us.
fn as_postgres(program: String) -> Vec<String> {
    if !rustix::process::geteuid().is_root() {
        return vec![program];
    }
    let user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
    let with_us = ["--pdeathsig", "QUIT"];
    user.into_iter().chain(with_us).map(str::to_owned).chain([program]).collect()
}

/// Debian keeps each version's programs apart.
fn find_binaries() -> anyhow::Result<PathBuf> {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is not installed")?;
    let mut versions: Vec<_> =
        versions.flatten().map(|version| version.path().join("bin")).collect();
    versions.retain(|binaries| binaries.join("initdb").is_file());
    versions.sort();
    versions.pop().context("PostgreSQL's initdb is not installed")
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let ran = command.current_dir("/").output().with_context(|| format!("{command:?}"))?;
    ensure!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    Ok(String::from_utf8(ran.stdout)?.trim().to_owned())
}

/// How it is set, for people.
pub(super) fn describe() -> String {
    format!(
        "node xtask/bench/fastify.mjs (answers 202, then one unnest every 200 ms); PostgreSQL with {}",
        SETTINGS.join(", ")
    )
}
