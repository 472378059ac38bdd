//! Several sites with certificates of their own on one listener: who is shown which, what a wrong connection is told, reloads.

use std::fmt::Write as _;
use std::time::Duration;

use mainstay_testkit::{Authority, Connection, Launch, Request, Server, Site, until};

use crate::launch;
use crate::tls::h2_headers;

const SOON: Duration = Duration::from_secs(10);
/// `:status 421` as the answers' HPACK has it: name 8 of the static table, and the value in Huffman's code.
const MISDIRECTED: [u8; 4] = [0x48, 0x82, 0x68, 0x41];

/// Folders that hold a page and a certificate of an authority each, so that clients can tell which one they were shown.
struct Town {
    authority: Authority,
    sites: Vec<(&'static str, Site)>,
    /// For everybody else.
    common: Site,
}

impl Town {
    /// `main.test` with the common certificate; `shop.test` and `blog.test` with their own.
    fn new() -> Self {
        let authority = Authority::new();
        let common = Site::new();
        authority.issue(&["main.test"]).write(common.dir());
        let own = ["shop.test", "blog.test"].map(|name| (name, Self::folder(name)));
        for (name, folder) in &own {
            authority.issue(&[name]).write(folder.dir());
        }
        let main = [("main.test", Self::folder("main.test"))];
        Self { authority, sites: main.into_iter().chain(own).collect(), common }
    }

    fn folder(name: &str) -> Site {
        Site::of(&[("index.html", &format!("<p>{name}</p>"))])
    }

    fn folder_of(&self, name: &str) -> &Site {
        let found = self.sites.iter().find(|(own, _)| *own == name);
        &found.expect("a site").1
    }

    /// With these sites, `more` behind the common certificate.
    fn settings(&self, names: &[&str], more: &str) -> String {
        let dir = self.common.dir().display();
        let mut toml =
            format!("[tls]\ncert = \"{dir}/cert.pem\"\nkey = \"{dir}/key.pem\"\n{more}\n");
        for name in names {
            let (site, _) = name.split_once('.').expect("a dot");
            let dir = self.folder_of(name).dir().display();
            let _ = write!(
                toml,
                "[[site]]\nname = \"{site}\"\nhosts = [\"{name}\"]\ndir = \"{dir}\"\n"
            );
            if *name != "main.test" {
                let _ =
                    write!(toml, "tls.cert = \"{dir}/cert.pem\"\ntls.key = \"{dir}/key.pem\"\n");
            }
        }
        toml
    }

    fn launch(&self, more: &str) -> Launch {
        let all = self.settings(&["main.test", "shop.test", "blog.test"], more);
        launch().sites_in_settings().config(&all)
    }

    /// A connection whose client was shown a certificate for the name.
    fn open(&self, server: &Server, name: &str) -> Connection {
        self.authority.client(name, &["http/1.1"]).open(server.site_address())
    }
}

fn ask(connection: &mut Connection, host: &str) -> mainstay_testkit::Response {
    connection.send(&Request::get("/").header("host", host))
}

fn reloads(server: &Server, outcome: &str, site: &str) -> f64 {
    let labels = [("outcome", outcome), ("site", site)];
    server.metrics().value("mainstay_tls_reloads_total", &labels)
}

#[test]
fn every_site_shows_its_own_certificate() {
    let town = Town::new();
    let server = town.launch("").start();
    for name in ["main.test", "shop.test", "blog.test", "SHOP.test"] {
        let answer = ask(&mut town.open(&server, name), name);
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.text().contains(&name.to_ascii_lowercase()), "{}", answer.text());
        let mut h2 = town.authority.client(name, &["h2"]).open(server.site_address());
        assert_eq!(h2_headers(&mut h2, name)[0], 0x88, "{name}");
        let mut old = town.authority.old_client(name, &[]).open(server.site_address());
        assert_eq!(ask(&mut old, name).status, 200, "{name}");
    }
    let refused =
        |name: &str| town.authority.client(name, &[]).try_open(server.site_address()).is_err();
    assert!(
        refused("other.test") && refused("a.shop.test"),
        "shown the common one, as no other is"
    );
    let nameless = |name: &str| {
        town.authority.client(name, &["http/1.1"]).without_sni().try_open(server.site_address())
    };
    assert!(nameless("shop.test").is_err(), "who asks for no name is shown the common one");
    let mut nameless = nameless("main.test").expect("the common one");
    for name in ["main.test", "shop.test"] {
        assert_eq!(ask(&mut nameless, name).status, 200, "{name}");
    }
    let ends = |site: &str| {
        let name = "mainstay_tls_certificate_expiry_timestamp_seconds";
        server.metrics().value(name, &[("site", site)])
    };
    assert!(["", "shop", "blog"].iter().all(|site| ends(site) > 1e9));
    for name in ["cert.pem", "key.pem"] {
        let mut shop = town.open(&server, "shop.test");
        let file = shop.send(&Request::get(&format!("/{name}")).header("host", "shop.test"));
        assert_eq!(file.status, 404, "{name} is never served");
    }
}

