//! What a migration has done, for people and for programs.

use std::io::Write;

use mainstay_store::schema::Strays;
use mainstay_store::transfer::{Compared, Report};
use serde::Serialize;

use super::{Mode, Part};
use crate::command::check::Format;
use crate::command::with_causes;

/// In which circumstances a copy was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Circumstances {
    pub(super) mode: Mode,
    /// No server wrote the files meanwhile.
    pub(super) quiet: bool,
}

#[derive(Debug, Serialize)]
struct Copied<'r> {
    equal: bool,
    /// No server wrote the files meanwhile: what was proven stays true until one is started.
    last: bool,
    rows: u64,
    changed: u64,
    passes: u32,
    seconds: f64,
    tables: Vec<Table<'r>>,
}

#[derive(Debug, Serialize)]
struct Table<'r> {
    table: &'r str,
    equal: bool,
    rows: u64,
    database_rows: u64,
    checksum: String,
    database_checksum: String,
    changed: u64,
}

pub(super) fn schema(
    parts: &[Part],
    mode: Mode,
    format: Format,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if format == Format::Json {
        let done = mode == Mode::Do;
        let text = serde_json::json!({ "done": done, "parts": parts });
        return writeln!(out, "{text}");
    }
    for part in parts {
        match (part.version, part.steps.len()) {
            (Some(version), 0) => writeln!(out, "{}: up to date (version {version})", part.part)?,
            (found, _) => {
                let found = found.map_or_else(|| "new".into(), |v| format!("was at version {v}"));
                let verb = if mode == Mode::Do { "applied" } else { "missing" };
                writeln!(out, "{}: {found}", part.part)?;
                for step in &part.steps {
                    writeln!(out, "  {verb}: {step}")?;
                }
            }
        }
    }
    if mode == Mode::DryRun && parts.iter().any(|part| !part.steps.is_empty()) {
        writeln!(out, "nothing was changed")?;
    }
    Ok(())
}

/// The steps were taken, and something of the days was not.
pub(super) fn without_days(
    error: &dyn std::error::Error,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let why = with_causes(error);
    writeln!(
        out,
        "mainstay: the schema is up to date; coming days have no partition yet ({why}). Servers make them as they run; where many rows without a partition are in the way, `mainstay migrate --split` puts them into one"
    )
}

pub(super) fn strays(
    strays: &[Strays],
    mode: Mode,
    format: Format,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if format == Format::Json {
        let row = |s: &Strays| serde_json::json!({ "table": s.table, "rows": s.rows, "moved": mode == Mode::Do && s.kept.is_none() });
        let tables: Vec<_> = strays.iter().map(row).collect();
        return writeln!(out, "{}", serde_json::json!({ "tables": tables }));
    }
    if strays.is_empty() {
        return writeln!(out, "every row lies in the partition of its day");
    }
    let done = if mode == Mode::Do { "put into partitions of their days" } else { "in none" };
    for Strays { table, rows, .. } in strays.iter().filter(|strays| strays.kept.is_none()) {
        writeln!(out, "{table}: {rows} rows {done}")?;
    }
    if mode == Mode::DryRun {
        writeln!(out, "nothing was changed")?;
    }
    Ok(())
}

pub(super) fn copied(
    report: &Report,
    circumstances: Circumstances,
    format: Format,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if format == Format::Json {
        let told = Copied {
            equal: report.is_equal(),
            last: circumstances.quiet && circumstances.mode == Mode::Do,
            rows: report.rows(),
            changed: report.changed,
            passes: report.passes,
            seconds: report.took.as_secs_f64(),
            tables: report.tables.iter().map(told).collect(),
        };
        return writeln!(out, "{}", serde_json::to_string(&told)?);
    }
    match circumstances.mode {
        Mode::DryRun => planned(report, out),
        Mode::Do => proven(report, circumstances, out),
    }
}

fn told(table: &Compared) -> Table<'_> {
    Table {
        table: table.table,
        equal: table.is_equal(),
        rows: table.source.rows,
        database_rows: table.target.rows,
        checksum: format!("{:032x}", table.source.checksum),
        database_checksum: format!("{:032x}", table.target.checksum),
        changed: table.changed,
    }
}

fn planned(report: &Report, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{:<20} {:>12} {:>12} {:>12}", "table", "files", "database", "to write")?;
    for table in &report.tables {
        let Compared { table, source, target, changed } = table;
        writeln!(out, "{table:<20} {:>12} {:>12} {changed:>12}", source.rows, target.rows)?;
    }
    writeln!(out, "{} rows to write; nothing was changed", report.changed)
}

fn proven(
    report: &Report,
    circumstances: Circumstances,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "{:<20} {:>12} {:>12}  {:<32}  equal", "table", "files", "database", "checksum")?;
    for table in &report.tables {
        let Compared { table: name, source, target, .. } = table;
        let (rows, there) = (source.rows, target.rows);
        let equal = if table.is_equal() { "yes" } else { "NO" };
        writeln!(out, "{name:<20} {rows:>12} {there:>12}  {:032x}  {equal}", source.checksum)?;
        if source.checksum != target.checksum {
            writeln!(out, "{:<46}  {:032x}", "", target.checksum)?;
        }
    }
    let seconds = report.took.as_secs_f64();
    let (rows, changed, passes) = (report.rows(), report.changed, report.passes);
    writeln!(out, "{rows} rows, {changed} written or removed, {passes} passes, {seconds:.1} s")?;
    if !report.is_equal() {
        return writeln!(out, "The two differ. Start it again: it writes what is missing.");
    }
    if circumstances.quiet {
        writeln!(
            out,
            "Everything is there. Start the server with DATABASE_PRIMARY_URL (or database.primary) set to this database; the files stay as they are."
        )
    } else {
        writeln!(
            out,
            "Everything is there as each table was read, and a server may go on writing the files: no server starts on this copy yet. To move: stop it, run this command once more (it takes what is new), then start it with DATABASE_PRIMARY_URL (or database.primary) set to this database."
        )
    }
}
