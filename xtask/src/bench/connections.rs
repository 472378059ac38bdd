//! Rows about connections that wait: memory of each, of 5 000 that were answered once, and whether all of them still live.

use std::io::{Read, Write};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ours::Task;
use super::running::Running;
use super::table::{Bar, Row};
use super::tls::{self, Pair};
use super::{Bench, cost};
use crate::server::pause;
use crate::wire;

const CONNECTIONS: usize = 5_000;
/// Connections before the first look, one after the other: what a server sets up once is not any connection's.
const WARM_UP: usize = 200;
/// Files this program has open besides.
const OTHER_FILES: u64 = 100;
const REST: Duration = Duration::from_secs(4);
const PAGE: &str = "/index.html";
const KILOBYTE: f64 = 1024.0;

/// What came of it.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Growth of the process tree's RSS, in KB for each connection.
    each: f64,
    /// Connections that answered a second request.
    alive: usize,
}

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (plain, secure) = (wanted("connection-plain"), wanted("connection-tls"));
    if !plain && !secure {
        return Ok(());
    }
    allow_files(CONNECTIONS as u64 + OTHER_FILES)?;
    if plain {
        let held = hold_plain(bench).context("connection-plain")?;
        add(row("connection-plain", "RSS per idle connection, KB", 4.0, held))?;
    }
    if secure {
        let pair = Pair::write(&bench.dir)?;
        let held = hold_secure(bench, &pair).context("connection-tls")?;
        add(row("connection-tls", "RSS per idle TLS connection, KB", 24.0, held))?;
    }
    Ok(())
}

fn row(name: &'static str, what: &'static str, bar: f64, held: Held) -> Row {
    Row {
        name,
        what,
        bar: Bar::AtMost(bar),
        // A connection that was dropped costs nothing: no bar is met with fewer.
        value: if held.alive == CONNECTIONS { held.each } else { f64::NAN },
        detail: format!("{} of {CONNECTIONS} alive", held.alive),
    }
}

fn hold_plain(bench: &Bench) -> anyhow::Result<Held> {
    let ours = start(bench, &Task::site(&bench.site), "plain")?;
    hold(&ours, || Ok(wire::connect(ours.address)?))
}

fn hold_secure(bench: &Bench, pair: &Pair) -> anyhow::Result<Held> {
    let ours = start(bench, &Task::site(&bench.site).over_tls(pair), "tls")?;
    let client = tls::client(&pair.cert)?;
    hold(&ours, || tls::open(ours.address, &client))
}

fn start(bench: &Bench, task: &Task<'_>, kind: &str) -> anyhow::Result<Running> {
    let data = bench.dir.join(format!("connections-{kind}"));
    bench.ours.start(task, &data, PAGE).context("ours")
}

fn hold<Stream: Read + Write>(
    ours: &Running,
    open: impl Fn() -> anyhow::Result<Stream>,
) -> anyhow::Result<Held> {
    let request = wire::request("GET", PAGE, &[format!("Host: {}", ours.address)], "");
    let asked = || {
        let mut stream = open()?;
        let status = wire::exchange(&mut stream, &request)?;
        ensure!(status == 200, "{PAGE} answered {status}");
        anyhow::Ok(stream)
    };
    for _ in 0..WARM_UP {
        drop(asked()?);
    }
    pause(REST);
    let roots = [ours.server.pid()];
    let before = cost::memory(&roots).rss;
    let mut held =
        (0..CONNECTIONS).map(|_| asked()).collect::<anyhow::Result<Vec<_>>>().context("opening")?;
    pause(REST);
    let grown = cost::memory(&roots).rss.saturating_sub(before);
    let answers =
        |stream: &mut Stream| wire::exchange(stream, &request).is_ok_and(|status| status == 200);
    let alive = held.iter_mut().map(answers).filter(|alive| *alive).count();
    Ok(Held { each: grown as f64 / KILOBYTE / CONNECTIONS as f64, alive })
}

/// Lets this program have that many files open.
fn allow_files(count: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= count),
        "needs {count} open files: raise the hard limit (ulimit -Hn)"
    );
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: limit.maximum })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_connections_meet_no_bar() {
        let held = |alive| Held { each: 1.0, alive };
        let all = row("a", "b", 4.0, held(CONNECTIONS));
        assert!(all.is_met(), "{all:?}");
        let some = row("a", "b", 4.0, held(CONNECTIONS - 1));
        assert!(!some.is_met(), "{some:?}");
    }
}