#[test]
fn a_request_on_another_sites_connection_is_sent_away() {
    let town = Town::new();
    let server = town.launch("").start();
    // What is in memory is answered on a way of its own.
    for name in ["main.test", "shop.test", "blog.test"] {
        let mut own = town.open(&server, name);
        assert_eq!([ask(&mut own, name).status, ask(&mut own, name).status], [200; 2]);
    }
    let mut main = town.open(&server, "main.test");
    for (host, status) in [
        ("main.test", 200),
        ("shop.test", 421),
        ("SHOP.test.:443", 421),
        ("main.test", 200),
        ("other.test", 421),
    ] {
        assert_eq!(ask(&mut main, host).status, status, "{host}");
    }
    let answer = ask(&mut main, "blog.test");
    assert!(answer.text().contains("a site with another certificate"), "{}", answer.text());
    assert_eq!(answer.count("content-security-policy"), 1);
    let ours = Request::get("/_mainstay/m.js").header("host", "shop.test");
    assert_eq!(main.send(&ours).status, 421, "ours as well");
    for (shown, host, expected) in [
        ("main.test", "main.test", &[0x88][..]),
        ("main.test", "shop.test", &MISDIRECTED),
        ("shop.test", "main.test", &MISDIRECTED),
        ("shop.test", "blog.test", &MISDIRECTED),
    ] {
        let mut h2 = town.authority.client(shown, &["h2"]).open(server.site_address());
        let headers = h2_headers(&mut h2, host);
        assert!(headers.starts_with(expected), "{shown} {host}: {headers:02x?}");
    }
    let counted = |reason: &str| {
        server.metrics().value("mainstay_requests_refused_total", &[("reason", reason)])
    };
    assert!((counted("misdirected") - 7.0).abs() < 0.1 && (counted("host") - 1.0).abs() < 0.1);

    // Resumed, it is still the connection of the name that it was made by.
    let client = town.authority.client("main.test", &["http/1.1"]);
    assert_eq!(ask(&mut client.open(server.site_address()), "main.test").status, 200);
    let mut resumed = client.open(server.site_address());
    assert_eq!((ask(&mut resumed, "shop.test").status, resumed.is_resumed()), (421, true));
}

#[test]
fn who_was_shown_a_certificate_for_both_names_may_ask_for_both() {
    let town = Town::new();
    town.authority.issue(&["main.test", "blog.test"]).write(town.common.dir());
    let server = town.launch("").start();
    let mut main = town.open(&server, "main.test");
    for (host, status) in [("main.test", 200), ("blog.test", 200), ("shop.test", 421)] {
        assert_eq!(ask(&mut main, host).status, status, "{host}");
    }
    let mut h2 = town.authority.client("main.test", &["h2"]).open(server.site_address());
    assert_eq!(h2_headers(&mut h2, "blog.test")[0], 0x88);
}

#[test]
fn a_trusted_proxy_may_ask_for_every_site_on_one_connection() {
    let town = Town::new();
    let server = town.launch("[trust]\nproxies = [\"127.0.0.1\"]\n").start();
    let mut main = town.open(&server, "main.test");
    for host in ["main.test", "shop.test", "blog.test"] {
        assert_eq!(ask(&mut main, host).status, 200, "{host}");
    }
    let request =
        Request::get("/").header("host", "main.test").header("x-forwarded-host", "shop.test");
    assert!(main.send(&request).text().contains("shop.test"));
}

#[test]
fn one_broken_renewal_leaves_the_other_sites_alone_and_open_connections_open() {
    let town = Town::new();
    let server = town.launch("reload_every = \"100ms\"\n").start();
    let mut kept =
        ["main.test", "shop.test", "blog.test"].map(|name| (name, town.open(&server, name)));
    town.folder_of("shop.test").write("cert.pem", "-----BEGIN CERTIFICATE-----\nhalf");
    let renewed = Authority::new();
    renewed.issue(&["blog.test"]).write(town.folder_of("blog.test").dir());
    until("both are seen", SOON, || {
        reloads(&server, "failed", "shop") > 0.5 && reloads(&server, "done", "blog") > 0.5
    });
    let line = server.log().wait_for("the one before stays in use", SOON);
    assert!(line.contains("cert.pem") && line.contains("shop"), "{line}");
    let accepts = |authority: &Authority, name: &str| {
        authority.client(name, &[]).try_open(server.site_address()).is_ok()
    };
    until("the new one is shown", SOON, || accepts(&renewed, "blog.test"));
    assert!(accepts(&town.authority, "shop.test") && accepts(&town.authority, "main.test"));
    assert!(reloads(&server, "failed", "") + reloads(&server, "done", "") < 0.5);
    for (name, connection) in &mut kept {
        assert_eq!(ask(connection, name).status, 200, "{name}");
    }
}

