//! HTTPS on the public listener: versions, certificates exchanged while serving, plain http sent to https, handshakes that go wrong.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mainstay_testkit::{
    Authority, Connection, Launch, Request, Server, Site, TlsClient, Upstream, free_port,
    holds_for, until,
};

use crate::launch;

const SOON: Duration = Duration::from_secs(10);
const NAME: &str = "shop.test";

/// A server of one page with a certificate of this authority, and more settings of `[tls]` and others.
fn secured(authority: &Authority, dir: &Path, more: &str) -> Launch {
    authority.issue(&[NAME]).write(dir);
    let path = |name: &str| dir.join(name).display().to_string();
    let settings =
        format!("[tls]\ncert = {:?}\nkey = {:?}\n{more}", path("cert.pem"), path("key.pem"));
    launch().site(Site::of(&[("index.html", "<p>home</p>")])).config(&settings)
}

fn ask(connection: &mut Connection, path: &str) -> mainstay_testkit::Response {
    connection.send(&Request::get(path).header("host", NAME))
}

fn refused(server: &Server, reason: &str) -> f64 {
    server.metrics().value("mainstay_requests_refused_total", &[("reason", reason)])
}

/// HTTP/2 as far as one request needs it: a preface, an empty SETTINGS, and HEADERS in static HPACK (RFC 7541 §C.4).
/// The answer's headers begin with its status.
pub(crate) fn h2_headers(connection: &mut Connection, host: &str) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let mut head = vec![0x82, 0x84, 0x87, 0x41, host.len() as u8];
    head.extend(host.bytes());
    bytes.extend([0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend(head);
    connection.write(&bytes).expect("sent");
    let mut read = Vec::new();
    loop {
        while let Some(length) =
            read.get(..3).map(|l: &[u8]| usize::from(l[1]) << 8 | usize::from(l[2]))
        {
            if read.len() < 9 + length {
                break;
            }
            if read[3] == 1 {
                return read[9..9 + length].to_vec();
            }
            read.drain(..9 + length);
        }
        let more = connection.read_some(16 << 10).expect("frames");
        assert!(!more.is_empty(), "closed");
        read.extend(more);
    }
}

#[test]
fn both_versions_of_http_and_of_tls_are_spoken() {
    let (authority, dir) = (Authority::new(), Site::new());
    let server = secured(&authority, dir.dir(), "[headers]\nhsts = \"year\"\n").start();
    let mut h1 = authority.client(NAME, &["http/1.1"]).open(server.site_address());
    let answer = ask(&mut h1, "/");
    assert_eq!((answer.status, h1.protocol().as_deref()), (200, Some("http/1.1")));
    assert!(answer.header("strict-transport-security").is_some(), "{:?}", answer.headers);

    let mut h2 = authority.client(NAME, &["h2", "http/1.1"]).open(server.site_address());
    assert_eq!(h2.protocol().as_deref(), Some("h2"));
    assert_eq!(h2_headers(&mut h2, NAME)[0], 0x88, ":status 200 (RFC 7541 §A)");

    let mut old = authority.old_client(NAME, &[]).open(server.site_address());
    assert_eq!((ask(&mut old, "/").status, old.protocol()), (200, None));
    assert!(authority.client("other.test", &[]).try_open(server.site_address()).is_err());
    let metrics = server.metrics();
    assert!(metrics.value("mainstay_tls_handshakes_total", &[("version", "1.3")]) > 1.5);
    assert!(metrics.value("mainstay_tls_handshakes_total", &[("version", "1.2")]) > 0.5);
    let log = server.data_dir().join("logs/access.log");
    until("protocols in the log", SOON, || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("\"h2\""))
    });
}

#[test]
fn sessions_are_resumed_whichever_worker_takes_the_connection() {
    let (authority, dir) = (Authority::new(), Site::new());
    let server = secured(&authority, dir.dir(), "[edge]\nworkers = 2\n").start();
    for client in [authority.client(NAME, &[]), authority.old_client(NAME, &[])] {
        let mut first = client.open(server.site_address());
        assert_eq!(ask(&mut first, "/").status, 200);
        assert!(!first.is_resumed());
        for _ in 0..6 {
            let mut next = client.open(server.site_address());
            assert_eq!(ask(&mut next, "/").status, 200);
            assert!(next.is_resumed());
        }
    }
    let resumed = server.metrics().value("mainstay_tls_handshakes_total", &[("kind", "resumed")]);
    assert!((resumed - 12.0).abs() < 0.1, "{resumed}");
}

