//! HTTP itself: connections kept and closed, pipelining, old and new versions, methods a folder of files does not know.

use std::time::Duration;

use mainstay_testkit::{Batch, CHROME, Ended, Process, Request, Server};

use crate::{h2, serve};

fn site() -> Server {
    let text = "the same words again and again\n".repeat(3_000);
    serve(&[("index.html", "<p>home</p>"), ("a.txt", "a"), ("b.txt", "bb"), ("long.txt", &text)])
}

#[test]
fn a_connection_is_kept_for_further_requests() {
    let server = site();
    let mut connection = server.connect();
    for path in ["/a.txt", "/missing", "/b.txt", "/_mainstay/m.js", "/a.txt"] {
        let response = connection.send(&Request::get(path));
        assert_eq!(response.status, if path == "/missing" { 404 } else { 200 }, "{path}");
    }
    assert_eq!(connection.send(&Request::head("/long.txt")).status, 200);
    assert_eq!(connection.send(&Request::get("/b.txt")).body, b"bb", "HEAD left no body behind");
    let last = connection.send(&Request::get("/a.txt").header("connection", "close"));
    assert_eq!(last.header("connection"), Some("close"));
    assert!(connection.is_closed_within(Duration::from_secs(2)));
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = site();
    let mut connection = server.connect();
    let paths = ["/a.txt", "/long.txt", "/missing", "/b.txt", "/docs", "/a.txt"];
    let bytes: Vec<u8> = paths.iter().flat_map(|path| Request::get(path).to_bytes("a")).collect();
    connection.write(&bytes).expect("sent");
    let answers: Vec<_> =
        paths.iter().map(|_| connection.read("GET").expect("an answer")).collect();
    let seen: Vec<_> = answers.iter().map(|a| (a.status, a.body.len())).collect();
    assert_eq!(seen[0], (200, 1));
    assert_eq!(seen[1], (200, 93_000));
    assert_eq!((seen[2].0, seen[3], seen[4].0, seen[5]), (404, (200, 2), 404, (200, 1)));
}

