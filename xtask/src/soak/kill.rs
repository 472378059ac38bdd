//! Events are loaded over several connections and the server is killed (SIGKILL) while some are unanswered. Afterwards every acknowledged event is there, and none twice.
//!
//! What was unanswered is sent again after the restart with the same ids, as a browser would; so in the end every
//! event was acknowledged, and the count of each kind of event of each page is exact. Page views are counted by what the API
//! says, the other kinds by the rows in the file of the stopped server.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mainstay_base::Entropy;

mod rows;
mod sender;

use crate::server::{pause, retry};
use crate::soak::product::{Home, Product};
use rows::Counts;
use sender::{Ended, Sender};

/// Share of kills that must meet at least one unanswered request; below it the check proves nothing.
const IN_FLIGHT_SHARE_MIN: f64 = 0.8;
/// How long a server may take to acknowledge something after its start.
const FIRST_PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_micros(500);
const SIGKILL: i32 = 9;

/// How much is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub binary: PathBuf,
    /// How often it is killed.
    pub kills: usize,
    /// Connections that send at once, each with one request in flight.
    pub connections: usize,
    /// A kill comes at a random moment up to this long after the first acknowledgement of its life.
    pub moment_max: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Kills.
    pub kills: usize,
    /// Kills that met at least one request that was sent whole and never answered.
    pub kills_in_flight: usize,
    /// Requests that were unanswered at a kill and sent again.
    pub resent: u64,
    /// Events acknowledged, all of them durable by the contract.
    pub acknowledged: u64,
    /// Events of acknowledged requests that are not there.
    pub lost: u64,
    /// Events that are there more than once.
    pub repeated: u64,
    /// Events that nobody sent, or not as they are there.
    pub invented: u64,
    /// One of those that are lost, repeated or invented.
    pub example: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl Plan {
    /// The form that tests run.
    #[must_use]
    pub fn short(binary: PathBuf) -> Self {
        Self { binary, kills: 50, connections: 8, moment_max: Duration::from_millis(60) }
    }

    /// The form for a soak.
    #[must_use]
    pub fn long(binary: PathBuf) -> Self {
        Self { kills: 200, ..Self::short(binary) }
    }
}

impl Outcome {
    /// Whether the promise was kept, and whether the kills tested it.
    ///
    /// # Errors
    /// When events are lost, repeated or invented, or too few kills met a request in flight.
    pub fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.lost == 0, "acknowledged events are lost: {self}");
        ensure!(self.repeated == 0, "events are there twice: {self}");
        ensure!(self.invented == 0, "events nobody sent: {self}");
        ensure!(self.acknowledged > 0, "nothing was acknowledged: {self}");
        let share = self.kills_in_flight as f64 / self.kills.max(1) as f64;
        ensure!(share >= IN_FLIGHT_SHARE_MIN, "too few kills met a request in flight: {self}");
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} with requests in flight, {} requests sent again; {} events acknowledged, {} lost, {} repeated, {} invented; {:.1} s",
            self.kills,
            self.kills_in_flight,
            self.resent,
            self.acknowledged,
            self.lost,
            self.repeated,
            self.invented,
            self.took.as_secs_f64(),
        )?;
        self.example.iter().try_for_each(|event| write!(f, "; for one: {event}"))
    }
}

/// Loads, kills and restarts as planned, then reads everything back.
///
/// # Errors
/// When the server does not start, refuses an event, or cannot be read.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let home = Home::new(&plan.binary)?;
    let mut senders: Vec<_> = (0..plan.connections).map(Sender::new).collect();
    let mut outcome = Outcome::default();
    for number in 0..plan.kills {
        let mut product = home.start().with_context(|| format!("start {number}"))?;
        let in_flight = live_and_die(&mut product, &mut senders, plan.moment_max)?;
        outcome.kills += 1;
        outcome.kills_in_flight += usize::from(in_flight > 0);
    }
    let product = home.start().context("the last start")?;
    for sender in &mut senders {
        sender.finish(product.public)?;
    }
    outcome.resent = senders.iter().map(|sender| sender.resent).sum();
    let mut expected = Counts::new();
    for sender in senders {
        expected.extend(sender.acknowledged);
    }
    let pages = product.list_pages()?.into_iter();
    let mut found: Counts = pages.map(|(path, views)| (rows::view(&path), views)).collect();
    product.stop(&home)?;
    found.extend(rows::count(&home.data().join("insight.db"))?);
    compare(&expected, &found, &mut outcome);
    outcome.took = begun.elapsed();
    Ok(outcome)
}

