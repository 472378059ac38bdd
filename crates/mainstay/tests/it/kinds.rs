//! Jobs that the server does by itself, as an app meets them: added over HTTP, done, told of, and seen where they lead.

use std::time::Duration;

use mainstay_testkit::{Launch, MailServer, Request, Server, Upstream, free_port, until};
use serde_json::{Value, json};

use crate::keys::{self, Key};
use crate::{launch, launch_bare};

const SOON: Duration = Duration::from_secs(30);

fn add(server: &Server, key: &Key, queue: &str, body: &Value) -> String {
    let request = Request::post(&format!("/_mainstay/jobs/{queue}"));
    let request = request.header("content-type", "application/json").body(body.to_string());
    let answer = server.send(&keys::with(request, &key.text));
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// The job once it has ended.
fn end(server: &Server, key: &Key, queue: &str, id: &str) -> Value {
    let request = keys::with(Request::get(&format!("/_mainstay/jobs/{queue}/{id}")), &key.text);
    let mut job = Value::Null;
    until("it ends", SOON, || {
        job = server.send(&request).json();
        ["completed", "failed", "dead"].iter().any(|end| job["status"] == *end)
    });
    job
}

fn do_each(launch: Launch) {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("hello.txt"), "Hello {{ name }},\nit works.\n")
        .expect("a file");
    std::fs::write(home.path().join("hello.html"), "<p>Hello <b>{{ name }}</b>").expect("a file");
    let (letters, worker) = (
        MailServer::start(),
        Upstream::answering(
            "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"done\": 17}",
        ),
    );
    let port = free_port();
    let config = format!(
        "public_url = \"http://127.0.0.1:{port}\"\n[scan]\nrequests_max = 40\nrequests_per_second = 1000\n[mail]\nurl = \"smtp://127.0.0.1:{}?tls=none\"\nfrom = \"shop@example.org\"\ntemplates = \"{}\"\n[webhook]\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"\norigins = [\"http://{}\"]\n",
        letters.port(),
        home.path().display(),
        worker.address
    );
    let mut server = launch.listen(&format!("127.0.0.1:{port}")).config(&config).start();
    let key = keys::make(&server, "jobs");
    let letter = json!({"to": "ada@example.org", "subject": "To {{ name }}", "template": "hello", "data": {"name": "Ada & Co"}});
    let jobs = [
        ("email", json!({"type": "welcome", "payload": letter})),
        (
            "webhook",
            json!({"type": "resize", "payload": {"url": format!("http://{}/w", worker.address), "body": {"n": 1}}}),
        ),
        (
            "analytics",
            json!({"type": "event", "payload": {"event": "checkout", "properties": {"cart": 3}}}),
        ),
        (
            "security-scan",
            json!({"type": "weekly", "payload": {"target": server.site_url("/"), "scanType": "full"}}),
        ),
    ];
    let jobs = jobs.map(|(queue, body)| (queue, add(&server, &key, queue, &body)));
    let ended = jobs.map(|(queue, id)| {
        let job = end(&server, &key, queue, &id);
        assert_eq!(
            (&job["status"], &job["attempts"]),
            (&json!("completed"), &json!(1)),
            "{queue}: {job}"
        );
        job["result"].clone()
    });
    let [letter, answered, nothing, scanned] = ended;
    let taken = letters.wait_for(1, SOON);
    assert_eq!(taken[0].header("subject"), Some("To Ada & Co"));
    assert_eq!(taken[0].header("message-id"), letter["messageId"].as_str());
    assert_eq!((answered, nothing), (json!({"done": 17}), Value::Null));
    assert_eq!(worker.requests().len(), 1);
    until("the event is there", SOON, || {
        server
            .rows("/api/v1/events")
            .iter()
            .any(|row| row["name"] == "checkout" && row["count"] == 1)
    });
    assert!(scanned["grade"].is_string() && scanned["findings"].is_array(), "{scanned}");
    let completed = [("queue_name", "email"), ("outcome", "completed")];
    let took = server.metrics().value("mainstay_job_duration_seconds_count", &completed);
    assert!((took - 1.0).abs() < 1e-9, "{took}");
    let log = server.stop().stderr;
    assert!(!log.contains("ada@") && !log.contains("Ada & Co"), "{log}");
}

#[test]
fn letters_webhooks_events_and_scans_are_done_on_files() {
    do_each(launch_bare());
}

#[test]
fn letters_webhooks_events_and_scans_are_done_on_a_database() {
    do_each(launch_bare().shared_engines());
}

#[test]
fn what_cannot_be_done_is_dead_and_says_what_to_do() {
    let server = launch().start();
    let key = keys::make(&server, "jobs");
    for (queue, payload, words) in [
        (
            "email",
            json!({"to": "ada@example.org", "subject": "s", "template": "hello", "data": {}}),
            "mail.url",
        ),
        ("webhook", json!({"url": "https://example.org/", "body": 1}), "webhook.secret"),
        ("analytics", json!({"properties": {}}), "event"),
        ("security-scan", json!({"target": "https://others.example"}), "settings"),
    ] {
        let id = add(&server, &key, queue, &json!({"type": "t", "payload": payload}));
        let job = end(&server, &key, queue, &id);
        assert_eq!(
            (&job["status"], &job["result"]),
            (&json!("dead"), &Value::Null),
            "{queue}: {job}"
        );
        let error = job["error"].as_str().unwrap_or_default();
        assert!(error.contains(words) && !error.contains("ada@"), "{queue}: {error}");
    }
}
