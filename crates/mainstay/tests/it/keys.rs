//! API keys as an operator and a program meet them: made, used, refused, revoked; with a server and without one, on files and on a database.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use mainstay_testkit::{
    Connection, Ended, Postgres, Process, Request, Response, Server, list_files_with, until,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{launch_bare, serve};

const SOON: Duration = Duration::from_secs(20);

/// A command as a user of a shell runs it, with the variables that the server has.
fn run(data: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.env_clear().envs(variables.iter().copied());
    command.arg("key").args(arguments).arg("--data-dir").arg(data);
    command.current_dir(data.parent().unwrap_or(data));
    Process::run(&mut command, SOON)
}

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// A key's id and text.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) text: String,
}

impl Key {
    fn of(made: &Value) -> Self {
        let text = |name: &str| made[name].as_str().expect("text").to_owned();
        Self { id: text("id"), text: text("key") }
    }

    /// What nobody else may ever see.
    fn secret(&self) -> &str {
        &self.text[12..]
    }
}

/// A key of these scopes, made by the command beside the running server.
pub(crate) fn make(server: &Server, scopes: &str) -> Key {
    let arguments = ["create", "the worker", "--scope", scopes, "--json"];
    Key::of(&json(&run(server.data_dir(), &[], &arguments)))
}

pub(crate) fn with(request: Request, key: &str) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}

fn read(server: &Server, key: &str) -> Response {
    server.admin_stranger(&with(Request::get("/api/v1/session"), key))
}

/// A key that nobody made, as whole as a real one.
pub(crate) fn invent(n: usize) -> String {
    let body = format!("ms_{n:08}_{}", "A".repeat(43));
    let digest = Sha256::digest(format!("mainstay key check:{body}"));
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bits = digest.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letter = |at: usize| char::from(letters[(bits >> (34 - 6 * at)) as usize & 63]);
    format!("{body}{}", (0..6).map(letter).collect::<String>())
}

fn assert_refused(response: &Response, status: u16, words: &str, challenge: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some("application/problem+json"));
    assert_eq!(response.header("www-authenticate"), Some(challenge));
    let detail = response.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains(words), "{detail}");
}

const INVALID: &str = "Bearer error=\"invalid_token\"";

#[test]
fn a_key_opens_what_its_scopes_say_until_it_is_revoked() {
    let mut server = serve(&[]);
    let (reader, admin, worker) =
        (make(&server, "read"), make(&server, "admin"), make(&server, "jobs,record"));
    for key in [&reader, &admin] {
        let session = read(&server, &key.text);
        assert_eq!((session.status, &session.json()["role"]), (200, &Value::from("key")));
        let head = with(Request::head("/api/v1/pages"), &key.text);
        assert_eq!(server.admin_stranger(&head).status, 200);
    }
    let scope = "Bearer error=\"insufficient_scope\", scope=\"read\"";
    assert_refused(&read(&server, &worker.text), 403, "needs the scope \"read\"", scope);
    let change = |key: &Key| server.admin_stranger(&with(Request::post("/session/end"), &key.text));
    let scope = "Bearer error=\"insufficient_scope\", scope=\"admin\"";
    assert_refused(&change(&reader), 403, "needs the scope \"admin\"", scope);
    assert_eq!(change(&admin).status, 204);

    let listed = json(&run(server.data_dir(), &[], &["list", "--json"]));
    let ids: Vec<_> = listed.as_array().expect("keys").iter().map(|key| &key["id"]).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.contains(&&Value::from(worker.id.as_str())), "{listed}");
    let table = run(server.data_dir(), &[], &["list"]).stdout;
    assert!(table.starts_with("ID ") && table.contains("jobs,record"), "{table}");

    let revoked = run(server.data_dir(), &[], &["revoke", &reader.id]);
    assert_eq!(revoked.code, Some(0), "{}", revoked.stderr);
    assert_refused(&read(&server, &reader.text), 401, "was revoked", INVALID);
    for id in [&*reader.id, "zzzzzzzz", "../status", &*admin.text] {
        let again = run(server.data_dir(), &[], &["revoke", id]);
        assert_eq!((again.code, again.stdout.as_str()), (Some(1), ""), "{id}");
        assert!(!again.stderr.contains(admin.secret()), "{}", again.stderr);
    }
    assert_eq!(read(&server, &admin.text).status, 200, "the others go on");

    let dir = server.data_dir().to_owned();
    let log = server.stop().stderr;
    assert!(log.contains(&reader.id) && log.contains("the worker"), "{log}");
    for key in [&reader, &admin, &worker] {
        assert!(!log.contains(key.secret()), "{log}");
        assert!(!listed.to_string().contains(key.secret()) && !table.contains(key.secret()));
        assert!(list_files_with(&dir, key.secret()).is_empty());
    }
}

