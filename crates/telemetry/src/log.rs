//! The event log on standard error: text for people, JSON lines for machines, secrets taken out of both. Requests are in `access`.

mod fields;
mod layer;
mod tally;

use std::io::{self, IsTerminal as _};

use mainstay_base::Clock;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::settings::{Format, Level, Log};
use layer::{Lines, Style};
pub use tally::Logged;

/// The event log was set up before.
#[derive(Debug, thiserror::Error)]
#[error("the event log is set up already")]
pub struct InitError(#[from] tracing::subscriber::SetGlobalDefaultError);

/// Sends everything logged from now on to standard error, and counts its errors. Once per process.
///
/// # Errors
/// [`InitError`] the second time.
pub fn init(settings: &Log, clock: &Clock) -> Result<Logged, InitError> {
    let style = match (settings.format, io::stderr().is_terminal()) {
        (Format::Json, _) | (Format::Auto, false) => Style::Json,
        (Format::Text, false) => Style::Text,
        (Format::Text | Format::Auto, true) => Style::ColouredText,
    };
    let logged = Logged::default();
    let lines = Lines::new(style, clock.clone(), io::stderr);
    tracing::subscriber::set_global_default(subscriber(lines, logged.clone(), settings.level))?;
    Ok(logged)
}

/// Every part has a filter: one without would have the libraries make all their spans, for nobody.
fn subscriber<W>(lines: Lines<W>, logged: Logged, level: Level) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let errors = Targets::new().with_target("mainstay", LevelFilter::ERROR);
    let lines = lines.with_filter(filter(level));
    tracing_subscriber::registry().with(lines).with(logged.with_filter(errors))
}

/// The chosen level holds for the product; libraries are heard from warnings on.
fn filter(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("mainstay", level)
}

#[cfg(test)]
mod tests;
