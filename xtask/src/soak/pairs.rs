//! Events are written through one process and read, with the token of the write, through it and another, while one replica
//! replays two seconds late. Nobody with a token sees the past; sessions without one stay on the replicas.

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use mainstay_testkit::{Postgres, moved_clock};

use super::Done;
use super::product::{Home, Product};
use crate::wire;

/// How late one of the replicas is.
const LATE: Duration = Duration::from_secs(2);
/// Time for the replicas to have what was there before.
const WELL: Duration = Duration::from_secs(60);
/// The header that carries a token.
const TOKEN: &str = "x-mainstay-token";
const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
/// The one page that is viewed and asked for.
const READ: &str = "/api/v1/pages?bots=include&limit=1";
/// Of the reads without a token, so many in a hundred stay on replicas.
const ON_REPLICAS: u64 = 95;
/// Who answers a read where no replica may or can.
const ELSEWHERE: [&str; 3] = ["single", "latest", "no_replica"];

/// How much is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub binary: PathBuf,
    /// Writes, each with a read after it.
    pub pairs: u64,
    /// By how many seconds the two processes' clocks are wrong.
    pub clocks: [i64; 2],
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Writes, each with a read after it.
    pub pairs: u64,
    /// Reads with a token that did not see its write.
    pub stale: u64,
    /// Reads without a token.
    pub others: u64,
    /// Of those, reads that saw less than was written before them: how late the replicas are.
    pub behind: u64,
    /// Reads that no replica answered although no token asked for that; those of the product itself included.
    pub elsewhere: u64,
    /// How long it took.
    pub took: Duration,
}

impl Plan {
    /// The form that tests run.
    #[must_use]
    pub fn short(binary: PathBuf) -> Self {
        Self { binary, pairs: 200, clocks: [0, 0] }
    }

    /// The writer's clock is five minutes behind, and the second reader's five ahead.
    #[must_use]
    pub fn wrong_clocks(self) -> Self {
        Self { clocks: [-300, 300], ..self }
    }

    /// The form for a soak.
    #[must_use]
    pub fn long(binary: PathBuf) -> Self {
        Self { binary, pairs: 10_000, clocks: [0, 0] }
    }
}

impl Outcome {
    /// Whether the promises were kept, and whether a late replica tested them.
    ///
    /// # Errors
    /// When one was not.
    pub fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.stale == 0, "reads with a token saw the past: {self}");
        ensure!(self.pairs > 0 && self.behind > 0, "no replica was late: {self}");
        let on_replicas = self.others.saturating_sub(self.elsewhere);
        ensure!(on_replicas * 100 >= self.others * ON_REPLICAS, "too few on replicas: {self}");
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.others.saturating_sub(self.elsewhere) as f64 / self.others as f64;
        write!(
            f,
            "{} writes, each read with its token, {} stale; {} reads without, {share:.1} % on replicas, {} of them behind; {:.1} s",
            self.pairs,
            self.stale,
            self.others,
            self.behind,
            self.took.as_secs_f64(),
        )
    }
}

/// Writes and reads as planned.
///
/// # Errors
/// When a server does not start, or a request is not answered as it should be.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let servers = Postgres::launch().replicas(2).start();
    let database = servers.create_database();
    servers.wait_replicated(WELL);
    let homes = plan.clocks.map(|moved| {
        let mut environment = environment(&servers, &database);
        if moved != 0 {
            environment.extend(moved_clock(moved));
        }
        Home::with(&plan.binary, environment)
    });
    let [one, two] = homes;
    let (one, two) = (one?, two?);
    let products = [one.start()?, two.start()?];
    servers.wait_replicated(WELL);
    servers.replicas()[0].set_apply_delay(LATE);
    let before = count_elsewhere(&products)?;
    let done = AtomicBool::new(false);
    let mut outcome = std::thread::scope(|scope| {
        let others: Vec<_> = products
            .iter()
            .map(|product| scope.spawn(|| read_until(product.admin(), &done)))
            .collect();
        // The readers end with the writes, however those end.
        let ending = Done(&done);
        let written = write_and_read(&products, plan.pairs);
        drop(ending);
        let mut outcome = written?;
        for reads in others {
            let reads = reads.join().map_err(|_| anyhow::anyhow!("a reader panicked"))??;
            outcome.others += reads;
        }
        anyhow::Ok(outcome)
    })?;
    outcome.others += outcome.pairs;
    outcome.elsewhere = count_elsewhere(&products)? - before;
    let [first, second] = products;
    first.stop(&one)?;
    second.stop(&two)?;
    outcome.took = begun.elapsed();
    Ok(outcome)
}

