//! What is printed: a row as soon as it is measured, and both configurations at the end.

use std::io::Write as _;

use serde_json::json;

use super::wakes;

/// The bar of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bar {
    AtMost(f64),
    AtLeast(f64),
    /// Told, and held against nothing.
    None,
}

/// One measured row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What the value is, with its unit.
    pub(super) what: &'static str,
    pub(super) bar: Bar,
    pub(super) value: f64,
    /// The figures behind the value.
    pub(super) detail: String,
}

impl Row {
    /// Whether the bar is met; a value that could not be told meets none.
    pub(super) fn is_met(&self) -> bool {
        match self.bar {
            Bar::AtMost(bar) => self.value <= bar,
            Bar::AtLeast(bar) => self.value >= bar,
            Bar::None => !self.value.is_nan(),
        }
    }

    fn bar(&self) -> String {
        match self.bar {
            Bar::AtMost(bar) => format!("≤ {bar}"),
            Bar::AtLeast(bar) => format!("≥ {bar}"),
            Bar::None => "none".to_owned(),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.is_met(), self.bar) {
            (true, Bar::None) => "    ",
            (true, _) => "PASS",
            (false, _) => "MISS",
        }
    }
}

/// All rows so far.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Row>,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

impl Table {
    /// An empty table; prints its head unless it is JSON.
    pub(super) fn new(json: bool) -> Self {
        Self { rows: Vec::new(), format: if json { Format::Json } else { Format::Table } }
    }

    /// The rows so far.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Adds a row and prints it.
    pub(super) fn add(&mut self, row: Row) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.format == Format::Json {
            let line = json!({
                "row": row.name, "what": row.what, "bar": row.bar(), "value": row.value,
                "met": row.is_met(), "detail": row.detail,
            });
            writeln!(out, "{line}")?;
        } else {
            if self.rows.is_empty() {
                writeln!(
                    out,
                    "{:<21} {:<48} {:>8} {:>8}  met?  detail",
                    "row", "what", "bar", "value"
                )?;
            }
            let (value, bar) = (format!("{:.2}", row.value), row.bar());
            let (name, what) = (row.name, row.what);
            writeln!(
                out,
                "{name:<21} {what:<48} {bar:>8} {value:>8}  {}  {}",
                row.verdict(),
                row.detail
            )?;
        }
        out.flush()?;
        self.rows.push(row);
        Ok(())
    }

    /// Prints how both sides were configured, and on what machine.
    pub(super) fn finish(&self, configurations: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.format == Format::Json {
            writeln!(out, "{}", json!({ "machine": machine(), "configurations": configurations }))?;
        } else {
            let (met, bars) = count_bars(&self.rows);
            writeln!(out, "\n{met} of {bars} bars met on {}\n\n{configurations}", machine())?;
        }
        Ok(())
    }
}

/// How many bars were met, and how many there are.
fn count_bars(rows: &[Row]) -> (usize, usize) {
    let judged = rows.iter().filter(|row| !matches!(row.bar, Bar::None));
    let met = judged.clone().filter(|row| row.is_met()).count();
    (met, judged.count())
}

fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split_whitespace().next().unwrap_or_default();
    let cpu = cpu.trim_start_matches(['\t', ' ', ':']);
    format!("{cores} cores of {cpu}, Linux {}, load {load}; {}", kernel.trim(), wakes::describe())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(bar: Bar, value: f64) -> Row {
        Row { name: "a", what: "b", bar, value, detail: String::new() }
    }

    #[test]
    fn bars_are_met_or_missed() {
        assert!(row(Bar::AtMost(1.0), 1.0).is_met());
        assert!(!row(Bar::AtMost(1.0), 1.01).is_met());
        assert!(row(Bar::AtLeast(5.0), 5.0).is_met());
        assert!(!row(Bar::AtLeast(5.0), 4.99).is_met());
        assert!(!row(Bar::AtMost(1.0), f64::NAN).is_met());
    }

    #[test]
    fn a_row_without_a_bar_counts_as_none_and_has_a_value() {
        let rows = [row(Bar::AtMost(1.0), 2.0), row(Bar::AtMost(1.0), 1.0), row(Bar::None, 9.0)];
        assert_eq!(count_bars(&rows), (1, 2));
        assert!(rows[2].is_met() && !row(Bar::None, f64::NAN).is_met());
        assert_eq!([&rows[0], &rows[1], &rows[2]].map(Row::verdict), ["MISS", "PASS", "    "]);
    }
}
