//! Two servers, one load, in turn: what one asks of the other's figures. Starts neither.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::running::Running;
use super::wrk::{self, Round};
use super::{Bench, median, open_loop};
use crate::wire;

/// What one side is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) path: &'static str,
    pub(super) headers: Vec<String>,
}

/// A question to both sides.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) ours: Ask,
    pub(super) peer: Ask,
    /// The status that both have to answer.
    pub(super) status: u16,
    pub(super) connections: usize,
}

/// Ratios ours/peer, medians over the rounds, and the medians behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) cpu: f64,
    pub(super) throughput: f64,
    pub(super) ours_us: f64,
    pub(super) peer_us: f64,
    pub(super) ours_per_second: f64,
    pub(super) peer_per_second: f64,
    pub(super) ours_cores: f64,
    pub(super) peer_cores: f64,
}

/// Asks both as fast as they answer.
pub(super) fn closed(
    bench: &Bench,
    question: &Question,
    ours: &Running,
    peer: &Running,
) -> anyhow::Result<Closed> {
    let (mut our_rounds, mut peer_rounds) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        peer_rounds.push(round(bench, question, &question.peer, peer).context("the peer")?);
        our_rounds.push(round(bench, question, &question.ours, ours).context("ours")?);
    }
    Ok(compare(&our_rounds, &peer_rounds))
}

/// Compares rounds that were measured in turn.
pub(super) fn compare(ours: &[Round], peer: &[Round]) -> Closed {
    let ratios = |of: fn(&Round) -> f64| {
        median(ours.iter().zip(peer).map(|(ours, peer)| of(ours) / of(peer)).collect())
    };
    let middle = |rounds: &[Round], of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
    Closed {
        cpu: ratios(|round| round.cpu_us),
        throughput: ratios(|round| round.per_second),
        ours_us: middle(ours, |round| round.cpu_us),
        peer_us: middle(peer, |round| round.cpu_us),
        ours_per_second: middle(ours, |round| round.per_second),
        peer_per_second: middle(peer, |round| round.per_second),
        ours_cores: middle(ours, |round| round.cores),
        peer_cores: middle(peer, |round| round.cores),
    }
}

impl Closed {
    /// The figures behind the ratios.
    pub(super) fn detail(&self, peer: &str) -> String {
        format!(
            "{:.1} µs and {:.0}/s ({:.2} cores), {peer} {:.1} µs and {:.0}/s ({:.2})",
            self.ours_us,
            self.ours_per_second,
            self.ours_cores,
            self.peer_us,
            self.peer_per_second,
            self.peer_cores,
        )
    }
}

/// Asks one side as fast as it answers.
pub(super) fn round(
    bench: &Bench,
    question: &Question,
    ask: &Ask,
    side: &Running,
) -> anyhow::Result<Round> {
    let answer = wire::fetch(side.address, "GET", ask.path, &ask.headers)?;
    let status = answer.head.status;
    ensure!(status == question.status, "{} answered {status}", ask.path);
    if ask.headers.iter().any(|header| header.starts_with("Accept-Encoding")) {
        let coding = answer.header("content-encoding");
        ensure!(coding == Some("gzip"), "{} came as {coding:?}", ask.path);
    }
    let load = wrk::Load {
        address: side.address,
        path: ask.path,
        headers: &ask.headers,
        connections: question.connections,
        seconds: u64::from(bench.seconds),
        script: "",
        settle: Duration::ZERO,
    };
    let round = wrk::run(&load, &[side.server.pid()], &bench.dir)?;
    let expected = if question.status >= 400 { round.requests } else { 0 };
    ensure!(round.refused == expected, "{} of {} refused", round.refused, round.requests);
    Ok(round)
}

/// Asks both at a fixed rate; the ratio of the 99th percentiles, and their medians in microseconds.
pub(super) fn open(
    bench: &Bench,
    path: &str,
    ours: &Running,
    peer: &Running,
) -> anyhow::Result<(f64, f64, f64)> {
    let (mut our_p99, mut peer_p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        for (side, taken) in [(peer, &mut peer_p99), (ours, &mut our_p99)] {
            let load = open_loop::Load {
                address: side.address,
                rate: super::files::RATE,
                seconds: bench.seconds,
                connections: 32,
                request: open_loop::Request::Get { path: path.to_owned() },
            };
            taken.push(open_loop::measure(&load, &[side.server.pid()])?.p99);
        }
    }
    let ratio = median(our_p99.iter().zip(&peer_p99).map(|(ours, peer)| ours / peer).collect());
    Ok((ratio, median(our_p99), median(peer_p99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_rounds_that_stood_side_by_side() {
        let round =
            |cpu_us, per_second| Round { requests: 1, per_second, refused: 0, cpu_us, cores: 1.0 };
        // The machine became twice as slow in the second round: no ratio may show it.
        let ours = [round(10.0, 100.0), round(20.0, 50.0), round(12.0, 80.0)];
        let peer = [round(5.0, 200.0), round(10.0, 100.0), round(4.0, 160.0)];
        let closed = compare(&ours, &peer);
        assert!((closed.cpu - 2.0).abs() < f64::EPSILON, "{closed:?}");
        assert!((closed.throughput - 0.5).abs() < f64::EPSILON, "{closed:?}");
        assert!((closed.ours_us - 12.0).abs() < f64::EPSILON, "{closed:?}");
        assert!((closed.peer_us - 5.0).abs() < f64::EPSILON, "{closed:?}");
    }
}
