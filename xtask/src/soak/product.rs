//! The product from outside: started by its command line, known by what it prints, read through its API.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::server::{Place, Server, placed, retry};
use crate::wire;

const TOKEN: &str = "a-token-for-this-run-only";
const READY_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Where a product lives between its starts.
#[derive(Debug)]
pub(crate) struct Home {
    binary: PathBuf,
    dir: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

/// The product while it runs.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) server: Server,
    pub(crate) public: SocketAddr,
    admin: SocketAddr,
    /// Held open: a server that cannot print would rightly end.
    _output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Pages {
    data: Vec<Page>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    key: String,
    pageviews: u64,
}

impl Home {
    /// A site of one page, a token, and room for a data dir.
    pub(crate) fn new(binary: &Path) -> anyhow::Result<Self> {
        Self::with(binary, Vec::new())
    }

    /// The same with variables of its environment.
    pub(crate) fn with(binary: &Path, environment: Vec<(String, String)>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("mainstay-soak-").tempdir()?;
        let site = dir.path().join("site");
        std::fs::create_dir(&site)?;
        std::fs::write(site.join("index.html"), "<!doctype html><title>t</title>")?;
        std::fs::write(dir.path().join("token"), TOKEN)?;
        Ok(Self { binary: binary.to_owned(), dir, environment })
    }

    /// What it has logged, in all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Its data dir.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Starts the product on free ports and waits until it is ready.
    pub(crate) fn start(&self) -> anyhow::Result<Product> {
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let binary = self.binary.display().to_string();
        let (site, data, token) = (path("site"), path("data"), path("token"));
        let program: Vec<String> =
            [&binary, "serve", &site, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
                .into_iter()
                .chain(["--data-dir", &data, "--admin-token-file", &token, "--env", "production"])
                .map(str::to_owned)
                .collect();
        let log = std::fs::File::options().create(true).append(true).open(path("log"))?;
        let mut command = placed(&program, Place::default());
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut server = Server::start(command).context("the server cannot be started")?;
        let output = server.child().stdout.take().context("no output to read")?;
        let mut output = BufReader::new(output);
        let started = read_addresses(&mut output).and_then(|(public, admin)| {
            wait_until_ready(admin)?;
            Ok((public, admin))
        });
        let (public, admin) = started.with_context(|| self.log())?;
        Ok(Product { server, public, admin, _output: output })
    }
}

impl Product {
    /// Ends it in order; what crashed or panicked meanwhile is told.
    pub(crate) fn stop(mut self, home: &Home) -> anyhow::Result<()> {
        self.server.stop();
        let status = self.server.ended().context("it goes on after its end")?;
        let log = home.log();
        ensure!(status.success(), "the server ended with {status}: {log}");
        ensure!(!log.contains("panicked"), "something panicked: {log}");
        Ok(())
    }

    /// Where the API answers.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The header that lets in.
    pub(crate) fn authorization() -> String {
        format!("Authorization: Bearer {TOKEN}")
    }

    /// Its metrics as text.
    pub(crate) fn metrics(&self) -> anyhow::Result<String> {
        let answer = wire::fetch(self.admin, "GET", "/metrics", &[])?;
        ensure!(answer.head.status == 200, "/metrics answered {}", answer.head.status);
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// What health says of one thing that it looks at.
    pub(crate) fn find_status(&self, check: &str) -> anyhow::Result<String> {
        let answer = wire::fetch(self.admin, "GET", "/healthz", &[Self::authorization()])?;
        let report: serde_json::Value = serde_json::from_slice(&answer.body).context("/healthz")?;
        let status = report["checks"][check][0]["status"].as_str();
        Ok(status.with_context(|| format!("no check {check}: {report}"))?.to_owned())
    }

    /// What a database server is said to be.
    pub(crate) fn find_role(&self, server: SocketAddr) -> anyhow::Result<String> {
        let answer = wire::fetch(self.admin, "GET", "/api/v1/databases", &[Self::authorization()])?;
        let list: serde_json::Value = serde_json::from_slice(&answer.body).context("databases")?;
        let rows = list["data"].as_array().into_iter().flatten();
        let mut own = rows.filter(|row| row["server"] == server.to_string());
        let role = own.next().and_then(|row| row["role"].as_str());
        Ok(role.with_context(|| format!("no role of {server}: {list}"))?.to_owned())
    }

    /// Page views by path, of people and bots, over the last day.
    pub(crate) fn list_pages(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut pages = BTreeMap::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/v1/pages?bots=include&limit=1000{cursor}");
            let answer = wire::fetch(self.admin, "GET", &path, &[Self::authorization()])?;
            let text = String::from_utf8_lossy(&answer.body);
            ensure!(answer.head.status == 200, "{path} answered {}: {text}", answer.head.status);
            let page: Pages = serde_json::from_str(&text).context("/api/v1/pages")?;
            for row in page.data {
                if pages.insert(row.key.clone(), row.pageviews).is_some() {
                    bail!("{} is on two pages of the list", row.key);
                }
            }
            match page.next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(pages),
            }
        }
    }
}

/// The addresses that the product prints when it serves.
fn read_addresses(output: &mut impl BufRead) -> anyhow::Result<(SocketAddr, SocketAddr)> {
    let (mut public, mut printed) = (None, String::new());
    for line in output.lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let name = words.next();
        let address = words.next().and_then(address);
        match (name, public, address) {
            (Some("site"), _, Some(address)) => public = Some(address),
            (Some("console"), Some(public), Some(admin)) => return Ok((public, admin)),
            _ => {}
        }
        printed.push_str(&line);
    }
    bail!("the server ended before it served: {printed}")
}

fn address(url: &str) -> Option<SocketAddr> {
    let rest = url.strip_prefix("http://")?;
    rest.split(['/', '?']).next()?.parse().ok()
}

fn wait_until_ready(admin: SocketAddr) -> anyhow::Result<()> {
    retry(READY_PATIENCE, LOOK_EVERY, || {
        let answer = wire::fetch(admin, "GET", "/readyz", &[])?;
        ensure!(answer.head.status == 200, "/readyz answered {}", answer.head.status);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_what_is_printed() -> anyhow::Result<()> {
        let mut printed = "Mainstay 0.1.0 (production)\n  site     http://127.0.0.1:1\n  \
            console  http://127.0.0.1:2/link#token\n"
            .as_bytes();
        let addresses = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(read_addresses(&mut printed)?, addresses.into());
        assert!(read_addresses(&mut "port in use\n".as_bytes()).is_err());
        Ok(())
    }

    #[test]
    fn addresses_are_read_from_links() {
        let expected = SocketAddr::from(([127, 0, 0, 1], 8081));
        for url in ["http://127.0.0.1:8081", "http://127.0.0.1:8081/link#token"] {
            assert_eq!(address(url), Some(expected), "{url}");
        }
        assert_eq!(address("(sign"), None);
    }
}
