//! A server that was started for a measurement and answers. Knows no product and no peer.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::tls::{self, Pair};
use crate::server::{Place, Server, placed, retry};
use crate::wire;

/// How long a server may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// The core of what is measured.
pub(super) const SERVER_CORE: usize = 0;
/// The core of the load, and of everything else that is not measured.
pub(super) const LOAD_CORE: usize = 1;

/// A server that answers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
}

/// What is to be started, and where.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) program: &'a [String],
    /// Where it will listen.
    pub(super) address: SocketAddr,
    /// Its folder: its output goes to the `.log` beside it.
    pub(super) dir: &'a Path,
    pub(super) core: usize,
}

impl Launch<'_> {
    /// Starts it and waits until plain http is answered below 500.
    pub(super) fn until_it_answers(&self, path: &str) -> anyhow::Result<Running> {
        self.until(|| {
            let answer = wire::fetch(self.address, "GET", path, &[])?;
            ensure!(answer.head.status < 500, "answers {}", answer.head.status);
            Ok(())
        })
    }

    /// Starts it and waits until TLS with this certificate is answered with 200.
    pub(super) fn until_it_answers_over_tls(
        &self,
        path: &str,
        pair: &Pair,
    ) -> anyhow::Result<Running> {
        self.until(|| {
            let answer = tls::fetch(self.address, path, pair)?;
            ensure!(answer.head.status == 200, "answers {}", answer.head.status);
            Ok(())
        })
    }

    fn until(&self, mut ready: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Running> {
        let log = self.dir.with_extension("log");
        let output = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let place = Place { core: Some(self.core), is_real_time: false };
        let mut command = placed(self.program, place);
        // Away from a settings file that somebody keeps where this was called.
        command.current_dir(self.dir.parent().unwrap_or(Path::new("/")));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let server = Server::start(command).context("cannot be started")?;
        let mut running = Running { server, address: self.address };
        let first = retry(START_PATIENCE, LOOK_EVERY, || match running.server.ended() {
            Some(status) => Ok(Err(status)),
            None => ready().map(Ok),
        });
        match first {
            Ok(Ok(())) => Ok(running),
            Ok(Err(status)) => bail!("{} ended ({status}): {}", self.program.join(" "), tail(&log)),
            Err(error) => Err(error.context(format!("{}: {}", self.program.join(" "), tail(&log)))),
        }
    }
}

/// An address on loopback that nobody listens on now.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The folder `name` in `dir`, made if it is not there.
pub(super) fn folder(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let own = dir.join(name);
    std::fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
    Ok(own)
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
