//! Letters to a real mail server.

use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_testkit::{Authority, MailServer, Pair, Taken};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const LONG: Duration = Duration::from_secs(20);
const LOGIN: &str = "login=shop:open sesame";

struct House {
    mail: Mail,
    _dir: TempDir,
}

/// Mail to that address, with a template `order`.
fn house(url: &str, more: impl FnOnce(&mut Settings)) -> House {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in [("order.txt", "Dear {{ name }}"), ("order.html", "<p>Dear {{ name }}</p>")]
    {
        std::fs::write(dir.path().join(name), text).expect("a template");
    }
    let mut settings = Settings {
        url: Some(url.into()),
        from: Some("Shop <shop@example.org>".into()),
        templates: Some(dir.path().into()),
        ..Settings::default()
    };
    more(&mut settings);
    let mail = Mail::open(&settings, Clock::System).expect("mail");
    House { mail, _dir: dir }
}

fn letter(to: &[&str], data: Value) -> Letter {
    Letter {
        id: "7".into(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
        subject: "Größe für {{ name }} ✓".into(),
        template: "order".into(),
        data,
    }
}

fn ada() -> Letter {
    letter(&["Ada <ada@example.org>"], json!({"name": "<Ada> & Zoë"}))
}

fn authority() -> (Authority, Pair) {
    let authority = Authority::new();
    let pair = authority.issue(&["127.0.0.1"]);
    (authority, pair)
}

/// Believes this authority.
fn believing<'a>(dir: &'a TempDir, authority: &'a Authority) -> impl FnOnce(&mut Settings) + 'a {
    move |settings| {
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, authority.cert()).expect("a file");
        settings.ca_file = Some(file);
    }
}

fn one(server: &MailServer) -> Taken {
    let taken = server.wait_for(1, LONG);
    let [letter] = taken.as_slice() else { panic!("{taken:?}") };
    letter.clone()
}

#[tokio::test]
async fn a_letter_arrives_as_it_was_meant() {
    let server = MailServer::start();
    let house = house(&format!("smtp://127.0.0.1:{}", server.port()), |settings| {
        settings.reply_to = Some("help@example.org".into());
    });
    let to = ["Ada <ada@example.org>", "\"Zoë, B.\" <zoe@example.org>"];
    let id = house.mail.send(&letter(&to, json!({"name": "<Ada> & Zoë"}))).await.expect("sent");
    let taken = one(&server);
    assert_eq!(taken.text.as_deref(), Some("Dear <Ada> & Zoë"));
    assert_eq!(taken.html.as_deref(), Some("<p>Dear &lt;Ada&gt; &amp; Zoë</p>"));
    assert_eq!(taken.header("subject"), Some("Größe für <Ada> & Zoë ✓"));
    assert_eq!(taken.header("message-id"), Some(&*id));
    assert_eq!(taken.header("from"), Some("Shop <shop@example.org>"));
    assert_eq!(taken.header("reply-to"), Some("help@example.org"));
    assert_eq!(taken.header("auto-submitted"), Some("auto-generated"));
    assert_eq!(taken.header("to"), Some("Ada <ada@example.org>, \"Zoë, B.\" <zoe@example.org>"));
    assert_eq!(
        (&*taken.from, taken.to),
        ("shop@example.org", vec!["ada@example.org".into(), "zoe@example.org".to_owned()])
    );
    assert!(taken.defects.is_empty() && taken.raw.is_ascii(), "{:?} {}", taken.defects, taken.raw);
    assert!(!taken.tls && taken.user.is_none(), "{:?}", taken.user);
}

#[tokio::test]
async fn letters_share_connections() {
    let server = MailServer::start();
    let house = house(&format!("smtp://127.0.0.1:{}", server.port()), |_| {});
    for _ in 0..3 {
        house.mail.send(&ada()).await.expect("sent");
    }
    let connections: Vec<_> = server.taken().iter().map(|taken| taken.connection).collect();
    assert_eq!(connections, [connections[0]; 3]);
    // A kept connection that ended meanwhile costs no attempt.
    server.kill();
    server.start_again();
    house.mail.send(&ada()).await.expect("sent");
    assert_eq!(server.taken().len(), 4);
}

