//! The short way of plain requests beside the library's way: the same answers, the same counts, the same lines in the log.

use std::path::Path;
use std::time::Duration;

use mainstay_testkit::{
    Authority, CHROME, Connection, Metrics, Request, Response, Server, Site, until,
};
use serde_json::Value;

use crate::launch;

mod hosts;
mod slow;

const NAME: &str = "site.test";
/// What was read once stays as it is for the whole test.
const LOOKS: &str = "[edge]\nrevalidate_after = \"1h\"\n";
const SOON: Duration = Duration::from_secs(10);
const SCRIPT: &str = "<!doctype html><title>t</title><script>let a = 1</script><p>home</p>\n";

fn files() -> Vec<(&'static str, String)> {
    vec![
        ("index.html", SCRIPT.repeat(60)),
        ("a.txt", "a".into()),
        ("empty.txt", String::new()),
        ("long.css", "p { color: red }\n".repeat(4_000)),
        ("docs/index.html", SCRIPT.into()),
    ]
}

/// Requests that are plain but for what one of them brings about.
fn requests(tag: &str) -> Vec<Request> {
    let get = Request::get;
    vec![
        get("/"),
        get("/?a=1&b=%20"),
        get("/index.html").header("user-agent", CHROME).header("accept-encoding", "gzip, deflate"),
        get("/").header("accept-encoding", "br;q=1, gzip;q=0.5").header("connection", "keep-alive"),
        get("/").header("if-none-match", tag),
        get("/").header("if-none-match", &format!("\"other\", W/{tag}")),
        get("/").header("if-none-match", "\"other\""),
        get("/a.txt").header("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        get("/a.txt").header("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        get("/a.txt").header("if-modified-since", "soon"),
        get("/a.txt").header("referer", "https://user@example.org/secret?q"),
        get("/a.txt").header("origin", "https://other.example"),
        get("/empty.txt"),
        get("/long.css").header("accept-encoding", "zstd").header("cookie", "a=b"),
        get("/docs/"),
        get("/nowhere").header("accept", "text/html, application/json;q=0.5"),
        get("/nowhere").header("if-none-match", "*"),
        Request::head("/"),
        Request::head("/long.css").header("accept-encoding", "br"),
        Request::head("/nowhere"),
        Request::head("/").header("if-none-match", tag),
    ]
}

/// What only the library's way reads, and ignores.
fn the_long_way(request: &Request) -> Request {
    request.clone().header("x-nobody-knows", "1")
}

/// The short way writes these last, the library wherever the block has them.
fn is_short(response: &Response) -> bool {
    let names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.ends_with(&["x-request-id", "date"])
}

/// All of it that does not differ from one request to the next.
fn lasting(response: &Response) -> (u16, String, Vec<(String, String)>, Vec<u8>) {
    let mut headers = response.headers.clone();
    for name in ["x-request-id", "date"] {
        assert_eq!(response.count(name), 1, "{name}: {headers:?}");
    }
    headers.retain(|(name, _)| name != "x-request-id" && name != "date");
    headers.sort();
    (response.status, response.version.clone(), headers, response.body.clone())
}

/// The line of an answer, without what differs from one request to the next.
fn line(log: &Path, response: &Response) -> Value {
    let id = response.header("x-request-id").expect("an id");
    let mut found = None;
    until("the line in the log", SOON, || {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        found = log.lines().find(|line| line.contains(id)).map(str::to_owned);
        found.is_some()
    });
    let mut line: Value = serde_json::from_str(&found.expect("a line")).expect("JSON");
    let object = line.as_object_mut().expect("an object");
    for differs in ["time", "request_id", "duration_us"] {
        assert!(object.remove(differs).is_some(), "{differs}: {object:?}");
    }
    line
}

/// What was added to each series of these metrics.
fn counted(before: &Metrics, after: &Metrics, names: &[&str]) -> Vec<(String, f64)> {
    names.iter().flat_map(|name| after.added(before, name)).collect()
}

fn compare(server: &Server, open: &dyn Fn() -> Connection, request: &Request, expects: bool) {
    const COUNTED: [&str; 3] =
        ["http_requests_total", "http_request_duration_seconds_count", "http_response_bytes_total"];
    let ask = |request: &Request| open().send(request);
    // From here on the file, and the coding asked for, are in memory.
    ask(request);
    ask(&the_long_way(request));
    let first = server.metrics();
    let short = ask(request);
    let second = server.metrics();
    let long = ask(&the_long_way(request));
    let third = server.metrics();
    assert_eq!((is_short(&short), is_short(&long)), (expects, false), "{request:?}: {short:?}");
    assert_eq!(lasting(&short), lasting(&long), "{request:?}");
    let log = server.data_dir().join("logs/access.log");
    assert_eq!(line(&log, &short), line(&log, &long), "{request:?}");
    let counted = (counted(&first, &second, &COUNTED), counted(&second, &third, &COUNTED));
    assert_eq!(counted.0, counted.1, "{request:?}");
    assert!(counted.0.len() >= 2, "{counted:?}");
}

fn site() -> Site {
    let site = Site::new();
    for (name, text) in files() {
        site.write(name, text);
    }
    site
}

#[test]
fn both_ways_give_one_answer() {
    for own_page in [false, true] {
        let site = site();
        if own_page {
            site.write("404.html", SCRIPT.repeat(60));
        }
        let server = launch().site(site).config(LOOKS).start();
        let tag = server.get("/").header("etag").expect("a tag").to_owned();
        for request in requests(&tag) {
            compare(&server, &|| server.connect(), &request, true);
        }
    }
}

#[test]
fn both_ways_give_one_answer_over_tls() {
    let (authority, keys) = (Authority::new(), Site::new());
    authority.issue(&[NAME]).write(keys.dir());
    let path = |name: &str| keys.path(name).display().to_string();
    let tls = format!("[tls]\ncert = {:?}\nkey = {:?}\n", path("cert.pem"), path("key.pem"));
    let settings = format!("{LOOKS}{tls}[headers]\nhsts = \"year\"\n");
    let server = launch().site(site()).config(&settings).start();
    let client = authority.client(NAME, &["http/1.1"]);
    let open = || client.open(server.site_address());
    let answer = open().send(&Request::get("/"));
    assert!(answer.header("strict-transport-security").is_some(), "{:?}", answer.headers);
    let tag = answer.header("etag").expect("a tag");
    for request in requests(tag) {
        compare(&server, &open, &request, true);
    }
}

#[test]
fn what_is_not_plain_takes_the_long_way() {
    let server = launch().site(site()).config(LOOKS).start();
    let get = Request::get;
    for request in [
        get("/").header("range", "bytes=0-1"),
        get("/").header("if-match", "\"other\""),
        get("/").header("connection", "close"),
        get("/").header("x-forwarded-for", "192.0.2.1"),
        get("/").header("accept-encoding", "gzip").header("accept-encoding", "br"),
        get("/").header("cookie", &"a".repeat(5_000)),
        get("/%61.txt"),
        get("/nowhere").header("accept", "application/json"),
        get("/docs"),
        get("/_mainstay/m.js"),
        Request::post("/").body("x"),
    ] {
        let ask = || is_short(&server.connect().send(&request));
        assert_eq!([ask(), ask()], [false, false], "{request:?}");
    }
    // A prefix of the owner's is as much ours as the default.
    let moved = launch().site(site()).config(&format!("{LOOKS}prefix = \"/_own\"\n")).start();
    let ask = |path: &str| is_short(&moved.get(path));
    assert_eq!([ask("/_own/m.js"), ask("/_own/m.js")], [false, false]);
    let shared = "[cors]\norigins = [\"https://app.example\"]\n";
    for settings in [shared, "[trust]\nproxies = [\"127.0.0.1\"]\n"] {
        let server = launch().site(site()).config(&format!("{LOOKS}{settings}")).start();
        let ask = || is_short(&server.get("/"));
        assert_eq!([ask(), ask()], [false, false], "{settings}");
    }
}

#[test]
fn one_connection_takes_either_way_and_loses_no_byte() {
    let server = launch().site(site()).config(LOOKS).start();
    for path in ["/a.txt", "/long.css", "/nowhere"] {
        assert_ne!(server.get(path).status, 500, "{path}");
    }
    let short = |path: &str| Request::get(path).to_bytes("a");
    let long = |path: &str| the_long_way(&Request::get(path)).to_bytes("a");
    let mut connection = server.connect();
    // The last one is cut in two.
    let half = short("/long.css");
    let (begin, end) = half.split_at(20);
    let all =
        [short("/a.txt"), short("/long.css"), long("/a.txt"), short("/nowhere"), begin.into()];
    connection.write(&all.concat()).expect("sent");
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(connection.read("GET").expect("an answer"));
    }
    connection.write(end).expect("sent");
    seen.push(connection.read("GET").expect("an answer"));
    let seen: Vec<_> = seen.iter().map(|one| (one.status, one.body.len())).collect();
    assert_eq!(
        (seen[0], seen[1], seen[2], seen[4]),
        ((200, 1), (200, 68_000), (200, 1), (200, 68_000))
    );
    assert_eq!(seen[3].0, 404);

    let ways = [short("/a.txt"), long("/a.txt"), short("/a.txt"), short("/docs"), short("/a.txt")];
    let ways = ways.map(|bytes| {
        connection.write(&bytes).expect("sent");
        is_short(&connection.read("GET").expect("an answer"))
    });
    assert_eq!(ways, [true, false, true, false, true], "the library gives it back");

    // A connection on which nothing was plain so far is not handed to and fro, until it has been quiet.
    let mut other = server.connect();
    let mut ask = |bytes: &[u8]| {
        other.write(bytes).expect("sent");
        is_short(&other.read("GET").expect("an answer"))
    };
    assert_eq!([ask(&long("/a.txt")), ask(&short("/a.txt"))], [false, false]);
    let parked = || server.metrics().value("mainstay_connections_parked", &[]);
    until("both are parked", SOON, || parked() > 1.5);
    assert!(ask(&short("/a.txt")), "begun anew");
}