#[test]
fn a_new_certificate_is_taken_into_use_and_nobody_is_dropped() {
    let (authority, renewed, dir) = (Authority::new(), Authority::new(), Site::new());
    let server = secured(&authority, dir.dir(), "reload_every = \"100ms\"\n").start();
    let reloads = |outcome: &str| {
        server.metrics().value("mainstay_tls_reloads_total", &[("outcome", outcome)])
    };
    let accepts =
        |authority: &Authority| authority.client(NAME, &[]).try_open(server.site_address()).is_ok();
    let mut kept = authority.client(NAME, &[]).open(server.site_address());
    assert_eq!(ask(&mut kept, "/").status, 200);

    dir.write("cert.pem", "-----BEGIN CERTIFICATE-----\nhalf");
    until("the broken file is seen", SOON, || reloads("failed") > 0.5);
    let line = server.log().wait_for("the one before stays in use", SOON);
    assert!(line.contains("cert.pem"), "{line}");
    assert!(accepts(&authority));

    renewed.issue(&[NAME]).write(dir.dir());
    until("the new pair is in use", SOON, || reloads("done") > 0.5 && accepts(&renewed));
    assert!(!accepts(&authority));
    assert_eq!(ask(&mut kept, "/").status, 200, "who was connected stays connected");
    let expiry = "mainstay_tls_certificate_expiry_timestamp_seconds";
    assert!(server.metrics().value(expiry, &[]) > 1e9);
}