#[test]
fn a_reload_brings_sites_with_their_certificates_or_changes_nothing() {
    let town = Town::new();
    let first = town.settings(&["main.test", "blog.test"], "");
    let launch = launch().sites_in_settings().config(&first);
    let mut server = launch.expects_error("settings not taken into use").start();
    let shows = |server: &Server, name: &str| {
        town.authority.client(name, &[]).try_open(server.site_address()).is_ok()
    };
    let mut kept = town.open(&server, "blog.test");
    assert_eq!(ask(&mut kept, "blog.test").status, 200);
    assert!(!shows(&server, "shop.test"));

    let second = town.settings(&["shop.test", "main.test"], "");
    server.write_settings(&second.replace("cert.pem\"\ntls.key", "gone.pem\"\ntls.key"));
    server.process().signal("HUP");
    let line = server.log().wait_for("settings not taken into use", SOON);
    assert!(line.contains("gone.pem"), "{line}");
    assert!(shows(&server, "blog.test") && !shows(&server, "shop.test"));
    assert_eq!(ask(&mut kept, "blog.test").status, 200);

    server.write_settings(&second);
    server.process().signal("HUP");
    until("the new site is there", SOON, || shows(&server, "shop.test"));
    assert_eq!(ask(&mut town.open(&server, "shop.test"), "shop.test").status, 200);
    assert_eq!(ask(&mut town.open(&server, "main.test"), "main.test").status, 200);
    assert!(!shows(&server, "blog.test"), "no site names it any more");
    assert_eq!(
        ask(&mut kept, "blog.test").status,
        421,
        "nobody's name, on a connection that lives on"
    );
    let metrics = server.metrics();
    let name = "mainstay_tls_certificate_expiry_timestamp_seconds";
    assert!(metrics.value(name, &[("site", "shop")]) > 1e9);
    assert!(metrics.value(name, &[("site", "blog")]).abs() < 0.1);
}

#[test]
fn certificates_of_sites_alone_are_enough_and_what_is_wrong_with_one_is_named() {
    let town = Town::new();
    let all = town.settings(&["shop.test", "blog.test"], "");
    let own =
        all.split_once("[[site]]").map(|(_, sites)| format!("[[site]]{sites}")).expect("sites");
    let server = launch().sites_in_settings().config(&own).start();
    assert_eq!(ask(&mut town.open(&server, "blog.test"), "blog.test").status, 200);
    let nameless = town.authority.client("shop.test", &["http/1.1"]).without_sni();
    assert_eq!(
        ask(&mut nameless.open(server.site_address()), "shop.test").status,
        200,
        "the first"
    );
    drop(server);

    town.folder_of("blog.test").write("key.pem", town.authority.issue(&["blog.test"]).key);
    let ended = launch().sites_in_settings().config(&own).run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let dir = town.folder_of("blog.test").dir().display().to_string();
    assert!(
        ended.stderr.contains(&dir) && ended.stderr.contains("does not belong"),
        "{}",
        ended.stderr
    );
    for (cut, says) in [
        ("tls.key", "\"site[0].tls.key\" is missing: \"site[0].tls.cert\" needs its key"),
        ("tls.cert", "\"site[0].tls.cert\" is missing: \"site[0].tls.key\" needs its certificate"),
    ] {
        let lines: Vec<_> = own.lines().filter(|line| !line.starts_with(cut)).collect();
        let ended = launch().sites_in_settings().config(&lines.join("\n")).run();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
}

#[test]
fn a_name_that_no_certificate_is_for_is_told_with_its_site() {
    let town = Town::new();
    town.authority.issue(&["elsewhere.test"]).write(town.folder_of("shop.test").dir());
    let server = town.launch("").start();
    let line = server.log().wait_for("the certificate is not for these names", SOON);
    assert!(line.contains("shop.test") && line.contains("cert.pem"), "{line}");
    assert!(!line.contains("blog"), "{line}");
}
