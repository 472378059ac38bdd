//! Jobs as an app, an operator and a script meet them: added, told of, tried again, removed, paused; beside a server and without one.

use std::time::Duration;

use mainstay_testkit::{Ended, Launch, Postgres, Process, Request, Response, Server, until};
use serde_json::{Value, json};

use crate::keys::{self, Key};
use crate::{launch, launch_bare};

const SOON: Duration = Duration::from_secs(20);

/// Jobs of `held` wait for others; those of `work` are begun here, by nobody who knows what they are.
const QUEUES: &str = r#"
[jobs]
payload_max = "64KiB"
request_max = "256KiB"

[[jobs.queue]]
name = "held"
concurrency = 0

[[jobs.queue]]
name = "work"
"#;

fn post(server: &Server, key: &Key, queue: &str, body: &Value) -> Response {
    server.send(&adding(key, queue, &body.to_string()))
}

fn adding(key: &Key, queue: &str, body: &str) -> Request {
    let request = Request::post(&format!("/_mainstay/jobs/{queue}"));
    keys::with(request.header("content-type", "application/json"), &key.text).body(body)
}

fn get(server: &Server, key: &Key, queue: &str, id: &str) -> Response {
    server.send(&keys::with(Request::get(&format!("/_mainstay/jobs/{queue}/{id}")), &key.text))
}

