//! What came of the faults: the table, and whether the promises were kept.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::Used;

/// Of ten thousand requests, so many may fail; of fewer, none.
const FAILED_PER_10_000: u64 = 1;

/// What came of one fault.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// The fault's name.
    pub name: String,
    /// Somebody else could answer every read.
    pub is_beside_reads: bool,
    /// Requests sent.
    pub requests: u64,
    /// Requests that were not answered as they should be.
    pub failed: u64,
    /// Reads of the API among them.
    pub failed_reads: u64,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Of those, not in the database.
    pub missing: u64,
    /// Events that are there more than once.
    pub twice: u64,
    /// Of the acknowledged events, those that the new primary lacked when it took the lost one's place, where that matters.
    pub lacked: Option<u64>,
    /// Reads that a database server answered, of the requests.
    pub answered_reads: u64,
    /// What came of shared state, where Redis is struck.
    pub used: Option<Used>,
    /// From the moment the server was mended (or another took its place) until everything is as it was.
    pub recovered: Duration,
    /// Some of the failures.
    pub words: BTreeSet<String>,
}

/// What came of all.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// A row each.
    pub cells: Vec<Cell>,
}

impl Outcome {
    /// Whether the promises were kept.
    ///
    /// # Errors
    /// When events are missing or twice, or more requests failed than may.
    pub fn verdict(&self) -> anyhow::Result<()> {
        ensure!(!self.cells.is_empty(), "no server was struck");
        for cell in &self.cells {
            ensure!(cell.missing == 0, "acknowledged events are missing: {self}");
            ensure!(cell.twice == 0, "events are there twice: {self}");
            ensure!(cell.acknowledged > 0, "nothing was acknowledged: {self}");
            let allowed = cell.requests * FAILED_PER_10_000 / 10_000;
            ensure!(cell.failed <= allowed, "too many requests failed: {self}");
            ensure!(!cell.is_beside_reads || cell.failed_reads == 0, "reads failed: {self}");
            ensure!(cell.lacked != Some(0), "the new primary lacked nothing: {self}");
            let reads = cell.requests / 2 - cell.failed_reads;
            ensure!(cell.answered_reads >= reads, "no database server was asked: {self}");
            cell.used.as_ref().map_or(Ok(()), Used::verdict).with_context(|| cell.name.clone())?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | requests | failed | failed reads | acknowledged events | missing | twice | recovered, s |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
        for cell in &self.cells {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {:.1} |",
                cell.name,
                cell.requests,
                cell.failed,
                cell.failed_reads,
                cell.acknowledged,
                cell.missing,
                cell.twice,
                cell.recovered.as_secs_f64(),
            )?;
        }
        if self.cells.iter().any(|cell| cell.used.is_some()) {
            writeln!(
                f,
                "\n| fault | calls | unanswered | longest wait, ms | changes Redis took | leases | in disorder | one truth after, s |"
            )?;
            writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|")?;
        }
        for (cell, used) in self.cells.iter().filter_map(|cell| Some((cell, cell.used.as_ref()?))) {
            writeln!(
                f,
                "| {} | {} | {} | {:.1} | {} | {} | {} | {:.1} |",
                cell.name,
                used.calls,
                used.unanswered,
                used.longest.as_secs_f64() * 1e3,
                used.taken,
                used.leases,
                used.disorder,
                used.agreed.as_secs_f64(),
            )?;
        }
        for (cell, lacked) in self.cells.iter().filter_map(|cell| Some((cell, cell.lacked?))) {
            writeln!(f, "{}: the new primary lacked {lacked} acknowledged events", cell.name)?;
        }
        for cell in self.cells.iter().filter(|cell| !cell.words.is_empty()) {
            writeln!(f, "{}: {:?}", cell.name, cell.words)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cell: Cell) -> Outcome {
        Outcome { cells: vec![cell] }
    }

    #[test]
    fn one_of_ten_thousand_may_fail_and_of_fewer_none() {
        for (requests, failed, is_kept) in
            [(20_016, 2, true), (20_016, 3, false), (1_824, 0, true), (1_824, 1, false)]
        {
            let answered_reads = requests;
            let cell =
                Cell { requests, failed, acknowledged: 1, answered_reads, ..Cell::default() };
            assert_eq!(outcome(cell).verdict().is_ok(), is_kept, "{failed} of {requests}");
        }
        assert!(Outcome::default().verdict().is_err(), "nothing is no proof");
    }

    #[test]
    fn every_broken_promise_is_seen() {
        let well = Cell {
            name: "SIGKILL replica 1".into(),
            is_beside_reads: true,
            requests: 20_000,
            failed: 2,
            acknowledged: 5_000,
            answered_reads: 10_000,
            ..Cell::default()
        };
        assert!(outcome(well.clone()).verdict().is_ok());
        for broken in [
            Cell { failed: 3, ..well.clone() },
            Cell { failed_reads: 1, ..well.clone() },
            Cell { missing: 1, ..well.clone() },
            Cell { twice: 1, ..well.clone() },
            Cell { acknowledged: 0, ..well.clone() },
            Cell { answered_reads: 9_999, ..well.clone() },
            Cell { lacked: Some(0), ..well.clone() },
            Cell { used: Some(Used::default()), ..well.clone() },
        ] {
            assert!(outcome(broken.clone()).verdict().is_err(), "{broken:?}");
        }
        assert!(
            outcome(Cell { is_beside_reads: false, failed_reads: 1, ..well }).verdict().is_ok()
        );
    }
}
