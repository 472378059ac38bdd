//! `mainstay doctor --edge`: sends the running server requests that two readers may read differently, in front of the owner's own app, and says what came of them.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use mainstay_api::control::{self, Status};
use mainstay_base::Entropy;
use mainstay_edge::desync::{self, After, Case, Client, End, Intended, Target};
use serde::Serialize;

use crate::cli::Exit;
use crate::command::Readable;
use crate::command::check::Format;
use crate::settings::Inputs;

mod progress;
mod wire;

use progress::Progress;
pub use wire::{Listener, Patience, ask};

/// How long an answer of the app may take; what must stay unanswered is given less.
const PATIENCE: Patience =
    Patience { answer: Duration::from_secs(10), silence: Duration::from_secs(1) };

/// What the owner says about the way to the server.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Address of the public listener, where the server's own word is another one.
    pub address: Option<SocketAddr>,
    /// Name of the site to ask.
    pub host: Option<String>,
}

/// What came of a case.
#[derive(Debug, Serialize)]
struct Verdict {
    name: &'static str,
    rfc: &'static str,
    ok: bool,
    /// What somebody wins by it.
    risk: &'static str,
    /// What was seen and should not have been.
    findings: Vec<String>,
    /// Only an app that answers early makes it sound.
    #[serde(skip)]
    is_by_count: bool,
}

/// What an app does with half of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Early {
    /// It waits for the rest.
    Waits,
    /// It answers all the same.
    Answers,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    address: SocketAddr,
    host: String,
    /// No request to this path may stand in the app's own log.
    never_asked_for: String,
    /// The app answers before it has read a body, so that an answer to half of one says nothing of who read it.
    answers_early: bool,
    /// How many requests were sound by the count of their answers alone, because of that: the app's own log decides.
    judged_by_count: usize,
    cases: Vec<Verdict>,
}

/// Runs every case and writes what came of it; [`Exit::Unwell`] when anything is suspicious, [`Exit::Unavailable`] when
/// no server or no app answers.
///
/// # Errors
/// When standard output is closed or the system has no random bytes.
pub fn edge(
    inputs: &Inputs,
    way: &Way,
    format: Format,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let readable = Readable::read(inputs)?;
    let unavailable = |what: String| -> anyhow::Result<Exit> {
        writeln!(std::io::stderr(), "mainstay: {what}")?;
        Ok(Exit::Unavailable)
    };
    let status = match control::request_status(&readable.settings.data_dir) {
        Ok(status) => status,
        Err(error) => return Ok(readable.nobody_answers(&error)?),
    };
    let address = find_address(&status, way);
    let host = find_host(&status, way);
    let random: [u8; 8] = Entropy::System.bytes().context("no random bytes")?;
    let canary = format!("/mainstay-canary-{:016x}", u64::from_be_bytes(random));
    let target = Target { host, canary };
    let listener = match open(&status, address, &target) {
        Ok(listener) => listener,
        Err(why) => return unavailable(why),
    };
    let early = probe_early(&listener, &target);
    let cases = examine_all(&listener, &target, early);
    let report = Report {
        ok: cases.iter().all(|verdict| verdict.ok),
        address,
        never_asked_for: format!("{}/smuggled", target.canary),
        host: target.host,
        answers_early: early == Early::Answers,
        judged_by_count: cases.iter().filter(|verdict| verdict.is_by_count).count(),
        cases,
    };
    write_report(&report, format, out)?;
    Ok(if report.ok { Exit::Done } else { Exit::Unwell })
}

