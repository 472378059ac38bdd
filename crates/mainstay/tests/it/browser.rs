//! What Chromium makes of the example site and of the console. Each test runs one script of `e2e/`, which drives the browser and prints facts; judging them is done here.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_testkit::{Postgres, Process, Server, TOKEN, checkout, list_files_with};
use serde_json::{Value, json};

use crate::launch;

/// Time a script may take on a busy machine. Those that open two browsers end by themselves before, and say what they
/// waited for (`e2e/stand/pair.mjs`).
const SCRIPT: Duration = Duration::from_secs(200);
/// From the start of the process to the first page view on the owner's screen, in ms.
const FIRST_VIEW_MS: u64 = 5_000;
/// From hiding a page to all of its visit on the owner's screen, in ms.
const SHOWN_MS: u64 = 2_000;
const VITALS: [&str; 5] = ["CLS", "FCP", "INP", "LCP", "TTFB"];

#[test]
fn every_page_of_the_portfolio_works_under_its_policy_and_planted_scripts_do_not() {
    let server = launch().folder(&portfolio()).start();
    let facts = run_script("portfolio.mjs", &input(&server));

    let pages = list(&facts["pages"]);
    let files = list_files_with(&portfolio(), "<!DOCTYPE html>");
    assert_eq!(pages.len(), files.len() * 2, "every page on two devices");
    for page in pages {
        let status = if page["path"] == "/no/such/page" { 404 } else { 200 };
        assert_eq!(page["status"], status, "{page}");
        for fact in ["broken", "faults", "weaknesses"] {
            assert_eq!(page[fact], json!([]), "{fact}: {page}");
        }
    }
    for used in list(&facts["used"]) {
        assert_eq!(used["faults"], json!([]), "{used}");
        let theme = &used["theme"];
        assert_ne!(theme["before"], theme["clicked"], "the switch changes the ground: {used}");
        assert_eq!(theme["clicked"], theme["remembered"], "the next page remembers: {used}");
        assert_eq!(used["gallery"], json!({"all": 6, "morning": 1, "address": "?light=morning"}));
    }

    let (guarded, bare) = (&facts["planted"]["guarded"], &facts["planted"]["bare"]);
    assert_eq!(guarded["ran"], json!([]), "{guarded}");
    assert_eq!(guarded["fetched"], 0, "{guarded}");
    assert_eq!(list(&guarded["blocked"]).len(), 3, "each was reported: {guarded}");
    assert_eq!(guarded["works"], "6 buildings", "the page's own scripts ran: {guarded}");
    assert_eq!(
        bare["ran"],
        json!(["foreign", "handler", "inline"]),
        "the plants are alive: {bare}"
    );

    let machines = &facts["machines"];
    assert_eq!(machines["processes"], json!(["● Ready"]), "{machines}");
    let databases = list(&machines["databases"]);
    let well = |state: &Value| state.as_str().is_some_and(|state| state.starts_with('●'));
    assert!(!databases.is_empty() && databases.iter().all(well), "{machines}");
    assert_eq!(machines["faults"], json!([]), "{machines}");

    assert_eq!(facts["console"], json!([]), "weaknesses of the console's policy");
}

