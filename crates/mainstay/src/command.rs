//! The commands, one file each. How a command is called lives in `cli`; nothing here reads the process's arguments.

pub mod admin_link;
mod asked;
pub mod check;
pub mod doctor;
pub mod jobs;
pub mod key;
pub mod migrate;
pub mod print_config;
pub mod probe;
pub mod scan;
pub mod serve;

use std::io::Write;

use anyhow::Context as _;
use mainstay_base::{Clock, Entropy};
use mainstay_store::Place;

use crate::cli::Exit;
use crate::settings::{Inputs, Problem, Settings, survey};

/// Says what is wrong with the settings, a line each.
fn tell_problems(problems: &[Problem], err: &mut dyn Write) -> std::io::Result<()> {
    problems.iter().try_for_each(|problem| writeln!(err, "mainstay: {problem}"))
}

/// How far long work has come, as a terminal shows it. More may be done than there was to do: a total is counted first.
fn bar(done: u64, total: u64) -> String {
    const WIDTH: usize = 24;
    let share = done as f64 / total.max(done).max(1) as f64;
    let full = (share * WIDTH as f64) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(WIDTH - full))
}

/// Ends a command whose settings are refused: everything wrong with them is written to standard error.
fn refuse_settings(problems: &[Problem]) -> std::io::Result<Exit> {
    tell_problems(problems, &mut std::io::stderr())?;
    Ok(Exit::Refused)
}

/// The settings as they can be read, for who asks the running server: a mistake made in them since it started says
/// nothing about it. What is wrong with them is written to standard error.
struct Readable {
    settings: Settings,
    is_whole: bool,
}

impl Readable {
    fn read(inputs: &Inputs) -> std::io::Result<Self> {
        let reading = survey(inputs);
        tell_problems(&reading.problems, &mut std::io::stderr())?;
        let is_whole = reading.problems.is_empty();
        Ok(Self { settings: reading.loaded.map(|l| l.settings).unwrap_or_default(), is_whole })
    }

    /// Says that no server answers. Where settings were refused, the data dir may be another one.
    fn nobody_answers(&self, error: &dyn std::fmt::Display) -> std::io::Result<Exit> {
        let dir = self.settings.data_dir.display();
        writeln!(std::io::stderr(), "mainstay: no server answers for the data dir {dir}: {error}")?;
        Ok(if self.is_whole { Exit::Unavailable } else { Exit::Refused })
    }
}

/// Ends a command that could not do what it is for.
fn refuse(error: &dyn std::error::Error, exit: Exit) -> anyhow::Result<Exit> {
    writeln!(std::io::stderr(), "mainstay: {}", with_causes(error))?;
    Ok(exit)
}

/// An error with all its causes, none said twice.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = error.source();
    }
    text
}

/// Threads for a command that works with the store itself.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("no threads")
}

/// Rows in columns that are as wide as they must be.
fn write_columns<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> std::io::Result<()> {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0));
    for row in rows {
        // What others wrote must not speak to the terminal.
        let plain = |cell: &String| cell.replace(char::is_control, "\u{fffd}");
        let cells =
            row.iter().map(plain).zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Where the rows of these settings are.
fn place_of(settings: &Settings) -> Place<'_> {
    Place {
        settings: &settings.store,
        database: Some(&settings.database),
        data_dir: &settings.data_dir,
        clock: Clock::System,
        entropy: Entropy::System,
    }
}
