//! Rows about TLS: HTTP/2 on a page of 10 KB, and full handshakes. The same certificate (ECDSA P-256), suite and key exchange on both sides.

use anyhow::{Context as _, ensure};

use super::duel::{Closed, compare};
use super::nginx::{self, Role};
use super::ours::Task;
use super::running::Running;
use super::table::{Bar, Row};
use super::tls::{self, Pair};
use super::wrk::Round;
use super::{Bench, caddy, h2load, handshakes};

const PAGE: &str = "/index.html";
/// Handshakes at once: enough to keep a server busy, too few to queue for long.
const AT_ONCE: usize = 32;

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let [with_nginx, with_caddy, shake] = ["h2-nginx", "h2-caddy", "handshake"].map(wanted);
    if !with_nginx && !with_caddy && !shake {
        return Ok(());
    }
    let pair = Pair::write(&bench.dir)?;
    let task = Task::site(&bench.site).over_tls(&pair);
    let ours = bench.ours.start(&task, &bench.dir.join("secure"), "/1k.txt").context("ours")?;
    let nginx = || nginx::start(&bench.dir, &Role::SiteOverTls(&pair)).context("nginx");
    let pages = |side: &Running| page_round(bench, side, &pair);
    if with_nginx {
        let closed = in_turn(bench, &ours, &nginx()?, &pages).context("h2-nginx")?;
        let what = "h2 requests per CPU, x nginx";
        add(row("h2-nginx", what, Bar::AtLeast(0.7), &closed, "nginx"))?;
    }
    if with_caddy {
        let caddy = caddy::start(&bench.dir, &pair).context("Caddy")?;
        let closed = in_turn(bench, &ours, &caddy, &pages).context("h2-caddy")?;
        let what = "h2 requests per CPU, x Caddy";
        add(row("h2-caddy", what, Bar::AtLeast(8.0), &closed, "Caddy"))?;
    }
    if shake {
        let hands = |side: &Running| handshake_round(bench, side, &pair);
        let closed = in_turn(bench, &ours, &nginx()?, &hands).context("handshake")?;
        let what = "full handshakes per CPU, x nginx";
        add(row("handshake", what, Bar::AtLeast(0.9), &closed, "nginx"))?;
    }
    Ok(())
}

fn row(
    name: &'static str,
    what: &'static str,
    bar: Bar,
    closed: &Closed,
    peer: &'static str,
) -> Row {
    Row { name, what, bar, value: 1.0 / closed.ratio, detail: closed.detail(peer) }
}

fn in_turn(
    bench: &Bench,
    ours: &Running,
    peer: &Running,
    round: &dyn Fn(&Running) -> anyhow::Result<Round>,
) -> anyhow::Result<Closed> {
    let (mut our_rounds, mut peer_rounds) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        peer_rounds.push(round(peer).context("the peer")?);
        our_rounds.push(round(ours).context("ours")?);
    }
    Ok(compare(&our_rounds, &peer_rounds, |round| round.cpu_us))
}

fn page_round(bench: &Bench, side: &Running, pair: &Pair) -> anyhow::Result<Round> {
    let answer = tls::fetch(side.address, PAGE, pair)?;
    let (status, bytes) = (answer.head.status, answer.body.len());
    ensure!(status == 200 && bytes > 9_000, "{PAGE} answered {status} and {bytes} bytes");
    h2load::run(side.address, PAGE, bench.seconds, side.server.pid())
}

fn handshake_round(bench: &Bench, side: &Running, pair: &Pair) -> anyhow::Result<Round> {
    let load = handshakes::Load {
        address: side.address,
        seconds: bench.seconds,
        at_once: AT_ONCE,
        cert: pair.cert.clone(),
    };
    handshakes::measure(&load, side.server.pid())
}
