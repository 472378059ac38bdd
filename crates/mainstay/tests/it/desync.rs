//! Nobody makes the server and the app behind it disagree where a request or an answer ends: the whole corpus against the real binary, and a naive proxy on which it must fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay::command::doctor::{Listener, Patience, ask};
use mainstay_edge::desync::{
    After, Answer, Case, Client, End, Intended, Seen, Target, cases, judge_app, judge_client,
};
use mainstay_testkit::{Heard, Launch, Request, Site, Upstream, Wire};

use crate::launch;

mod answers;
mod doctor;
mod naive;

/// The server gives up soon on what does not end, and on its app never.
const LIMITS: &str = "[edge]\nhead_timeout = \"2s\"\nidle_timeout = \"5s\"\nbody_timeout = \"2s\"\n[upstream]\ncontinue_timeout = \"2s\"\nfail_after = 1000000\n";
const PATIENCE: Patience =
    Patience { answer: Duration::from_secs(20), silence: Duration::from_millis(300) };

/// An app that notes what it cannot read: a proxy that sends such a thing leaves its reading to luck.
struct App {
    upstream: Upstream,
    unreadable: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn start(read: fn(&mut Wire) -> std::io::Result<Option<Heard>>) -> Self {
        let unreadable = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&unreadable);
        let upstream = Upstream::start(move |wire| {
            loop {
                match read(wire) {
                    Ok(Some(heard)) => wire.write(echo(&heard))?,
                    Ok(None) => return Ok(()),
                    Err(error) => {
                        if error.kind() == std::io::ErrorKind::InvalidData {
                            notes.lock().expect("notes").push(error.to_string());
                        }
                        return Err(error);
                    }
                }
            }
        });
        Self { upstream, unreadable }
    }

    fn url(&self) -> String {
        format!("http://{}", self.upstream.address)
    }

    fn unreadable(&self) -> Vec<String> {
        std::mem::take(&mut *self.unreadable.lock().expect("notes"))
    }
}