#[tokio::test]
async fn there_are_as_many_connections_as_the_settings_say_and_for_as_long() {
    let server = MailServer::start();
    let url = format!("smtp://127.0.0.1:{}", server.port());
    let one = house(&url, |settings| settings.connections_max = 1);
    let ada = ada();
    let send = || async { one.mail.send(&ada).await.expect("sent") };
    tokio::join!(send(), send(), send());
    let connections: Vec<_> = server.taken().iter().map(|taken| taken.connection).collect();
    assert_eq!(connections, [connections[0]; 3]);
    let short = house(&url, |settings| settings.idle = Span(Duration::from_nanos(1)));
    for _ in 0..2 {
        short.mail.send(&ada).await.expect("sent");
    }
    let taken = server.taken();
    assert_ne!(taken[3].connection, taken[4].connection);
}

#[tokio::test]
async fn the_connection_is_encrypted_where_that_is_offered_or_wanted() {
    let (authority, pair) = authority();
    let dir = tempfile::tempdir().expect("a folder");
    for (word, scheme, query) in
        [("starttls", "smtp", ""), ("starttls", "smtp", "?tls=required"), ("smtps", "smtps", "")]
    {
        let server = MailServer::start_with(Some(&pair), &[word, "required", LOGIN]);
        let url = format!("{scheme}://shop:open%20sesame@127.0.0.1:{}{query}", server.port());
        let house = house(&url, believing(&dir, &authority));
        house.mail.send(&ada()).await.expect(&url);
        let taken = one(&server);
        assert_eq!((taken.tls, taken.user.as_deref()), (true, Some("shop")), "{url}");
    }
}

#[tokio::test]
async fn nobody_elses_server_is_told_anything() {
    let (_, pair) = authority();
    let stranger = Authority::new();
    let dir = tempfile::tempdir().expect("a folder");
    for (word, scheme) in [("starttls", "smtp"), ("smtps", "smtps")] {
        let server = MailServer::start_with(Some(&pair), &[word]);
        let url = format!("{scheme}://127.0.0.1:{}", server.port());
        let house = house(&url, believing(&dir, &stranger));
        let error = house.mail.send(&ada()).await.expect_err(&url);
        let Error::Unavailable(what) = &error else { panic!("{error:?}") };
        assert!(what.starts_with("TLS with the mail server 127.0.0.1"), "{what}");
        assert!(server.taken().is_empty());
    }
    let plain = MailServer::start();
    let required = house(&format!("smtp://127.0.0.1:{}?tls=required", plain.port()), |_| {});
    let error = required.mail.send(&ada()).await.expect_err("no TLS");
    assert!(
        matches!(&error, Error::Unavailable(what) if what.contains("offers no TLS")),
        "{error}"
    );
    assert!(plain.taken().is_empty());
}

#[tokio::test]
async fn who_is_let_in_is_who_the_settings_say() {
    let server = MailServer::start_with(None, &[LOGIN, "without=PLAIN"]);
    let at = |login: &str| format!("smtp://{login}@127.0.0.1:{}", server.port());
    house(&at("shop:open%20sesame"), |_| {}).mail.send(&ada()).await.expect("sent");
    assert_eq!(one(&server).mechanism.as_deref(), Some("LOGIN"));
    let apart = house(&at("shop"), |settings| settings.password = Some("open sesame".into()));
    apart.mail.send(&ada()).await.expect("sent");
    let error = house(&at("shop:wrong"), |_| {}).mail.send(&ada()).await.expect_err("let in");
    let Error::Unavailable(what) = &error else { panic!("{error:?}") };
    assert!(
        what.contains("look at user and password in mail.url") && what.contains("535"),
        "{what}"
    );
    assert!(!what.contains("wrong"), "{what}");
    assert_eq!(server.taken().len(), 2);
}

