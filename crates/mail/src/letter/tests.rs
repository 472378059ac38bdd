//! Letters as they go over the wire.

use serde_json::json;

use super::*;

fn sender() -> Sender {
    let settings = Settings { from: Some("Shop <shop@example.org>".into()), ..Settings::default() };
    Sender::of(&settings).expect("fine").expect("one")
}

fn letter(id: &str, to: &[&str]) -> Letter {
    Letter {
        id: id.into(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
        subject: "s".into(),
        template: "t".into(),
        data: json!({}),
    }
}

fn write(letter: &Letter) -> (String, String) {
    let recipients = sender().recipients(letter).expect("recipients");
    let rendered =
        Rendered { subject: "s".into(), text: "ä".into(), html: Some("<p>ä</p>".into()) };
    let written = sender().write(letter, recipients, rendered, Timestamp::from_seconds(0));
    let (id, message) = written.expect("a letter");
    (id, String::from_utf8(message.bytes).expect("ASCII"))
}

#[test]
fn the_same_letter_is_the_same_bytes_and_another_has_another_id() {
    let one = write(&letter("7", &["ada@example.org"]));
    assert_eq!(write(&letter("7", &["ada@example.org"])), one);
    let other = write(&letter("8", &["ada@example.org"]));
    assert_ne!(other.0, one.0);
    assert!(one.0.starts_with('<') && one.0.ends_with("@example.org>"), "{}", one.0);
    assert!(one.1.is_ascii() && one.1.contains(&format!("Message-ID: {}\r\n", one.0)), "{}", one.1);
    assert!(one.1.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"), "{}", one.1);
}

#[test]
fn nothing_of_a_recipient_becomes_a_header() {
    for to in [
        "ada@example.org\r\nBcc: eve@example.org",
        "Ada\r\nBcc: eve@example.org <ada@example.org>",
        "ada@example.org\nRCPT TO:<eve@example.org>",
        "ada@example.org\0",
        "Ada\t<ada@example.org>",
        "ada",
        "",
        "@example.org",
        "a@b@c",
        "ada@example.org, eve@example.org",
        "<ada@example.org",
    ] {
        let refused = sender().recipients(&letter("7", &["fine@example.org", to]));
        let Err(Error::Refused(what)) = refused else { panic!("{to:?}: {refused:?}") };
        assert_eq!(what, "recipient 2 is no mail address", "{to:?}");
    }
    let (_, bytes) = write(&letter(
        "7",
        &["\"Bcc: eve@example.org, x\" <ada@example.org>", "Zoë <zoe@example.org>"],
    ));
    assert!(!bytes.contains("\nBcc"), "{bytes}");
}

#[test]
fn recipients_are_one_to_so_many() {
    let many = vec!["ada@example.org"; 51];
    for (count, fine) in [(0, false), (1, true), (50, true), (51, false)] {
        assert_eq!(sender().recipients(&letter("7", &many[..count])).is_ok(), fine, "{count}");
    }
}
