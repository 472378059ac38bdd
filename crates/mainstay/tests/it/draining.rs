//! Copies of an app that a reload leaves out: seen until they have nothing in hand, given nothing new, then gone.

use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use mainstay_testkit::{Connection, Request, Server, Site, Upstream, eventually, until};
use serde_json::Value;

use crate::launch;

const SOON: Duration = Duration::from_secs(20);
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An app that keeps `/slow` waiting in its body until it is told, and a WebSocket until its client leaves.
fn patient() -> (Upstream, Sender<()>) {
    let (go, told) = channel();
    let told = Mutex::new(told);
    let app = Upstream::start(move |wire| {
        while let Some(heard) = wire.read_request()? {
            match heard.target.as_str() {
                "/slow" => {
                    wire.write(format!("{ANSWER}s"))?;
                    drop(told.lock().map(|told| told.recv()));
                    wire.write("ow")?;
                }
                "/ws" => {
                    wire.write(SWITCH)?;
                    return wire.read_to_end().map(drop);
                }
                _ => wire.write(format!("{ANSWER}old"))?,
            }
        }
        Ok(())
    });
    (app, go)
}

/// A folder, and behind `app.test` what is given.
fn settings(folder: &Site, app: &str) -> String {
    let folder = folder.dir().display();
    let main = format!("[[site]]\nname = \"main\"\nhosts = [\"main.test\"]\ndir = \"{folder}\"\n");
    format!("{main}{app}")
}

fn app_at(app: &Upstream) -> String {
    let site = "[[site]]\nname = \"app\"\nhosts = [\"app.test\"]\n";
    format!("{site}upstreams = [\"http://{}\"]\n", app.address)
}

fn begin(server: &Server, request: &Request, status: u16) -> Connection {
    let mut connection = server.connect();
    connection.write(&request.to_bytes("app.test")).expect("sent");
    assert_eq!(connection.read_head().expect("a head").status, status);
    connection
}

/// Begins a request that the app does not end and a WebSocket.
fn keep_busy(server: &Server) -> (Connection, Connection) {
    let upgrade = Request::get("/ws").header("connection", "upgrade");
    let slow = begin(server, &Request::get("/slow"), 200);
    (slow, begin(server, &upgrade.header("upgrade", "websocket"), 101))
}

fn row_of(server: &Server, app: &Upstream) -> Option<Value> {
    let url = format!("http://{}", app.address);
    server.rows("/api/v1/upstreams").into_iter().find(|row| row["url"] == *url)
}

fn drains_with(server: &Server, app: &Upstream, in_hand: u32) {
    eventually(&format!("{in_hand} in hand"), SOON, || {
        let row = row_of(server, app)?;
        (row["state"] == "draining" && row["in_flight"] == in_hand).then_some(())
    });
    let (metrics, name) = (server.metrics(), app.address.to_string());
    let labels = [("site", "app"), ("upstream", name.as_str())];
    assert!(
        (metrics.value("mainstay_upstream_in_flight", &labels) - f64::from(in_hand)).abs() < 0.1
    );
    assert!(metrics.value("mainstay_upstream_healthy", &labels).abs() < 0.1);
}

/// Ends what is in hand, one after the other: the copy is seen until the last.
fn finish(server: &Server, app: &Upstream, go: &Sender<()>, held: (Connection, Connection)) {
    let (mut slow, socket) = held;
    drains_with(server, app, 2);
    go.send(()).expect("it waits");
    let mut body = Vec::new();
    while body.len() < 3 {
        let more = slow.read_some(16).expect("the rest");
        assert!(!more.is_empty(), "cut short: {body:?}");
        body.extend(more);
    }
    assert_eq!(body, b"sow");
    drains_with(server, app, 1);
    drop(socket);
    until("it is gone", SOON, || row_of(server, app).is_none());
    let name = format!("upstream=\"{}\"", app.address);
    let of_now = |text: &str| {
        text.lines()
            .any(|line| line.starts_with("mainstay_upstream_in_flight") && line.contains(&name))
    };
    until("from the metrics, too", SOON, || !of_now(server.metrics().text()));
}

#[test]
fn a_copy_that_another_takes_the_place_of_is_seen_until_it_has_nothing_in_hand() {
    let (folder, (old, go)) = (Site::of(&[("index.html", "<p>main</p>")]), patient());
    let new = Upstream::answering(format!("{ANSWER}new"));
    let config = settings(&folder, &app_at(&old));
    let mut server = launch().sites_in_settings().config(&config).start();
    let held = keep_busy(&server);
    assert_eq!(row_of(&server, &old).expect("a row")["state"], "healthy");

    server.write_settings(&settings(&folder, &app_at(&new)));
    server.process().signal("HUP");
    drains_with(&server, &old, 2);
    let asked = old.requests().len();
    for _ in 0..5 {
        assert_eq!(server.send(&Request::get("/").header("host", "app.test")).text(), "new");
    }
    assert_eq!(old.requests().len(), asked, "nothing new");
    let sites = server.rows("/api/v1/sites");
    let app = sites.iter().find(|site| site["name"] == "app").expect("the app");
    assert_eq!((&app["copies"], &app["healthy"]), (&1.into(), &1.into()), "of those in force");
    finish(&server, &old, &go, held);
    assert_eq!(row_of(&server, &new).expect("a row")["in_flight"], 0);
}

#[test]
fn so_is_a_copy_of_a_site_that_is_gone() {
    let (folder, (old, go)) = (Site::of(&[("index.html", "<p>main</p>")]), patient());
    let config = settings(&folder, &app_at(&old));
    let mut server = launch().sites_in_settings().config(&config).start();
    let held = keep_busy(&server);
    server.write_settings(&settings(&folder, ""));
    server.process().signal("HUP");
    drains_with(&server, &old, 2);
    assert_eq!(server.send(&Request::get("/").header("host", "app.test")).status, 421);
    assert_eq!(server.rows("/api/v1/sites").len(), 1);
    finish(&server, &old, &go, held);
}