/// The listener itself: never a name, which may lead to a content network that others use too.
fn find_address(status: &Status, way: &Way) -> SocketAddr {
    let mut address = way.address.unwrap_or(status.address);
    // "Every address" is none that one can connect to everywhere.
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn find_host(status: &Status, way: &Way) -> String {
    way.host.clone().unwrap_or_else(|| authority(&status.site).to_owned())
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Finds out how the listener speaks and whether the app behind it is there to be asked.
fn open(status: &Status, address: SocketAddr, target: &Target) -> Result<Listener, String> {
    let name = target.host.rsplit_once(':').map_or(target.host.as_str(), |(name, _)| name);
    let plain = Listener::plain(address);
    // Behind a proxy that ends TLS the site is https and the listener is not.
    let listener = if status.site.starts_with("https://") {
        Listener::tls(address, name).filter(Listener::connects).unwrap_or(plain)
    } else {
        plain
    };
    match ask_soundly(&listener, target) {
        Ok(421) => Err(format!("no site is called {}: name one with --host", target.host)),
        Ok(status @ (502..=504)) => {
            Err(format!("the app behind the server does not answer ({status})"))
        }
        Ok(_) => Ok(listener),
        Err(what) => {
            Err(format!("the server at {address} does not answer a plain request: {what}"))
        }
    }
}

/// A request as any browser sends it: its status, or what is wrong.
fn ask_soundly(listener: &Listener, target: &Target) -> Result<u16, String> {
    let Target { host, canary } = target;
    let bytes = format!("GET {canary}/sound HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let sound = Case {
        name: "a plain request",
        rfc: "RFC 9112",
        risk: "",
        sends: vec![bytes.into()],
        requests: vec![Intended {
            method: "GET",
            target: format!("{canary}/sound"),
            host: Some(host.clone()),
            body: Vec::new(),
        }],
        least: 1,
        early: 0,
        end: End::Closed,
    };
    let client = ask(listener, target, &sound, PATIENCE).map_err(|error| error.to_string())?;
    let answer = client.reading.answers.first().filter(|answer| answer.whole);
    answer.map(|answer| answer.status).ok_or_else(|| "no whole answer".to_owned())
}

/// Every case in turn, which takes up to a minute, half a minute more where the app agrees to WebSockets: where an answer
/// must not come that is waited for.
fn examine_all(listener: &Listener, target: &Target, early: Early) -> Vec<Verdict> {
    let groups = desync::groups(target);
    let total = groups.iter().map(|(_, cases)| cases.len()).sum();
    let (mut progress, mut verdicts) = (Progress::of_standard_error(total), Vec::new());
    for (group, cases) in groups {
        progress.begin(group, cases.len());
        for case in cases {
            let case = if early == Early::Waits { case.before_patient_app() } else { case };
            verdicts.push(examine(listener, target, &case));
            progress.step(group);
        }
    }
    progress.finish();
    verdicts
}

/// Whether the app answers what is not all there. Of one that does not, an answer to a broken body says that somebody
/// took it for a whole one; and of one that seems to, that the next request on the connection is served. Any answer counts
/// that only the app can have given: many have none but 404 for a path they do not know, or 500 for a body they cannot read.
fn probe_early(listener: &Listener, target: &Target) -> Early {
    let unfinished = |case: &Case| case.end == End::Waits && case.early > 0;
    let case = desync::cases(target).into_iter().find(unfinished);
    let patience = Patience { silence: PATIENCE.answer, ..PATIENCE };
    let client = case.and_then(|case| ask(listener, target, &case, patience).ok());
    let is_early = client.is_some_and(|Client { reading, after }| {
        let mut whole = reading.answers.iter().filter(|answer| answer.whole);
        after != After::Served && whole.any(|answer| !desync::may_be_proxys(answer.status))
    });
    if is_early { Early::Answers } else { Early::Waits }
}

/// Sends a case, and then looks whether the next visitors are served as ever.
fn examine(listener: &Listener, target: &Target, case: &Case) -> Verdict {
    let before = ask_soundly(listener, target);
    let (mut findings, was_early) = match ask(listener, target, case, PATIENCE) {
        Ok(client) => {
            (desync::judge_client(case, &client), case.was_answered_early(&client.reading))
        }
        Err(error) => (vec![format!("no connection: {error}")], false),
    };
    // Connections to the app are kept: one that is out of step would show on the next requests that take it.
    for _ in 0..NEXT_VISITORS {
        let after = ask_soundly(listener, target);
        if after != before {
            let show = |asked: Result<u16, String>| asked.map_or_else(|why| why, |s| s.to_string());
            let (before, after) = (show(before.clone()), show(after));
            findings.push(format!("the next visitor was answered {after}, before it was {before}"));
            break;
        }
    }
    let Case { name, rfc, risk, .. } = *case;
    let ok = findings.is_empty();
    Verdict { name, rfc, ok, risk, findings, is_by_count: ok && was_early }
}

/// Requests after each case.
const NEXT_VISITORS: usize = 2;

fn write_report(report: &Report, format: Format, out: &mut dyn Write) -> anyhow::Result<()> {
    if format == Format::Json {
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(report)?)?);
    }
    let Report { address, host, .. } = report;
    writeln!(
        out,
        "{address}, as {host}: {} requests that are read in two ways",
        report.cases.len()
    )?;
    let bad: Vec<_> = report.cases.iter().filter(|verdict| !verdict.ok).collect();
    for verdict in &bad {
        writeln!(out, "\nsuspicious: {} ({})", verdict.name, verdict.rfc)?;
        for finding in &verdict.findings {
            writeln!(out, "  {finding}")?;
        }
        writeln!(out, "  at stake: {}", verdict.risk)?;
    }
    if bad.is_empty() {
        writeln!(out, "all were refused, or served as they were meant")?;
    } else {
        writeln!(out, "\n{} of {} are suspicious", bad.len(), report.cases.len())?;
    }
    if report.answers_early {
        writeln!(
            out,
            "the app answers before it has read a body: {} of these could be judged by the count of their answers only, and the app's own log decides",
            report.judged_by_count
        )?;
    }
    writeln!(out, "the app's own log must not hold a request to {}", report.never_asked_for)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(address: &str) -> Status {
        Status {
            pid: 1,
            version: "0".into(),
            site: "https://shop.example/".into(),
            address: address.parse().unwrap(),
            admin: String::new(),
        }
    }

    #[test]
    fn the_listener_itself_is_asked_and_never_what_a_name_leads_to() {
        for (bound, given, expected) in [
            ("127.0.0.1:8080", None, "127.0.0.1:8080"),
            ("[2001:db8::1]:8443", None, "[2001:db8::1]:8443"),
            ("0.0.0.0:443", None, "127.0.0.1:443"),
            ("[::]:443", None, "[::1]:443"),
            ("0.0.0.0:443", Some("10.0.0.1:80"), "10.0.0.1:80"),
        ] {
            let way = Way { address: given.map(|a| a.parse().unwrap()), host: None };
            assert_eq!(find_address(&status(bound), &way), expected.parse().unwrap(), "{bound}");
        }
        let (status, way) = (status("127.0.0.1:8080"), Way::default());
        assert_eq!(find_host(&status, &way), "shop.example");
        let way = Way { host: Some("www.example".into()), ..way };
        assert_eq!(find_host(&status, &way), "www.example");
    }
}