#[test]
fn a_live_stream_ends_soon_after_its_key_was_revoked() {
    let server = serve(&[]);
    let key = make(&server, "read");
    let mut connection = Connection::open(server.admin_address());
    let request = with(Request::get("/api/v1/live"), &key.text);
    connection.write(&request.to_bytes(&server.admin_address().to_string())).expect("sent");
    assert_eq!(connection.read_head().expect("a head").status, 200);
    assert_eq!(run(server.data_dir(), &[], &["revoke", &key.id]).code, Some(0));
    let mut text = String::new();
    // The last chunk is what ends it: a stream that were only cut off would be begun again.
    while !text.ends_with("\r\n0\r\n\r\n") {
        let piece = connection.read_some(8_192).expect("more, or its end");
        assert!(!piece.is_empty(), "cut off");
        text.push_str(&String::from_utf8_lossy(&piece));
        assert!(text.matches("event: snapshot").count() < 12, "it goes on");
    }
    let again = with(Request::get("/api/v1/live"), &key.text);
    assert_eq!(server.admin_stranger(&again).status, 401);
}

#[test]
fn what_is_wrong_with_a_key_is_told_and_counted() {
    let server = serve(&[]);
    let good = make(&server, "read");
    let short = ["create", "of a moment", "--scope", "read", "--expires", "1ms", "--json"];
    let short = Key::of(&json(&run(server.data_dir(), &[], &short)));
    let last = if good.text.ends_with('A') { "B" } else { "A" };
    let mistyped = format!("{}{last}", &good.text[..60]);
    for (key, words, reason) in [
        (&*mistyped, "mistyped or cut off", "malformed"),
        (&good.text[..60], "mistyped or cut off", "malformed"),
        ("ms_", "mistyped or cut off", "malformed"),
        (&invent(7), "No API key is like this", "unknown"),
        (&short.text, "has expired", "expired"),
    ] {
        let before = server.metrics();
        assert_refused(&read(&server, key), 401, words, INVALID);
        let count = |metrics: &mainstay_testkit::Metrics| {
            metrics.value("mainstay_api_keys_refused_total", &[("reason", reason)])
        };
        assert!((count(&server.metrics()) - count(&before) - 1.0).abs() < 1e-9, "{reason}");
    }
    for (key, words) in [("", "Sign in"), ("something-else", "Sign in")] {
        assert_refused(&read(&server, key), 401, words, "Bearer");
    }
    let nobody = server.admin_stranger(&Request::get("/api/v1/session"));
    assert_refused(&nobody, 401, "API key", "Bearer");
    for (arguments, code, words) in [
        (
            &["create", "x", "--scope", "jobs,everything"][..],
            2,
            "read,admin,jobs,record,limits,cache",
        ),
        (&["create", "x", "--scope", "jobs", "--expires", "3000000d"][..], 2, "at most 36525d"),
        (&["create", " ", "--scope", "jobs"][..], 1, "1 to 100 characters"),
        (&["create", "x\ny", "--scope", "jobs"][..], 1, "1 to 100 characters"),
    ] {
        let ended = run(server.data_dir(), &[], arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn a_flood_of_invented_keys_is_refused_and_real_ones_pass() {
    const SENDERS: usize = 24;
    const EACH: usize = 50;
    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    let start = || {
        let config = "[database]\npool_min = 1\npool_max = 4\n";
        launch_bare().variable("DATABASE_PRIMARY_URL", &url).config(config).start()
    };
    let (maker, server) = (start(), start());
    let key = make(&maker, "read");
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let server = &server;
            scope.spawn(move || {
                let mut connection = Connection::open(server.admin_address());
                for n in 0..EACH {
                    let invented = invent(sender * EACH + n);
                    let request = with(Request::get("/api/v1/session"), &invented);
                    let flood = connection.send(&request);
                    assert_eq!(flood.status, 401, "{}", flood.text());
                }
            });
        }
        // Made at another server and never seen here before.
        for _ in 0..20 {
            let seen = read(&server, &key.text);
            assert_eq!(seen.status, 200, "{}", seen.text());
        }
    });
    let refused =
        server.metrics().value("mainstay_api_keys_refused_total", &[("reason", "unknown")]);
    assert!((refused - (SENDERS * EACH) as f64).abs() < 1e-9, "{refused}");
}

