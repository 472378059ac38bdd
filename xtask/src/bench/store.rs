//! Rows about the store: benches of its rooms, which measure both sides in one process. Here is only which rows there are, and their bars.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use mainstay_testkit::bench::{Ask, Told};

use super::table::{Bar, Row};
use super::{Bench, prepare};
use crate::server::{Place, Server, placed};

/// What stands beside ours.
pub(super) const PEERS: &str = "a list of connections, one to each of the replicas that ours reads, without a ping (and sqlx's \
    own pool, which pings after each statement, as a word beside it); COPY of the same events into copies of their tables, as many in one transaction as the \
    recorder takes; rusqlite, 64 events in one transaction, synchronous=FULL, the same schema in a file beside ours. \
    PostgreSQL of testkit with fsync and 128 MB of shared buffers; in `store-copy-replicas` its two replicas stream by \
    slots of their own, and no commit waits for them. The panels are those of the console's 30 days, alone \
    and all at once, over hours counted by the product.";

/// One row and the bench that measures it.
struct Measured {
    name: &'static str,
    what: &'static str,
    bar: Bar,
    package: &'static str,
    bench: &'static str,
}

const ROWS: [Measured; 6] = [
    Measured {
        name: "store-routing",
        what: "CPU per routed read, x a plain pool",
        bar: Bar::AtMost(1.03),
        package: "mainstay-store",
        bench: "peers",
    },
    Measured {
        name: "store-copy",
        what: "events/s into PostgreSQL, 10 a beacon, x COPY",
        bar: Bar::AtLeast(0.6),
        package: "mainstay-store",
        bench: "peers",
    },
    Measured {
        name: "store-copy-replicas",
        what: "the same of a primary that two replicas follow",
        bar: Bar::None,
        package: "mainstay-store",
        bench: "peers",
    },
    Measured {
        name: "store-group-commit",
        what: "events/s of 64 callers, FULL, x rusqlite",
        bar: Bar::AtLeast(0.5),
        package: "mainstay-store",
        bench: "peers",
    },
    Measured {
        name: "store-panels-sqlite",
        what: "p95 of the slowest 30-day panel, files, ms",
        bar: Bar::AtMost(200.0),
        package: "mainstay-insight",
        bench: "panels",
    },
    Measured {
        name: "store-panels-postgres",
        what: "p95 of the slowest 30-day panel, PostgreSQL, ms",
        bar: Bar::AtMost(200.0),
        package: "mainstay-insight",
        bench: "panels",
    },
];

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let rows: Vec<_> = ROWS.iter().filter(|row| wanted(row.name)).collect();
    for rows in rows.chunk_by(|a, b| a.bench == b.bench) {
        run(bench, rows, add).with_context(|| format!("the bench `{}`", rows[0].bench))?;
    }
    Ok(())
}

/// Runs one bench; its rows are added as they come.
fn run(
    bench: &Bench,
    rows: &[&Measured],
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ask = Ask {
        rows: rows.iter().map(|row| row.name.to_owned()).collect(),
        rounds: bench.rounds,
        seconds: bench.seconds,
        dir: bench.dir.clone(),
        events: bench.events,
    };
    let target = prepare::target()?.display().to_string();
    let mut program: Vec<_> =
        ["cargo", "bench", "--locked", "--target-dir", &target].map(String::from).into();
    program.extend(["-p", rows[0].package, "--bench", rows[0].bench, "--"].map(String::from));
    program.push(serde_json::to_string(&ask)?);
    let mut command = placed(&program, Place::default());
    command
        .current_dir(mainstay_testkit::checkout())
        // The servers of a test run lie where temporary files do.
        .env("TMPDIR", &bench.dir)
        .stdout(Stdio::piped());
    // Ends, with all that it has started, also when a row cannot be read.
    let mut running = Server::start(command).context("cargo cannot be run")?;
    let said = running.child().stdout.take().context("its output")?;
    let mut left = rows.to_vec();
    for line in BufReader::new(said).lines() {
        let Ok(told) = serde_json::from_str::<Told>(&line?) else { continue };
        let at = left.iter().position(|row| row.name == told.row);
        let row = left.swap_remove(at.with_context(|| format!("{} was not asked for", told.row))?);
        add(row.told(told))?;
    }
    let status = running.child().wait()?;
    let missing: Vec<_> = left.iter().map(|row| row.name).collect();
    ensure!(status.success() && missing.is_empty(), "{status}, without {missing:?}");
    Ok(())
}

impl Measured {
    fn told(&self, told: Told) -> Row {
        Row {
            name: self.name,
            what: self.what,
            bar: self.bar,
            value: told.value.unwrap_or(f64::NAN),
            detail: told.detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_bench_stand_together() {
        let benches: Vec<_> =
            ROWS.chunk_by(|a, b| a.bench == b.bench).map(|rows| rows[0].bench).collect();
        assert_eq!(benches, ["peers", "panels"]);
    }

    #[test]
    fn a_row_without_a_value_is_missed() {
        let told = Told { row: ROWS[0].name.into(), value: None, detail: "too few".into() };
        assert!(!ROWS[0].told(told).is_met());
    }
}