#[tokio::test]
async fn a_password_is_not_sent_for_everybody_to_read() {
    let server = MailServer::start_with(None, &[LOGIN]);
    // Connecting there leads to this machine, and nothing says so.
    let at = |query: &str| format!("smtp://shop:open%20sesame@0.0.0.0:{}{query}", server.port());
    let error = house(&at(""), |_| {}).mail.send(&ada()).await.expect_err("sent");
    let Error::Unavailable(what) = &error else { panic!("{error:?}") };
    assert!(what.contains("the password is not sent"), "{what}");
    house(&at("?tls=none"), |_| {}).mail.send(&ada()).await.expect("sent");
    assert_eq!(server.taken().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_away_or_slow_is_no_fault_of_the_letter() {
    let server = MailServer::start();
    let house = house(&format!("smtp://127.0.0.1:{}", server.port()), |settings| {
        settings.timeout = Span(Duration::from_millis(300));
    });
    server.kill();
    let error = house.mail.send(&ada()).await.expect_err("sent");
    assert!(
        matches!(&error, Error::Unavailable(what) if what.contains("is not reached")),
        "{error}"
    );
    server.start_again();
    house.mail.send(&ada()).await.expect("sent");
    let hangs = letter(&["hangs@example.org"], json!({"name": "x"}));
    let error = house.mail.send(&hangs).await.expect_err("sent");
    assert!(matches!(&error, Error::Unavailable(what) if what.contains("mail.timeout")), "{error}");
    // Its place is free again, and its connection is not used for another.
    house.mail.send(&ada()).await.expect("sent");
}

#[tokio::test]
async fn a_mute_server_is_not_waited_for() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = mute.local_addr().expect("an address").port();
    let house = house(&format!("smtp://127.0.0.1:{port}"), |settings| {
        settings.connect_timeout = Span(Duration::from_millis(200));
    });
    let ada = ada();
    let sending = tokio::time::timeout(LONG, house.mail.send(&ada));
    let error = sending.await.expect("it waits still").expect_err("sent");
    let Error::Unavailable(what) = &error else { panic!("{error:?}") };
    assert!(what.contains("mail.connect_timeout"), "{what}");
}

#[tokio::test]
async fn what_the_server_refuses_is_told_without_whom_it_is_for() {
    let server = MailServer::start();
    let house = house(&format!("smtp://127.0.0.1:{}", server.port()), |_| {});
    let to = |user: &str| {
        letter(&["ada@example.org", &format!("{user}@example.org")], json!({"name": "x"}))
    };
    let error = house.mail.send(&to("nobody")).await.expect_err("taken");
    let Error::Refused(what) = &error else { panic!("{error:?}") };
    assert!(what.contains("550 5.1.1 …") && what.contains("Recipient address rejected"), "{what}");
    assert!(!what.contains("nobody") && !what.contains('@'), "{what}");
    let error = house.mail.send(&to("later")).await.expect_err("taken");
    let Error::Unavailable(what) = &error else { panic!("{error:?}") };
    assert!(what.contains("451 4.7.1") && !what.contains("later"), "{what}");
    // For all or for none.
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_letter_that_is_none_asks_no_server() {
    // Nobody listens there: asked, it would be another error.
    let house = house("smtp://127.0.0.1:1", |_| {});
    let gap = letter(&["ada@example.org"], json!({}));
    let more = letter(&["ada@example.org\r\nBcc: eve@example.org"], json!({"name": "x"}));
    let mut subject = ada();
    subject.subject = "a\r\nBcc: eve@example.org".into();
    for (letter, wanted) in [(gap, "missing: name"), (more, "recipient 1"), (subject, "line break")]
    {
        let error = house.mail.send(&letter).await.expect_err("sent");
        assert!(matches!(&error, Error::Refused(what) if what.contains(wanted)), "{error}");
    }
}

#[tokio::test]
async fn without_settings_it_says_which() {
    let send = async |settings: Settings| {
        let mail = Mail::open(&settings, Clock::System).expect("mail");
        mail.send(&ada()).await.expect_err("sent").to_string()
    };
    let bare = Settings::default();
    assert!(send(bare.clone()).await.contains("set mail.url"));
    let url = Settings { url: Some("smtp://127.0.0.1:1".into()), ..bare };
    assert!(send(url.clone()).await.contains("set mail.from"));
    let from = Settings { from: Some("shop@example.org".into()), ..url };
    assert!(send(from).await.contains("set mail.templates"));
}

#[tokio::test]
async fn an_address_beyond_ascii_goes_where_it_is_taken() {
    for (words, is_taken) in [(&["utf8"][..], true), (&[], false)] {
        let server = MailServer::start_with(None, words);
        let house = house(&format!("smtp://127.0.0.1:{}", server.port()), |_| {});
        let sent = house.mail.send(&letter(&["zoë@example.org"], json!({"name": "x"}))).await;
        assert_eq!(sent.is_ok(), is_taken, "{sent:?}");
        assert!(is_taken || matches!(sent, Err(Error::Refused(_))), "{sent:?}");
    }
}