#[test]
fn over_tls_no_byte_is_lost_either() {
    let (authority, keys) = (Authority::new(), Site::new());
    authority.issue(&[NAME]).write(keys.dir());
    let path = |name: &str| keys.path(name).display().to_string();
    let tls = format!("[tls]\ncert = {:?}\nkey = {:?}\n", path("cert.pem"), path("key.pem"));
    let server = launch().site(site()).config(&format!("{LOOKS}{tls}")).start();
    let mut connection = authority.client(NAME, &["http/1.1"]).open(server.site_address());
    let short = Request::get("/a.txt").to_bytes(NAME);
    let long = the_long_way(&Request::get("/a.txt")).to_bytes(NAME);
    for _warm in 0..2 {
        connection.write(&short).expect("sent");
        assert_eq!(connection.read("GET").expect("an answer").status, 200);
    }
    // In one record, and in a record each.
    connection.write(&[&*short, &*long, &*short].concat()).expect("sent");
    for one in [&short, &long, &short] {
        connection.write(one).expect("sent");
    }
    let ways: Vec<_> =
        (0..6).map(|_| is_short(&connection.read("GET").expect("an answer"))).collect();
    assert_eq!((ways[0], ways[1], ways[3 + 1]), (true, false, false), "{ways:?}");
    // Nothing of TLS is spoken here: the port sends such a client to https.
    let mut plain = server.connect();
    let answers = [(); 2].map(|()| plain.try_send(&Request::get("/a.txt").header("host", NAME)));
    let first = answers[0].as_ref().expect("an answer");
    assert_eq!((first.status, is_short(first)), (308, false));
}

