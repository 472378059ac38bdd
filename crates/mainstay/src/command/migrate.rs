//! `mainstay migrate`: the schema brought up to date; with `--to`, an installation's files copied to PostgreSQL.

use std::io::Write;

use mainstay_base::{Clock, Coded as _, Entropy, ErrorCode};
use mainstay_store::schema::{self, Taken};
use mainstay_store::{Database, transfer};
use serde::Serialize;

use crate::cli::Exit;
use crate::command::check::Format;
use crate::command::{place_of, refuse, refuse_settings, runtime};
use crate::data_dir::{self, DataDir};
use crate::settings::{Inputs, load};

mod meter;
mod words;

use meter::Meter;

/// Whether anything is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is done.
    Do,
    /// It is only said what would be done.
    DryRun,
}

/// How a part of the store stood, for programs.
#[derive(Debug, Serialize)]
struct Part {
    part: &'static str,
    /// The newest step that was taken before; null: nothing was there.
    version: Option<i64>,
    /// The steps that were missing.
    steps: Vec<String>,
}

/// Takes the missing steps of the configured store's schema, or says which they are.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn bring_up_to_date(
    inputs: &Inputs,
    mode: Mode,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let settings = match load(inputs) {
        Ok(loaded) => loaded.settings,
        Err(problems) => return Ok(refuse_settings(&problems.0)?),
    };
    let on_files = !settings.database.is_set();
    let mut mode = mode;
    let mut is_served = false;
    let _held = match (on_files, mode) {
        (true, Mode::Do) => match DataDir::open(&settings.data_dir) {
            Ok(held) => Some(held),
            Err(data_dir::Error::Locked { .. }) => {
                (mode, is_served) = (Mode::DryRun, true);
                None
            }
            Err(error) => return refuse(&error, Exit::Refused),
        },
        _ => None,
    };
    let place = place_of(&settings);
    let states = runtime()?.block_on(async {
        match mode {
            Mode::Do => schema::bring_up_to_date(place).await,
            Mode::DryRun => {
                schema::look(&place).await.map(|before| Taken { before, without_days: None })
            }
        }
    });
    match states {
        Ok(Taken { before: states, without_days }) => {
            let part = |state: schema::State| Part {
                part: state.part,
                version: state.found,
                steps: state
                    .missing
                    .into_iter()
                    .map(|s| format!("{} {}", s.version, s.name))
                    .collect(),
            };
            let parts: Vec<_> = states.into_iter().map(part).collect();
            words::schema(&parts, mode, format, out)?;
            if let Some(error) = &without_days {
                words::without_days(error, &mut std::io::stderr())?;
            }
            if is_served && parts.iter().any(|part| !part.steps.is_empty()) {
                let dir = settings.data_dir.display();
                writeln!(
                    std::io::stderr(),
                    "mainstay: a running server owns {dir}: stop it and run this command again, or start this version, which takes the missing steps itself"
                )?;
                return Ok(Exit::Refused);
            }
            Ok(Exit::Done)
        }
        Err(error) if !on_files && error.code() == ErrorCode::Unavailable => {
            refuse(&error, Exit::Unavailable)
        }
        Err(error) => refuse(&error, Exit::Refused),
    }
}

/// Puts rows of the configured database that lie in no partition of their day into one, or says how many there are.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn split(
    inputs: &Inputs,
    mode: Mode,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let settings = match load(inputs) {
        Ok(loaded) => loaded.settings,
        Err(problems) => return Ok(refuse_settings(&problems.0)?),
    };
    let place = place_of(&settings);
    let found = runtime()?.block_on(async {
        match mode {
            Mode::Do => schema::split(&place).await,
            Mode::DryRun => schema::list_strays(&place).await,
        }
    });
    let strays = match found {
        Ok(strays) => strays,
        Err(error) if error.code() == ErrorCode::Unavailable => {
            return refuse(&error, Exit::Unavailable);
        }
        Err(error) => return refuse(&error, Exit::Refused),
    };
    words::strays(&strays, mode, format, out)?;
    let mut exit = Exit::Done;
    for (table, error) in strays.iter().filter_map(|s| Some((s.table, s.kept.as_ref()?))) {
        write!(std::io::stderr(), "{table} stays as it is for now: ")?;
        exit = refuse(error, Exit::Unwell)?;
    }
    Ok(exit)
}

/// Copies the files of the data dir to a database, or says what that would be.
///
/// # Errors
/// When standard output is closed or the system gives no threads.
pub fn copy_to(
    inputs: &Inputs,
    url: &str,
    mode: Mode,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let settings = match load(inputs) {
        Ok(loaded) => loaded.settings,
        Err(problems) => return Ok(refuse_settings(&problems.0)?),
    };
    let database =
        Database { primary: Some(url.into()), replicas: Vec::new(), ..settings.database.clone() };
    // A data dir is never made here.
    if !settings.data_dir.join("core.db").exists() {
        return refuse(
            &transfer::Error::NoSource(settings.data_dir.join("core.db")),
            Exit::Refused,
        );
    }
    // Whoever only looks makes nothing, and keeps no server from starting.
    let held = match mode {
        Mode::DryRun => None,
        Mode::Do => match DataDir::open(&settings.data_dir) {
            Ok(held) => Some(held),
            Err(data_dir::Error::Locked { .. }) => None,
            Err(error) => return refuse(&error, Exit::Refused),
        },
    };
    let quiet = held.is_some();
    let asked = transfer::Transfer {
        settings: &settings.store,
        database: &database,
        data_dir: &settings.data_dir,
        quiet,
        clock: Clock::System,
        entropy: Entropy::System,
    };
    let mut meter = Meter::of_standard_error();
    let report = runtime()?.block_on(async {
        let mut on = |progress| meter.show(&progress);
        match mode {
            Mode::Do => transfer::run(&asked, &mut on).await,
            Mode::DryRun => transfer::compare(&asked, &mut on).await,
        }
    });
    meter.finish();
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            let exit = match error.code() {
                ErrorCode::Invalid => Exit::Usage,
                ErrorCode::Unavailable => Exit::Unavailable,
                _ => Exit::Refused,
            };
            return refuse(&error, exit);
        }
    };
    words::copied(&report, words::Circumstances { mode, quiet }, format, out)?;
    Ok(if mode == Mode::DryRun || report.is_equal() { Exit::Done } else { Exit::Unwell })
}