#[test]
fn the_owner_sees_a_visit_with_all_vitals_within_two_seconds_of_its_end() {
    let server = launch().folder(&portfolio()).start();
    let facts = run_script("visit.mjs", &input(&server));

    for hide in list(&facts["hides"]) {
        for place in ["api_ms", "screen_ms"] {
            let waited = hide[place].as_u64().expect("milliseconds");
            assert!(waited <= SHOWN_MS, "{hide}");
        }
        let path = hide["path"].as_str().expect("a path");
        let vitals = rows_of(&facts["vitals"], "key", path);
        let mut names: Vec<_> = vitals.iter().filter_map(|row| row["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, VITALS, "{hide}");
        assert!(vitals.iter().all(|row| row["samples"] == 1), "{vitals:?}");
    }
    assert_eq!(facts["soft"], json!({"key": "/soft/second", "visitors": 1, "pageviews": 1}));

    assert_eq!(list(&facts["errors"]).len(), 2, "two faults, twice each: {}", facts["errors"]);
    for (name, message) in [("TypeError", "planned fault"), ("RangeError", "planned rejection")] {
        let groups = rows_of(&facts["errors"], "name", name);
        let [group] = groups.as_slice() else { panic!("one group of {name}: {groups:?}") };
        assert_eq!(group["message"], message);
        assert_eq!((&group["count"], &group["visitors"]), (&json!(2), &json!(1)), "{group}");
    }

    let private = &facts["private"];
    assert_eq!(private["row"], json!({"key": "/thanks", "visitors": 0, "pageviews": 1}));
    assert_eq!(private["visitors"][0], private["visitors"][1], "nobody was added: {private}");
    assert_eq!(private["sources"], json!(["Direct / none"]), "its campaign stays with it");

    let (bot, counted) = (&facts["bot"], json!(1));
    assert_eq!(bot["exclude"], Value::Null, "{bot}");
    assert_eq!((&bot["only"]["pageviews"], &bot["include"]["pageviews"]), (&counted, &counted));
    assert!(has_stored_a_bot(&server, "headless browser"), "with its reason");

    let shown = &facts["shown"];
    for fact in ["views", "visitors", "pages"] {
        assert_eq!(shown[fact][0], shown[fact][1], "{fact} on screen and in the API");
    }
    assert_eq!(shown["errors"].as_array().map(Vec::len), Some(2), "{shown}");
    assert_eq!(facts["used"]["ranges"], json!(["24 h", "7 d", "30 d"]), "each shows the visits");
    assert_eq!(facts["used"]["status"], 401, "signed out");
    assert_eq!(facts["console_faults"], json!([]));
}

#[test]
fn the_first_view_is_on_screen_within_five_seconds_of_the_start() {
    let input = json!({"binary": env!("CARGO_BIN_EXE_mainstay"), "siteDir": portfolio()});
    let facts = run_script("first-view.mjs", &input);
    let shown = facts["shown_ms"].as_u64().expect("milliseconds");
    assert!(shown <= FIRST_VIEW_MS, "{facts}");
}

/// Whether a view is kept that this is why it is not a person's; no question of the console asks for that.
fn has_stored_a_bot(server: &Server, reason: &str) -> bool {
    let Some(database) = server.shared_database() else {
        return !list_files_with(server.data_dir(), reason).is_empty();
    };
    let text = "SELECT DISTINCT bot_reason FROM mainstay.page_views WHERE bot_reason IS NOT NULL";
    Postgres::shared().query(&database, text).lines().any(|line| line == reason)
}

fn portfolio() -> PathBuf {
    checkout().join("examples/portfolio/site")
}

fn input(server: &Server) -> Value {
    json!({
        "site": server.site_url(""),
        "admin": server.admin_url(""),
        "token": TOKEN,
        "dataDir": server.data_dir(),
        "siteDir": server.folder(),
    })
}

/// Runs a script of `e2e/` and reads the facts it prints.
pub(crate) fn run_script(name: &str, input: &Value) -> Value {
    run_script_within(name, input, SCRIPT)
}

/// The same for a script that may take another time.
pub(crate) fn run_script_within(name: &str, input: &Value, time: Duration) -> Value {
    let folder = checkout().join("e2e");
    assert!(folder.join("node_modules").is_dir(), "e2e/node_modules is missing: run scripts/setup");
    let mut command = Process::command("node");
    command.arg(name).arg(input.to_string()).current_dir(&folder);
    let ended = Process::run(&mut command, time);
    assert_eq!(ended.code, Some(0), "{name}: {}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).expect("one line of JSON")
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn rows_of(rows: &Value, field: &str, text: &str) -> Vec<Value> {
    list(rows).iter().filter(|row| row[field] == text).cloned().collect()
}
