//! SIGHUP and what it never changes: what is hidden stays hidden, what waits for a restart waits, and a server that is starting hears it.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mainstay_testkit::{Authority, Launch, Process, Request, Server, Site, TOKEN, until};

const PATIENCE: Duration = Duration::from_secs(20);
const TAKEN: &str = "settings taken into use";

/// `cd site && mainstay serve .` with these settings in the folder.
fn serve_in_place(site: &Site, settings: &str) -> Server {
    site.write("index.html", "<!doctype html><html lang=en><title>x</title><p>home</p></html>");
    site.write("mainstay.toml", settings);
    Launch::in_place(env!("CARGO_BIN_EXE_mainstay"), site.dir()).start()
}

/// Writes the settings and has them read; the line that says what became of it.
fn reload(server: &mut Server, site: &Site, settings: &str) -> String {
    let count = |server: &Server| server.log().text().matches(TAKEN).count();
    let before = count(server);
    site.write("mainstay.toml", settings);
    server.process().signal("HUP");
    until("the settings were read", PATIENCE, || count(server) > before);
    let lines = server.log().lines();
    lines.into_iter().rev().find(|line| line.contains(TAKEN)).unwrap_or_default()
}

#[test]
fn templates_of_letters_inside_the_site_are_not_served() {
    let site = Site::new();
    for name in ["letters/order.txt", "letters/order.html", "open/order.txt"] {
        site.write(name, "Dear {{ name }}");
    }
    let server = serve_in_place(&site, "[mail]\ntemplates = \"./letters\"\n");
    let ours = ["/letters/order.txt", "/letters/order.html", "/letters/order"];
    assert_eq!(ours.map(|path| server.get(path).status), [404; 3]);
    assert_eq!(server.get("/open/order.txt").status, 200);
}

#[test]
fn what_is_in_use_stays_hidden_and_so_does_what_will_be() {
    let site = Site::new();
    let quick = "[edge]\nrevalidate_after = \"1ms\"\n";
    let mut server = serve_in_place(&site, quick);
    site.write("next-token", TOKEN);
    site.write("data2/core.db", "of the time before");
    let ours =
        ["core.db", "insight.db", "control.sock"].map(|name| format!("/mainstay-data/{name}"));
    assert_eq!(server.get(&ours[0]).status, 404);

    let moved =
        format!("data_dir = \"./data2\"\n{quick}[tls]\ncert = \"c.pem\"\nkey = \"k.pem\"\n");
    site.write("k.pem", "secret");
    let line = reload(&mut server, &site, &moved);
    assert!(line.contains("restart") && line.contains("data_dir"), "{line}");
    for path in ours.iter().map(String::as_str).chain([
        "/token",
        "/mainstay.toml",
        "/k.pem",
        "/data2/core.db",
    ]) {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    // Nor when it was named in vain a second time.
    assert!(reload(&mut server, &site, &moved).contains("data_dir"));
    assert_eq!(server.get(&ours[0]).status, 404);
    assert_eq!(server.get("/next-token").status, 200, "nothing of ours");
}

#[test]
fn the_key_of_a_certificate_that_is_named_no_more_stays_hidden_while_it_is_in_use() {
    let site = Site::new();
    let authority = Authority::new();
    authority.issue(&["shop.test"]).write(site.dir());
    let plain = "[edge]\nrevalidate_after = \"1ms\"\n[[site]]\nhosts = [\"shop.test\"]\n";
    let secured = format!("{plain}tls.cert = \"cert.pem\"\ntls.key = \"key.pem\"\n");
    let mut server = serve_in_place(&site, &secured);
    let client = authority.client("shop.test", &["http/1.1"]);
    let status = |server: &Server, path: &str| {
        let request = Request::get(path).header("host", "shop.test");
        client.open(server.site_address()).send(&request).status
    };
    assert_eq!((status(&server, "/"), status(&server, "/key.pem")), (200, 404));
    for _again in 0..3 {
        let line = reload(&mut server, &site, plain);
        assert!(line.contains("site.tls"), "{line}");
        for path in ["/key.pem", "/cert.pem"] {
            assert_eq!(status(&server, path), 404, "{path}");
        }
        assert_eq!(status(&server, "/"), 200, "TLS goes on, with that key");
    }
}

#[test]
fn pages_stay_as_they_were_where_a_section_waits() {
    let site = Site::new();
    let mut server = serve_in_place(&site, "[insight]\nrelease = \"one\"\n");
    let before = server.get("/");
    assert!(before.text().contains("data-release=\"one\""), "{}", before.text());

    let waits = "public_url = \"https://else.example\"\n[insight]\nrelease = \"two\"\n";
    let line = reload(&mut server, &site, waits);
    assert!(line.contains("insight") && line.contains("public_url"), "{line}");
    let after = server.get("/");
    let policy = "content-security-policy";
    assert_eq!((after.text(), after.header(policy)), (before.text(), before.header(policy)));

    let both = format!("{waits}[headers]\nreferrer = \"no-referrer\"\n");
    let line = reload(&mut server, &site, &both);
    assert_eq!(server.get("/").header("referrer-policy"), Some("no-referrer"));
    for waiting in ["insight", "public_url", "headers of answers below /_mainstay"] {
        assert!(line.contains(waiting), "{waiting}: {line}");
    }
}

/// The start is held up where it reads a file: in a pipe that nobody has written to yet.
#[test]
fn a_server_that_is_starting_is_not_ended_by_it() {
    let site = Site::new();
    let pipe = site.path("countries.mmdb");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    site.write("mainstay.toml", format!("[insight]\ncountry_database = \"{}\"\n", pipe.display()));
    let mut command = Process::command(Path::new(env!("CARGO_BIN_EXE_mainstay")));
    command.args(["serve", ".", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    let mut process = Process::start(command.current_dir(site.dir()));
    // Opening waits for who reads.
    let mut held = std::fs::File::options().write(true).open(&pipe).expect("opened");
    process.signal("HUP");
    process.signal("TERM");
    held.write_all(b"no database").expect("it still reads");
    drop(held);
    let ended = process.wait(PATIENCE);
    assert_eq!((ended.code, ended.signal), (Some(3), None), "{}", ended.stderr);
    assert!(ended.stderr.contains("countries.mmdb"), "{}", ended.stderr);
}