#[test]
fn a_client_that_closes_its_half_is_answered() {
    let server = launch().site(site()).config(LOOKS).start();
    assert_eq!(server.get("/long.css").status, 200);
    let mut connection = server.connect();
    connection.write(&Request::get("/long.css").to_bytes("a")).expect("sent");
    connection.socket().shutdown(std::net::Shutdown::Write).expect("half closed");
    assert_eq!(connection.read("GET").expect("an answer").body.len(), 68_000);
    assert!(connection.is_closed_within(SOON));
}

/// The policy of a page with many inline scripts is the larger part of what it weighs.
#[test]
fn a_page_with_a_long_head_stays_in_a_small_cache() {
    let site = Site::new();
    let scripts: String = (0..240).map(|n| format!("<script>let a = {n}</script>\n")).collect();
    site.write(
        "index.html",
        format!("<!doctype html><title>t</title>{scripts}{}", "<p>home</p>\n".repeat(4_300)),
    );
    let server = launch()
        .site(site)
        .config(&format!("{LOOKS}cache_bytes_max = \"1MiB\"\ncache_file_max = \"64KiB\"\n"))
        .start();
    let ask = || is_short(&server.get("/"));
    assert_eq!([ask(), ask(), ask()], [false, true, true]);
}

#[test]
fn what_came_before_the_stop_is_answered() {
    const CLIENTS: usize = 600;
    let config = format!("{LOOKS}workers = 1\nconnections_per_address_max = 10000\n");
    let mut server = launch().site(site()).config(&config).start();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.send(&Request::get("/a.txt")).status, 200);
    }
    // All of them and the order to stop are found in one look.
    server.process().signal("STOP");
    for client in &mut clients {
        client.write(&Request::get("/a.txt").to_bytes("a")).expect("sent");
    }
    server.process().signal("TERM");
    server.process().signal("CONT");
    let answered = clients.iter_mut().filter_map(|client| client.read("GET").ok());
    assert_eq!(answered.filter(|answer| answer.status == 200).count(), CLIENTS);
}

#[test]
fn a_reload_is_heard_on_an_open_connection() {
    let mut server = launch().site(site()).config(LOOKS).start();
    let mut connection = server.connect();
    let mut framed = || {
        let answer = connection.send(&Request::get("/"));
        (answer.header("x-frame-options").map(str::to_owned), is_short(&answer))
    };
    until("the short way", SOON, || framed() == (Some("DENY".into()), true));
    server.write_settings(&format!("{LOOKS}[headers]\nframe = \"same-origin\"\n"));
    server.process().signal("HUP");
    until("the new header", SOON, || framed() == (Some("SAMEORIGIN".into()), true));
}

#[test]
fn a_changed_file_is_noticed_on_a_connection_that_is_never_idle() {
    let server = launch().site(site()).config("[edge]\nrevalidate_after = \"50ms\"\n").start();
    let mut connection = server.connect();
    let mut ask = || connection.send(&Request::get("/a.txt")).text();
    assert_eq!(ask(), "a");
    server.site().write("a.txt", "another");
    until("the new bytes", SOON, || ask() == "another");
    server.site().remove("a.txt");
    until("the missing file", SOON, || ask().contains("nothing at this address"));
}
