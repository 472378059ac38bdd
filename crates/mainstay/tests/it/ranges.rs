//! Parts of files: from memory and from disk, and when a part must not be sent.

use std::time::Duration;

use mainstay_testkit::{Request, Server, Site};

use crate::{launch, serve};

/// Bytes in which every position can be told from its neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n / 251 + n % 251) as u8).collect()
}

fn assert_parts(server: &Server, path: &str, bytes: &[u8]) {
    let length = bytes.len();
    for (range, first, end) in [
        ("0-0".to_owned(), 0, 1),
        ("5-9".to_owned(), 5, 10),
        (format!("{}-", length - 10), length - 10, length),
        ("-7".to_owned(), length - 7, length),
        (format!("-{}", length * 2), 0, length),
        (format!("{}-{}", length / 2, length * 3), length / 2, length),
    ] {
        let request = Request::get(path).header("range", &format!("bytes={range}"));
        let part = server.send(&request.header("accept-encoding", "gzip, br"));
        assert_eq!(part.status, 206, "{path} {range}");
        let span = format!("bytes {first}-{}/{length}", end - 1);
        assert_eq!(part.header("content-range"), Some(span.as_str()), "{path} {range}");
        assert!(part.body == bytes[first..end], "{path} {range}: other bytes");
        assert_eq!(part.header("content-encoding"), None, "a part is a part of the file itself");
    }
    for range in [format!("{length}-"), format!("{}-{}", length + 5, length + 9), "-0".to_owned()] {
        let request = Request::get(path).header("range", &format!("bytes={range}"));
        let refused = server.send(&request);
        assert_eq!((refused.status, refused.body.len()), (416, 0), "{path} {range}");
        let span = format!("bytes */{length}");
        assert_eq!(refused.header("content-range"), Some(span.as_str()), "{path} {range}");
    }
    for range in ["bytes=0-1,4-5", "bytes=9-5", "bytes=a-b", "lines=0-1", "bytes 0-1", "bytes=-"] {
        let whole = server.send(&Request::get(path).header("range", range));
        assert_eq!(whole.status, 200, "{path} {range}");
        assert!(whole.body == bytes, "{path} {range}: other bytes");
    }
}

fn assert_if_range(server: &Server, path: &str) {
    let full = server.get(path);
    assert_eq!(full.header("accept-ranges"), Some("bytes"));
    let tag = full.header("etag").expect("an etag").to_owned();
    let modified = full.header("last-modified").expect("a date").to_owned();
    for (value, status) in [
        (tag.clone(), 206),
        (modified, 206),
        (format!("W/{tag}"), 200),
        ("\"other\"".to_owned(), 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), 200),
    ] {
        let request = Request::get(path).header("range", "bytes=0-3").header("if-range", &value);
        let answer = server.send(&request);
        assert_eq!(answer.status, status, "{path} if-range: {value}");
        assert_eq!(answer.body.len(), if status == 206 { 4 } else { full.body.len() });
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
}

#[test]
fn parts_of_a_file_in_memory() {
    let site = Site::new();
    let bytes = pattern(5_000);
    site.write("a.bin", &bytes);
    let server = launch().site(site).start();
    assert_parts(&server, "/a.bin", &bytes);
    assert_if_range(&server, "/a.bin");
}

#[test]
fn a_file_too_large_for_memory_is_streamed_whole_and_in_parts() {
    let site = Site::new();
    let bytes = pattern(5 << 20);
    site.write("film.mp4", &bytes);
    site.write("log.txt", "words ".repeat(200_000));
    let server = launch().site(site).config("[edge]\ncache_file_max = \"64KiB\"\n").start();
    let whole = server.get("/film.mp4");
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("5242880")));
    assert!(whole.body == bytes, "other bytes");
    assert_parts(&server, "/film.mp4", &bytes);
    assert_if_range(&server, "/film.mp4");
    let text = server.send(&Request::get("/log.txt").header("accept-encoding", "br"));
    assert_eq!((text.header("content-encoding"), text.body.len()), (None, 1_200_000));
    let head = server.send(&Request::head("/film.mp4"));
    assert_eq!((head.status, head.header("content-length")), (200, Some("5242880")));
    let same =
        Request::get("/film.mp4").header("if-none-match", whole.header("etag").expect("a tag"));
    assert_eq!(server.send(&same).status, 304);
    let sent = server.metrics().value("mainstay_response_bytes_total", &[("scope", "site")]);
    assert!(sent > 3.0 * 5_242_880.0, "streamed bytes are counted: {sent}");
}

#[test]
fn a_download_that_is_given_up_frees_its_connection() {
    let site = Site::new();
    site.write("film.mp4", pattern(32 << 20));
    let server = launch().site(site).config("[edge]\ncache_file_max = \"64KiB\"\n").start();
    let mut connection = server.connect();
    connection.write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    assert_eq!(connection.read_head().expect("a head").status, 200);
    assert!(!connection.read_some(1_000).expect("a piece").is_empty());
    drop(connection);
    mainstay_testkit::until("no connection left", Duration::from_secs(10), || {
        server.metrics().value("mainstay_connections", &[]).abs() < 0.1
    });
}

#[test]
fn an_empty_file_has_no_part() {
    let server = serve(&[("empty.txt", "")]);
    let whole = server.get("/empty.txt");
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("0")));
    let part = server.send(&Request::get("/empty.txt").header("range", "bytes=0-0"));
    assert_eq!((part.status, part.header("content-range")), (416, Some("bytes */0")));
}
