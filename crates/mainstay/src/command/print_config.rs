//! `mainstay serve --print-config`: every setting in force and its source. Starts nothing.

use std::io::Write;

use crate::cli::Exit;
use crate::command::tell_problems;
use crate::settings::{Inputs, load, to_json, to_toml};

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML with the sources as comments.
    Toml,
    /// An object of `{value, source}` by setting.
    Json,
}

/// Writes the settings to `out`, or everything wrong with them to standard error.
///
/// # Errors
/// When `out` or standard error is closed.
pub fn print_config(inputs: &Inputs, format: Format, out: &mut dyn Write) -> std::io::Result<Exit> {
    write_config(inputs, format, out, &mut std::io::stderr())
}

fn write_config(
    inputs: &Inputs,
    format: Format,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<Exit> {
    match load(inputs) {
        Ok(loaded) => {
            match format {
                Format::Toml => write!(out, "{}", to_toml(&loaded))?,
                Format::Json => writeln!(out, "{:#}", to_json(&loaded))?,
            }
            Ok(Exit::Done)
        }
        Err(problems) => {
            tell_problems(&problems.0, err)?;
            Ok(Exit::Refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Flag;

    fn run(workers: &str, format: Format) -> (Exit, String, String) {
        let flag = Flag { name: "--workers", setting: "edge.workers", text: workers.into() };
        let inputs = Inputs { flags: vec![flag], ..Inputs::default() };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = write_config(&inputs, format, &mut out, &mut err).unwrap();
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn settings_or_problems_are_written_and_never_both() {
        let (exit, out, err) = run("3", Format::Toml);
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        let line = out.lines().find(|l| l.starts_with("workers = 3 ")).unwrap_or_default();
        assert!(line.ends_with("# flag --workers"), "{out}");

        let (exit, out, _) = run("3", Format::Json);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(exit, Exit::Done);
        assert_eq!(
            json["edge.workers"],
            serde_json::json!({"value": 3, "source": "flag --workers"})
        );

        let (exit, out, err) = run("many", Format::Toml);
        assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
        assert!(err.starts_with("mainstay: flag --workers: \"edge.workers\" must be"), "{err}");
    }
}
