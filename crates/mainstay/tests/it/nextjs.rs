//! `examples/nextjs` behind Mainstay over TLS, as Chromium and Firefox meet it: every page works under an enforced policy, and planted script does not.

use std::time::Duration;

use mainstay_testkit::Server;
use serde_json::{Value, json};

use crate::browser::{list, run_script, run_script_within};
use crate::example::{App, Certificate, https, input};
use crate::{asked_for, launch};

/// What is planted in every page, by the name it runs under.
const PLANTS: [&str; 5] = ["data", "foreign", "guessed nonce", "handler", "inline"];
/// A page the app does not have.
const MISSING: &str = "/no/such/page";
/// How many answers are compared; the app renders each anew, which takes it five to ten milliseconds.
const ANSWERS: u64 = 2_000;
/// The long form: `MAINSTAY_NONCES=10000`, which takes minutes.
const LONG: &str = "MAINSTAY_NONCES";
/// Time that one answer may take on a busy machine, and all of them at least.
const PER_ANSWER: Duration = Duration::from_millis(100);
const ANSWERS_MIN: Duration = Duration::from_secs(200);

/// A server in front of `app` that knows what was built.
fn serve(app: &App, build: &App, certificate: &Certificate) -> Server {
    let site = format!(
        "[[site]]\nname = \"default\"\nupstreams = [\"{}\"]\nbuild_dir = \"{}\"\n",
        app.url,
        build.build_dir().display()
    );
    certificate.give(launch().sites_in_settings().config(&site)).start()
}

#[test]
fn browser_pages_of_nextjs_work_over_tls_and_planted_scripts_do_not() {
    let app = App::start_nextjs();
    let planter = app.plant();
    let certificate = Certificate::make();
    let mut server = serve(&app, &app, &certificate);
    let planted = serve(&planter, &app, &certificate);

    let mut told = input(&server, &certificate);
    told["planted"] = json!(https(&planted));
    told["bare"] = json!(planter.url);
    told["app"] = json!(app.url);
    let facts = run_script("nextjs.mjs", &told);

    for (browser, visitors) in [("chromium", 1), ("firefox", 2)] {
        let facts = &facts[browser];
        check_visit(facts);
        check_plants(&facts["planted"]);
        assert_eq!(facts["visitors"], visitors, "{browser}: {facts}");
    }
    assert_eq!(facts["reports"], json!([]), "no browser had anything to report");
    for vital in ["FCP", "LCP", "TTFB"] {
        let count = facts["told"][vital].as_u64();
        assert!(count > Some(0), "the framework's own hook told the app of {vital}: {facts}");
    }
    check_log(&mut server);
}

/// What a browser gave up because a page was left says nothing of the server; this does: everything was answered well.
fn check_log(server: &mut Server) {
    server.stop();
    let log = std::fs::read_to_string(server.data_dir().join("logs/access.log")).expect("a log");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let (bad, good): (Vec<_>, Vec<_>) = lines
        .iter()
        .partition(|line| line["status_code"].as_u64() >= Some(400) && line["path"] != MISSING);
    assert!(bad.is_empty() && !good.is_empty(), "{bad:?}");
}

fn check_visit(facts: &Value) {
    let pages = list(&facts["pages"]);
    assert_eq!(pages.len(), 5, "{facts}");
    for page in pages {
        let status = if page["path"] == MISSING { 404 } else { 200 };
        assert_eq!(page["status"], status, "{page}");
        for fact in ["broken", "faults", "weaknesses"] {
            assert_eq!(page[fact], json!([]), "{fact}: {page}");
        }
    }
    assert_eq!(facts["renewed"], json!({"night": true, "faults": []}), "made again by the app");
    assert_eq!(
        facts["awake"],
        json!({"lengths": true, "asked": true, "zone": true, "night": true})
    );
    let heads = ["Seven days", "The sea holds", "Seven days", "The swimmers"];
    let navigated = &facts["navigated"];
    assert_eq!(navigated["heads"], json!(heads), "the last but one is shown by Back: {navigated}");
    assert_eq!(
        (&navigated["kept"], &navigated["broken"]),
        (&json!(true), &json!([])),
        "{navigated}"
    );
    let back = &navigated["back"];
    assert_eq!(back["expected"], back["counted"], "what Back shows is a view, once");
    let written = &facts["written"];
    assert!(written["thanks"].as_str().is_some_and(|text| text.starts_with("Thank you")));
    assert_eq!((&written["listed"], &written["kept"]), (&json!(true), &json!(true)), "{written}");
    assert_eq!(facts["faults"], json!([]));
    assert_eq!(facts["views"]["expected"], facts["views"]["counted"], "each view once");
}

fn check_plants(planted: &Value) {
    for page in list(&planted["guarded"]) {
        assert_eq!(page["ran"], json!([]), "{page}");
        assert!(page["blocked"].as_u64() >= Some(PLANTS.len() as u64), "each was seen: {page}");
    }
    for page in list(&planted["bare"]) {
        assert_eq!(page["ran"], json!(PLANTS), "the plants are alive: {page}");
    }
    for kind in ["guarded", "bare"] {
        assert_eq!(list(&planted[kind]).len(), 2, "a page of each kind: {planted}");
    }
}

#[test]
fn browser_caches_have_no_use_for_a_page_with_a_nonce() {
    let app = App::start_nextjs();
    let certificate = Certificate::make();
    let server = serve(&app, &app, &certificate);
    let mut told = input(&server, &certificate);
    told["path"] = json!("/book");
    let answers = asked_for(LONG).map_or(ANSWERS, |count| count.parse().expect("a number"));
    told["times"] = json!(answers);
    let time = ANSWERS_MIN.max(PER_ANSWER * u32::try_from(answers).expect("not that many"));
    let facts = run_script_within("nonces.mjs", &told, time);
    assert_eq!(facts["odd"], json!([]), "{facts}");
    assert_eq!(facts["unique"], answers, "{facts}");
    assert!(facts["bits"].as_u64() >= Some(128), "nobody guesses it (CSP3 section 7.1): {facts}");
    assert_eq!(facts["unmarked"], 0, "every script of the page carries the nonce: {facts}");
}
