//! `mainstay probe`: asks the running server one of its probes, for who can start a program beside it and cannot reach its private listener: the listener is on loopback, and in a pod that is the pod's own.

use std::io::Write;

use mainstay_api::control;

use crate::cli::Exit;
use crate::command::Readable;
use crate::settings::Inputs;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// The process answers.
    Livez,
    /// It may take traffic.
    Readyz,
    /// Its start is complete.
    Startupz,
}

impl Question {
    fn path(self) -> &'static str {
        match self {
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
            Self::Startupz => "/startupz",
        }
    }
}

/// Prints what the server that owns the data dir says; [`Exit::Unwell`] when it says no, [`Exit::Unavailable`] when none
/// answers, [`Exit::Refused`] when none does and the settings cannot be read as they stand.
///
/// # Errors
/// When standard output is closed.
pub fn probe(inputs: &Inputs, question: Question, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    match control::request_probe(&readable.settings.data_dir, question.path()) {
        Ok(verdict) => {
            writeln!(out, "{}", verdict.said)?;
            Ok(if verdict.is_good { Exit::Done } else { Exit::Unwell })
        }
        Err(error) => Ok(readable.nobody_answers(&error)?),
    }
}
