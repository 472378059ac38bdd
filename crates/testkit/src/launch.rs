//! How the binary is started for a test: temp folders, ports of the system's choice, an environment without surprises.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub(crate) mod engines;

use crate::process::{Ended, Process};
use crate::server::Server;
use crate::site::Site;
use crate::wait::until;

/// The admin token of every server under test.
pub const TOKEN: &str = "test-admin-token-0123456789abcdef";

/// Time a start or a refusal may take on a busy machine.
const START: Duration = Duration::from_secs(30);

/// A server to be started.
#[derive(Debug)]
pub struct Launch {
    binary: PathBuf,
    site: Option<Site>,
    folder: Option<PathBuf>,
    upstreams: Vec<String>,
    sites_in_settings: bool,
    in_place: bool,
    data_dir: Option<PathBuf>,
    environment: String,
    listen: String,
    admin_listen: String,
    config: Option<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    wrapper: Vec<String>,
    expected: Vec<String>,
    shared_engines: bool,
}

impl Launch {
    /// The binary, with an empty site, in production.
    #[must_use]
    pub fn new(binary: &str) -> Self {
        Self {
            binary: binary.into(),
            site: None,
            folder: None,
            upstreams: Vec::new(),
            sites_in_settings: false,
            in_place: false,
            data_dir: None,
            environment: "production".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            admin_listen: "127.0.0.1:0".to_owned(),
            config: None,
            arguments: Vec::new(),
            variables: Vec::new(),
            wrapper: Vec::new(),
            expected: Vec::new(),
            shared_engines: false,
        }
    }

    /// `cd folder && mainstay serve .`: the data dir where it is by default, settings when there is a `mainstay.toml`,
    /// and the token file beside them, all in the folder that is served.
    #[must_use]
    pub fn in_place(binary: &str, folder: &Path) -> Self {
        let launch = Self { in_place: true, ..Self::new(binary) };
        launch.folder(folder).data_dir(&folder.join("mainstay-data"))
    }

    /// Serves this site; it goes away with the server.
    #[must_use]
    pub fn site(mut self, site: Site) -> Self {
        self.site = Some(site);
        self
    }

    /// Serves a folder that the test keeps.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Stands in front of an app, in place of a folder; again for each further copy of it.
    #[must_use]
    pub fn upstream(mut self, url: &str) -> Self {
        self.upstreams.push(url.to_owned());
        self
    }

    /// Names neither folder nor app on the command line: the settings file does.
    #[must_use]
    pub fn sites_in_settings(mut self) -> Self {
        self.sites_in_settings = true;
        self
    }

    /// Uses a data dir that the test keeps, to start on it again or to spoil it.
    #[must_use]
    pub fn data_dir(mut self, dir: &Path) -> Self {
        self.data_dir = Some(dir.to_owned());
        self
    }

    /// `development` or `production`.
    #[must_use]
    pub fn environment(mut self, name: &str) -> Self {
        name.clone_into(&mut self.environment);
        self
    }

    /// Address of the public listener.
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.listen);
        self
    }

    /// Address of the private listener.
    #[must_use]
    pub fn admin_listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.admin_listen);
        self
    }

    /// Text of the settings file.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// A further argument.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// A variable of its environment, which is otherwise empty but for `PATH`.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it by way of another program (`prlimit …`), which must become it.
    #[must_use]
    pub fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// On the engines that many machines share, in place of files and memory: a database and keys of its own on the servers
    /// of this test run. A server that starts again on the same data dir finds its own.
    #[must_use]
    pub fn shared_engines(mut self) -> Self {
        self.shared_engines = true;
        self
    }

    /// Lets error lines pass that hold this fragment; every other one fails the test.
    #[must_use]
    pub fn expects_error(mut self, fragment: &str) -> Self {
        self.expected.push(fragment.to_owned());
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    #[must_use]
    pub fn start(mut self) -> Server {
        let home = temp_folder();
        let process = Process::start(&mut self.command(&home));
        let data_dir = self.data_dir_in(&home);
        let folder = self.folder.take();
        let site = self.site.take().unwrap_or_default();
        let shares_postgres = self.shares_postgres();
        let server = Server::ready(process, (home, site, folder), data_dir, self.expected, START);
        if shares_postgres {
            until("replicas that are asked", START, || engines::has_all(&server.metrics()));
        }
        server
    }

    /// Starts it and waits for its end, for starts that must be refused.
    ///
    /// # Panics
    /// When it keeps running.
    #[must_use]
    pub fn run(mut self) -> Ended {
        let home = temp_folder();
        Process::run(&mut self.command(&home), START)
    }

    /// Who names a primary of its own gets no replicas of another one.
    fn shares_postgres(&self) -> bool {
        let is_named = self.variables.iter().any(|(name, _)| name == "DATABASE_PRIMARY_URL");
        self.shared_engines && !is_named
    }

    fn data_dir_in(&self, home: &TempDir) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| home.path().join("data"))
    }

    fn command(&mut self, home: &TempDir) -> Command {
        let mut command = match self.wrapper.split_first() {
            None => Process::command(&self.binary),
            Some((wrapper, words)) => {
                let mut command = Process::command(wrapper);
                command.args(words).arg(&self.binary);
                command
            }
        };
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        if self.shared_engines {
            command.envs(engines::list_redis(&self.data_dir_in(home)));
        }
        if self.shares_postgres() {
            command.envs(engines::list_postgres(&self.data_dir_in(home)));
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg("serve");
        self.add_places(&mut command, home);
        command
            .args(["--listen", &self.listen, "--admin-listen", &self.admin_listen])
            .args(["--env", &self.environment])
            .args(&self.arguments);
        command
    }

    fn add_places(&mut self, command: &mut Command, home: &TempDir) {
        let site = self.site.get_or_insert_with(Site::new).dir().to_owned();
        let folder = self.folder.clone().unwrap_or(site);
        if self.in_place {
            std::fs::write(folder.join("token"), TOKEN).expect("a token file");
            command.args([".", "--admin-token-file", "token"]).current_dir(folder);
            return;
        }
        let (token, settings) = (home.path().join("token"), home.path().join("mainstay.toml"));
        std::fs::write(&token, TOKEN).expect("a token file");
        if !self.upstreams.is_empty() {
            command.args(self.upstreams.iter().flat_map(|url| ["--upstream", url]));
        } else if !self.sites_in_settings {
            command.arg(folder);
        }
        command.arg("--data-dir").arg(self.data_dir_in(home));
        command.arg("--admin-token-file").arg(token).current_dir(home.path());
        if let Some(config) = &self.config {
            std::fs::write(&settings, config).expect("a settings file");
            command.arg("--config").arg(settings);
        }
    }
}

fn temp_folder() -> TempDir {
    tempfile::Builder::new().prefix("mainstay-").tempdir().expect("a temp folder")
}
