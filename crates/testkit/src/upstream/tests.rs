//! What the app takes and what it refuses, byte for byte.

use super::*;

/// What an app that answers each request with its body says to these bytes.
fn heard(bytes: &str) -> Vec<Heard> {
    let app = Upstream::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let mut stream = TcpStream::connect(app.address).expect("a connection");
    stream.write_all(bytes.as_bytes()).expect("written");
    stream.shutdown(Shutdown::Write).expect("ended");
    // An app that refuses may reset a connection whose bytes it left unread.
    drop(stream.read_to_end(&mut Vec::new()));
    app.requests()
}

fn posted(head: &str, body: &str) -> Option<String> {
    let heard = heard(&format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}"));
    assert!(heard.len() < 2, "{head}: {heard:?}");
    let first = heard.into_iter().next()?;
    Some(String::from_utf8(first.body).expect("text"))
}

#[test]
fn a_length_is_digits_and_nothing_else() {
    for length in ["5", "05", "0000000005", " 5", "\t5 ", "  5\t"] {
        let posted = posted(&format!("Content-Length:{length}"), "abcde");
        assert_eq!(posted.as_deref(), Some("abcde"), "{length:?}");
    }
    for length in [
        "",
        "+5",
        "-5",
        "+0",
        "-0",
        "5,5",
        "5, 5",
        "0x5",
        "5.0",
        "5e0",
        "five",
        "5 5",
        "\u{b}5",
        "\u{a0}5",
        "٥",
        "18446744073709551616",
    ] {
        assert_eq!(posted(&format!("Content-Length: {length}"), "abcde"), None, "{length:?}");
    }
    assert_eq!(posted("Content-Length: 5\r\nContent-Length: 5", "abcde"), None);
}

#[test]
fn a_chunk_size_is_hexadecimal_digits_and_nothing_else() {
    for size in ["5", "05"] {
        let posted = posted("Transfer-Encoding: chunked", &format!("{size}\r\nabcde\r\n0\r\n\r\n"));
        assert_eq!(posted.as_deref(), Some("abcde"), "{size:?}");
    }
    for size in ["", "+5", "-5", "0x5", " 5", "5 ", "5;x", "g"] {
        let posted = posted("Transfer-Encoding: chunked", &format!("{size}\r\nabcde\r\n0\r\n\r\n"));
        assert_eq!(posted, None, "{size:?}");
    }
}

#[test]
fn a_name_is_a_token() {
    assert_eq!(posted("x-1.~: y", "").as_deref(), Some(""));
    for field in [": y", "x y: z", "Content-Length : 5", " x: y", "\tx: y", "x\u{e9}: y", "x"] {
        assert_eq!(posted(field, ""), None, "{field:?}");
    }
}
