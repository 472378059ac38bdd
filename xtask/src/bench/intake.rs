//! Rows about durable intake: one page view per request. Ours answers when it is on disk; the peer answers before.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use mainstay_base::Entropy;

use super::duel::{compare, middle};
use super::generator::{self, Work};
use super::ours::Task;
use super::peer::Fastify;
use super::running::Running;
use super::table::{Bar, Row};
use super::wrk::{self, Round};
use super::{Bench, disk, open_loop};
use crate::server::RealTime;

const SCRIPT: &str = include_str!("../../bench/intake.lua");
const PATH: &str = "/_mainstay/events";
/// A browser, so that the view counts as a person's.
pub(super) const AGENT: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
/// Requests a second of the open-loop row.
const RATE: u32 = 500;
/// The peer still writes this long after its last answer.
const SETTLE: Duration = Duration::from_millis(700);

/// The body of one page view; the same as `intake.lua` makes. `salt` has 8 characters.
pub(super) fn body(salt: &str, number: usize) -> String {
    format!(
        "{{\"v\":1,\"site\":\"default\",\"page\":\"p{salt}{number:012x}\",\
         \"url\":\"http://127.0.0.1/blog/how-we-ship?utm_source=letter\",\"ref\":\"https://example.com/a/b\",\
         \"w\":1280,\"events\":[{{\"id\":\"e{salt}{number:012x}\",\"type\":\"pageview\",\"t\":0}}]}}"
    )
}

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (cpu, tail) = (wanted("intake-cpu"), wanted("intake-p99"));
    if !cpu && !tail {
        return Ok(());
    }
    let task = Task::site(&bench.site);
    let ours = bench.ours.start(&task, &bench.dir.join("intake"), "/1k.txt").context("ours")?;
    if cpu {
        add(measure_cpu(bench, &ours)?)?;
    }
    if tail {
        add(measure_tail(bench, &ours)?)?;
    }
    Ok(())
}

fn measure_cpu(bench: &Bench, ours: &Running) -> anyhow::Result<Row> {
    let peer = Fastify::start(&bench.dir).context("Fastify and PostgreSQL")?;
    let (mut our_rounds, mut peer_rounds) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let before = peer.count_rows()?;
        let theirs = round(bench, &peer.running, &peer.roots()).context("the peer")?;
        let stored = peer.count_rows()? - before;
        ensure!(stored >= theirs.requests, "the peer stored {stored} of {}", theirs.requests);
        let own = round(bench, ours, &[ours.server.pid()]).context("ours")?;
        our_rounds.push(own);
        peer_rounds.push(theirs);
    }
    let middle = compare(&our_rounds, &peer_rounds, |round| round.cpu_us);
    Ok(Row {
        name: "intake-cpu",
        what: "CPU per durable event, x Fastify + pg",
        bar: Bar::AtMost(0.6),
        value: middle.ratio,
        detail: format!(
            "{:.1} µs and {:.0}/s, Fastify {:.1} µs and {:.0}/s",
            middle.ours.cpu_us, middle.ours.per_second, middle.peer.cpu_us, middle.peer.per_second,
        ),
    })
}

fn round(bench: &Bench, side: &Running, roots: &[u32]) -> anyhow::Result<Round> {
    let script = format!("local salt = \"{}\"\n{SCRIPT}", salt()?);
    let load = wrk::Load {
        address: side.address,
        path: PATH,
        headers: &[AGENT.into()],
        connections: wrk::CONNECTIONS,
        seconds: u64::from(bench.seconds) * 2,
        script: &script,
        settle: SETTLE,
    };
    let round = wrk::run(&load, roots, &bench.dir)?;
    ensure!(round.refused == 0, "{} of {} refused", round.refused, round.requests);
    Ok(round)
}

fn measure_tail(bench: &Bench, ours: &Running) -> anyhow::Result<Row> {
    let time = Duration::from_secs(u64::from(bench.seconds));
    let (mut ratios, mut own) = (Vec::new(), Vec::new());
    let (mut raw, mut paced) = (Vec::new(), Vec::<f64>::new());
    for _ in 0..bench.rounds {
        let floor = disk::fdatasync_p99(&bench.dir, time)?;
        let dir = bench.dir.clone();
        let work = Work::Disk(disk::Paced { dir, rate: RATE, seconds: bench.seconds });
        paced.push(generator::run(&work, RealTime::On)?);
        let load = open_loop::Load {
            address: ours.address,
            rate: RATE,
            seconds: bench.seconds,
            connections: 32,
            request: open_loop::Request::Event { path: PATH.into(), salt: salt()? },
        };
        let p99 = open_loop::measure(&load, &[ours.server.pid()])?.p99;
        ratios.push(p99 / floor);
        own.push(p99);
        raw.push(floor);
    }
    let place = middle(&ratios);
    Ok(Row {
        name: "intake-p99",
        what: "p99 at 500/s, x raw fdatasync's p99",
        bar: Bar::AtMost(4.0),
        value: ratios[place],
        detail: format!(
            "p99 {:.0} µs, fdatasync {:.0} µs, and {:.0} µs due {RATE} times a second",
            own[place], raw[place], paced[place]
        ),
    })
}

/// Sets apart the ids of two runs on one database.
fn salt() -> anyhow::Result<String> {
    Ok(format!("{:08x}", u32::from_ne_bytes(Entropy::System.bytes()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_events_with_ids_of_their_own() -> anyhow::Result<()> {
        let [one, two]: [serde_json::Value; 2] = [
            serde_json::from_str(&body("0a1b2c3d", 1))?,
            serde_json::from_str(&body("0a1b2c3d", 2))?,
        ];
        assert_ne!(one["page"], two["page"]);
        assert_ne!(one["events"][0]["id"], two["events"][0]["id"]);
        let id = one["events"][0]["id"].as_str().unwrap_or_default();
        assert!((16..=32).contains(&id.len()), "{id}");
        Ok(())
    }
}