/// Each write through the first, its read through either; after it the same read without the token.
fn write_and_read(products: &[Product; 2], pairs: u64) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome { pairs, ..Outcome::default() };
    let mut writing = wire::connect(products[0].public)?;
    let mut reading = [wire::connect(products[0].admin())?, wire::connect(products[1].admin())?];
    for n in 1..=pairs {
        let token = write(&mut writing, products[0].public, n)?;
        let which = usize::from(n % 2 == 0);
        let admin = products[which].admin();
        let seen = read(&mut reading[which], admin, Some(&token))?;
        outcome.stale += u64::from(seen < n);
        outcome.behind += u64::from(read(&mut reading[which], admin, None)? < n);
    }
    Ok(outcome)
}

/// Reads without a token, one after the other.
fn read_until(admin: SocketAddr, done: &AtomicBool) -> anyhow::Result<u64> {
    let (mut stream, mut reads) = (wire::connect(admin)?, 0);
    while !done.load(Ordering::Relaxed) {
        read(&mut stream, admin, None)?;
        reads += 1;
    }
    Ok(reads)
}

/// The token of one page view.
fn write(stream: &mut TcpStream, public: SocketAddr, n: u64) -> anyhow::Result<String> {
    let body = format!(
        "{{\"v\":1,\"site\":\"default\",\"page\":\"p{n:020x}\",\"url\":\"http://127.0.0.1/pair\",\"w\":1280,\
         \"events\":[{{\"id\":\"e{n:020x}\",\"type\":\"pageview\",\"t\":0}}]}}"
    );
    let headers =
        [format!("Host: {public}"), AGENT.into(), "Content-Type: application/json".into()];
    let answer = wire::ask(stream, &wire::request("POST", "/_mainstay/events", &headers, &body))?;
    ensure!(answer.head.status == 204, "an event was answered {}", answer.head.status);
    Ok(answer.header(TOKEN).context("an answer without a token")?.to_owned())
}

/// How many views of the page are seen.
fn read(stream: &mut TcpStream, admin: SocketAddr, token: Option<&str>) -> anyhow::Result<u64> {
    let mut headers = vec![format!("Host: {admin}"), Product::authorization()];
    headers.extend(token.map(|token| format!("{TOKEN}: {token}")));
    let answer = wire::ask(stream, &wire::request("GET", READ, &headers, ""))?;
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.head.status == 200, "a read was answered {}: {text}", answer.head.status);
    let list: serde_json::Value = serde_json::from_str(&text)?;
    Ok(list["data"][0]["pageviews"].as_u64().unwrap_or(0))
}

fn count_elsewhere(products: &[Product; 2]) -> anyhow::Result<u64> {
    let mut count = 0.0;
    for product in products {
        let metrics = product.metrics()?;
        let series =
            ELSEWHERE.map(|who| format!("mainstay_database_reads_total{{answered_by=\"{who}\"}} "));
        let values = metrics.lines().filter_map(|line| {
            series.iter().find_map(|series| line.strip_prefix(series.as_str())?.parse::<f64>().ok())
        });
        count += values.sum::<f64>();
    }
    Ok(count as u64)
}

fn environment(servers: &Postgres, database: &str) -> Vec<(String, String)> {
    let replicas = servers.replicas().iter().enumerate().map(|(number, replica)| {
        (format!("DATABASE_REPLICA_{}_URL", number + 1), replica.url(database))
    });
    let primary = ("DATABASE_PRIMARY_URL".to_owned(), servers.primary().url(database));
    std::iter::once(primary).chain(replicas).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_broken_promise_is_seen() {
        let well =
            Outcome { pairs: 100, others: 1_000, behind: 40, elsewhere: 50, ..Outcome::default() };
        assert!(well.verdict().is_ok());
        for broken in [
            Outcome { stale: 1, ..well.clone() },
            Outcome { behind: 0, ..well.clone() },
            Outcome { elsewhere: 51, ..well.clone() },
            Outcome { pairs: 0, ..well },
        ] {
            assert!(broken.verdict().is_err(), "{broken}");
        }
    }
}
