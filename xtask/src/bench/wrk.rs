//! Load as fast as it is answered (closed loop), by Debian's `wrk`. Tells throughput and counts; its latencies are not used.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::running::LOAD_CORE;
use super::{cost, prepare};
use crate::server::{Place, placed};

const REPORT: &str = include_str!("../../bench/report.lua");
/// Connections for ordinary answers.
pub(super) const CONNECTIONS: usize = 64;

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Load<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    pub(super) headers: &'a [String],
    pub(super) connections: usize,
    pub(super) seconds: u64,
    /// Further Lua, for requests that differ.
    pub(super) script: &'a str,
    /// What is still to be done after the last answer belongs to the cost.
    pub(super) settle: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    /// Answers with a status of 400 or more.
    pub(super) refused: u64,
    /// Processor time of the server's process tree per request, in microseconds.
    pub(super) cpu_us: f64,
    /// Cores the server kept busy; well under 1 means that the generator was the limit.
    pub(super) cores: f64,
}

#[derive(Debug, Deserialize)]
struct Report {
    requests: u64,
    micros: u64,
    refused: u64,
    socket_errors: u64,
}

/// Puts the load on and measures what it costs the process trees `roots`.
///
/// # Errors
/// When wrk cannot be run, or connections broke.
pub(super) fn run(load: &Load<'_>, roots: &[u32], dir: &Path) -> anyhow::Result<Round> {
    let script = dir.join("load.lua");
    std::fs::write(&script, format!("{}\n{REPORT}", load.script)).context("writing load.lua")?;
    let mut program = vec![prepare::find("wrk")?.display().to_string()];
    program.extend(["-t", "1", "--timeout", "5s", "-s"].map(String::from));
    program.push(script.display().to_string());
    program.extend(["-c".into(), load.connections.to_string()]);
    program.extend(["-d".into(), format!("{}s", load.seconds)]);
    program.extend(load.headers.iter().flat_map(|header| ["-H".into(), header.clone()]));
    program.push(format!("http://{}{}", load.address, load.path));

    let (before, begun) = (cost::processor_time(roots), Instant::now());
    let place = Place { core: Some(LOAD_CORE), is_real_time: false };
    let ran = placed(&program, place).output().context("wrk cannot be run")?;
    let took = begun.elapsed();
    crate::server::pause(load.settle);
    let spent = cost::processor_time(roots).saturating_sub(before);

    let text = String::from_utf8_lossy(&ran.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("REPORT "));
    let line =
        line.with_context(|| format!("wrk: {text}{}", String::from_utf8_lossy(&ran.stderr)))?;
    let report: Report = serde_json::from_str(line).context("wrk's report")?;
    if report.socket_errors > 0 || report.requests == 0 {
        bail!(
            "{}: {} connections broke, {} answers",
            load.path,
            report.socket_errors,
            report.requests
        );
    }
    Ok(Round {
        requests: report.requests,
        per_second: report.requests as f64 / (report.micros as f64 / 1e6),
        refused: report.refused,
        cpu_us: spent.as_secs_f64() * 1e6 / report.requests as f64,
        cores: spent.as_secs_f64() / took.as_secs_f64(),
    })
}
