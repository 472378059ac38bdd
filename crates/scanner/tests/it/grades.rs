//! Our grades against those of the Observatory's own grader: the same server, the same sites.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use mainstay_scanner::{Site, look, observatory};
use mainstay_testkit::{Answerer, Authority};
use serde_json::{Value, json};

use crate::cases::{Case, Http, make};
use crate::world::{answer, client, read, runtime, settings};

const SITES: usize = 400;
const ELSEWHERE: &str = "elsewhere.example";

fn host(at: usize) -> String {
    format!("s{at}.site.example")
}

/// Ports of http and https, once they are known.
type Ports = Arc<OnceLock<(u16, u16)>>;

fn page(case: &Case) -> Vec<u8> {
    answer(200, &case.headers, &case.body)
}

fn by_https(cases: &[Case], head: &str) -> Vec<u8> {
    let (method, path, host) = read(head);
    let Some(case) = find(cases, host) else { return answer(200, "", "elsewhere") };
    match (method, &case.detour, path) {
        _ if !case.has_https => Vec::new(),
        ("OPTIONS", _, _) => answer(204, &case.cors, ""),
        (_, Some(cookie), "/") => {
            answer(302, &format!("Location: /page\r\nSet-Cookie: {cookie}\r\n"), "")
        }
        _ => page(case),
    }
}

fn by_http(cases: &[Case], ports: &Ports, head: &str) -> Vec<u8> {
    let (method, path, host) = read(head);
    let Some(case) = find(cases, host) else { return answer(200, "", "elsewhere") };
    let (http, https) = ports.get().copied().unwrap_or_default();
    let to = |url: String| answer(301, &format!("Location: {url}\r\n"), "");
    match (case.http, path) {
        (Http::Absent, _) => Vec::new(),
        _ if method == "OPTIONS" => answer(204, &case.cors, ""),
        (Http::ToHttps, _) | (Http::ToHttpFirst, "/first") => {
            to(format!("https://{host}:{https}/"))
        }
        (Http::ToHttpsElsewhere, _) => to(format!("https://{ELSEWHERE}:{https}/")),
        (Http::ToHttpFirst, _) => to(format!("http://{host}:{http}/first")),
        (Http::StaysPlain, "/") => to("/there".into()),
        (Http::StaysPlain | Http::Serves, _) => page(case),
    }
}

fn find<'a>(cases: &'a [Case], host: &str) -> Option<&'a Case> {
    let number = host.strip_prefix('s')?.split('.').next()?.parse::<usize>().ok()?;
    cases.get(number)
}

/// What the Observatory's own grader says.
fn ask_grader(dir: &Path, hosts: &[String], ports: (u16, u16), authority: &Authority) -> Value {
    let (input, certificate) = (dir.join("input.json"), dir.join("authority.pem"));
    let told = json!({"hosts": hosts, "http": ports.0, "https": ports.1});
    std::fs::write(&input, told.to_string()).expect("a file");
    std::fs::write(&certificate, authority.cert()).expect("a file");
    let e2e = mainstay_testkit::checkout().join("e2e");
    let output = Command::new("node")
        .arg("grades.mjs")
        .arg(input)
        .current_dir(e2e)
        .env("NODE_EXTRA_CA_CERTS", certificate)
        .output()
        .expect("node");
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{wrong}");
    serde_json::from_slice(&output.stdout).expect("one line of JSON")
}

/// What we say, in the same shape.
fn ask_ours(hosts: &[String], ports: (u16, u16), authority: &Authority) -> Value {
    let (client, runtime) = (client(authority), runtime());
    let mut facts = BTreeMap::new();
    for host in hosts {
        let site = Site {
            host: host.clone(),
            http_port: ports.0,
            https_port: ports.1,
            others: vec![ELSEWHERE.into()],
        };
        let looked = runtime.block_on(look(&client, &site, &settings()));
        let looked = looked.expect(host);
        let verdict = observatory::judge(&looked.seen);
        let tests: BTreeMap<_, _> = verdict
            .outcomes
            .iter()
            .map(|(test, outcome)| (test.as_str(), outcome.as_str()))
            .collect();
        let told = json!({"grade": verdict.grade, "score": verdict.score, "tests": tests});
        facts.insert(host.clone(), told);
    }
    json!(facts)
}

#[test]
fn our_grades_are_those_of_the_observatory() {
    let cases: Arc<[Case]> = make(SITES).into();
    let hosts: Vec<_> = (0..cases.len()).map(host).collect();
    let authority = Authority::new();
    let pair = authority.issue(&["*.site.example", ELSEWHERE]);
    let ports = Ports::default();
    let (of_http, of_https, known) = (Arc::clone(&cases), Arc::clone(&cases), Arc::clone(&ports));
    let http = Answerer::plain(move |head| by_http(&of_http, &known, head));
    let https = Answerer::secure(&pair, move |head| by_https(&of_https, head));
    let ports = *ports.get_or_init(|| (http.address.port(), https.address.port()));

    let dir = tempfile::tempdir().expect("a folder");
    let theirs = ask_grader(dir.path(), &hosts, ports, &authority);
    let ours = ask_ours(&hosts, ports, &authority);
    let mut wrong = Vec::new();
    let mut grades = BTreeMap::<&str, usize>::new();
    let mut outcomes = BTreeMap::<&str, usize>::new();
    for (at, host) in hosts.iter().enumerate() {
        let (theirs, ours) = (&theirs[host], &ours[host]);
        *grades.entry(theirs["grade"].as_str().expect("a grade")).or_default() += 1;
        for result in theirs["tests"].as_object().expect("tests").values() {
            *outcomes.entry(result.as_str().expect("a result")).or_default() += 1;
        }
        if theirs != ours {
            wrong.push(format!("{:#?}\ntheirs {theirs}\nours   {ours}", cases[at]));
        }
    }
    let first: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), hosts.len(), first.join("\n"));
    // Sites that are all alike would prove little.
    assert!(grades.len() >= 12, "{grades:?}");
    assert!(outcomes.len() >= 52, "{}: {outcomes:?}", outcomes.len());
}
