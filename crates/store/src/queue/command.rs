//! What can be asked for, and what is answered: a group of commands as few statements as its kinds need.

use std::collections::HashMap;

use mainstay_base::{Clock, Timestamp};
use rusqlite::Connection;

use crate::Error;
use crate::tables::job::add::{add_direct, add_shared};
use crate::tables::job::claim::{Claim, claim_direct, claim_shared};
use crate::tables::job::finish::{finish_direct, finish_shared};
use crate::tables::job::order::{Order, order_direct, order_shared};
use crate::tables::job::renew::{
    Held, note_progress_direct, note_progress_shared, renew_direct, renew_shared,
};
use crate::tables::job::tend::{tend_direct, tend_shared};
use crate::tables::job::{Ack, Added, Hand, Keep, New, Renewed, Settled, Status, Tended};
use crate::tx::Tx;

#[derive(Debug)]
pub(super) enum Command {
    Add(Vec<New>),
    Claim(Claim),
    Finish(Vec<Ack>),
    Renew(Vec<Held>),
    Progress { held: (i64, i64), progress: String },
    Order { order: Order, job: (i32, i64) },
    Tend,
}

impl Command {
    /// Whether it is said by somebody who works on jobs, or looks after those who do.
    pub(super) fn is_of_worker(&self) -> bool {
        !matches!(self, Self::Add(_) | Self::Order { .. })
    }

    /// Whether it can meet another's lock.
    pub(super) fn goes_apart(&self) -> bool {
        match self {
            Self::Add(rows) => rows.iter().any(New::is_named),
            Self::Order { .. } => true,
            _ => false,
        }
    }

    /// What it adds.
    pub(super) fn rows(&self) -> &[New] {
        match self {
            Self::Add(rows) => rows,
            _ => &[],
        }
    }

    /// About how many bytes it is.
    pub(super) fn weight(&self) -> usize {
        const ROW: usize = 256;
        match self {
            Self::Add(rows) => rows.iter().map(|row| ROW + row.payload.len()).sum(),
            Self::Finish(acks) => acks.iter().map(|ack| ROW + ack.outcome.weight()).sum(),
            Self::Progress { progress, .. } => ROW + progress.len(),
            Self::Claim(_) | Self::Renew(_) | Self::Order { .. } | Self::Tend => ROW,
        }
    }
}

#[derive(Debug)]
pub(super) enum Answer {
    Added(Vec<Added>),
    Claimed(Hand),
    Settled(Vec<Settled>),
    Renewed(Vec<Renewed>),
    Noted(bool),
    Ordered(Option<Status>),
    Tended(Tended),
}

/// The parts of a group that go together.
struct Parts<'a> {
    adds: Vec<&'a New>,
    acks: Vec<&'a Ack>,
    held: Vec<&'a Held>,
}

impl<'a> Parts<'a> {
    fn of(commands: &[&'a Command]) -> Self {
        let mut parts = Self { adds: Vec::new(), acks: Vec::new(), held: Vec::new() };
        for command in commands {
            match command {
                Command::Add(rows) => parts.adds.extend(rows),
                Command::Finish(acks) => parts.acks.extend(acks),
                Command::Renew(held) => parts.held.extend(held),
                Command::Claim(_)
                | Command::Progress { .. }
                | Command::Order { .. }
                | Command::Tend => {}
            }
        }
        parts
    }
}

/// What was answered for all parts, to be dealt out in the order of the commands.
struct Deal {
    added: std::vec::IntoIter<Added>,
    settled: std::vec::IntoIter<Settled>,
    renewed: std::vec::IntoIter<Renewed>,
}

impl Deal {
    /// None for a command that goes alone.
    fn next(&mut self, command: &Command) -> Option<Answer> {
        Some(match command {
            Command::Add(rows) => Answer::Added(self.added.by_ref().take(rows.len()).collect()),
            Command::Finish(acks) => {
                Answer::Settled(self.settled.by_ref().take(acks.len()).collect())
            }
            Command::Renew(held) => {
                Answer::Renewed(self.renewed.by_ref().take(held.len()).collect())
            }
            Command::Claim(_)
            | Command::Progress { .. }
            | Command::Order { .. }
            | Command::Tend => return None,
        })
    }
}

/// Carries a group out on a file, within a transaction. Claims come last, so that they see what the group adds.
pub(super) fn run_direct(
    conn: &Connection,
    commands: &[&Command],
    now: Timestamp,
    (keep, finished): (&Keep, &mut HashMap<i32, u32>),
) -> rusqlite::Result<Vec<Answer>> {
    let parts = Parts::of(commands);
    let mut deal = Deal {
        added: add_direct(conn, parts.adds.into_iter(), now)?.into_iter(),
        settled: finish_direct(conn, parts.acks.into_iter(), now, finished)?.into_iter(),
        renewed: renew_direct(conn, parts.held.into_iter(), now)?.into_iter(),
    };
    let alone = |command: &Command| match command {
        Command::Claim(claim) => claim_direct(conn, claim, now).map(Answer::Claimed),
        Command::Progress { held, progress } => {
            note_progress_direct(conn, *held, progress).map(Answer::Noted)
        }
        Command::Order { order, job } => order_direct(conn, *order, *job, now).map(Answer::Ordered),
        Command::Tend | Command::Add(_) | Command::Finish(_) | Command::Renew(_) => {
            tend_direct(conn, keep, now).map(Answer::Tended)
        }
    };
    let dealt = commands.iter().map(|command| match deal.next(command) {
        Some(answer) => Ok(answer),
        None => alone(command),
    });
    dealt.collect()
}

/// The same on PostgreSQL.
pub(super) async fn run_shared(
    tx: &mut Tx<'_>,
    clock: &Clock,
    commands: &[&Command],
    keep: &Keep,
) -> Result<Vec<Answer>, Error> {
    let parts = Parts::of(commands);
    let added = add_shared(tx, clock, &parts.adds).await?;
    macro_rules! step {
        (|$conn:ident| $step:expr) => {{
            let op = tx.op();
            let Tx::Postgres(tx) = &mut *tx else { return Ok(Vec::new()) };
            let patience = tx.patience();
            let $conn = tx.conn();
            let done = patience.keep($step).await;
            done.map_err(|error| {
                tx.note(&error);
                Error::new(op, error)
            })?
        }};
    }
    let mut deal = Deal {
        added: added.into_iter(),
        settled: step!(|conn| finish_shared(conn, &parts.acks)).into_iter(),
        renewed: step!(|conn| renew_shared(conn, &parts.held)).into_iter(),
    };
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        if let Some(answer) = deal.next(command) {
            answers.push(answer);
            continue;
        }
        answers.push(match command {
            Command::Claim(claim) => Answer::Claimed(step!(|conn| claim_shared(conn, claim))),
            Command::Progress { held, progress } => {
                Answer::Noted(step!(|conn| note_progress_shared(conn, *held, progress)))
            }
            Command::Order { order, job } => {
                Answer::Ordered(step!(|conn| order_shared(conn, *order, *job)))
            }
            Command::Tend | Command::Add(_) | Command::Finish(_) | Command::Renew(_) => {
                Answer::Tended(step!(|conn| tend_shared(conn, keep)))
            }
        });
    }
    Ok(answers)
}
