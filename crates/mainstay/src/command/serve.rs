//! `mainstay serve`: the main job.

use std::io::{IsTerminal, Write};

use anyhow::Context as _;
use mainstay_base::Clock;
use mainstay_telemetry::log::Logged;

use crate::allocator;
use crate::boot::{self, Running};
use crate::cli::Exit;
use crate::command::refuse_settings;
use crate::run::{self, Signals};
use crate::settings::{Inputs, Loaded, load};

/// Threads of the control plane; the site's traffic has its own.
const CONTROL_THREADS: usize = 2;

/// Serves until it is told to stop.
///
/// # Errors
/// When the operating system refuses the most basic things: threads, signals, standard output.
pub fn serve(inputs: &Inputs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    allocator::use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control-plane")
        .enable_all()
        .build()
        .context("no threads")?;
    // First of all: whoever sends SIGHUP during the start means the settings, not the end.
    let signals = {
        let _entered = runtime.enter();
        Signals::listen().context("no signals")?
    };
    let loaded = match load(inputs) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(refuse_settings(&problems.0)?),
    };
    let logged = mainstay_telemetry::log::init(&loaded.settings.log, &Clock::System)?;
    let exit = runtime.block_on(start_and_run(inputs, loaded, (signals, logged), out));
    // Blocking reads of large files may still sit on a client that is gone.
    runtime.shutdown_background();
    exit
}

async fn start_and_run(
    inputs: &Inputs,
    loaded: Loaded,
    (signals, logged): (Signals, Logged),
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    match boot::boot(&loaded, &logged, std::io::stdout().is_terminal()).await {
        Ok(running) => {
            greet(&loaded, &running, out)?;
            Ok(run::run(running, inputs, loaded, signals).await)
        }
        Err(failed) => {
            writeln!(std::io::stderr(), "mainstay: {:#}", failed.error)?;
            Ok(failed.exit)
        }
    }
}

fn greet(loaded: &Loaded, running: &Running, out: &mut dyn Write) -> std::io::Result<()> {
    let environment = loaded.settings.environment().as_str();
    writeln!(out, "Mainstay {} ({environment})", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  site     {}", running.site_url)?;
    match &running.link {
        Some(link) => {
            let minutes = loaded.settings.identity.link_lifetime;
            writeln!(out, "  console  {link}")?;
            writeln!(
                out,
                "           signs you in once, within {minutes}; another: mainstay admin link"
            )?;
        }
        None => {
            writeln!(out, "  console  {}  (sign in: mainstay admin link)", running.console_url)?;
        }
    }
    out.flush()
}