#[test]
fn a_pair_that_cannot_be_used_keeps_the_server_from_starting_and_is_named() {
    let (authority, dir) = (Authority::new(), Site::new());
    let launch = secured(&authority, dir.dir(), "");
    dir.write("key.pem", authority.issue(&[NAME]).key);
    let ended = launch.run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for part in ["key.pem", "cert.pem", "does not belong"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
}

#[test]
fn a_self_signed_certificate_is_made_for_the_sites_names() {
    let settings =
        "[tls]\nself_signed = true\n[[site]]\nname = \"a\"\nhosts = [\"shop.test\"]\ndir = \".\"\n";
    let server = launch().sites_in_settings().config(settings).start();
    let cert = server.data_dir().join("keys/self-signed.crt");
    let cert = std::fs::read_to_string(cert).expect("a certificate");
    for name in ["localhost", "127.0.0.1", NAME] {
        let client = TlsClient::trusting(&cert, name, &["http/1.1"]);
        assert!(client.try_open(server.site_address()).is_ok(), "{name}");
    }
}

#[test]
fn plain_http_is_sent_to_https() {
    let (authority, dir, port) = (Authority::new(), Site::new(), free_port());
    let more = format!("redirect_listen = \"127.0.0.1:{port}\"\n");
    let server = secured(&authority, dir.dir(), &more).start();
    let tls_port = server.site_address().port();
    let location = |connection: &mut Connection, host: &str, path: &str| {
        let answer = connection.send(&Request::get(path).header("host", host));
        assert_eq!(answer.status, 308, "{}", answer.text());
        assert_eq!(answer.count("x-content-type-options"), 1, "{:?}", answer.headers);
        assert!(answer.header("strict-transport-security").is_none());
        answer.header("location").map(str::to_owned)
    };
    let mut same = server.connect();
    let to = location(&mut same, "shop.test:8443", "/a?b=1");
    assert_eq!(to.as_deref(), Some("https://shop.test:8443/a?b=1"));
    let to = location(&mut same, NAME, "/_mainstay/m.js");
    assert_eq!(to.as_deref(), Some("https://shop.test/_mainstay/m.js"), "ours as well");

    let mut other = Connection::open(([127, 0, 0, 1], port).into());
    let to = location(&mut other, "shop.test:80", "/a?b=1");
    assert_eq!(to, Some(format!("https://shop.test:{tls_port}/a?b=1")));
    let exchange = server.send_raw(b"GET / HTTP/1.0\r\n\r\n", SOON);
    assert_eq!(exchange.response.map(|r| r.status), Some(400), "nobody can tell where to");
    let mut tls = authority.client(NAME, &[]).open(server.site_address());
    assert_eq!(ask(&mut tls, "/").status, 200);
    assert!((server.metrics().value("mainstay_https_redirects_total", &[]) - 3.0).abs() < 0.1);
}

#[test]
fn handshakes_that_are_none_or_never_end_are_cut_and_counted() {
    let (authority, dir) = (Authority::new(), Site::new());
    let server = secured(&authority, dir.dir(), "handshake_timeout = \"1s\"\n").start();
    let mut garbage = server.connect();
    garbage.write(b"\x16\x03\x01\x00\x05hello").expect("sent");
    assert!(garbage.is_closed_within(SOON));
    until("garbage is counted", SOON, || refused(&server, "handshake") > 0.5);

    let mut half = server.connect();
    half.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").expect("sent");
    let mut drip = server.connect();
    drip.write(b"\x16").expect("sent");
    assert!(half.is_closed_within(SOON) && drip.is_closed_within(SOON));
    until("both are counted", SOON, || refused(&server, "handshake_timeout") > 1.5);

    let mut left = server.connect();
    left.write(b"\x16\x03").expect("sent");
    left.socket().shutdown(std::net::Shutdown::Both).expect("gone");
    let mut good = authority.client(NAME, &[]).open(server.site_address());
    assert_eq!(ask(&mut good, "/").status, 200);
    assert!((refused(&server, "handshake") - 1.0).abs() < 0.1, "who leaves is not blamed");
}

#[test]
fn a_web_socket_over_tls_lives_through_a_reload_and_a_drain_until_the_grace_ends() {
    let app = Upstream::start(|wire| {
        while wire.read_request()?.is_some() {
            wire.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
            while let Ok(word) = wire.read_exactly(5) {
                wire.write(word)?;
            }
        }
        Ok(())
    });
    let (authority, dir) = (Authority::new(), Site::new());
    authority.issue(&[NAME]).write(dir.dir());
    let path = |name: &str| dir.path(name).display().to_string();
    let settings = format!(
        "shutdown_grace = \"2s\"\n[tls]\ncert = {:?}\nkey = {:?}\n",
        path("cert.pem"),
        path("key.pem")
    );
    let url = format!("http://{}", app.address);
    let mut server = launch().upstream(&url).config(&settings).start();
    let mut socket = authority.client(NAME, &["http/1.1"]).open(server.site_address());
    // The first bytes come with the request, before anybody agreed to anything.
    let request = Request::get("/ws")
        .header("host", NAME)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket");
    socket.write(&[request.to_bytes(NAME), b"early".to_vec()].concat()).expect("sent");
    assert_eq!(socket.read_head().expect("a head").status, 101);
    let comes_back = |socket: &mut Connection, word: &str| {
        assert_eq!(socket.read_some(5).expect("an echo"), word.as_bytes());
    };
    comes_back(&mut socket, "early");
    server.process().signal("HUP");
    let _line = server.log().wait_for("settings taken into use", SOON);
    socket.write(b"again").expect("sent");
    comes_back(&mut socket, "again");
    assert!(
        (server.metrics().value("mainstay_connections", &[]) - 1.0).abs() < 0.1,
        "still counted"
    );

    server.process().signal("TERM");
    let _line = server.log().wait_for("stopping", SOON);
    socket.write(b"drain").expect("sent");
    comes_back(&mut socket, "drain");
    let ended = server.process().wait(SOON);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(socket.is_closed_within(SOON));
}

/// Memory of a process that is its own, in KB. Not its proportional size: that grows when another server ends, with which
/// it shared its program.
fn own_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Opens connections that asked once, waits until they are parked, and until each costs no more than this.
fn assert_cheap(server: &mut Server, kb_max: f64, mut open: impl FnMut() -> Connection) {
    const COUNT: usize = 500;
    // What grows once for all, grows before.
    let warm: Vec<_> = (0..50).map(|_| open()).collect();
    let parked = |server: &Server| server.metrics().value("mainstay_connections_parked", &[]);
    until("warm", SOON, || parked(server) > 49.5);
    drop(warm);
    until("gone", SOON, || parked(server) < 0.5);
    let pid = server.process().id();
    // What they and the start have left is given back first, or it would hide what is kept.
    let (mut before, mut since) = (own_kb(pid), Instant::now());
    until("memory is at rest", SOON, || {
        let now = own_kb(pid);
        if now < before {
            (before, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(2_500)
    });
    let mut idle: Vec<_> = (0..COUNT).map(|_| open()).collect();
    until("all are parked", SOON, || parked(server) > COUNT as f64 - 0.5);
    // What was free for a second is given back a second later.
    until("memory is given back", SOON, || {
        (own_kb(pid).saturating_sub(before) as f64) < kb_max * COUNT as f64
    });
    for connection in &mut idle {
        assert_eq!(ask(connection, "/").status, 200, "every one answers afterwards");
    }
}

#[test]
fn connections_that_wait_cost_little_and_answer_again() {
    let (authority, dir) = (Authority::new(), Site::new());
    let asked = |mut connection: Connection| {
        assert_eq!(ask(&mut connection, "/").status, 200);
        connection
    };
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let mut plain = launch().site(site).start();
    let address = plain.site_address();
    assert_cheap(&mut plain, 8.0, || asked(Connection::open(address)));

    let mut secured = secured(&authority, dir.dir(), "").start();
    let (address, client) = (secured.site_address(), authority.client(NAME, &["http/1.1"]));
    assert_cheap(&mut secured, 28.0, || asked(client.open(address)));
}

#[test]
fn what_streams_or_was_half_sent_is_not_parked() {
    let go_on = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&go_on);
    let app = Upstream::start(move |wire| {
        while wire.read_request()?.is_some() {
            wire.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")?;
            until("told to go on", SOON * 2, || told.load(SeqCst));
            wire.write(b"3\r\ntwo\r\n0\r\n\r\n")?;
        }
        Ok(())
    });
    let server = launch().upstream(&format!("http://{}", app.address)).start();
    let parked = || server.metrics().value("mainstay_connections_parked", &[]);
    let mut connection = server.connect();
    until("parked from the start", SOON, || parked() > 0.5);
    connection.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    until("at work", SOON, || parked() < 0.5);
    holds_for("an answer goes on", Duration::from_secs(2), || parked() < 0.5);
    go_on.store(true, SeqCst);
    assert_eq!(connection.read("GET").expect("an answer").text(), "onetwo");
    until("parked after it", SOON, || parked() > 0.5);
    connection.write(b"GET / HTTP/1.1\r\nHos").expect("sent");
    until("half a head came", SOON, || parked() < 0.5);
    holds_for("half a head is kept", Duration::from_secs(2), || parked() < 0.5);
    connection.write(b"t: a\r\n\r\n").expect("sent");
    assert_eq!(connection.read("GET").expect("an answer").text(), "onetwo");
}

/// An address of this machine that is not its loopback: of the kernel's own routes, each ends in a line that says what
/// the address of the line before is.
fn own_address() -> IpAddr {
    let routes = std::fs::read_to_string("/proc/net/fib_trie").expect("the kernel's routes");
    let lines: Vec<_> = routes.lines().map(str::trim).collect();
    let local = lines.windows(2).filter(|pair| pair[1] == "/32 host LOCAL");
    let mut addresses = local.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok());
    let own = addresses.find(|address: &IpAddr| !address.is_loopback());
    own.expect("an IPv4 address beside the loopback's, as in every machine with a network")
}

#[test]
fn one_address_cannot_take_all_connections() {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let config = "[edge]\nconnections_per_address_max = 3\n";
    let server = launch().site(site).listen("0.0.0.0:0").config(config).start();
    let (own, port) = (own_address(), server.site_address().port());
    let open = || Connection::open((own, port).into());
    let mut held: Vec<_> = (0..3).map(|_| open()).collect();
    for connection in &mut held {
        assert_eq!(connection.send(&Request::get("/")).status, 200);
    }
    assert!(open().is_closed_within(SOON));
    until("counted", SOON, || refused(&server, "address_connections") > 0.5);
    let mut here: Vec<_> = (0..5).map(|_| server.connect()).collect();
    for connection in &mut here {
        assert_eq!(connection.send(&Request::get("/")).status, 200, "this machine is not counted");
    }
    drop(held.pop());
    until("a free place", SOON, || {
        open().try_send(&Request::get("/")).is_ok_and(|response| response.status == 200)
    });
}
