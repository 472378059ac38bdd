//! Rows about the product alone: memory at rest, time from start to first byte, size of the binary.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::ours::Task;
use super::table::{Bar, Row};
use super::{Bench, cost, median, wrk};
use crate::server::pause;

const STARTS: usize = 5;
const REST: Duration = Duration::from_secs(5);
const MEGABYTE: f64 = 1024.0 * 1024.0;

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if wanted("idle") {
        add(measure_idle(bench).context("idle")?)?;
    }
    if wanted("start") {
        add(measure_start(bench).context("start")?)?;
    }
    if let Some(binary) = bench.ours.binary().filter(|_| wanted("binary")) {
        add(measure_binary(binary).context("binary")?)?;
    }
    Ok(())
}

/// At rest, but not fresh: buffers and caches that a first load leaves behind count.
fn measure_idle(bench: &Bench) -> anyhow::Result<Row> {
    let ours = bench.ours.start(&Task::site(&bench.site), &bench.dir.join("idle"), "/1k.txt")?;
    pause(REST);
    let fresh = cost::memory(&[ours.server.pid()]);
    for path in ["/1k.txt", "/index.html", "/100k.bin"] {
        load(bench, ours.address, path, ours.server.pid())?;
    }
    pause(REST);
    let rested = cost::memory(&[ours.server.pid()]);
    let [fresh_pss, fresh_rss, pss, rss] =
        [fresh.pss, fresh.rss, rested.pss, rested.rss].map(|bytes| bytes as f64 / MEGABYTE);
    Ok(Row {
        name: "idle",
        what: "RSS after load and 5 s of rest, MB",
        bar: Bar::AtMost(60.0),
        value: rss,
        detail: format!("PSS {pss:.1}; before the load RSS {fresh_rss:.1}, PSS {fresh_pss:.1}"),
    })
}

fn load(bench: &Bench, address: SocketAddr, path: &str, pid: u32) -> anyhow::Result<()> {
    let load = wrk::Load {
        address,
        path,
        headers: &[],
        connections: wrk::CONNECTIONS,
        seconds: u64::from(bench.seconds),
        script: "",
        settle: Duration::ZERO,
    };
    wrk::run(&load, &[pid], &bench.dir)?;
    Ok(())
}

/// Each start makes its own data dir and databases: the slowest kind of start.
fn measure_start(bench: &Bench) -> anyhow::Result<Row> {
    let mut taken = Vec::new();
    for number in 0..STARTS {
        let data = bench.dir.join(format!("start-{number}"));
        let begun = Instant::now();
        let _ours = bench.ours.start(&Task::site(&bench.site), &data, "/index.html")?;
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let worst = taken.iter().copied().fold(f64::NAN, f64::max);
    Ok(Row {
        name: "start",
        what: "start to first byte, empty data dir, ms",
        bar: Bar::AtMost(300.0),
        value: median(taken),
        detail: format!("median of {STARTS}, worst {worst:.0}"),
    })
}

fn measure_binary(binary: &Path) -> anyhow::Result<Row> {
    let bytes = std::fs::metadata(binary)?.len();
    Ok(Row {
        name: "binary",
        what: "stripped release binary, MB",
        bar: Bar::AtMost(40.0),
        value: bytes as f64 / MEGABYTE,
        detail: format!("{bytes} bytes"),
    })
}
