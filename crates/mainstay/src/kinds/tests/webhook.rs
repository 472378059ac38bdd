//! Workers over HTTP.

use std::process::Command;

use mainstay_testkit::{Heard, Process, Upstream, until};
use serde_json::json;

use super::*;
use crate::kinds::webhook::Settings as Workers;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const KEY: &[u8] = b"01234567890123456789012345678901";

fn settings(origins: &[&Upstream]) -> Settings {
    let origins = origins.iter().map(|worker| format!("http://{}", worker.address)).collect();
    let webhook = Workers { secret: Some(SECRET.into()), origins, ..Workers::default() };
    Settings { webhook, ..Settings::default() }
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Answers with these, one after the other.
fn worker(answers: Vec<String>) -> Upstream {
    Upstream::start(move |wire| {
        while wire.read_request()?.is_some() {
            wire.write(answers.get(wire.number()).map_or("", String::as_str))?;
        }
        Ok(())
    })
}

fn job(worker: &Upstream) -> Value {
    json!({"url": format!("http://{}/work?key=SECRET", worker.address), "body": {"n": 1}})
}

/// The signature as OpenSSL makes it.
fn signature(heard: &Heard) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let header = |name| heard.header(name).expect(name).to_owned();
    let mut signed =
        format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    signed.extend(&heard.body);
    let (file, made) = (dir.path().join("signed"), dir.path().join("made"));
    std::fs::write(&file, signed).expect("a file");
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut openssl = Command::new("openssl");
    openssl.args([
        "dgst",
        "-sha256",
        "-binary",
        "-mac",
        "HMAC",
        "-macopt",
        &format!("hexkey:{key}"),
    ]);
    let ended = Process::run(openssl.arg("-out").arg(&made).arg(&file), LONG);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    use base64::Engine as _;
    let made = std::fs::read(made).expect("a signature");
    format!("v1,{}", base64::engine::general_purpose::STANDARD.encode(made))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_is_asked_by_a_signed_request_and_its_answer_is_the_result() {
    let worker = worker(vec![answer(200, r#"{"done": 12345678901234567890123}"#)]);
    let house = House::open(settings(&[&worker])).await;
    let before = Clock::System.now().as_seconds();
    let url = job(&worker)["url"].to_string();
    let payload = format!(r#"{{"url":{url},"body":{{"b": 1, "a": 12345678901234567890123}}}}"#);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let add = Add {
        id: Some("order-17".into()),
        trace: Some(trace.into()),
        ..Add::new("resize", payload)
    };
    let id = house.add_with("webhook", add).await;
    let row = house.end("webhook", &id).await;
    assert_eq!(row.result.as_deref(), Some(r#"{"done": 12345678901234567890123}"#), "{row:?}");
    let heard = worker.requests();
    let [heard] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((&*heard.method, &*heard.target), ("POST", "/work?key=SECRET"));
    // As it was written, digit for digit.
    assert_eq!(heard.body, br#"{"b": 1, "a": 12345678901234567890123}"#);
    assert_eq!(heard.header("webhook-signature"), Some(&*signature(heard)));
    let at: i64 = heard.header("webhook-timestamp").and_then(|at| at.parse().ok()).expect("a time");
    assert!((before..=Clock::System.now().as_seconds()).contains(&at), "{at}");
    for (name, value) in [
        ("content-type", "application/json"),
        ("mainstay-job", "order-17"),
        ("mainstay-type", "resize"),
        ("mainstay-attempt", "1"),
        ("traceparent", trace),
    ] {
        assert_eq!(heard.header(name), Some(value), "{name}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_has_the_same_id_and_a_larger_token() {
    let worker = worker(vec![answer(503, ""), answer(200, "")]);
    let house = House::open(settings(&[&worker])).await;
    let again = Add {
        attempts: Some(2),
        backoff: Some(Backoff::Fixed(Duration::from_millis(10))),
        ..Add::new("x", job(&worker).to_string())
    };
    let id = house.add_with("webhook", again).await;
    assert_eq!(result(&house.end("webhook", &id).await), Value::Null);
    let heard = worker.requests();
    let [one, two] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(one.header("webhook-id"), two.header("webhook-id"));
    let attempts = [one, two].map(|heard| heard.header("mainstay-attempt"));
    assert_eq!(attempts, [Some("1"), Some("2")]);
    let token = |heard: &Heard| heard.header("mainstay-fencing-token")?.parse::<i64>().ok();
    assert!(token(one).is_some() && token(one) < token(two), "{heard:?}");
    assert_eq!(two.header("webhook-signature"), Some(&*signature(two)));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_says_what_becomes_of_the_job() {
    let statuses = [
        (200, Status::Completed),
        (201, Status::Completed),
        (204, Status::Completed),
        (301, Status::Dead),
        (307, Status::Dead),
        (400, Status::Dead),
        (401, Status::Dead),
        (403, Status::Dead),
        (404, Status::Dead),
        (408, Status::Failed),
        (410, Status::Dead),
        (422, Status::Dead),
        (425, Status::Failed),
        (429, Status::Failed),
        (500, Status::Failed),
        (502, Status::Failed),
        (503, Status::Failed),
    ];
    let elsewhere = worker(vec![answer(200, "")]);
    let location = format!("Location: http://{}/\r\nContent-Length", elsewhere.address);
    let answers =
        statuses.iter().map(|(status, _)| answer(*status, "").replace("Content-Length", &location));
    let worker = worker(answers.collect());
    let house = House::open(settings(&[&worker, &elsewhere])).await;
    for (status, wanted) in statuses {
        let row = house.run("webhook", &job(&worker)).await;
        let error = row.error.unwrap_or_default();
        assert_eq!(row.status, wanted, "{status}: {error}");
        let is_told = error.contains(&status.to_string()) && !error.contains("SECRET");
        assert!(is_told || wanted == Status::Completed, "{status}: {error}");
    }
    assert_eq!(elsewhere.connections(), 0, "a redirect was followed");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_no_json_or_too_long_is_no_result() {
    let long = format!("\"{}\"", "x".repeat(64 << 10));
    let fits = format!("\"{}\"", "x".repeat((64 << 10) - 2));
    let digits = "1".repeat(65 << 10);
    let bodies = ["", "OK", &digits, "{\"a\":", "{} {}", "\u{fffd}", &long, &fits, " 7 "];
    let worker = worker(bodies.iter().map(|body| answer(200, body)).collect());
    let house = House::open(settings(&[&worker])).await;
    for body in bodies {
        let found = result(&house.run("webhook", &job(&worker)).await);
        let is_one = body == fits || body == " 7 ";
        let wanted = if is_one { serde_json::from_str(body).expect("JSON") } else { Value::Null };
        assert_eq!(found, wanted);
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_public_addresses_and_the_owners_workers_are_asked() {
    let (ours, private) = (worker(vec![answer(200, "")]), worker(vec![answer(200, "")]));
    let house = House::open(settings(&[&ours])).await;
    let port = private.address.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        "http://127.0.0.1/".into(),
        "http://localhost/".into(),
        "http://[::1]/".into(),
        "http://[::ffff:127.0.0.1]/".into(),
        "http://2130706433/".into(),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://10.0.0.1/".into(),
        format!("http://{}@127.0.0.1:{port}/", ours.address),
        format!("https://{}/", ours.address),
        "file:///etc/passwd".into(),
        "SECRET".into(),
    ] {
        let payload = json!({"url": url, "body": null});
        house.assert_dead("webhook", &payload, "the worker may not be asked (").await;
    }
    assert_eq!((private.connections(), ours.connections()), (0, 0));
    result(&house.run("webhook", &job(&ours)).await);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_away_or_slow_is_asked_again() {
    let slow = Upstream::start(|wire| {
        wire.read_request()?;
        wire.read_to_end().map(drop)
    });
    let gone = worker(vec![]);
    gone.kill();
    let mut settings = settings(&[&slow, &gone]);
    settings.webhook.timeout = Span(Duration::from_millis(200));
    let house = House::open(settings).await;
    for worker in [&slow, &gone] {
        let row = house.run("webhook", &job(worker)).await;
        let error = row.error.unwrap_or_default();
        assert_eq!(row.status, Status::Failed, "{error}");
        assert!(error.contains("gave no answer") && !error.contains("SECRET"), "{error}");
    }
    until("the slow one was asked", LONG, || slow.requests().len() == 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_asked_is_dead_and_says_what_to_do() {
    let worker = worker(vec![]);
    let mut unsigned = settings(&[&worker]);
    unsigned.webhook.secret = None;
    let house = House::open(unsigned).await;
    house.assert_dead("webhook", &job(&worker), "set webhook.secret").await;
    for (payload, reason) in [
        (json!(["SECRET"]), "must be an object"),
        (json!({"body": "SECRET"}), "url must be the address of a worker"),
        (json!({"url": 7}), "url must be the address of a worker"),
        (json!({"url": "http://a.example", "headers": {"x": "SECRET"}}), "known are url, body"),
    ] {
        house.assert_dead("webhook", &payload, reason).await;
    }
    assert_eq!(worker.connections(), 0);
    house.close().await;
}

#[test]
fn settings_that_mean_nothing_are_told() {
    let fields = |settings: Workers| -> Vec<&str> {
        settings.list_problems().into_iter().map(|(field, _)| field).collect()
    };
    let secret = |text: &str| Workers { secret: Some(text.into()), ..Workers::default() };
    assert_eq!(fields(secret(SECRET)), [""; 0]);
    assert_eq!(fields(secret(SECRET.trim_end_matches('='))), [""; 0]);
    assert_eq!(fields(secret(SECRET.trim_start_matches("whsec_"))), [""; 0]);
    for wrong in ["", "sesame", "whsec_", "whsec_c2VzYW1l", "no base64, but longer than 24 bytes"] {
        assert_eq!(fields(secret(wrong)), ["secret"], "{wrong}");
    }
    for (origin, fine) in [
        ("http://127.0.0.1:9000", true),
        ("https://worker.internal", true),
        ("https://worker.internal/", true),
        ("https://worker.internal/path", false),
        ("https://worker.internal?x", false),
        ("https://a:b@worker.internal", false),
        ("worker.internal:9000", false),
        ("ftp://worker.internal", false),
        ("*", false),
    ] {
        let settings = Workers { origins: vec![origin.into()], ..Workers::default() };
        assert_eq!(fields(settings).is_empty(), fine, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_longer_than_a_result_may_be() {
    let long = format!("\"{}\"", "x".repeat(100));
    let worker = worker(vec![answer(200, &long)]);
    let house = House::open_with(settings(&[&worker]), 100, |kind| kind).await;
    assert_eq!(result(&house.run("webhook", &job(&worker)).await), Value::Null);
    house.close().await;
}
