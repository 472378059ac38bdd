//! Our side: the command line that serves with everything on, as a user would start it, on one worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::ensure;

use super::running::{Launch, Running, SERVER_CORE, free_address};
use super::tls::Pair;

/// What is measured as ours.
#[derive(Debug)]
pub(super) enum Ours {
    /// The product.
    Binary(PathBuf),
    /// A stand-in.
    Command(String),
}

/// What ours has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    content: Content<'a>,
    pair: Option<&'a Pair>,
}

#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Site(&'a Path),
    App(SocketAddr),
}

impl<'a> Task<'a> {
    /// Serves a folder.
    pub(super) fn site(site: &'a Path) -> Self {
        Self { content: Content::Site(site), pair: None }
    }

    /// Stands in front of an app.
    pub(super) fn app(address: SocketAddr) -> Self {
        Self { content: Content::App(address), pair: None }
    }

    /// The same over TLS.
    pub(super) fn over_tls(self, pair: &'a Pair) -> Self {
        Self { pair: Some(pair), ..self }
    }
}

impl Ours {
    /// Starts it on a free port and waits for the first answer to `path`; `data` is its data dir.
    pub(super) fn start(
        &self,
        task: &Task<'_>,
        data: &Path,
        path: &str,
    ) -> anyhow::Result<Running> {
        let address = free_address()?;
        let mut program = self.program(task, data, &address.port().to_string())?;
        // As it is started by whoever was told nothing, whatever somebody's shell happens to say.
        program.splice(0..0, ["env".into(), "-u".into(), "MIMALLOC_PURGE_DELAY".into()]);
        let launch = Launch { program: &program, address, dir: data, core: SERVER_CORE };
        match task.pair {
            Some(pair) => launch.until_it_answers_over_tls(path, pair),
            None => launch.until_it_answers(path),
        }
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
        match self {
            Self::Command(command) => command.clone(),
            Self::Binary(binary) => format!(
                "{} serve SITE --listen 127.0.0.1:PORT --admin-listen 127.0.0.1:0 --data-dir DATA --workers 1 \
                 --env production; for a proxy --upstream URL instead of SITE; for TLS --tls-cert and --tls-key",
                binary.display()
            ),
        }
    }

    fn program(&self, task: &Task<'_>, data: &Path, port: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Command(command) => fill_in(command, task, data, port),
            Self::Binary(binary) => Ok(command_line(binary, task, data, port)),
        }
    }
}

fn command_line(binary: &Path, task: &Task<'_>, data: &Path, port: &str) -> Vec<String> {
    let mut program = vec![binary.display().to_string(), "serve".into()];
    match task.content {
        Content::Site(site) => program.push(site.display().to_string()),
        Content::App(app) => program.extend(["--upstream".into(), format!("http://{app}")]),
    }
    if let Some(pair) = task.pair {
        program.extend(["--tls-cert".into(), pair.cert.display().to_string()]);
        program.extend(["--tls-key".into(), pair.key.display().to_string()]);
    }
    program.extend(["--listen".into(), format!("127.0.0.1:{port}")]);
    program.extend(["--data-dir".into(), data.display().to_string()]);
    let rest = ["--admin-listen", "127.0.0.1:0", "--workers", "1", "--env", "production"];
    program.extend(rest.map(str::to_owned));
    program
}

fn fill_in(command: &str, task: &Task<'_>, data: &Path, port: &str) -> anyhow::Result<Vec<String>> {
    let mut known = vec![("{data}", data.display().to_string()), ("{port}", port.to_owned())];
    known.push(match task.content {
        Content::Site(site) => ("{site}", site.display().to_string()),
        Content::App(app) => ("{upstream}", format!("http://{app}")),
    });
    if let Some(pair) = task.pair {
        known.push(("{cert}", pair.cert.display().to_string()));
        known.push(("{key}", pair.key.display().to_string()));
    }
    let mut filled = command.to_owned();
    for (name, value) in known {
        // A data dir is not everybody's need.
        ensure!(
            name == "{data}" || command.contains(name),
            "--ours-cmd has no {name}, which this row needs: choose rows by name"
        );
        filled = filled.replace(name, &value);
    }
    Ok(vec!["sh".into(), "-c".into(), format!("exec {filled}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_a_place_for_what_the_row_needs() -> anyhow::Result<()> {
        let (app, data) = (SocketAddr::from(([127, 0, 0, 1], 9)), Path::new("/d"));
        let filled = fill_in("proxy {upstream} on {port}", &Task::app(app), data, "7")?;
        assert_eq!(filled[2], "exec proxy http://127.0.0.1:9 on 7");
        let site = Task::site(Path::new("/s"));
        let refused = fill_in("proxy {upstream} on {port}", &site, data, "7");
        assert!(refused.is_err_and(|error| error.to_string().contains("{site}")));
        Ok(())
    }

    #[test]
    fn the_product_is_told_its_app_and_its_certificate() {
        let pair = Pair { cert: "/c".into(), key: "/k".into() };
        let app = Task::app(SocketAddr::from(([127, 0, 0, 1], 9))).over_tls(&pair);
        let line = command_line(Path::new("/m"), &app, Path::new("/d"), "7").join(" ");
        assert!(line.starts_with("/m serve --upstream http://127.0.0.1:9 --tls-cert /c --tls-key /k --listen 127.0.0.1:7 "), "{line}");
    }
}
