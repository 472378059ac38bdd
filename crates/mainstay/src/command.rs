//! The commands, one file each. How a command is called lives in `cli`; nothing here reads the process's arguments.

pub mod admin_link;
pub mod check;
pub mod doctor;
pub mod migrate;
pub mod print_config;
pub mod probe;
pub mod serve;

use std::io::Write as _;

use crate::cli::Exit;
use crate::settings::{Inputs, Settings, survey};

/// The settings as they can be read, for who asks the running server: a mistake made in them since it started says
/// nothing about it. What is wrong with them is written to standard error.
struct Readable {
    settings: Settings,
    is_whole: bool,
}

impl Readable {
    fn read(inputs: &Inputs) -> std::io::Result<Self> {
        let reading = survey(inputs);
        for problem in &reading.problems {
            writeln!(std::io::stderr(), "mainstay: {problem}")?;
        }
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
