//! Two servers, one load, in turn: what one asks of the other's figures. Starts neither.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::running::Running;
use super::wrk::{self, Round};
use super::{Bench, open_loop};
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

/// The round whose ratio ours/peer is the middle one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) ratio: f64,
    pub(super) ours: Round,
    pub(super) peer: Round,
}

/// Asks both as fast as they answer, and compares one figure.
pub(super) fn closed(
    bench: &Bench,
    question: &Question,
    of: fn(&Round) -> f64,
    ours: &Running,
    peer: &Running,
) -> anyhow::Result<Closed> {
    let (mut our_rounds, mut peer_rounds) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        peer_rounds.push(round(bench, question, &question.peer, peer).context("the peer")?);
        our_rounds.push(round(bench, question, &question.ours, ours).context("ours")?);
    }
    Ok(compare(&our_rounds, &peer_rounds, of))
}

/// Compares one figure of rounds that were measured in turn.
pub(super) fn compare(ours: &[Round], peer: &[Round], of: fn(&Round) -> f64) -> Closed {
    let ratios: Vec<f64> = ours.iter().zip(peer).map(|(ours, peer)| of(ours) / of(peer)).collect();
    let place = middle(&ratios);
    Closed { ratio: ratios[place], ours: ours[place], peer: peer[place] }
}

/// The place of the middle one of an odd number: what is shown beside it is what it was made of.
pub(super) fn middle(ratios: &[f64]) -> usize {
    let mut places: Vec<usize> = (0..ratios.len()).collect();
    places.sort_by(|one, other| ratios[*one].total_cmp(&ratios[*other]));
    places.get(ratios.len() / 2).copied().unwrap_or(0)
}

impl Closed {
    /// The figures behind the ratio.
    pub(super) fn detail(&self, peer: &str) -> String {
        format!(
            "{:.1} µs and {:.0}/s ({:.2} cores), {peer} {:.1} µs and {:.0}/s ({:.2})",
            self.ours.cpu_us,
            self.ours.per_second,
            self.ours.cores,
            self.peer.cpu_us,
            self.peer.per_second,
            self.peer.cores,
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

/// Asks both at a fixed rate; the middle ratio of the 99th percentiles, and those it is of, in microseconds.
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
    let ratios: Vec<f64> = our_p99.iter().zip(&peer_p99).map(|(ours, peer)| ours / peer).collect();
    let place = middle(&ratios);
    Ok((ratios[place], our_p99[place], peer_p99[place]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu_us: f64, per_second: f64) -> Round {
        Round { requests: 1, per_second, refused: 0, cpu_us, cores: 1.0 }
    }

    #[test]
    fn ratios_are_of_rounds_that_stood_side_by_side() {
        // The machine became twice as slow in the second round: no ratio may show it.
        let ours = [round(10.0, 100.0), round(20.0, 50.0), round(12.0, 80.0)];
        let peer = [round(5.0, 200.0), round(10.0, 100.0), round(4.0, 160.0)];
        let cpu = compare(&ours, &peer, |round| round.cpu_us);
        assert!((cpu.ratio - 2.0).abs() < f64::EPSILON, "{cpu:?}");
        let throughput = compare(&ours, &peer, |round| round.per_second);
        assert!((throughput.ratio - 0.5).abs() < f64::EPSILON, "{throughput:?}");
    }

    #[test]
    fn what_is_shown_beside_a_ratio_is_what_it_is_of() {
        // The medians of both sides are alike.
        let ours = [round(10.0, 1.0), round(30.0, 1.0), round(20.0, 1.0)];
        let peer = [round(20.0, 1.0), round(20.0, 1.0), round(10.0, 1.0)];
        let cpu = compare(&ours, &peer, |round| round.cpu_us);
        assert!((cpu.ratio - 1.5).abs() < f64::EPSILON, "{cpu:?}");
        let detail = cpu.detail("peer");
        assert!(detail.starts_with("30.0 µs") && detail.contains("peer 20.0 µs"), "{detail}");
        // Of an even number one is shown, too.
        assert_eq!([middle(&[3.0, 1.0, 2.0]), middle(&[7.0]), middle(&[])], [2, 0, 0]);
    }
}
