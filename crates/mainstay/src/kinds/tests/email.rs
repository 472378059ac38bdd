//! Letters.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mainstay_testkit::MailServer;
use serde_json::json;
use tracing_subscriber::filter::LevelFilter;

use super::*;

fn settings(dir: &TempDir, server: &MailServer) -> Settings {
    std::fs::write(dir.path().join("welcome.txt"), "Dear {{ name }}").expect("a template");
    std::fs::write(dir.path().join("welcome.html"), "<p>{{ name }}").expect("a template");
    let mail = mainstay_mail::Settings {
        url: Some(format!("smtp://127.0.0.1:{}", server.port())),
        from: Some("shop@example.org".into()),
        templates: Some(dir.path().into()),
        ..mainstay_mail::Settings::default()
    };
    Settings { mail, ..Settings::default() }
}

fn letter(to: &Value) -> Value {
    json!({"to": to, "subject": "Hello {{ name }}", "template": "welcome", "data": {"name": "Ada"}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_becomes_a_letter() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let house = House::open(settings(&dir, &server)).await;
    let one = house.run("email", &letter(&json!("Ada <ada@example.org>"))).await;
    let two = house.run("email", &letter(&json!(["ada@example.org", "zoe@example.org"]))).await;
    let taken = server.wait_for(2, LONG);
    assert_eq!(result(&one), json!({"messageId": taken[0].header("message-id")}));
    assert_eq!(result(&two), json!({"messageId": taken[1].header("message-id")}));
    assert_ne!(result(&one), result(&two));
    assert_eq!(taken[0].header("subject"), Some("Hello Ada"));
    assert_eq!(
        (taken[0].text.as_deref(), taken[0].html.as_deref()),
        (Some("Dear Ada"), Some("<p>Ada"))
    );
    assert_eq!((taken[0].to.len(), taken[1].to.len()), (1, 2));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_sent_again_is_the_same_letter() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let twice = |kind| Arc::new(Twice(kind)) as Arc<dyn Job>;
    let house = House::open_with(settings(&dir, &server), RESULT_MAX, twice).await;
    result(&house.run("email", &letter(&json!("ada@example.org"))).await);
    let taken = server.wait_for(2, LONG);
    assert_eq!(taken[0].header("message-id"), taken[1].header("message-id"));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_letters_of_two_servers_are_not_the_same() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    for to in ["ada@example.org", "zoe@example.org"] {
        let house = House::open(settings(&dir, &server)).await;
        result(&house.run("email", &letter(&json!(to))).await);
        house.close().await;
    }
    let taken = server.wait_for(2, LONG);
    assert_ne!(taken[0].header("message-id"), taken[1].header("message-id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_a_letter_is_tried_again() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let house = House::open(settings(&dir, &server)).await;
    server.kill();
    let often = Add {
        attempts: Some(1_000),
        backoff: Some(Backoff::Fixed(Duration::from_millis(20))),
        ..Add::new("welcome", letter(&json!("ada@example.org")).to_string())
    };
    let id = house.add_with("email", often).await;
    let failed = house.look("email", &id, |row| row.attempts_made > 0).await;
    assert!(failed.error.is_some_and(|error| error.contains("is not reached")));
    server.start_again();
    result(&house.end("email", &id).await);
    assert_eq!(server.taken().len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_server_says_decides_whether_it_is_tried_again() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let house = House::open(settings(&dir, &server)).await;
    house.assert_dead("email", &letter(&json!("nobody@example.org")), "550").await;
    let later = house.run("email", &letter(&json!("later@example.org"))).await;
    assert_eq!(later.status, Status::Failed, "{:?}", later.error);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_letter_is_dead_and_says_why() {
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let house = House::open(settings(&dir, &server)).await;
    let change = |name: &str, value: Value| {
        let mut letter = letter(&json!("ada@example.org"));
        letter[name] = value;
        letter
    };
    for (payload, reason) in [
        (json!("SECRET"), "must be an object"),
        (change("cc", json!("SECRET")), "unknown field; known are to, subject, template, data"),
        (change("to", json!({"a": "SECRET"})), "to must be an address or a list"),
        (change("to", Value::Null), "to must be an address or a list"),
        (change("to", json!([])), "1 to 50 recipients"),
        (change("to", json!("SECRET\r\nBcc: eve@example.org")), "recipient 1 is no mail address"),
        (change("subject", json!(["SECRET"])), "subject must be text"),
        (change("subject", json!("SECRET\r\nBcc: eve@example.org")), "line break"),
        (change("template", json!("../SECRET")), "a template's name"),
        (change("template", json!("absent")), "write absent.txt"),
        (change("data", json!(["SECRET"])), "data must be an object"),
        (change("data", json!({"first": "SECRET"})), "a value is missing: name"),
    ] {
        house.assert_dead("email", &payload, reason).await;
    }
    assert!(server.taken().is_empty());
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mail_server_a_letter_is_dead_and_says_what_to_set() {
    let house = House::open(Settings::default()).await;
    house.assert_dead("email", &letter(&json!("ada@example.org")), "set mail.url").await;
    house.close().await;
}

/// Everything that is logged, by us and by libraries, as closely as they can.
struct Everything(Mutex<Vec<u8>>);

static LOGGED: Everything = Everything(Mutex::new(Vec::new()));

impl Everything {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::io::Write for &Everything {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_says_whom_a_letter_is_for_or_what_it_says() {
    let all = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(|| &LOGGED);
    // Nobody else in this process sets one.
    tracing::subscriber::set_global_default(all.finish()).expect("the first");
    let (dir, server) = (tempfile::tempdir().expect("a folder"), MailServer::start());
    let house = House::open(settings(&dir, &server)).await;
    let to = |name: &str| {
        let mut letter = letter(&json!(format!("{name}.marker@example.org")));
        letter["data"]["name"] = json!("Ada Marker");
        letter
    };
    result(&house.run("email", &to("ada")).await);
    house.assert_dead("email", &to("ada\n"), "recipient 1").await;
    server.kill();
    assert_eq!(house.run("email", &to("ada")).await.status, Status::Failed);
    house.close().await;
    tracing::trace!("the end of the test");
    let logged = String::from_utf8_lossy(&LOGGED.lock()).to_lowercase();
    assert!(logged.contains("the end of the test") && !logged.contains("marker"), "{logged}");
}