#[test]
fn http_1_0_is_answered_and_closed_unless_it_asks_otherwise() {
    let server = site();
    let mut connection = server.connect();
    connection.write(b"GET /a.txt HTTP/1.0\r\n\r\n").expect("sent");
    let response = connection.read("GET").expect("an answer");
    assert_eq!((response.status, response.body.as_slice()), (200, &b"a"[..]));
    assert_eq!(response.header("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert!(connection.is_closed_within(Duration::from_secs(2)));

    let mut kept = server.connect();
    for _ in 0..2 {
        kept.write(b"GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("sent");
        let response = kept.read("GET").expect("an answer");
        assert_eq!((response.status, response.header("connection")), (200, Some("keep-alive")));
    }
}

#[test]
fn methods_a_folder_does_not_know_are_refused_with_those_it_does() {
    let server = site();
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"] {
        for path in ["/", "/missing", "/a.txt"] {
            let response = server.send(&Request::new(method, path).body("x"));
            assert_eq!(
                (response.status, response.header("allow")),
                (405, Some("GET, HEAD, OPTIONS")),
                "{method} {path}"
            );
        }
    }
    for path in ["/", "/missing", "*"] {
        let response = server.send(&Request::new("OPTIONS", path));
        assert_eq!(
            (response.status, response.header("allow")),
            (204, Some("GET, HEAD, OPTIONS")),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("POST", "/_mainstay/m.js", "GET, HEAD"),
        ("GET", "/_mainstay/events", "POST"),
        ("PUT", "/_mainstay/events", "POST"),
    ] {
        let response = server.send(&Request::new(method, path));
        assert_eq!(
            (response.status, response.header("allow")),
            (405, Some(allow)),
            "{method} {path}"
        );
    }
    let metrics = server.metrics();
    let invented =
        metrics.value("http_requests_total", &[("method", "_OTHER"), ("status_code", "405")]);
    assert!((invented - 9.0).abs() < 0.1, "TRACE, PROPFIND and BREW are one: {invented}");
}

#[test]
fn bodies_come_in_chunks_or_after_a_question() {
    let server = site();
    let body = Batch::page_view("http://a/chunked").body();
    let mut connection = server.connect();
    let head = format!(
        "POST /_mainstay/events HTTP/1.1\r\nHost: a\r\nUser-Agent: {CHROME}\r\nContent-Type: application/json\r\n"
    );
    let (one, two) = body.split_at(20);
    let chunked = format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{one}\r\n{:x};x=y\r\n{two}\r\n0\r\n\r\n",
        one.len(),
        two.len()
    );
    connection.write(chunked.as_bytes()).expect("sent");
    assert_eq!(connection.read("POST").expect("an answer").status, 204);

    let body = Batch::page_view("http://a/expected").body();
    let mut connection = server.connect();
    let asking = format!("{head}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len());
    connection.write(asking.as_bytes()).expect("sent");
    assert_eq!(connection.read_head().expect("a go-ahead").status, 100);
    connection.write(body.as_bytes()).expect("sent");
    assert_eq!(connection.read("POST").expect("an answer").status, 204);
    assert_eq!(server.rows("/api/v1/pages").len(), 2);
}

fn curl(arguments: &[&str]) -> Ended {
    let mut command = Process::command("curl");
    command.args(["--silent", "--show-error", "--http2-prior-knowledge"]).args(arguments);
    Process::run(&mut command, Duration::from_secs(20))
}

#[test]
fn http_2_is_spoken_to_clients_that_begin_with_it() {
    let server = site();
    let print = "%{http_version} %{response_code} %{size_download}\\n";
    let one = curl(&["--output", "/dev/null", "--write-out", print, &server.site_url("/long.txt")]);
    assert_eq!((one.stdout.as_str(), one.code), ("2 200 93000", Some(0)), "{}", one.stderr);

    let head = curl(&["--head", &server.site_url("/a.txt")]);
    assert!(
        head.stdout.starts_with("HTTP/2 200")
            && head.stdout.contains("x-content-type-options: nosniff"),
        "{}",
        head.stdout
    );

    let body = Batch::page_view("http://a/h2").body();
    let posted = curl(&[
        "--data-binary",
        &body,
        "--header",
        "content-type: text/plain",
        "--write-out",
        print,
        &server.site_url("/_mainstay/events"),
    ]);
    assert_eq!(posted.stdout, "2 204 0");
    assert_eq!(server.rows("/api/v1/pages?bots=include").len(), 1);

    let huge = format!("x-huge: {}", "x".repeat(40_000));
    let refused = curl(&[
        "--output",
        "/dev/null",
        "--write-out",
        print,
        "--header",
        &huge,
        &server.site_url("/"),
    ]);
    let answered = refused.stdout.split(' ').nth(1) == Some("431");
    assert!(answered || refused.code != Some(0), "{} {}", refused.stdout, refused.stderr);
    assert_eq!(server.get("/a.txt").status, 200);
}

/// Forty streams at once on one connection; prints how often each status came with how many bytes.
const STREAMS: &str = r#"
const client = require("node:http2").connect(process.argv[1]);
client.on("error", fail);
function fail(error) { console.error(error); process.exit(1); }
const ask = (path) => new Promise((done, failed) => {
  const stream = client.request({ ":path": path });
  let status = 0, bytes = 0;
  stream.on("response", (headers) => { status = headers[":status"]; });
  stream.on("data", (piece) => { bytes += piece.length; });
  stream.on("end", () => done(`${status} ${status === 200 ? bytes : ""}`.trim()));
  stream.on("error", failed);
});
const paths = Array.from({ length: 40 }, (_, n) => (n % 2 ? "/missing" : "/long.txt"));
Promise.all(paths.map(ask)).then((answers) => {
  const counts = {};
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1;
  console.log(JSON.stringify(counts));
  client.close();
}, fail);
"#;

#[test]
fn many_streams_share_one_http_2_connection() {
    let server = site();
    let mut command = Process::command("node");
    command.args(["-e", STREAMS, &server.site_url("")]);
    let ended = Process::run(&mut command, Duration::from_secs(30));
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), r#"{"404":20,"200 93000":20}"#),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_http2_answers_share_is_sent_once_per_connection() {
    let server = site();
    let mut client = h2::Client::open(server.site_address(), &[]);
    let heads: Vec<usize> = (0..200)
        .map(|at| {
            assert!(client.get(2 * at + 1, "/a.txt"));
            let head = client.find(Duration::from_secs(5), |frame| frame.kind == h2::HEADERS);
            head.expect("a head").payload.len()
        })
        .collect();
    // Nothing that every answer has anew may push the rest out of the table (4 KiB) that both ends keep.
    let later = heads.iter().skip(1).max().expect("a length");
    assert!(heads[0] > 3 * later, "{heads:?}");
}
