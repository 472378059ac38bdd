//! The command line: commands, flags and exit codes. Nothing is done here; every flag that gives a setting only says which.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::command::probe::Question;
use crate::settings::{Flag, Inputs, read_process};

mod jobs;
mod key;

pub use jobs::{Jobs, JobsAdd, JobsCounts, JobsList, JobsQueue, One, Status};
pub use key::{Key, KeyCreate, KeyList, KeyRevoke};

/// How a command ended, as scripts see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The thing asked about is not well.
    Unwell = 1,
    /// Wrong usage; clap exits with the same code. Also a site that could not be scanned.
    Usage = 2,
    /// Settings refused, port in use, data dir unusable or locked.
    Refused = 3,
    /// A one-shot command lacks a service.
    Unavailable = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// One binary in front of any web site: fast, safe, seen.
#[derive(Debug, Parser)]
#[command(name = "mainstay", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a site: no settings file needed.
    Serve(Box<Serve>),
    /// Reach the running server's admin side.
    #[command(subcommand)]
    Admin(Admin),
    /// Make, list and revoke the API keys of programs.
    #[command(subcommand)]
    Key(Key),
    /// Add jobs, look at them, try them again; pause queues.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Report what is wrong with the settings and the site.
    Check(Check),
    /// Look for what is wrong around the running server.
    Doctor(Doctor),
    /// Look at the site as an attacker would: a grade, what is wrong, what to do. Needs no running server of ours.
    Scan(Scan),
    /// Ask the running server whether it lives, is ready, has started: for probes that run a program.
    Probe(Probe),
    /// Bring the store's schema up to date, or copy an installation's files to PostgreSQL.
    Migrate(Migrate),
}

/// `mainstay serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Folder to serve.
    #[arg(value_name = "SITE_DIR")]
    pub site_dir: Option<PathBuf>,
    /// App to stand in front of, as in http://127.0.0.1:3000; again for each further copy of it.
    #[arg(long, value_name = "URL", conflicts_with = "site_dir")]
    pub upstream: Vec<String>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Certificate chain (PEM); with it and the key the public listener speaks TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<String>,
    /// Private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<String>,
    /// Address of the public listener.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Address of the private listener: console, metrics, health.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<String>,
    /// Worker threads that carry connections; 0 = one per core.
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// File whose trimmed text is the bearer token of the admin API.
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<String>,
    /// How visitors reach the site, as scheme and host.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Print every setting in force and its source, then exit.
    #[arg(long)]
    pub print_config: bool,
    /// Print as JSON.
    #[arg(long, requires = "print_config")]
    pub json: bool,
}

/// `mainstay admin …`.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Print another single-use link that signs in to the console.
    Link(Link),
}

/// `mainstay admin link`.
#[derive(Debug, Args)]
pub struct Link {
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Folder of the site.
    #[arg(value_name = "SITE_DIR")]
    pub site_dir: Option<PathBuf>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Send it requests that a proxy and an app may read in two ways (request smuggling).
    #[arg(long, required = true)]
    pub edge: bool,
    /// Address of the public listener [default: the running server's own word].
    #[arg(long, value_name = "ADDRESS:PORT", requires = "edge")]
    pub address: Option<SocketAddr>,
    /// Name of the site to ask [default: the one of the public URL].
    #[arg(long, value_name = "NAME", requires = "edge")]
    pub host: Option<String>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// Address of a site of the settings [default: public_url].
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `mainstay probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// What is asked.
    pub question: Question,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
}

/// `mainstay migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Copy the files of the data dir into this database while the server goes on, and prove that both hold the same.
    #[arg(long, value_name = "postgres://…")]
    pub to: Option<String>,
    /// Put rows of a shared database that lie in no partition of their day into one; servers do it by themselves.
    #[arg(long, conflicts_with = "to")]
    pub split: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where settings and data are.
    #[command(flatten)]
    pub place: Place,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What every command takes.
#[derive(Debug, Default, Args)]
pub struct Place {
    /// Settings file [default: mainstay.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of databases, keys and logs [default: ./mainstay-data].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Where this runs: development or production [default: by the public listener's address].
    #[arg(long = "env", value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
}

impl Serve {
    /// What the settings are read from.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        let mut inputs = self.place.inputs();
        inputs.site_dir.clone_from(&self.site_dir);
        inputs.upstreams.clone_from(&self.upstream);
        inputs.flags.extend(list_given([
            ("--tls-cert", "tls.cert", &self.tls_cert),
            ("--tls-key", "tls.key", &self.tls_key),
            ("--listen", "edge.listen", &self.listen),
            ("--admin-listen", "admin.listen", &self.admin_listen),
            ("--workers", "edge.workers", &self.workers),
            ("--admin-token-file", "admin.token_file", &self.admin_token_file),
            ("--public-url", "public_url", &self.public_url),
        ]));
        inputs
    }
}

impl Check {
    /// What the settings are read from.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        Inputs { site_dir: self.site_dir.clone(), ..self.place.inputs() }
    }
}