/// Adds a job and answers its id.
fn add(server: &Server, key: &Key, queue: &str, body: &Value) -> String {
    let answer = post(server, key, queue, body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn counts(server: &Server, queue: &str) -> Value {
    let queues = server.rows("/api/v1/jobs/queues");
    queues.into_iter().find(|row| row["queue"] == queue).expect("the queue")
}

/// `mainstay jobs …` beside the data dir of a server, or of none.
fn run(data: &std::path::Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.env_clear().envs(variables.iter().copied());
    command.arg("jobs").args(arguments).arg("--data-dir").arg(data);
    command.current_dir(data.parent().unwrap_or(data));
    Process::run(&mut command, SOON)
}

fn add_and_ask(launch: Launch) {
    let mut server = launch.config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    let body =
        json!({"type": "report", "payload": {"month": "2026-11"}, "priority": 3, "attempts": 7});
    let answer = post(&server, &key, "held", &body);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!((answer.status, answer.json()), (201, json!({"id": id})));
    assert_eq!(answer.header("location"), Some(&*format!("/_mainstay/jobs/held/{id}")));
    let job = get(&server, &key, "held", &id);
    assert_eq!(job.status, 200, "{}", job.text());
    let job = job.json();
    for (name, value) in [
        ("id", json!(id)),
        ("queue", json!("held")),
        ("type", json!("report")),
        ("status", json!("waiting")),
        ("attempts", json!(0)),
        ("attempts_max", json!(7)),
        ("priority", json!(3)),
        ("progress", Value::Null),
        ("result", Value::Null),
        ("error", Value::Null),
    ] {
        assert_eq!(job[name], value, "{name}");
    }
    assert_eq!(job.get("payload"), None, "its data is nobody's who only asks");

    // Later, by a name of its own, and several at once.
    let later =
        add(&server, &key, "held", &json!({"type": "t", "delay": 3_600_000, "id": "mine/1 ü"}));
    assert_eq!(later, "mine/1 ü");
    let there = json!({"type": "t", "id": "mine/1 ü"});
    let there = post(&server, &key, "held", &there);
    let at = there.header("location").expect("a place").to_owned();
    let at = server.send(&keys::with(Request::get(&at), &key.text));
    assert_eq!((at.status, &at.json()["id"]), (200, &json!("mine/1 ü")), "{}", at.text());
    let found = get(&server, &key, "held", "mine%2F1%20%C3%BC").json();
    assert_eq!((&found["status"], &found["id"]), (&json!("delayed"), &json!("mine/1 ü")));
    let several =
        post(&server, &key, "held", &json!([{"type": "a"}, {"type": "b", "id": "named"}]));
    assert_eq!(several.status, 201, "{}", several.text());
    let several = several.json();
    assert_eq!((several.as_array().map(Vec::len), &several[1]["id"]), (Some(2), &json!("named")));
    let queue = counts(&server, "held");
    assert_eq!(
        (&queue["waiting"], &queue["delayed"], &queue["paused"]),
        (&json!(3), &json!(1), &json!(false))
    );
    assert!(queue["oldest_ms"].is_u64(), "{queue}");
    // Nobody knows the kind: that is told, and the job can be tried again.
    let lost = add(
        &server,
        &key,
        "work",
        &json!({"type": "nobody's", "payload": {"token": "s3cret", "to": "ada@example.org"}}),
    );
    let standing = || get(&server, &key, "work", &lost).json();
    until("it is dead", SOON, || standing()["status"] == "dead");
    assert!(standing()["error"].as_str().is_some_and(|error| error.contains("nobody's")));
    let mut log = server.stop().stderr;
    let access = server.data_dir().join("logs/access.log");
    log.push_str(&std::fs::read_to_string(access).expect("the access log"));
    assert!(log.contains("/_mainstay/jobs/"), "the access log is among it: {log}");
    assert!(!log.contains("s3cret") && !log.contains("ada@"), "{log}");
}

#[test]
fn an_app_adds_jobs_and_asks_how_they_stand_on_files() {
    add_and_ask(launch_bare());
}

#[test]
fn an_app_adds_jobs_and_asks_how_they_stand_on_a_database() {
    add_and_ask(launch_bare().shared_engines());
}

#[test]
fn what_repeats_a_request_adds_nothing() {
    let server = launch().config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    let body = json!({"type": "t", "payload": 1}).to_string();
    let by_key = |name: &str, body: &str| {
        server.send(&adding(&key, "held", body).header("idempotency-key", name))
    };
    let first = by_key("order-17", &body);
    let again = by_key("order-17", &body);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.json(), again.json());
    let two = json!([{"type": "a"}, {"type": "b"}]).to_string();
    let (first, again) = (by_key("pair", &two), by_key("pair", &two));
    assert_eq!(first.json(), again.json());
    assert_ne!(first.json()[0], first.json()[1]);
    // A name of its own, and a unique key: 200, because nothing was created.
    for field in [json!({"id": "mine"}), json!({"unique": "k"}), json!({"unique": {"key": "k2"}})] {
        let mut body = json!({"type": "t"});
        let fields = field.as_object().expect("fields").clone();
        body.as_object_mut().expect("a job").extend(fields);
        let (first, again) =
            (post(&server, &key, "held", &body), post(&server, &key, "held", &body));
        assert_eq!((first.status, again.status), (201, 200), "{body}");
        assert_eq!(first.json(), again.json());
    }
    assert_eq!(counts(&server, "held")["waiting"], 6);
    // Debounced: the later one's data, one job.
    let put_off = |payload: u8| json!({"type": "t", "payload": payload, "delay": 3_600_000, "unique": {"key": "d", "debounce": true}});
    let (first, second) =
        (post(&server, &key, "held", &put_off(1)), post(&server, &key, "held", &put_off(2)));
    assert_eq!(first.json(), second.json());
    let jobs = server.rows("/api/v1/jobs?queue=held&status=delayed");
    assert_eq!((jobs.len(), &jobs[0]["payload"]), (1, &json!(2)));
}

#[test]
fn what_is_wrong_with_a_job_is_told_and_nothing_is_added() {
    let server = launch().config(QUEUES).start();
    let (key, reader) = (keys::make(&server, "jobs"), keys::make(&server, "read"));
    let good = json!({"type": "t"}).to_string();
    let large = json!({"type": "t", "payload": "x".repeat(64 << 10)}).to_string();
    let long = json!({"type": "x".repeat(300)}).to_string();
    let many = format!("[{}{good}]", format!("{good},").repeat(10_000));
    let named = (0..1_001).map(|n| json!({"type": "t", "id": format!("n{n}")})).collect::<Vec<_>>();
    let named = json!(named).to_string();
    // By one byte: what lies behind the bound nobody reads.
    let enormous = "1".repeat((256 << 10) + 1);
    for (queue, body, status, words) in [
        ("gone", &*good, 404, "Queue gone not found"),
        ("%67one", &*good, 404, "Queue gone not found"),
        ("held", "{", 400, "line 1"),
        ("held", "[]", 400, "no job"),
        ("held", "{\"payload\": 1}", 400, "\"type\""),
        ("held", "{\"type\": \"t\", \"delays\": 1}", 400, "\"type\""),
        ("held", "{\"type\": \"t\"} {", 400, "\"type\""),
        ("held", &*many, 400, "jobs.batch_max"),
        ("held", &*named, 400, "1000 jobs that have an id"),
        ("held", "{\"type\": \"t\", \"attempts\": 0}", 400, "attempts"),
        ("held", "{\"type\": \"t\", \"id\": \"17\"}", 400, "no number"),
        ("held", "{\"type\": \"t\", \"priority\": 3000000}", 400, "priority"),
        ("held", &*long, 400, "1 to 255 bytes"),
        ("held", &*large, 400, "jobs.payload_max"),
        ("a%00b", &*good, 404, "no queue"),
        ("held", &*enormous, 413, "at most"),
    ] {
        let answer = server.send(&adding(&key, queue, body));
        let beginning: String = body.chars().take(40).collect();
        assert_eq!(answer.status, status, "{beginning}: {}", answer.text());
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains(words), "{beginning}: {detail}");
    }
    let stranger = server.send(&Request::post("/_mainstay/jobs/held").body(&*good));
    assert_eq!((stranger.status, stranger.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(post(&server, &reader, "held", &json!({"type": "t"})).status, 403);
    let bare = keys::with(Request::post("/_mainstay/jobs/held"), &key.text).body(&*good);
    assert_eq!(server.send(&bare).status, 415);
    assert_eq!(get(&server, &key, "held", "1").status, 404);
    assert_eq!(get(&server, &key, "held", "name").status, 404);
    let wrong = keys::with(Request::get("/_mainstay/jobs/held"), &key.text);
    let wrong = server.send(&wrong);
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    let queue = counts(&server, "held");
    assert_eq!((&queue["waiting"], &queue["delayed"]), (&json!(0), &json!(0)));
}

#[test]
fn the_owner_sees_jobs_without_secrets_and_tries_them_again() {
    let server = launch().config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    let payload =
        json!({"to": "ada@example.org", "data": {"password": "hunter2"}, "template": "hello"});
    let id = add(&server, &key, "work", &json!({"type": "nobody's", "payload": payload}));
    let path = format!("/api/v1/jobs/work/{id}");
    until("it is dead", SOON, || server.read(&path)["status"] == "dead");
    let jobs = server.rows("/api/v1/jobs?queue=work&status=dead");
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(jobs[0]["payload"]["template"], "hello");
    let shown = serde_json::to_string(&jobs).expect("JSON");
    assert!(!shown.contains("ada@") && !shown.contains("hunter2"), "{shown}");

    // Who may only read changes nothing; a page of another origin neither.
    let retry = format!("{path}/retry");
    let reader = keys::make(&server, "read");
    assert_eq!(server.admin_stranger(&keys::with(Request::post(&retry), &reader.text)).status, 403);
    let foreign = Request::post(&retry).header("origin", "https://evil.example");
    assert_eq!(server.admin(foreign).status, 403);
    assert_eq!(server.read(&path)["status"], "dead");

    let pause = |word: &str| {
        server.admin(Request::post(&format!("/api/v1/jobs/queues/work/{word}"))).status
    };
    assert_eq!(pause("pause"), 204);
    assert_eq!(counts(&server, "work")["paused"], true);
    let again = server.admin(Request::post(&retry));
    assert_eq!((again.status, again.json()), (200, json!({"status": "waiting"})));
    let early = server.admin(Request::post(&retry));
    assert_eq!(early.status, 409, "{}", early.text());
    assert!(early.text().contains("is waiting: only failed and dead jobs"), "{}", early.text());
    assert_eq!(server.read(&path)["status"], "waiting");
    assert_eq!(pause("resume"), 204);
    until("it is dead again", SOON, || server.read(&path)["status"] == "dead");
    let removed = server.admin(Request::new("DELETE", &path));
    assert_eq!((removed.status, removed.json()), (200, json!({"status": "dead"})));
    assert_eq!(server.admin(Request::get(&path)).status, 404);
    assert!(server.rows("/api/v1/jobs?queue=work&status=dead").is_empty());

    // Ended before it begins.
    let id = add(&server, &key, "held", &json!({"type": "t"}));
    let cancelled = server.admin(Request::post(&format!("/api/v1/jobs/held/{id}/cancel")));
    assert_eq!(cancelled.json(), json!({"status": "dead"}));
    assert_eq!(get(&server, &key, "held", &id).json()["error"], "cancelled");
    for (query, field) in [
        ("queue=held&status=gone", "status"),
        ("queue=held&limit=0", "limit"),
        ("queue=held&cursor=x", "cursor"),
    ] {
        let answer = server.admin(Request::get(&format!("/api/v1/jobs?{query}")));
        assert_eq!((answer.status, &answer.json()["field"]), (400, &json!(field)), "{query}");
    }
    let gone = server.admin(Request::get("/api/v1/jobs?queue=gone"));
    assert_eq!((gone.status, &gone.json()["detail"]), (404, &json!("Queue gone not found")));
    assert_eq!(gone.json()["field"], "queue");
    // The first of the queues by name, where none is named.
    assert!(server.rows("/api/v1/jobs?status=dead").is_empty());
    assert_eq!(server.rows("/api/v1/jobs?queue=held&status=dead").len(), 1);
}

#[test]
fn lists_come_in_pages() {
    let server = launch().config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    let ids: Vec<String> =
        (0..5).map(|n| add(&server, &key, "held", &json!({"type": format!("t{n}")}))).collect();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.read(&format!("/api/v1/jobs?queue=held&limit=2{cursor}"));
        let rows = page["data"].as_array().expect("rows");
        seen.extend(rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        assert!(seen.len() < 10, "pages without an end");
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, ids);
}

#[test]
fn a_list_has_no_long_data_and_the_job_itself_has() {
    let server = launch().config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    let long = "x".repeat(5_000);
    let id = add(&server, &key, "held", &json!({"type": "t", "payload": long}));
    let rows = server.rows("/api/v1/jobs?queue=held");
    assert_eq!(rows[0]["payload"], "[long: ask for the job itself]");
    assert_eq!(server.read(&format!("/api/v1/jobs/held/{id}"))["payload"], long.as_str());
}

#[test]
fn queues_are_measured() {
    let server = launch().config(QUEUES).start();
    let key = keys::make(&server, "jobs");
    add(&server, &key, "held", &json!({"type": "t"}));
    let id = add(&server, &key, "held", &json!({"type": "t", "delay": 3_600_000}));
    assert_eq!(get(&server, &key, "held", &id).json()["status"], "delayed");
    let size = |status: &str| {
        server.metrics().value("job_queue_size", &[("queue_name", "held"), ("status", status)])
    };
    let is_one = |status: &str| (size(status) - 1.0).abs() < 1e-9;
    until("they are counted", SOON, || is_one("waiting") && is_one("delayed"));
    assert!(size("failed").abs() < 1e-9, "there from the start");
}

/// The commands beside a server, and without one: what they did, the other sees.
fn command(launch: Launch, variables: &dyn Fn(&Server) -> Vec<(&'static str, String)>) {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("data");
    std::fs::write(home.path().join("mainstay.toml"), QUEUES).expect("settings");
    let mut server = launch.data_dir(&data).config(QUEUES).start();
    let variables = variables(&server);
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = |arguments: &[&str]| run(&data, &variables, arguments);
    let done = |arguments: &[&str]| {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    };
    let first = done(&["add", "held", "report", "{\"month\": \"2026-11\"}", "--priority", "2"]);
    let first = first.trim();
    let shown: Value =
        serde_json::from_str(&done(&["show", "held", first, "--json"])).expect("JSON");
    assert_eq!((&shown["status"], &shown["priority"]), (&json!("waiting"), &json!(2)));
    assert_eq!(shown["payload"], json!({"month": "2026-11"}));
    let unknown = run(&["add", "gone", "t"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("Queue gone not found"), "{}", unknown.stderr);
    let missing = run(&["show", "held", "4711"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""), "{}", missing.stderr);
    assert_eq!(done(&["pause", "held"]), "paused");
    assert_eq!(counts(&server, "held")["paused"], true);
    server.stop();

    // Without a server, on the same rows.
    let second: Value =
        serde_json::from_str(&done(&["add", "held", "later", "--delay", "1h", "--json"]))
            .expect("JSON");
    let second = second["id"].as_str().expect("an id").to_owned();
    let table = done(&["counts"]);
    assert!(table.starts_with("QUEUE ") && table.contains("held"), "{table}");
    let row = table.lines().find(|line| line.starts_with("held")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[..4], ["held", "1", "0", "1"], "{table}");
    assert!(row.ends_with("paused"), "{table}");
    assert!(done(&["list", "held", "--status", "delayed"]).contains(&second));
    assert_eq!(done(&["cancel", "held", &second]), "dead");
    assert_eq!(done(&["retry", "held", &second]), "waiting");
    assert_eq!(done(&["remove", "held", &second]), "removed");
    assert_eq!(run(&["remove", "held", &second]).code, Some(1));
    assert_eq!(done(&["resume", "held"]), "resumed");
    let listed: Value = serde_json::from_str(&done(&["list", "held", "--json"])).expect("JSON");
    assert_eq!(
        (listed["data"].as_array().map(Vec::len), &listed["data"][0]["id"]),
        (Some(1), &json!(first))
    );
}

#[test]
fn commands_do_the_same_beside_a_server_and_without_one() {
    command(launch_bare(), &|_| Vec::new());
}

#[test]
fn commands_do_the_same_on_a_database() {
    command(launch_bare().shared_engines(), &|server| {
        let name = server.shared_database().expect("one of its own");
        let url = Postgres::shared().primary_url(&name);
        vec![("DATABASE_PRIMARY_URL", url)]
    });
}

#[test]
fn a_job_that_was_answered_is_there_after_the_server_was_killed() {
    let home = tempfile::tempdir().expect("a folder");
    let data = home.path().join("data");
    let start = || launch_bare().data_dir(&data).config(QUEUES).start();
    let mut server = start();
    let key = keys::make(&server, "jobs");
    let ids: Vec<String> =
        (0..50).map(|_| add(&server, &key, "held", &json!({"type": "t"}))).collect();
    server.kill();
    let server = start();
    assert_eq!(counts(&server, "held")["waiting"], 50);
    for id in [&ids[0], &ids[49]] {
        assert_eq!(get(&server, &key, "held", id).json()["status"], "waiting");
    }
}
