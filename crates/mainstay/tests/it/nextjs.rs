//! `examples/nextjs` behind Mainstay over TLS, as Chromium and Firefox meet it: every page works under an enforced policy, and planted script does not.

use mainstay_testkit::Server;
use serde_json::{Value, json};

use crate::browser::{list, run_script};
use crate::example::{App, Certificate, https, input};
use crate::launch;

/// What is planted in every page, by the name it runs under.
const PLANTS: [&str; 5] = ["data", "foreign", "guessed nonce", "handler", "inline"];
/// How many answers are compared; the app renders each anew, which takes it some milliseconds.
const ANSWERS: u64 = 400;

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
    let server = serve(&app, &app, &certificate);
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
}

fn check_visit(facts: &Value) {
    let pages = list(&facts["pages"]);
    assert_eq!(pages.len(), 5, "{facts}");
    for page in pages {
        let status = if page["path"] == "/no/such/page" { 404 } else { 200 };
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
    assert_eq!(facts["navigated"], json!({"heads": heads, "kept": true, "broken": []}));
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
    told["times"] = json!(ANSWERS);
    let facts = run_script("nonces.mjs", &told);
    assert_eq!(facts["odd"], json!([]), "{facts}");
    assert_eq!(facts["unique"], ANSWERS, "{facts}");
    assert_eq!(facts["unmarked"], 0, "every script of the page carries the nonce: {facts}");
}
