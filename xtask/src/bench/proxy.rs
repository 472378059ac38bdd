//! Rows about standing in front of an app: ours beside HAProxy and nginx, before one and the same app, whose own cost does not count.

use anyhow::{Context as _, ensure};

use super::duel::{Ask, Question, compare, round};
use super::nginx::{self, ANSWER_BYTES, Role};
use super::ours::Task;
use super::running::Running;
use super::table::{Bar, Row};
use super::{Bench, haproxy, median, open_loop, wrk};
use crate::wire;

const PATH: &str = "/1k.txt";
/// Requests a second of the open-loop row.
const RATE: u32 = 2_000;

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (cpu, tail) = (wanted("proxy-cpu"), wanted("proxy-p99"));
    if !cpu && !tail {
        return Ok(());
    }
    let app = nginx::start(&bench.dir, &Role::App).context("the app")?;
    let nginx = nginx::start(&bench.dir, &Role::Proxy(app.address)).context("nginx")?;
    let ours = bench
        .ours
        .start(&Task::app(app.address), &bench.dir.join("front"), PATH)
        .context("ours")?;
    for side in [&nginx, &ours] {
        check(side)?;
    }
    if cpu {
        let haproxy = haproxy::start(&bench.dir, app.address).context("HAProxy")?;
        check(&haproxy)?;
        add(measure_cpu(bench, &ours, &haproxy, &nginx).context("proxy-cpu")?)?;
    }
    if tail {
        add(measure_tail(bench, &app, &ours, &nginx).context("proxy-p99")?)?;
    }
    Ok(())
}

/// Every side passes on the app's answer, with the headers that are asked of it.
fn check(side: &Running) -> anyhow::Result<()> {
    let answer = wire::fetch(side.address, "GET", PATH, &[])?;
    let (status, bytes) = (answer.head.status, answer.body.len());
    ensure!(status == 200 && bytes == ANSWER_BYTES, "{PATH} answered {status} and {bytes} bytes");
    for name in ["x-content-type-options", "referrer-policy", "cross-origin-opener-policy"] {
        ensure!(answer.header(name).is_some(), "{PATH} came without {name}");
    }
    Ok(())
}

fn measure_cpu(
    bench: &Bench,
    ours: &Running,
    haproxy: &Running,
    nginx: &Running,
) -> anyhow::Result<Row> {
    let ask = Ask { path: PATH, headers: Vec::new() };
    let connections = wrk::CONNECTIONS;
    let question = Question { ours: ask.clone(), peer: ask.clone(), status: 200, connections };
    let sides = [("HAProxy", haproxy), ("nginx", nginx), ("ours", ours)];
    let mut rounds = [const { Vec::new() }; 3];
    for _ in 0..bench.rounds {
        for ((name, side), rounds) in sides.iter().zip(&mut rounds) {
            rounds.push(round(bench, &question, &ask, side).context(*name)?);
        }
    }
    let [haproxy, nginx, ours] = rounds;
    let [haproxy, nginx] = [haproxy, nginx].map(|peer| compare(&ours, &peer, |round| round.cpu_us));
    Ok(Row {
        name: "proxy-cpu",
        what: "CPU per request, x HAProxy",
        bar: Bar::AtMost(1.3),
        value: haproxy.ratio,
        detail: format!(
            "{}; {:.1} µs, nginx {:.1} µs: {:.2} x",
            haproxy.detail("HAProxy"),
            nginx.ours.cpu_us,
            nginx.peer.cpu_us,
            nginx.ratio
        ),
    })
}

/// What the way through a proxy adds to the app's own 99th percentile. Added times are small differences of large ones,
/// so that the ratio is taken once, of their medians.
fn measure_tail(
    bench: &Bench,
    app: &Running,
    ours: &Running,
    nginx: &Running,
) -> anyhow::Result<Row> {
    let (mut direct, mut our_added, mut peer_added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let floor = p99(bench, app, app).context("the app")?;
        peer_added.push(p99(bench, nginx, app).context("nginx")? - floor);
        our_added.push(p99(bench, ours, app).context("ours")? - floor);
        direct.push(floor);
    }
    let (direct, ours, nginx) = (median(direct), median(our_added), median(peer_added));
    Ok(Row {
        name: "proxy-p99",
        what: "added p99 at 2 000/s, x nginx's",
        bar: Bar::AtMost(1.5),
        value: ratio(ours, nginx),
        detail: format!(
            "adds {ours:.0} µs, nginx {nginx:.0} µs, to {direct:.0} µs{}",
            doubt(ours, nginx)
        ),
    })
}

/// No ratio, and so no bar met, where either seems to add nothing: then the noise was larger than what is measured.
fn ratio(ours: f64, peer: f64) -> f64 {
    if ours > 0.0 && peer > 0.0 { ours / peer } else { f64::NAN }
}

/// What the row says beside no ratio.
fn doubt(ours: f64, peer: f64) -> &'static str {
    if ratio(ours, peer).is_nan() { ": lost in the noise, measure again" } else { "" }
}

fn p99(bench: &Bench, side: &Running, app: &Running) -> anyhow::Result<f64> {
    let load = open_loop::Load {
        address: side.address,
        rate: RATE,
        seconds: bench.seconds,
        connections: 32,
        request: open_loop::Request::Get { path: PATH.into() },
    };
    Ok(open_loop::measure(&load, &[side.server.pid(), app.server.pid()])?.p99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_ratio() {
        assert!((ratio(30.0, 20.0) - 1.5).abs() < f64::EPSILON);
        for (ours, peer) in [(-3.0, 20.0), (0.0, 20.0), (1.0, 0.0), (1.0, -5.0), (-3.0, -5.0)] {
            assert!(ratio(ours, peer).is_nan(), "{ours} {peer}");
            assert!(doubt(ours, peer).contains("noise"));
        }
        assert_eq!(doubt(30.0, 20.0), "");
    }
}
