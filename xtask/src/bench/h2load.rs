//! HTTP/2 over TLS 1.3 as fast as it is answered (closed loop), by Debian's `h2load`. Tells throughput and counts.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, ensure};

use super::running::LOAD_CORE;
use super::wrk::Round;
use super::{cost, prepare};
use crate::server::{Place, placed};

const CLIENTS: u32 = 32;
/// Requests in flight on each connection.
const STREAMS: u32 = 10;
/// The same for every side, which otherwise may choose by their own taste. What h2load prints when it was agreed on.
const AGREED: [&str; 4] = [
    "TLS Protocol: TLSv1.3",
    "Cipher: TLS_AES_128_GCM_SHA256",
    "Server Temp Key: X25519 253 bits",
    "Application protocol: h2",
];

/// What h2load counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Report {
    /// Answers with a status of 2xx. The requests that h2load calls succeeded lack those that were being answered when
    /// the time was over, and a slow server has done a good part of its work for them.
    answers: u64,
    per_second: f64,
}

/// Asks for `path` for `seconds` and measures what it costs the process tree `root`.
///
/// # Errors
/// When h2load cannot be run, something else was negotiated, or an answer is missing.
pub(super) fn run(
    address: SocketAddr,
    path: &str,
    seconds: u32,
    root: u32,
) -> anyhow::Result<Round> {
    let program = [
        prepare::find("h2load")?.display().to_string(),
        format!("--clients={CLIENTS}"),
        format!("--max-concurrent-streams={STREAMS}"),
        "--threads=1".into(),
        format!("--duration={seconds}"),
        "--npn-list=h2".into(),
        "--tls13-ciphers=TLS_AES_128_GCM_SHA256".into(),
        "--groups=X25519".into(),
        format!("https://{address}{path}"),
    ];
    let (before, begun) = (cost::processor_time(&[root]), Instant::now());
    let place = Place { core: Some(LOAD_CORE), is_real_time: false };
    let ran = placed(&program, place).output().context("h2load cannot be run")?;
    let took = begun.elapsed();
    let spent = cost::processor_time(&[root]).saturating_sub(before);
    let text = String::from_utf8_lossy(&ran.stdout);
    let report = parse(&text)
        .with_context(|| format!("h2load: {text}{}", String::from_utf8_lossy(&ran.stderr)))?;
    Ok(Round {
        requests: report.answers,
        per_second: report.per_second,
        refused: 0,
        cpu_us: spent.as_secs_f64() * 1e6 / report.answers as f64,
        cores: spent.as_secs_f64() / took.as_secs_f64(),
    })
}

fn parse(text: &str) -> anyhow::Result<Report> {
    for agreed in AGREED {
        ensure!(text.lines().any(|line| line == agreed), "not agreed on: {agreed}");
    }
    let requests = counts(text, "requests:")?;
    let codes = counts(text, "status codes:")?;
    let count = |counts: &[(u64, &str)], name: &str| {
        counts.iter().find(|(_, of)| *of == name).map(|(count, _)| *count).context(name.to_owned())
    };
    for broken in ["failed", "errored", "timeout"] {
        ensure!(count(&requests, broken)? == 0, "requests {broken}");
    }
    for other in ["3xx", "4xx", "5xx"] {
        ensure!(count(&codes, other)? == 0, "answers {other}");
    }
    let answers = count(&codes, "2xx")?;
    ensure!(answers > 0, "no answer");
    let finished = text.lines().find(|line| line.starts_with("finished in "));
    let rate = finished.and_then(|line| line.split(", ").nth(1)?.strip_suffix(" req/s"));
    let per_second = rate.and_then(|rate| rate.parse().ok()).context("no rate")?;
    Ok(Report { answers, per_second })
}

/// A line of `name 12 of this, 3 of that`.
fn counts<'a>(text: &'a str, name: &str) -> anyhow::Result<Vec<(u64, &'a str)>> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("no line of {name}"))?;
    let counted = line.split(',').filter_map(|part| part.trim().split_once(' '));
    Ok(counted.filter_map(|(count, of)| Some((count.parse().ok()?, of))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Main benchmark duration is started for thread #0.
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2

finished in 1.01s, 5066.50 req/s, 49.28MB/s
requests: 5066 total, 5386 started, 5066 done, 5066 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 5281 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 49.28MB (51677088) total, 44.79KB (45864) headers (space savings 95.28%), 49.10MB (51490000) data
";

    #[test]
    fn answers_and_their_rate_are_read() -> anyhow::Result<()> {
        assert_eq!(parse(SAID)?, Report { answers: 5281, per_second: 5066.5 });
        Ok(())
    }

    #[test]
    fn a_load_that_was_not_carried_through_is_no_figure() {
        for (said, instead) in [
            ("0 failed", "1 failed"),
            ("0 errored", "3 errored"),
            ("0 timeout", "2 timeout"),
            ("0 5xx", "5281 5xx"),
            ("5281 2xx", "0 2xx"),
            ("protocol: h2", "protocol: http/1.1"),
            ("TLSv1.3", "TLSv1.2"),
            ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384"),
        ] {
            assert!(parse(&SAID.replace(said, instead)).is_err(), "{instead}");
        }
    }
}