/// One life of the server; the number of requests that its death left unanswered.
fn live_and_die(
    product: &mut Product,
    senders: &mut [Sender],
    moment_max: Duration,
) -> anyhow::Result<usize> {
    let acknowledged = AtomicU64::new(0);
    let public = product.public;
    let moment = random_part(moment_max)?;
    std::thread::scope(|scope| {
        let sending: Vec<_> = senders
            .iter_mut()
            .map(|sender| scope.spawn(|| sender.send_until_cut(public, &acknowledged)))
            .collect();
        let first = retry(FIRST_PATIENCE, LOOK_EVERY, || {
            ensure!(acknowledged.load(Ordering::Relaxed) > 0, "nothing is acknowledged");
            Ok(())
        });
        pause(moment);
        // In any case, or the senders would never end.
        let status = product.server.kill();
        let mut in_flight = 0;
        for thread in sending {
            let Ok(ended) = thread.join() else { bail!("a sender panicked") };
            in_flight += usize::from(ended? == Ended::Unanswered);
        }
        first?;
        let status = status.context("how the server ended is not known")?;
        // One that had the time to end in order, or had crashed before, proves nothing.
        ensure!(status.signal() == Some(SIGKILL), "the server was not killed: {status}");
        Ok(in_flight)
    })
}

fn compare(expected: &Counts, found: &Counts, outcome: &mut Outcome) {
    outcome.acknowledged = expected.values().sum();
    for (event, sent) in expected {
        let stored = found.get(event).copied().unwrap_or(0);
        outcome.lost += sent.saturating_sub(stored);
        outcome.repeated += stored.saturating_sub(*sent);
        if stored != *sent {
            outcome.example = Some(event.clone());
        }
    }
    for event in found.keys().filter(|event| !expected.contains_key(*event)) {
        outcome.invented += 1;
        outcome.example = Some(event.clone());
    }
}

fn random_part(of: Duration) -> anyhow::Result<Duration> {
    let share = f64::from(u32::from_ne_bytes(Entropy::System.bytes()?)) / f64::from(u32::MAX);
    Ok(of.mul_f64(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        rows.iter().map(|(event, count)| ((*event).to_owned(), *count)).collect()
    }

    fn outcome(expected: &[(&str, u64)], found: &[(&str, u64)]) -> Outcome {
        let mut outcome = Outcome { kills: 10, kills_in_flight: 8, ..Outcome::default() };
        compare(&counts(expected), &counts(found), &mut outcome);
        outcome
    }

    #[test]
    fn what_is_lost_repeated_or_invented_is_seen() {
        let sent = [("/a", 3), ("/b", 1)];
        assert!(outcome(&sent, &sent).verdict().is_ok());
        for (found, counts) in [
            (vec![("/a", 2), ("/b", 1)], (1, 0, 0)),
            (vec![("/a", 3)], (1, 0, 0)),
            (vec![("/a", 3), ("/b", 2)], (0, 1, 0)),
            // One lost and one twice do not make up for each other.
            (vec![("/a", 2), ("/b", 2)], (1, 1, 0)),
            (vec![("/a", 3), ("/b", 1), ("/c", 1)], (0, 0, 1)),
        ] {
            let outcome = outcome(&sent, &found);
            assert_eq!((outcome.lost, outcome.repeated, outcome.invented), counts);
            assert!(outcome.verdict().is_err(), "{outcome}");
            assert!(outcome.to_string().contains("for one: /"), "{outcome}");
        }
    }

    #[test]
    fn kills_between_requests_prove_nothing() {
        let mut outcome = outcome(&[("/a", 1)], &[("/a", 1)]);
        outcome.kills_in_flight = 7;
        assert!(outcome.verdict().is_err());
    }
}