#[test]
fn a_server_that_does_not_answer_is_no_reason_to_make_a_key_behind_its_back() {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let key = |name: &str| run(&data, &[], &["create", name, "--scope", "read"]);
    assert_eq!(key("first").code, Some(0));
    let socket = UnixListener::bind(data.join("control.sock")).expect("a socket");
    // It takes the question and goes away; it may have done what it was asked.
    let made = std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut asked, _) = socket.accept().expect("a command");
            let mut question = [0; 16];
            asked.read_exact(&mut question).expect("its question");
        });
        key("second")
    });
    assert_eq!((made.code, made.stdout.as_str()), (Some(4), ""), "{}", made.stderr);
    assert!(made.stderr.contains("did not answer"), "{}", made.stderr);
    assert!(made.stderr.contains("`mainstay key list`"), "{}", made.stderr);
    // A socket that nobody has open any more is what a server leaves that was killed.
    let listed = json(&run(&data, &[], &["list", "--json"]));
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

/// Makes a key where nobody serves, uses it, revokes it where nobody serves again.
fn live_without_a_server(variables: &[(&str, &str)]) {
    let home = tempfile::tempdir().expect("a temp folder");
    let data = home.path().join("data");
    let start = || {
        let server = launch_bare().data_dir(&data);
        variables.iter().fold(server, |server, (name, value)| server.variable(name, value)).start()
    };
    if variables.is_empty() {
        for arguments in [&["list"][..], &["revoke", "abcdefgh"]] {
            let nothing = run(&data, variables, arguments);
            assert_eq!(nothing.code, Some(4), "{}", nothing.stderr);
            assert!(!data.exists(), "a mistyped folder is not made");
        }
    }
    let made = run(&data, variables, &["create", "early", "--scope", "read", "--json"]);
    let key = Key::of(&json(&made));
    assert!(json(&run(&data, variables, &["list", "--json"]))[0]["last_used"].is_null());
    let mut server = start();
    assert_eq!(read(&server, &key.text).status, 200);
    assert_eq!(server.stop().code, Some(0));
    let listed = json(&run(&data, variables, &["list", "--json"]));
    assert!(listed[0]["last_used"].is_string(), "written at the latest when it stops: {listed}");
    assert_eq!(run(&data, variables, &["revoke", &key.id]).code, Some(0));
    assert_eq!(run(&data, variables, &["revoke", &key.id]).code, Some(1));
    let server = start();
    assert_refused(&read(&server, &key.text), 401, "was revoked", INVALID);
    // A server that starts or hangs owns the folder: it is not written behind its back.
    std::fs::remove_file(data.join("control.sock")).expect("its socket");
    let held = run(&data, variables, &["list"]);
    assert_eq!(held.code, Some(3), "{}", held.stderr);
}

#[test]
fn keys_are_made_and_revoked_without_a_server_on_files() {
    live_without_a_server(&[]);
}

#[test]
fn keys_are_made_and_revoked_without_a_server_on_a_database() {
    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    live_without_a_server(&[
        ("DATABASE_PRIMARY_URL", &url),
        ("MAINSTAY_DATABASE__POOL_MIN", "1"),
        ("MAINSTAY_DATABASE__POOL_MAX", "4"),
    ]);
}

#[test]
fn a_database_that_is_away_is_told_and_nothing_is_made() {
    let home = tempfile::tempdir().expect("a temp folder");
    let url = Postgres::url_at(([127, 0, 0, 1], mainstay_testkit::free_port()).into(), "nobody");
    let variables = [("DATABASE_PRIMARY_URL", &*url)];
    let ended = run(&home.path().join("data"), &variables, &["create", "x", "--scope", "read"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(4), ""), "{}", ended.stderr);
}

#[test]
fn servers_that_share_a_database_refuse_each_others_revoked_keys_soon() {
    let postgres = Postgres::shared();
    let url = postgres.primary_url(&postgres.create_database());
    let start = || {
        let config = "[identity]\nkey_cache = \"250ms\"\n[database]\npool_min = 1\npool_max = 4\n";
        launch_bare().variable("DATABASE_PRIMARY_URL", &url).config(config).start()
    };
    let (one, other) = (start(), start());
    let key = make(&one, "read");
    for server in [&one, &other] {
        assert_eq!(read(server, &key.text).status, 200);
    }
    assert_eq!(run(one.data_dir(), &[], &["revoke", &key.id]).code, Some(0));
    assert_eq!(read(&one, &key.text).status, 401, "at once");
    until("a refusal by the other one", Duration::from_secs(5), || {
        read(&other, &key.text).status == 401
    });
}
