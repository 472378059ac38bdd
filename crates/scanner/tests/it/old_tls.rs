//! OpenSSL as a server that takes what the owner lets it take: versions of TLS that were given up are found.

use std::time::Duration;

use mainstay_base::units::Span;
use mainstay_base::{Clock, Entropy};
use mainstay_scanner::{Settings, Site, scan};
use mainstay_testkit::{Authority, Process, free_port};

use crate::world::{client, runtime, settings};

const HOST: &str = "shop.example";
/// Time a server may take to listen on a busy machine.
const START: Duration = Duration::from_secs(20);

/// What is found of a server that takes these versions, as OpenSSL names them.
fn find(from: &str, to: &str) -> Vec<String> {
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    authority.issue(&[HOST]).write(folder.path());
    let conf = format!(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n[old]\nMinProtocol = {from}\nMaxProtocol = {to}\nCipherString = ALL:@SECLEVEL=0\n"
    );
    std::fs::write(folder.path().join("openssl.cnf"), conf).expect("a file");
    let port = free_port();
    let mut command = Process::command("openssl");
    command.args(["s_server", "-www", "-cert", "cert.pem", "-key", "key.pem", "-accept"]);
    command.arg(format!("127.0.0.1:{port}")).env("OPENSSL_CONF", "openssl.cnf");
    let server = Process::start(command.current_dir(folder.path()));
    drop(server.stdout.wait_for("ACCEPT", START));
    let site = Site { host: HOST.into(), http_port: 1, https_port: port, others: vec![] };
    let (client, clock) = (client(&authority), Clock::System);
    // This server never answers an OPTIONS.
    let settings = Settings { request_timeout: Span::seconds(3), ..settings() };
    let scan = runtime()
        .block_on(scan(&client, &site, &settings, &clock, &Entropy::seeded(7)))
        .expect("a scan");
    let old = scan.findings.into_iter().filter(|found| found.id.starts_with("tls-"));
    old.map(|found| found.evidence).collect()
}

#[test]
fn versions_that_were_given_up_are_found() {
    assert_eq!(find("TLSv1", "TLSv1.3"), ["TLS 1.0", "TLS 1.1"]);
}

#[test]
fn one_of_them_is_found_and_that_none_is_newer() {
    assert_eq!(find("TLSv1.1", "TLSv1.2"), ["TLS 1.1", "TLSv1_2"]);
}

#[test]
fn versions_of_today_are_none_of_them() {
    assert_eq!(find("TLSv1.2", "TLSv1.3"), [""; 0]);
}