/// Reads strictly, and asks for a body that waits for that.
fn read_strictly(wire: &mut Wire) -> std::io::Result<Option<Heard>> {
    let Some(mut heard) = wire.read_head()? else { return Ok(None) };
    if heard.header("expect").is_some() {
        wire.write("HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    wire.read_body(&mut heard)?;
    wire.record(&heard);
    Ok(Some(heard))
}

/// An answer that says what it answers.
fn echo(heard: &Heard) -> String {
    let line = format!("{} {}", heard.method, heard.target);
    let body = if heard.method == "HEAD" { "" } else { &line };
    let length = line.len();
    let close =
        if heard.header("connection") == Some("close") { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Echo: {line}\r\n{close}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn to_seen(heard: &Heard) -> Seen {
    Seen {
        method: heard.method.clone(),
        target: heard.target.clone(),
        headers: heard.headers.clone(),
        body: heard.body.clone(),
        trailers: heard.trailers.clone(),
    }
}

/// Runs the case of this number in front of `app`; what is wrong.
fn run(listener: &Listener, app: &App, at: usize) -> (Case, Vec<String>) {
    run_by(app, at, listener, |target, case| ask(listener, target, case, PATIENCE))
}

/// The same where somebody else asks it.
fn run_by(
    app: &App,
    at: usize,
    listener: &Listener,
    asks: impl Fn(&Target, &Case) -> std::io::Result<Client>,
) -> (Case, Vec<String>) {
    let (target, case) = (target_of(at), case_of(at));
    let before = app.upstream.requests().len();
    let asked = asks(&target, &case);
    let after: Vec<_> = (0..3).map(|n| follow(listener, &target, n)).collect();
    let mut faults: Vec<String> = after.into_iter().flatten().collect();
    let (last, next) = (format!("{}/last", target.canary), format!("{}/next-", target.canary));
    let requests = app.upstream.requests();
    let mut seen: Vec<_> =
        requests[before..].iter().filter(|h| !h.target.starts_with(&next)).collect();
    match asked {
        Ok(client) => {
            faults.extend(judge_client(&case, &client));
            if client.after == After::Served && seen.last().is_some_and(|h| h.target == last) {
                seen.pop();
            }
            faults.extend(compare_answers(&client, &seen));
        }
        Err(error) => faults.push(format!("no connection: {error}")),
    }
    faults.extend(judge_app(&case, &seen.into_iter().map(to_seen).collect::<Vec<_>>()));
    faults.extend(app.unreadable().into_iter().map(|what| format!("the app was sent {what}")));
    (case, faults)
}

/// The next visitor gets the answer to his own request.
fn follow(listener: &Listener, target: &Target, number: usize) -> Option<String> {
    let path = format!("{}/next-{number}", target.canary);
    let bytes =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.host);
    let case = Case { sends: vec![bytes.into()], ..cases(target).swap_remove(0) };
    let client = match ask(listener, target, &case, PATIENCE) {
        Ok(client) => client,
        Err(error) => return Some(format!("the next visitor found no connection: {error}")),
    };
    let echoes = echoes_of(&client);
    (echoes != [format!("GET {path}")] || client.reading.answers.len() != 1)
        .then(|| format!("the next visitor was shown {echoes:?}"))
}

fn echoes_of(client: &Client) -> Vec<String> {
    let answers = client.reading.answers.iter();
    answers.filter_map(|answer| answer.header("x-echo").map(str::to_owned)).collect()
}

/// Every answer of the app belongs to the request in whose turn it came.
fn compare_answers(client: &Client, seen: &[&Heard]) -> Option<String> {
    let asked: Vec<_> =
        seen.iter().map(|heard| format!("{} {}", heard.method, heard.target)).collect();
    let answered = echoes_of(client);
    (!asked.starts_with(&answered))
        .then(|| format!("the client was shown {answered:?} for {asked:?}"))
}

fn table(bad: &[(Case, Vec<String>)]) -> String {
    let line = |(case, faults): &(Case, Vec<String>)| {
        format!("{:<60} {:<32} {}", case.name, case.rfc, faults.join("; "))
    };
    bad.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn all() -> std::ops::Range<usize> {
    0..cases(&target_of(0)).len()
}

/// Every case has its own path, so that what comes late is not taken for another's.
fn target_of(at: usize) -> Target {
    Target { host: "app.test".into(), canary: format!("/canary-{at}") }
}

/// The app of these tests reads a body before it answers.
fn case_of(at: usize) -> Case {
    Case { early: 0, ..cases(&target_of(at)).swap_remove(at) }
}

fn before(app: &App) -> Launch {
    before_upstream(&app.upstream, LIMITS)
}

/// One worker: the next visitor is served over the connections that the last one left.
fn before_upstream(app: &Upstream, config: &str) -> Launch {
    let launch = launch().upstream(&format!("http://{}", app.address));
    launch.argument("--workers").argument("1").config(config)
}

#[test]
fn the_app_sees_what_was_meant_or_nothing() {
    let app = App::start(read_strictly);
    let server = before(&app).start();
    let listener = Listener::plain(server.site_address());
    let bad: Vec<_> =
        all().map(|at| run(&listener, &app, at)).filter(|(_, faults)| !faults.is_empty()).collect();
    assert!(bad.is_empty(), "{} of {} cases:\n{}", bad.len(), all().len(), table(&bad));
    for heard in app.upstream.requests() {
        // What the app takes for our word is ours: on every request, once.
        for name in
            ["x-forwarded-for", "x-real-ip", "x-forwarded-proto", "forwarded", "x-request-id"]
        {
            assert_eq!(heard.count(name), 1, "{name}: {heard:?}");
        }
        assert_eq!(heard.header("x-forwarded-for"), Some("127.0.0.1"), "{heard:?}");
        let made_up = heard.headers.iter().find(|(name, _)| name.contains(['_', '.']));
        assert_eq!(made_up, None, "{heard:?}");
        assert!(!heard.headers.iter().any(|(_, value)| value.contains("192.0.2.1")), "{heard:?}");
    }
}

/// A plain request for a file of another site goes before, in the same write: what it is answered with is read and put
/// back by other code than an app's requests are.
#[test]
fn behind_a_plain_request_for_a_file_nothing_else_is_seen() {
    let (app, files) = (App::start(read_strictly), Site::of(&[("a.txt", "a file")]));
    let sites = format!(
        "[[site]]\nname = \"files\"\nhosts = [\"files.test\"]\ndir = \"{}\"\n\
         [[site]]\nname = \"app\"\nhosts = [\"app.test\"]\nupstreams = [\"{}\"]\n",
        files.dir().display(),
        app.url(),
    );
    let launch = launch().sites_in_settings().argument("--workers").argument("1");
    let server = launch.config(&format!("{LIMITS}{sites}")).start();
    let plain = Request::get("/a.txt").to_bytes("files.test");
    for _warm in 0..2 {
        assert_eq!(server.send(&Request::get("/a.txt").header("host", "files.test")).status, 200);
    }
    let listener = Listener::plain(server.site_address());
    let asks = |target: &Target, case: &Case| {
        let mut case = case.clone();
        case.sends[0].splice(0..0, plain.iter().copied());
        case.requests.insert(
            0,
            Intended { method: "GET", target: "/a.txt".into(), host: None, body: Vec::new() },
        );
        if case.requests.len() == 1 {
            // What nobody may see is refused: that is one answer more, too.
            case.requests.push(case.requests[0].clone());
        }
        let mut client = ask(&listener, target, &case, PATIENCE)?;
        let answers = &mut client.reading.answers;
        let is_short = |answer: &Answer| {
            let names: Vec<_> = answer.headers.iter().map(|(name, _)| &**name).collect();
            names.ends_with(&["x-request-id", "date"])
        };
        if answers.first().is_none_or(|answer| answer.body != b"a file" || !is_short(answer)) {
            return Err(std::io::Error::other("the plain request was not answered as such"));
        }
        answers.remove(0);
        Ok(client)
    };
    let bad: Vec<_> = all()
        .map(|at| run_by(&app, at, &listener, asks))
        .filter(|(_, faults)| !faults.is_empty())
        .collect();
    assert!(bad.is_empty(), "{} of {} cases:\n{}", bad.len(), all().len(), table(&bad));
}

/// An app that asks for the body gets it, and the connection goes on; one that does not may end it.
#[test]
fn a_connection_goes_on_behind_a_body_that_was_asked_for() {
    let app = App::start(read_strictly);
    let server = before(&app).start();
    let target = target_of(0);
    let named = |case: &Case| case.name == "a body that waits to be asked for";
    let case = cases(&target).into_iter().find(named).expect("the case");
    let client = ask(&Listener::plain(server.site_address()), &target, &case, PATIENCE);
    let client = client.expect("a connection");
    assert_eq!((client.reading.interim, client.after), (1, After::Served), "{client:?}");
}

/// Answers before it reads a body, and then reads it: what follows half of one is the rest of it, or an error.
fn start_early() -> Upstream {
    Upstream::start(|wire| {
        while let Some(mut heard) = wire.read_head()? {
            wire.write(echo(&heard))?;
            if let Err(error) = wire.read_body(&mut heard) {
                wire.write(
                    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                )?;
                return Err(error);
            }
            if heard.header("connection") == Some("close") {
                break;
            }
        }
        Ok(())
    })
}

#[test]
fn half_a_request_that_is_answered_early_is_told_from_one_that_is_taken_for_whole() {
    let patience = Patience { answer: Duration::from_secs(2), silence: Duration::from_secs(2) };
    let (early, app) = (start_early(), App::start(naive::read_any_chunks));
    let hasty = naive::Proxy::start_hasty(app.upstream.address);
    let target = target_of(0);
    let halves = || cases(&target).into_iter().filter(|c| c.end == End::Waits && c.early > 0);
    assert_eq!(halves().count(), 5);
    let judge = |address, case: &Case| {
        let client = ask(&Listener::plain(address), &target, case, patience).expect("connected");
        assert!(!client.reading.answers.is_empty(), "{}: {client:?}", case.name);
        judge_client(case, &client)
    };
    for case in halves() {
        assert_eq!(judge(early.address, &case), [""; 0], "{}", case.name);
        let found = judge(hasty.address, &case);
        assert_eq!(found, ["an unfinished request was taken for a whole one"], "{}", case.name);
    }
}

#[test]
fn the_corpus_finds_what_is_wrong_with_a_naive_proxy() {
    let app = App::start(naive::read_leniently);
    let proxy = naive::Proxy::start(app.upstream.address);
    let listener = Listener::plain(proxy.address);
    let numbers: BTreeMap<_, _> = all().map(|at| (case_of(at).name, at)).collect();
    let find = |name: &str| run(&listener, &app, numbers[name]).1.join("; ");
    for name in [
        "a length before a coding that ends sooner",
        "a length behind a coding that ends sooner",
        "chunked, and cow in a second line",
        "identity, then chunked",
    ] {
        let found = find(name);
        assert!(found.contains("nobody meant: GET /canary-"), "{name}: {found}");
        assert!(found.contains("/smuggled"), "{name}: {found}");
    }
    for name in [
        "two lengths, the first shorter",
        "a length with a plus",
        "a blank before the colon of a coding",
        "chunked in HTTP/1.0",
        "an unknown protocol with a request behind it",
        "a length named as of the connection",
        "h2c",
        "two hosts",
        "an absolute target of another host",
        "a chunk size with 0x",
        "a folded header",
        "NUL in a value",
    ] {
        assert!(!find(name).is_empty(), "{name} was not found");
    }
    for name in
        ["three requests", "a body with a length, then a request", "a chunked body, then a request"]
    {
        assert_eq!(find(name), "", "{name} is sound");
    }
}
