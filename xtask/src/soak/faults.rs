//! Servers of the database are killed, stopped, cut off and promoted while requests come at a steady rate, and those of Redis
//! killed, stopped and cut off. Afterwards no read has failed because of a replica or of Redis, and every acknowledged event is in the
//! database, once.
//!
//! Half of the requests are reads of the API and a quarter are events; the rest are pages. Where Redis is struck, two more
//! processes use it all the while. Each cell has servers and a product of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

mod fault;
mod outcome;
mod seen;
mod sender;
mod servers;
mod shared;

pub use fault::{Blow, Fault, Struck};
pub use outcome::{Cell, Outcome};
pub use shared::Used;

use crate::server::{pause, retry};
use crate::soak::Done;
use crate::soak::product::{Home, Product};
use seen::Seen;
use sender::{Lane, Sent};
use servers::Servers;

/// Connections that send; so many requests may wait at a time.
const LANES: u64 = 48;
const REPLICAS: usize = 2;
/// How long a product may take to be well again.
const WELL: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How much is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub binary: PathBuf,
    /// Requests of each cell.
    pub requests: u64,
    /// Requests per second.
    pub rate: u64,
    /// The cells.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// The form that tests run: one fault of each kind.
    #[must_use]
    pub fn short(binary: PathBuf) -> Self {
        let database = Struck::Database;
        let faults = [
            (Blow::Kill, database(1)),
            (Blow::Stop, database(2)),
            (Blow::Cut, database(0)),
            (Blow::Promote, database(0)),
            (Blow::PromoteBehind, database(0)),
            (Blow::Return, database(0)),
            (Blow::Kill, Struck::RedisMaster),
            (Blow::Stop, Struck::Redis),
        ];
        let faults = faults.map(|(blow, struck)| Fault { blow, struck }).into();
        Self { binary, requests: 1_200, rate: 300, faults }
    }

    /// The form for a soak.
    #[must_use]
    pub fn long(binary: PathBuf) -> Self {
        Self { binary, requests: 20_000, rate: 300, faults: Fault::all() }
    }

    /// The cells whose names hold these words.
    #[must_use]
    pub fn only(mut self, words: &str) -> Self {
        self.faults.retain(|fault| fault.to_string().contains(words));
        self
    }

    /// So many requests per cell.
    #[must_use]
    pub fn requests(self, requests: u64) -> Self {
        Self { requests, ..self }
    }
}

/// Runs every cell.
///
/// # Errors
/// When a server does not start or is not well again in time.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    ensure!(!plan.faults.is_empty(), "no cell of the fault matrix has such a name");
    let mut outcome = Outcome::default();
    for fault in &plan.faults {
        let cell = run_cell(plan, *fault).with_context(|| fault.to_string())?;
        outcome.cells.push(cell);
    }
    Ok(outcome)
}

fn run_cell(plan: &Plan, fault: Fault) -> anyhow::Result<Cell> {
    let servers = Servers::start(fault);
    let home = Home::with(&plan.binary, servers.environment())?;
    let product = home.start()?;
    let (primary, well) = Servers::list_well(fault);
    wait_well(&product, &servers, &[0, 1, 2])?;
    wait_redis(&product, fault, "pass")?;
    let time = Duration::from_secs_f64(plan.requests as f64 / plan.rate as f64);
    let reads_before = Seen::of(&product, &servers)?.reads()?;
    let begun = Instant::now();
    let each = plan.requests.div_ceil(LANES);
    let gap = Duration::from_secs_f64(LANES as f64 / plan.rate as f64);
    let (is_done, redis) = (&AtomicBool::new(false), servers.redis_addresses());
    let (sent, recovered, lacked, used) = std::thread::scope(|scope| {
        let (product, done) = (&product, Done(is_done));
        let using = redis.as_ref();
        let using = using.map(|nodes| scope.spawn(move || shared::use_until(nodes, is_done)));
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let first = begun + gap.mul_f64(lane as f64 / LANES as f64);
                scope.spawn(move || Lane::new(product, lane).send(first, gap, each))
            })
            .collect();
        pause_until(begun + time / 4);
        let looked_at = servers.looked_at();
        let mend = servers.strike(fault);
        // Watched from the first moment: of a lost master nothing is to be seen any more once a replica stands in. A blow
        // that nobody notices proves nothing.
        let noticed = wait_noticed(product, &servers, fault, looked_at);
        // A third of the time it is away: longer than any time-out of ours in the long form.
        pause_until(begun + time * 7 / 12);
        let lacked = (fault.blow == Blow::PromoteBehind).then(|| servers.count_lacking(1));
        mend();
        let mended = Instant::now();
        let recovered = wait_well(product, &servers, &well)
            .and_then(|()| wait_found_out(product, &servers, fault))
            .and_then(|()| wait_redis(product, fault, "pass"))
            .map(|()| mended.elapsed());
        let mut sent = Sent::default();
        for lane in lanes {
            sent.add(lane.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
        }
        noticed?;
        let recovered = recovered?;
        drop(done);
        let used = using.map(|using| {
            using.join().map_err(|_| anyhow::anyhow!("who uses Redis panicked")).flatten()
        });
        anyhow::Ok((sent, recovered, lacked, used.transpose()?))
    })?;
    wait_well(&product, &servers, &well)?;
    wait_confirmed(&product, &servers)?;
    let seen = Seen::of(&product, &servers)?;
    let answered_reads = seen.reads()? - reads_before;
    product.stop(&home)?;
    let mut cell = Cell {
        name: fault.to_string(),
        is_beside_reads: fault.is_beside_reads(),
        requests: sent.requests,
        failed: sent.failed,
        failed_reads: sent.failed_reads,
        acknowledged: sent.acknowledged.len() as u64,
        recovered,
        lacked,
        answered_reads: answered_reads as u64,
        used,
        words: sent.words,
        ..Cell::default()
    };
    let text = "SELECT path, count(*) FROM mainstay.page_views GROUP BY path";
    let found = servers.node(primary).query(&servers.database, text);
    let found: BTreeMap<&str, u64> = found
        .lines()
        .filter_map(|line| line.rsplit_once('|'))
        .filter_map(|(path, views)| Some((path, views.parse().ok()?)))
        .collect();
    let is_missing = |path: &&String| !found.contains_key(path.as_str());
    cell.missing = sent.acknowledged.iter().filter(is_missing).count() as u64;
    cell.twice = found.values().filter(|views| **views > 1).count() as u64;
    Ok(cell)
}