impl Place {
    /// What the settings are read from: this, and the environment of the process.
    #[must_use]
    pub fn inputs(&self) -> Inputs {
        let flags = list_given([
            ("--data-dir", "data_dir", &self.data_dir),
            ("--env", "environment", &self.environment),
        ]);
        Inputs {
            config: self.config.clone(),
            site_dir: None,
            upstreams: Vec::new(),
            flags: flags.collect(),
            variables: read_process(),
        }
    }
}

fn list_given<const N: usize>(
    flags: [(&'static str, &'static str, &Option<String>); N],
) -> impl Iterator<Item = Flag> {
    flags.into_iter().filter_map(|(name, setting, text)| {
        text.as_ref().map(|text| Flag { name, setting, text: text.clone() })
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    fn serve(line: &str) -> Box<Serve> {
        match parse(line).map(|cli| cli.command) {
            Ok(Command::Serve(serve)) => serve,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_serve_gives_an_existing_setting() {
        let serve = serve(
            "mainstay serve site --listen 127.0.0.1:1 --admin-listen 127.0.0.1:2 --data-dir d --env production --workers 2 --admin-token-file /dev/null --public-url https://example.org",
        );
        let inputs = Inputs { variables: Vec::new(), site_dir: None, ..serve.inputs() };
        assert_eq!(inputs.flags.len(), 7);
        let reading = crate::settings::survey(&inputs);
        // An empty token file is the only thing wrong here.
        let problems: Vec<_> = reading.problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            ["flag --admin-token-file: \"admin.token_file\" \"/dev/null\" is empty"]
        );
        let settings = reading.loaded.map(|l| l.settings).unwrap_or_default();
        assert_eq!(settings.edge.listen, "127.0.0.1:1");
        assert_eq!(settings.admin.listen, "127.0.0.1:2");
        assert_eq!(settings.edge.workers, 2);
        assert_eq!(settings.data_dir, PathBuf::from("d"));
        assert_eq!(settings.environment().as_str(), "production");
        assert_eq!(settings.public_url.as_deref(), Some("https://example.org"));
    }

    #[test]
    fn wrong_usage_is_code_2() {
        for line in [
            "mainstay",
            "mainstay sreve",
            "mainstay serve a --upstream http://127.0.0.1:3000",
            "mainstay serve a --tls-cert cert.pem",
            "mainstay serve a b",
            "mainstay serve --json",
            "mainstay admin",
            "mainstay key",
            "mainstay key create worker",
            "mainstay key create --scope jobs",
            "mainstay key create worker --scope jobs,all",
            "mainstay key create worker --scope jobs --expires 90",
            "mainstay key create worker --scope jobs --expires 0s",
            "mainstay key create worker --scope jobs --expires 3000000d",
            "mainstay key revoke",
            "mainstay jobs",
            "mainstay jobs add email",
            "mainstay jobs add email order --delay soon",
            "mainstay jobs list email --status gone",
            "mainstay jobs list email --limit 101",
            "mainstay jobs show email",
            "mainstay jobs pause",
            "mainstay migrate --split --to postgres://a@b/c",
            "mainstay check --workers 2",
            "mainstay doctor",
            "mainstay doctor --edge --address localhost",
            "mainstay probe",
            "mainstay probe healthz",
            "mainstay scan https://example.org https://example.com",
        ] {
            let error = parse(line).map(|_| ()).map_err(|e| e.exit_code());
            assert_eq!(error, Err(Exit::Usage as i32), "{line}");
        }
    }

    #[test]
    fn one_shot_commands_take_config_and_data_dir() {
        for line in [
            "mainstay admin link --config f --data-dir d --json",
            "mainstay key create worker --scope jobs,record --scope read --expires 90d --config f --data-dir d --json",
            "mainstay key list --config f --data-dir d --json",
            "mainstay key revoke abcdefgh --config f --data-dir d --json",
            "mainstay jobs add email order -1 --priority 2 --attempts 5 --delay 30s --id a --unique k --config f --data-dir d --json",
            "mainstay jobs list email --status dead --limit 5 --after 7 --config f --data-dir d --json",
            "mainstay jobs show email 7 --config f --data-dir d --json",
            "mainstay jobs retry email 7 --config f --data-dir d --json",
            "mainstay jobs cancel email 7 --config f --data-dir d --json",
            "mainstay jobs remove email 7 --config f --data-dir d --json",
            "mainstay jobs counts --config f --data-dir d --json",
            "mainstay jobs pause email --config f --data-dir d --json",
            "mainstay jobs resume email --config f --data-dir d --json",
            "mainstay check site --config f --data-dir d --json",
            "mainstay doctor --edge --address [::1]:80 --host a --config f --data-dir d --json",
            "mainstay scan https://example.org --config f --data-dir d --json",
            "mainstay scan",
            "mainstay probe readyz --config f --data-dir d",
            "mainstay migrate --to postgres://a@b/c --dry-run --config f --data-dir d --json",
            "mainstay migrate --split --dry-run --config f --data-dir d --json",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }
}
