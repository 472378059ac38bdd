//! Our side: the command line that serves the site with everything on, as a user would start it, on one worker.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::server::{Place, Server, placed, retry};
use crate::wire;

/// How long a server may take until it answers.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What is measured as ours.
#[derive(Debug)]
pub(super) enum Ours {
    /// The product.
    Binary(PathBuf),
    /// A stand-in.
    Command(String),
}

/// A server that answers.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) address: SocketAddr,
}

impl Ours {
    /// Starts it on a free port and waits for the first answer to `path`; `data` is its data dir.
    pub(super) fn start(&self, site: &Path, data: &Path, path: &str) -> anyhow::Result<Running> {
        let address = free_address()?;
        let program = self.program(site, data, &address.port().to_string());
        start(&program, address, path, data)
    }

    /// The release binary, when that is what is measured.
    pub(super) fn binary(&self) -> Option<&Path> {
        match self {
            Self::Binary(binary) => Some(binary),
            Self::Command(_) => None,
        }
    }

    /// The command line for people.
    pub(super) fn describe(&self) -> String {
        self.program(Path::new("SITE"), Path::new("DATA"), "PORT").join(" ")
    }

    fn program(&self, site: &Path, data: &Path, port: &str) -> Vec<String> {
        let (site, data) = (site.display().to_string(), data.display().to_string());
        match self {
            Self::Command(command) => {
                let command = command
                    .replace("{site}", &site)
                    .replace("{data}", &data)
                    .replace("{port}", port);
                vec!["sh".into(), "-c".into(), format!("exec {command}")]
            }
            Self::Binary(binary) => {
                let listen = format!("127.0.0.1:{port}");
                let binary = binary.display().to_string();
                [&binary, "serve", &site, "--listen", &listen, "--admin-listen", "127.0.0.1:0"]
                    .into_iter()
                    .chain(["--data-dir", &data, "--workers", "1", "--env", "production"])
                    .map(str::to_owned)
                    .collect()
            }
        }
    }
}

/// Starts a server on core 0 and waits until `GET path` is answered below 500; its output goes to `data`'s `.log`.
pub(super) fn start(
    program: &[String],
    address: SocketAddr,
    path: &str,
    data: &Path,
) -> anyhow::Result<Running> {
    let log = data.with_extension("log");
    let output = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = placed(program, Place { core: Some(0), is_real_time: false });
    // Away from a settings file that somebody keeps where this was called.
    command.current_dir(data.parent().unwrap_or(Path::new("/")));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut running =
        Running { server: Server::start(command).context("cannot be started")?, address };
    let first = retry(START_PATIENCE, LOOK_EVERY, || {
        if let Some(status) = running.server.ended() {
            return Ok(Err(status));
        }
        let answer = wire::fetch(address, "GET", path, &[])?;
        if answer.head.status >= 500 {
            bail!("answers {}", answer.head.status);
        }
        Ok(Ok(()))
    });
    match first {
        Ok(Ok(())) => Ok(running),
        Ok(Err(status)) => bail!("{} ended ({status}): {}", program.join(" "), tail(&log)),
        Err(error) => Err(error.context(format!("{}: {}", program.join(" "), tail(&log)))),
    }
}

/// An address on loopback that nobody listens on now.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(10).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
