//! `mainstay scan` of a site that Mainstay serves: the grade it is documented with, what is found and how that is mended, and whom it does not ask.

use std::path::Path;
use std::time::Duration;

use mainstay_testkit::{
    Answerer, Authority, Ended, Process, Server, Site, Upstream, checkout, free_port,
};
use serde_json::{Value, json};

use crate::browser::list;
use crate::example::https;
use crate::launch;

/// What the Observatory gives a site that is not built into browsers and sets no cookie.
const MAXIMUM: u64 = 135;

/// An authority that the scan believes, and a certificate by it for this machine.
struct Trusted(Site);

impl Trusted {
    fn make() -> Self {
        let (folder, authority) = (Site::new(), Authority::new());
        authority.issue(&["127.0.0.1"]).write(folder.dir());
        folder.write("authority.pem", authority.cert());
        Self(folder)
    }

    /// Serves a folder by TLS.
    fn serve(&self, folder: &Path, headers: &str) -> Server {
        let settings =
            format!("[headers]\n{headers}\n[[site]]\nname = \"default\"\ndir = {folder:?}\n");
        let file = |name: &str| self.0.path(name).display().to_string();
        launch()
            .sites_in_settings()
            .config(&settings)
            .argument("--tls-cert")
            .argument(&file("cert.pem"))
            .argument("--tls-key")
            .argument(&file("key.pem"))
            .start()
    }

    /// Scans with the settings of somebody who names the site and runs no server.
    fn scan(&self, url: &str, named: &str, more: &[&str]) -> Ended {
        let folder = Site::new();
        let site = format!("[[site]]\nname = \"default\"\nhosts = [{named:?}]\ndir = \".\"\n");
        folder.write("mainstay.toml", site);
        let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
        command.args(["scan", url, "--config"]).arg(folder.path("mainstay.toml")).args(more);
        // To this process, the authorities of the system.
        command.env("SSL_CERT_FILE", self.0.path("authority.pem")).current_dir(folder.dir());
        Process::run(&mut command, Duration::from_secs(60))
    }
}

fn read(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
        assert_eq!(ended.stderr, "", "{error}");
        Value::Null
    })
}

fn ids(scan: &Value) -> Vec<&str> {
    list(&scan["findings"]).iter().filter_map(|finding| finding["id"].as_str()).collect()
}

#[test]
fn the_portfolio_is_graded_as_documented_and_mended_as_proposed() {
    let trusted = Trusted::make();
    let portfolio = checkout().join("examples/portfolio/site");
    let by_default = trusted.serve(&portfolio, "");
    let ended = trusted.scan(&https(&by_default), "127.0.0.1", &["--json"]);
    let found = read(&ended);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{found}");
    assert_eq!(ids(&found), ["hsts-not-implemented", "security-txt-missing"], "{found}");
    assert_eq!((&found["grade"], &found["score"]), (&json!("B+"), &json!(80)), "{found}");
    let fix = &list(&found["findings"])[0]["fix"];
    assert_eq!(fix, "[headers] hsts = \"year\"", "{found}");
    drop(by_default);

    let mended = trusted.serve(&portfolio, "hsts = \"year\"");
    let found = read(&trusted.scan(&https(&mended), "127.0.0.1", &["--json"]));
    assert_eq!((&found["grade"], &found["score"]), (&json!("A+"), &json!(MAXIMUM)), "{found}");
    assert_eq!(ids(&found), ["security-txt-missing"], "{found}");
    assert_eq!(found["complete"], true, "{found}");
}

#[test]
fn a_site_without_a_fault_is_told_to_have_none() {
    let trusted = Trusted::make();
    let folder = Site::of(&[
        (
            "index.html",
            "<!doctype html><html lang=en><head><title>x</title></head><body><p>x</p></body></html>",
        ),
        (
            ".well-known/security.txt",
            "Contact: mailto:a@example.org\nExpires: 2999-01-01T00:00:00Z\n",
        ),
        // In the folder, and never served.
        (".env", "DB_PASSWORD=x\n"),
        ("backup/index.html", "<!doctype html><html lang=en><title>x</title><p>x</p></html>"),
    ]);
    let server = trusted.serve(folder.dir(), "hsts = \"year\"");
    let ended = trusted.scan(&https(&server), "127.0.0.1", &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    assert_eq!(
        ended.stdout,
        format!("127.0.0.1: A+ ({MAXIMUM} of the Observatory's points)\n\nno findings")
    );
}

#[test]
fn what_is_wrong_is_told_with_what_to_do() {
    let folder = Site::of(&[("index.html", "<!doctype html><title>x</title><p>x</p>")]);
    let settings = format!("[[site]]\nname = \"default\"\ndir = {:?}\n", folder.dir());
    let server = launch().sites_in_settings().config(&settings).start();
    let url = format!("http://{}", server.site_address());
    let ended = Trusted::make().scan(&url, "127.0.0.1", &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{}", ended.stdout);
    for line in [
        "medium: The site is not reached by https (hsts-not-implemented-no-https)",
        "  do:   [tls] cert = \"…\" and key = \"…\"",
    ] {
        assert!(ended.stdout.lines().any(|said| said == line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn a_certificate_that_nobody_believes_is_a_finding() {
    let (one, other) = (Trusted::make(), Trusted::make());
    let server = one.serve(&checkout().join("examples/portfolio/site"), "");
    let ended = other.scan(&https(&server), "127.0.0.1", &["--json"]);
    let found = read(&ended);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ids(&found).first(), Some(&"certificate-refused"), "{found}");
}

#[test]
fn nobody_is_asked_whom_the_settings_do_not_name() {
    let stranger = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let url = format!("http://{}/", stranger.address);
    let ended = Trusted::make().scan(&url, "example.org", &["--json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("[[site]] hosts = [\"127.0.0.1\"]"), "{}", ended.stderr);
    assert_eq!(stranger.connections(), 0);
}

#[test]
fn a_site_that_is_not_reached_is_told_so() {
    let url = format!("https://127.0.0.1:{}/", free_port());
    let ended = Trusted::make().scan(&url, "127.0.0.1", &["--json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    assert!(ended.stderr.contains("127.0.0.1 is not reached: cannot connect"), "{}", ended.stderr);
}

#[test]
fn a_site_that_sends_elsewhere_is_told_so_and_not_graded() {
    let away = "HTTP/1.1 301 x\r\nLocation: https://www.example.org/?key=hidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Answerer::plain(move |_| away.into());
    let url = format!("http://{}/", server.address);
    let ended = Trusted::make().scan(&url, "127.0.0.1", &["--json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{}", ended.stderr);
    let said = "127.0.0.1 is not scanned: it sends to https://www.example.org/";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let fix = "[[site]] hosts = [\"www.example.org\"]";
    assert!(ended.stderr.contains(fix) && !ended.stderr.contains("hidden"), "{}", ended.stderr);
}
