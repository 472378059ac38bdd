//! `mainstay`: reads the command line, runs one command, returns its exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use mainstay::cli::{Admin, Cli, Command, Exit, Key};
use mainstay::command::check::{self, Format};
use mainstay::command::{admin_link, doctor, jobs, key, migrate, print_config, probe, scan, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap prints help and usage errors itself and ends with 0 or 2.
    let cli = Cli::parse();
    match run(&cli, &mut std::io::stdout()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // Nobody is left to tell when standard error is closed too.
            drop(writeln!(std::io::stderr(), "mainstay: {error:#}"));
            Exit::Unwell.into()
        }
    }
}

fn run(cli: &Cli, out: &mut dyn Write) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Serve(serve) if serve.print_config => {
            let format =
                if serve.json { print_config::Format::Json } else { print_config::Format::Toml };
            Ok(print_config::print_config(&serve.inputs(), format, out)?)
        }
        Command::Serve(serve) => serve::serve(&serve.inputs(), out),
        Command::Check(check) => {
            let format = if check.json { Format::Json } else { Format::Text };
            Ok(check::check(&check.inputs(), format, &check::look_through, out)?)
        }
        Command::Doctor(cli) => {
            let format = if cli.json { Format::Json } else { Format::Text };
            let way = doctor::Way { address: cli.address, host: cli.host.clone() };
            doctor::edge(&cli.place.inputs(), &way, format, out)
        }
        Command::Scan(cli) => {
            let format = if cli.json { Format::Json } else { Format::Text };
            scan::scan(&cli.place.inputs(), cli.url.as_deref(), format, out)
        }
        Command::Probe(cli) => probe::probe(&cli.place.inputs(), cli.question, out),
        Command::Migrate(cli) => {
            let format = if cli.json { Format::Json } else { Format::Text };
            let mode = if cli.dry_run { migrate::Mode::DryRun } else { migrate::Mode::Do };
            let inputs = cli.place.inputs();
            match &cli.to {
                Some(url) => migrate::copy_to(&inputs, url, mode, format, out),
                None if cli.split => migrate::split(&inputs, mode, format, out),
                None => migrate::bring_up_to_date(&inputs, mode, format, out),
            }
        }
        Command::Key(cli) => run_key(cli, out),
        Command::Jobs(cli) => {
            let (question, place, json) = match cli.question() {
                Ok(question) => question,
                Err(why) => {
                    writeln!(std::io::stderr(), "mainstay: {why}")?;
                    return Ok(Exit::Usage);
                }
            };
            let format = if json { Format::Json } else { Format::Text };
            jobs::jobs(&place.inputs(), &question, format, out)
        }
        Command::Admin(Admin::Link(link)) => {
            admin_link::admin_link(&link.place.inputs(), link.json, out)
        }
    }
}

fn run_key(cli: &Key, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let format = |json| if json { Format::Json } else { Format::Text };
    match cli {
        Key::Create(cli) => {
            let lifetime_ms =
                cli.expires.map(|span| span.0.as_millis().try_into().unwrap_or(u64::MAX));
            let scopes = cli.scopes().to_string();
            let wanted = key::Wanted { name: cli.name.clone(), scopes, lifetime_ms };
            key::create(&cli.place.inputs(), &wanted, format(cli.json), out)
        }
        Key::List(cli) => key::list(&cli.place.inputs(), format(cli.json), out),
        Key::Revoke(cli) => key::revoke(&cli.place.inputs(), &cli.id, format(cli.json), out),
    }
}
