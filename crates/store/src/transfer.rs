//! An installation's files copied into PostgreSQL while the server goes on writing them, and proof that both hold the same.
//!
//! # Invariants
//! - The files are only read, a chunk at a time: no reader keeps their log from being emptied.
//! - Both sides are walked in the order of their keys and compared by what is in every row; only what differs is written.
//!   So a copy that was killed goes on by being started again, and a second one brings over what changed meanwhile.
//! - Rows of anybody but this installation's copy are never touched.
//! - What must be destroyed in time lies in no copy that a server may not follow at once: it is copied last.

use std::path::Path;
use std::time::Duration;

use mainstay_base::{Clock, Entropy};

use crate::{Database, Settings};

mod chunk;
mod error;
mod keys;
mod source;
mod sync;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use error::Error;
use source::Source;
use sync::Mode;
use table::{Copied, TABLES};
use target::Target;

/// More passes are not made while the server goes on writing: each finds the rows of the time the one before it took.
const PASSES_MAX: u32 = 5;
/// A pass that found fewer changes has caught up.
const FEW: u64 = 1_000;

/// From where to where.
#[derive(Clone, Debug)]
pub struct Transfer<'a> {
    /// How this machine's files are kept.
    pub settings: &'a Settings,
    /// The database they are copied to: its primary, and how it is used.
    pub database: &'a Database,
    /// The data directory.
    pub data_dir: &'a Path,
    /// Whether nobody writes the files meanwhile: then one comparison is proof for good.
    pub quiet: bool,
    /// The time.
    pub clock: Clock,
    /// Randomness for names.
    pub entropy: Entropy,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which pass, from 1.
    pub pass: u32,
    /// Which table.
    pub table: &'static str,
    /// Rows of the table looked at so far.
    pub done: u64,
    /// Rows of the table, as they were counted at the beginning.
    pub total: u64,
    /// Whether the table is done.
    pub is_done: bool,
}

/// What a table holds on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Rows.
    pub rows: u64,
    /// The sum of every row's digest; the order of the rows does not matter.
    pub checksum: u128,
}

/// A table and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Its name.
    pub table: &'static str,
    /// The files.
    pub source: Held,
    /// The database.
    pub target: Held,
    /// Rows that were written or removed in the last pass.
    pub changed: u64,
}

impl Compared {
    /// Whether both sides hold the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

/// What came of it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Every table, as the last pass found it.
    pub tables: Vec<Compared>,
    /// Passes that were made.
    pub passes: u32,
    /// Rows that were written or removed, in all passes.
    pub changed: u64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// Whether every table is the same on both sides.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.tables.iter().all(Compared::is_equal)
    }

    /// Rows of all tables, the remembered ids of events aside.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().filter(|t| t.table != keys::TABLE).map(|t| t.source.rows).sum()
    }
}

/// Tells what a copy would find: what both sides hold, and how many rows it would write or remove. Changes nothing.
///
/// # Errors
/// See [`Error`]: what would keep it from being copied.
pub async fn compare(
    transfer: &Transfer<'_>,
    on: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    let begun = transfer.clock.now();
    let mut source = Source::open(transfer).await?;
    let mut target = Target::look(transfer).await?;
    target.refuse_strangers().await?;
    let totals = count(&mut source).await?;
    let tables = if target.was_begun {
        target.refuse_older()?;
        let mut pass = Pass { number: 1, mode: Mode::Look, totals: &totals, on };
        pass.run(&mut source, &mut target).await?
    } else {
        let table = |(table, rows): &(&'static Copied, u64)| Compared {
            source: Held { rows: *rows, checksum: 0 },
            changed: *rows,
            ..Compared::of(table.name)
        };
        totals.iter().map(table).collect()
    };
    let changed = tables.iter().map(|table| table.changed).sum();
    let took = transfer.clock.now().since(begun);
    Ok(Report { tables, passes: 0, changed, took })
}

