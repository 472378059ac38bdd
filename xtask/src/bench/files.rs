//! Rows about files: ours beside nginx, asked for the same bytes over the same loopback.

use anyhow::Context as _;

use super::duel::{Ask, Question, closed, open};
use super::nginx::{self, Role};
use super::ours::Task;
use super::running::Running;
use super::table::{Bar, Row};
use super::{Bench, wrk};
use crate::wire;

/// Requests a second of the open-loop rows.
pub(super) const RATE: u32 = 4_000;

/// A row whose question is the same for both sides but for the path.
struct Case {
    name: &'static str,
    what: &'static str,
    bar: Bar,
    ours: &'static str,
    peer: &'static str,
    kind: Kind,
    of: fn(&wrk::Round) -> f64,
    value: fn(f64) -> f64,
}

enum Kind {
    Plain,
    Gzip,
    Unchanged,
    Missing,
    Large,
}

const CASES: [Case; 8] = [
    case("static-1k", "CPU per request, x nginx", Bar::AtMost(1.0), "/1k.txt", Kind::Plain),
    case("static-10k", "CPU per request, x nginx", Bar::AtMost(1.0), "/index.html", Kind::Plain),
    case("static-100k", "CPU per request, x nginx", Bar::AtMost(1.0), "/100k.bin", Kind::Plain),
    Case {
        value: |ratio| 1.0 / ratio,
        ..case(
            "gzip-on",
            "requests per CPU, x nginx gzip on",
            Bar::AtLeast(5.0),
            "/index.html",
            Kind::Gzip,
        )
    },
    Case {
        // nginx has a compressed file beside the page; ours has not.
        peer: "/pre.html",
        value: |ratio| 1.0 / ratio,
        ..case(
            "gzip-static",
            "requests per CPU, x nginx gzip_static",
            Bar::AtLeast(0.9),
            "/index.html",
            Kind::Gzip,
        )
    },
    case("304", "CPU per request, x nginx", Bar::AtMost(1.1), "/index.html", Kind::Unchanged),
    case("404", "CPU per request, x nginx", Bar::AtMost(1.1), "/nowhere.html", Kind::Missing),
    Case {
        of: |round| round.per_second,
        ..case("1m", "throughput, x nginx", Bar::AtLeast(0.9), "/1m.bin", Kind::Large)
    },
];

const TAILS: [(&str, &str); 3] =
    [("p99-1k", "/1k.txt"), ("p99-10k", "/index.html"), ("p99-100k", "/100k.bin")];

const fn case(
    name: &'static str,
    what: &'static str,
    bar: Bar,
    path: &'static str,
    kind: Kind,
) -> Case {
    Case {
        name,
        what,
        bar,
        ours: path,
        peer: path,
        kind,
        of: |round| round.cpu_us,
        value: |ratio| ratio,
    }
}

/// Measures the wanted rows.
pub(super) fn measure(
    bench: &Bench,
    wanted: &dyn Fn(&str) -> bool,
    add: &mut dyn FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let cases: Vec<_> = CASES.iter().filter(|case| wanted(case.name)).collect();
    let tails: Vec<_> = TAILS.iter().filter(|(name, _)| wanted(name)).collect();
    if cases.is_empty() && tails.is_empty() {
        return Ok(());
    }
    let peer = nginx::start(&bench.dir, &Role::Site).context("nginx")?;
    let task = Task::site(&bench.site);
    let ours = bench.ours.start(&task, &bench.dir.join("files"), "/1k.txt").context("ours")?;
    for case in cases {
        let question = question(case, &ours, &peer)?;
        let closed = closed(bench, &question, case.of, &ours, &peer).context(case.name)?;
        let (name, what, bar) = (case.name, case.what, case.bar);
        add(Row {
            name,
            what,
            bar,
            value: (case.value)(closed.ratio),
            detail: closed.detail("nginx"),
        })?;
    }
    for (name, path) in tails {
        let (ratio, ours_us, peer_us) = open(bench, path, &ours, &peer).context(*name)?;
        let detail = format!("p99 {ours_us:.0} µs, nginx {peer_us:.0} µs");
        let what = "p99 at 4 000/s, x nginx";
        add(Row { name, what, bar: Bar::AtMost(1.2), value: ratio, detail })?;
    }
    Ok(())
}

fn question(case: &Case, ours: &Running, peer: &Running) -> anyhow::Result<Question> {
    let ask = |side: &Running, path: &'static str| -> anyhow::Result<Ask> {
        let headers = match case.kind {
            Kind::Gzip => vec!["Accept-Encoding: gzip".to_owned()],
            Kind::Unchanged => {
                let answer = wire::fetch(side.address, "GET", path, &[])?;
                let tag = answer.header("etag").context("no ETag")?;
                vec![format!("If-None-Match: {tag}")]
            }
            Kind::Plain | Kind::Missing | Kind::Large => Vec::new(),
        };
        Ok(Ask { path, headers })
    };
    Ok(Question {
        ours: ask(ours, case.ours)?,
        peer: ask(peer, case.peer)?,
        status: match case.kind {
            Kind::Unchanged => 304,
            Kind::Missing => 404,
            Kind::Plain | Kind::Gzip | Kind::Large => 200,
        },
        connections: if matches!(case.kind, Kind::Large) { 16 } else { wrk::CONNECTIONS },
    })
}