/// Until the product says that it has noticed the blow: the struck server is not asked, events wait for the primary, or
/// health warns of Redis. The server stays as it is until then, so that no blow is too short to be noticed; a master of
/// Redis alone may be replaced before anybody notices, which is as well.
fn wait_noticed(
    product: &Product,
    servers: &Servers,
    fault: Fault,
    looked_at: Option<SocketAddr>,
) -> anyhow::Result<()> {
    let Struck::Database(place) = fault.struck else {
        let master = looked_at.filter(|_| fault.struck == Struck::RedisMaster);
        return retry(WELL, LOOK_EVERY, || {
            let found = product.find_status("kv:redis")?;
            let is_replaced = || master.is_some_and(|master| servers.is_replaced(master));
            ensure!(found == "warn" || is_replaced(), "health says {found} of Redis, not warn");
            Ok(())
        });
    };
    retry(WELL, LOOK_EVERY, || {
        let seen = Seen::of(product, servers)?;
        let is_spooling = place == 0 && seen.spooled()? > 0.5;
        ensure!(is_spooling || !seen.is_asked(place)?, "nobody noticed what was done to {place}");
        Ok(())
    })
}

/// Until every one of these servers is asked again and nothing waits for the database.
fn wait_well(product: &Product, servers: &Servers, well: &[usize]) -> anyhow::Result<()> {
    retry(WELL, LOOK_EVERY, || {
        let seen = Seen::of(product, servers)?;
        for place in well {
            ensure!(seen.is_asked(*place)?, "server {place} is not asked");
        }
        ensure!(seen.spooled()? < 0.5, "events wait");
        Ok(())
    })
}

/// Until the standbys have every event, so that none is left to be written once more.
fn wait_confirmed(product: &Product, servers: &Servers) -> anyhow::Result<()> {
    retry(WELL, LOOK_EVERY, || {
        ensure!(Seen::of(product, servers)?.unconfirmed()? < 0.5, "the primary alone has events");
        Ok(())
    })
}

/// Until one that was replaced and came back is known to take changes of a history that is over. It may have been taken for the
/// primary until then.
fn wait_found_out(product: &Product, servers: &Servers, fault: Fault) -> anyhow::Result<()> {
    if fault.blow != Blow::Return {
        return Ok(());
    }
    retry(WELL, LOOK_EVERY, || {
        let role = product.find_role(servers.networks[0].address())?;
        ensure!(role == "stale", "who was replaced and came back is {role}");
        Ok(())
    })
}

/// Until health says this of Redis, where it is used.
fn wait_redis(product: &Product, fault: Fault, status: &str) -> anyhow::Result<()> {
    if !fault.is_of_redis() {
        return Ok(());
    }
    retry(WELL, LOOK_EVERY, || {
        let found = product.find_status("kv:redis")?;
        ensure!(found == status, "health says {found} of Redis, not {status}");
        Ok(())
    })
}

fn pause_until(at: Instant) {
    pause(at.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_nobody_knows_is_no_success() {
        let plan = Plan::short("mainstay".into()).only("SIGTYPO");
        assert!(run(&plan).is_err());
    }
}