/// Every table and its rows.
type Totals = Vec<(&'static Copied, u64)>;

async fn count(source: &mut Source) -> Result<Totals, Error> {
    let mut totals = Vec::with_capacity(TABLES.len());
    for table in &TABLES {
        totals.push((table, source.count(table).await?));
    }
    Ok(totals)
}

/// Copies everything, and compares it until both sides hold the same.
///
/// # Errors
/// See [`Error`]. What was copied stays; the next run goes on from there.
pub async fn run(
    transfer: &Transfer<'_>,
    on: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    let begun = transfer.clock.now();
    let mut source = Source::open(transfer).await?;
    let mut target = Target::open(transfer).await?;
    let totals = count(&mut source).await?;
    let (short_lived, totals): (Totals, Totals) =
        totals.into_iter().partition(|(table, _)| table.is_short_lived);
    let mut report = Report { tables: Vec::new(), passes: 0, changed: 0, took: Duration::ZERO };
    loop {
        // What the first pass writes into an empty database is read again by the second one.
        let proving = report.passes > 0 || target.was_begun;
        report.passes += 1;
        let mode = if proving { Mode::Prove } else { Mode::Copy };
        let mut pass = Pass { number: report.passes, mode, totals: &totals, on };
        report.tables = pass.run(&mut source, &mut target).await?;
        let changed: u64 = report.tables.iter().map(|table| table.changed).sum();
        report.changed += changed;
        let caught_up = transfer.quiet || changed < FEW || report.passes == PASSES_MAX;
        if changed == 0 || (proving && caught_up) {
            break;
        }
    }
    // While a server writes the files, rows of one moment are compared with rows of another, and the next is never seen.
    if transfer.quiet && report.is_equal() {
        let mut pass = Pass { number: report.passes, mode: Mode::Prove, totals: &short_lived, on };
        let last = pass.walk(&mut source, &mut target, &mut Compared::of(keys::TABLE)).await?;
        report.changed += last.iter().map(|table| table.changed).sum::<u64>();
        report.tables.extend(last);
        recount(&mut source, &mut report).await?;
    }
    if transfer.quiet && report.is_equal() {
        target.go_on_after(source.find_last_job().await?).await?;
        target.note_proven(transfer).await?;
    }
    report.took = transfer.clock.now().since(begun);
    Ok(report)
}

/// What the walk has seen must be all that there is.
async fn recount(source: &mut Source, report: &mut Report) -> Result<(), Error> {
    for (table, rows) in count(source).await? {
        for found in report.tables.iter_mut().filter(|found| found.table == table.name) {
            found.source.rows = rows;
        }
    }
    Ok(())
}

struct Pass<'p> {
    number: u32,
    mode: Mode,
    totals: &'p [(&'static Copied, u64)],
    on: &'p mut (dyn FnMut(Progress) + Send),
}

impl Pass<'_> {
    async fn run(
        &mut self,
        source: &mut Source,
        target: &mut Target,
    ) -> Result<Vec<Compared>, Error> {
        let mut ids = Compared::of(keys::TABLE);
        let mut compared = self.walk(source, target, &mut ids).await?;
        compared.push(ids);
        Ok(compared)
    }

    /// `ids` gathers what became of the remembered ids of events.
    async fn walk(
        &mut self,
        source: &mut Source,
        target: &mut Target,
        ids: &mut Compared,
    ) -> Result<Vec<Compared>, Error> {
        let mut compared = Vec::with_capacity(TABLES.len() + 1);
        for (table, total) in self.totals.iter().copied() {
            let (number, on) = (self.number, &mut *self.on);
            let mut tell = |done, is_done| {
                on(Progress { pass: number, table: table.name, done, total, is_done });
            };
            let walk = sync::Walk { table, mode: self.mode };
            compared.push(walk.run(source, target, ids, &mut tell).await?);
        }
        Ok(compared)
    }
}

impl Compared {
    fn of(table: &'static str) -> Self {
        Self { table, source: Held::default(), target: Held::default(), changed: 0 }
    }
}

impl Held {
    fn add(&mut self, digest: u128) {
        self.rows += 1;
        self.checksum = self.checksum.wrapping_add(digest);
    }

    fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
    }
}
