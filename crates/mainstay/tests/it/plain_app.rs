//! `examples/plain-app` behind Mainstay over TLS: works wholly on its first start while browsers report, and is held by the policy once its owner says so.

use mainstay_testkit::Server;
use serde_json::{Value, json};

use crate::browser::{list, run_script};
use crate::example::{App, Certificate, https, input};
use crate::launch;

/// How many answers are compared.
const ANSWERS: u64 = 10_000;
/// Bits of a nonce that nobody guesses (CSP3 section 7.1).
const BITS_MIN: u64 = 128;

fn enforce(app: &App, certificate: &Certificate) -> Server {
    let site =
        format!("[[site]]\nname = \"default\"\nupstreams = [\"{}\"]\ncsp = \"enforce\"\n", app.url);
    certificate.give(launch().sites_in_settings().config(&site)).start()
}

#[test]
fn browser_use_of_a_plain_app_is_whole_until_its_policy_is_enforced() {
    let app = App::start_plain();
    let certificate = Certificate::make();
    let server = certificate.give(launch().upstream(&app.url)).start();
    let enforced = enforce(&app, &certificate);
    let mut told = input(&server, &certificate);
    told["enforced"] = json!(https(&enforced));
    told["dataDir"] = json!(server.data_dir());
    let facts = run_script("plain-app.mjs", &told);

    let mut counted = 0;
    for browser in ["chromium", "firefox"] {
        let facts = &facts[browser];
        check_first_start(facts, browser);
        check_enforced(&facts["enforced"], browser);
        let reports = list(&facts["reports"]);
        for row in reports {
            assert_eq!(
                (&row["type"], &row["disposition"], &row["blocked"]),
                (&json!("csp-violation"), &json!("report"), &json!("inline")),
                "{row}"
            );
        }
        let count: u64 = reports.iter().filter_map(|row| row["count"].as_u64()).sum();
        assert!(count > counted, "{browser} reported: {reports:?}");
        assert!(count > reports.len() as u64, "alike reports are one row: {reports:?}");
        counted = count;
    }
    check_shown(&facts["shown"], counted);
}

/// The owner sees what both reported, alike reports as one row with their count.
fn check_shown(shown: &Value, counted: u64) {
    let (seen, told) = (list(&shown["seen"]), list(&shown["told"]));
    let counts = |rows: &[Value]| -> Vec<_> {
        rows.iter().map(|row| (row["name"].clone(), row["count"].clone())).collect()
    };
    assert_eq!(counts(seen), counts(told), "the console tells what the API does: {shown}");
    let sum: u64 = seen.iter().filter_map(|row| row["count"].as_u64()).sum();
    assert!(sum >= counted && sum > seen.len() as u64, "of both, collapsed: {shown}");
    for row in seen {
        let facts = row["facts"].as_str().unwrap_or_default();
        assert!(facts.starts_with("csp-violation, not enforced"), "{row}");
    }
    assert_eq!(shown["faults"], json!([]));
}

fn check_first_start(facts: &Value, browser: &str) {
    assert_eq!(facts["policies"], json!(["content-security-policy-report-only"]));
    assert_eq!(facts["broken"], json!([]));
    for thing in ["inline", "handler", "counted"] {
        assert_eq!(facts[thing], true, "{thing} in {browser}: {facts}");
    }
    check_note(&facts["note"], browser);
    assert_eq!(facts["heard"], json!([format!("{browser} asks"), "ü".repeat(200)]));
    assert_eq!(facts["back"], json!([1, 1]), "aside and back again are a view each: {facts}");
    assert_eq!(facts["rows"], 28_000);
    assert!(
        facts["ledger"].as_str().is_some_and(|text| text.ends_with("thrown away.")),
        "the script behind two megabytes ran: {}",
        facts["ledger"]
    );
    for fault in list(&facts["faults"]).iter().filter_map(Value::as_str) {
        let reported = fault.starts_with("policy: ")
            || fault.to_lowercase().replace(' ', "-").contains("report-only");
        assert!(reported, "{browser}: {fault}");
    }
}

fn check_enforced(facts: &Value, browser: &str) {
    assert_eq!(facts["policies"], json!(["content-security-policy"]));
    assert_eq!((&facts["inline"], &facts["handler"]), (&json!(false), &json!(false)), "{facts}");
    assert!(facts["blocked"].as_u64() > Some(0), "{facts}");
    // Forms are no scripts.
    check_note(&facts["note"], browser);
}

fn check_note(note: &Value, browser: &str) {
    let expected = json!({
        "said": format!("Thank you, {browser}."),
        "visits": "2",
        "listed": format!("Lamp\n{browser}"),
        "path": "/",
    });
    assert_eq!(*note, expected, "posted, redirected, and remembered by the session");
}

#[test]
fn browser_nonces_are_long_and_never_the_same_twice() {
    let app = App::start_plain();
    let certificate = Certificate::make();
    let server = enforce(&app, &certificate);
    let told = json!({
        "site": https(&server),
        "path": "/bench",
        "times": ANSWERS,
        "certificate": certificate.path(),
    });
    let facts = run_script("nonces.mjs", &told);
    assert_eq!(facts["odd"], json!([]), "{facts}");
    assert_eq!(facts["unique"], ANSWERS, "{facts}");
    assert!(facts["bits"].as_u64() >= Some(BITS_MIN), "{facts}");
    assert_eq!(facts["unmarked"], 1, "the app's own script is not ours to bless: {facts}");
}
