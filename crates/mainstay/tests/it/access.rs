//! The owner's way in: a link that works once, a cookie that stays where it belongs, a way out.

use std::process::Command;
use std::time::Duration;

use mainstay_testkit::{Connection, Ended, Process, Request, Response, Server, list_files_with};

use crate::serve;

fn mainstay(arguments: &[&str]) -> Ended {
    let mut command: Command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.args(arguments);
    Process::run(&mut command, Duration::from_secs(20))
}

pub(crate) fn link(server: &Server) -> String {
    let dir = server.data_dir().display().to_string();
    let ended = mainstay(&["admin", "link", "--data-dir", &dir]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

pub(crate) fn token(link: &str) -> &str {
    link.split("?token=").nth(1).expect("a token")
}

/// What the button of the link's page sends.
pub(crate) fn enter(server: &Server, token: &str) -> Request {
    Request::post("/enter")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &server.admin_url(""))
        .header("sec-fetch-site", "same-origin")
        .body(format!("token={token}"))
}

fn cookie(response: &Response) -> &str {
    response.header("set-cookie").and_then(|value| value.split(';').next()).expect("a cookie")
}

fn session(server: &Server, cookie: &str) -> Response {
    server.admin_stranger(&Request::get("/api/v1/session").header("cookie", cookie))
}

#[test]
fn the_first_start_prints_a_link_that_signs_in_once() {
    let server = serve(&[]);
    let line = server.stdout().wait_for("/enter?token=", Duration::from_secs(5));
    let link = line.split_whitespace().find(|word| word.starts_with("http://")).expect("a link");
    assert!(link.starts_with(&server.admin_url("/enter?token=")), "{link}");
    let path = link.strip_prefix(&server.admin_url("")).expect("ours");
    for method in ["GET", "HEAD", "GET", "GET"] {
        let shown = server.admin_stranger(&Request::new(method, path));
        assert_eq!((shown.status, shown.count("set-cookie")), (200, 0), "looking spends nothing");
        assert_eq!(shown.header("cache-control"), Some("no-store"));
    }
    let shown = server.admin_stranger(&Request::get(path)).text();
    assert!(shown.contains("method=\"post\"") && shown.contains("<button"), "{shown}");

    let entered = server.admin_stranger(&enter(&server, token(link)));
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let flags = entered.header("set-cookie").expect("a cookie").to_owned();
    assert!(flags.starts_with("__Host-mainstay_admin="), "{flags}");
    for flag in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(flags.contains(flag), "{flags}");
    }
    assert!(!flags.to_ascii_lowercase().contains("domain"), "{flags}");
    let age = flags
        .split("Max-Age=")
        .nth(1)
        .and_then(|rest| rest.split(';').next())
        .and_then(|age| age.parse::<u64>().ok());
    assert!(age.is_some_and(|age| (8 * 3_600 - 60..=8 * 3_600).contains(&age)), "{flags}");

    let known = session(&server, cookie(&entered));
    assert_eq!((known.status, &known.json()["role"]), (200, &serde_json::json!("owner")));
    let console = server.admin_stranger(&Request::get("/").header("cookie", cookie(&entered)));
    assert_eq!(console.status, 200);

    let again = server.admin_stranger(&enter(&server, token(link)));
    assert_eq!((again.status, again.count("set-cookie")), (401, 0), "a link works once");
    assert_eq!(session(&server, cookie(&entered)).status, 200, "and the session it made goes on");
}

#[test]
fn two_who_press_at_once_get_one_session() {
    let server = serve(&[]);
    let link = link(&server);
    let request = enter(&server, token(&link));
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let ask = || Connection::open(server.admin_address()).send(&request).status;
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asked.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 7, "{statuses:?}");
}

#[test]
fn pages_of_others_cannot_press_the_button() {
    let server = serve(&[]);
    let link = link(&server);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = Request::post("/enter")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body(format!("token={}", token(&link)));
        assert_eq!(server.admin_stranger(&request).status, 403, "{name}: {value}");
    }
    assert_eq!(
        server.admin_stranger(&enter(&server, token(&link))).status,
        303,
        "and the link is still good"
    );
}

#[test]
fn invented_links_are_refused_and_shown_safely() {
    let server = serve(&[]);
    for invented in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%00", "a b", "'--"] {
        assert_eq!(server.admin_stranger(&enter(&server, invented)).status, 401, "{invented:?}");
    }
    let shown = server
        .admin_stranger(&Request::get("/enter?token=%22%3E%3Cscript%3Ealert(1)%3C/script%3E"));
    assert!(!shown.text().contains("alert(1)"), "{}", shown.text());
}

#[test]
fn signing_out_ends_the_session() {
    let server = serve(&[]);
    let (one, two) = (link(&server), link(&server));
    let first = server.admin_stranger(&enter(&server, token(&one)));
    let second = server.admin_stranger(&enter(&server, token(&two)));
    let out = Request::post("/session/end")
        .header("cookie", cookie(&first))
        .header("sec-fetch-site", "same-origin");
    let answer = server.admin_stranger(&out);
    assert_eq!(answer.status, 204);
    let cleared = answer.header("set-cookie").expect("a cookie");
    assert!(
        cleared.starts_with("__Host-mainstay_admin=;") && cleared.contains("Max-Age=0"),
        "{cleared}"
    );
    assert_eq!(session(&server, cookie(&first)).status, 401);
    assert_eq!(session(&server, cookie(&second)).status, 200, "another browser stays signed in");
    let tampered = cookie(&second).replace('=', "=x");
    assert_eq!(session(&server, &tampered).status, 401);
}

#[test]
fn a_session_outlives_a_restart_and_no_token_is_stored_in_clear() {
    let data = tempfile::tempdir().expect("a temp folder");
    let dir = data.path().join("data");
    let mut server = crate::launch().data_dir(&dir).start();
    let (unused, link) = (link(&server), link(&server));
    let entered = server.admin_stranger(&enter(&server, token(&link)));
    let cookie = cookie(&entered).to_owned();
    let secret = cookie.split('=').nth(1).expect("a value").to_owned();
    let ended = server.stop();
    for token in [token(&link), token(&unused), &secret] {
        assert!(token.len() >= 32, "too short to be a secret: {token}");
        assert!(list_files_with(&dir, token).is_empty());
        assert!(!ended.stderr.contains(token));
    }
    drop(server);
    let again = crate::launch().data_dir(&dir).start();
    assert_eq!(session(&again, &cookie).status, 200);
    assert!(
        !again.stdout().text().contains("/enter?token="),
        "only a first start shows a link by itself"
    );
    assert_eq!(again.admin_stranger(&enter(&again, token(&unused))).status, 303);
}

#[test]
fn the_command_prints_links_and_says_when_nobody_serves() {
    let mut server = serve(&[]);
    let dir = server.data_dir().display().to_string();
    let json = mainstay(&["admin", "link", "--json", "--data-dir", &dir]);
    let url: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(
        url["url"].as_str().is_some_and(|url| url.starts_with(&server.admin_url("/enter?token="))),
        "{url}"
    );
    server.stop();
    let nobody = mainstay(&["admin", "link", "--data-dir", &dir]);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(4), ""));
    assert!(
        nobody.stderr.contains("no server answers") && nobody.stderr.contains(&dir),
        "{}",
        nobody.stderr
    );
}
