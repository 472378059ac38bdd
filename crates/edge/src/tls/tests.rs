//! Tests of `tls`: pairs in temp folders, handshakes over a pipe in memory.

mod heard;
mod several;
mod swapped;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use mainstay_telemetry::settings;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

struct Bench {
    dir: TempDir,
    registry: Registry,
    clock: Clock,
}

impl Bench {
    fn new() -> Self {
        // Clients look at the real clock: what is renewed 340 days after the start shall be valid for them too.
        let clock = Clock::fixed(Clock::System.now().minus(DAY * 340));
        let registry = Registry::new(&settings::Metrics::default(), clock.clone());
        Self { dir: tempfile::tempdir().expect("a folder"), registry, clock }
    }

    fn settings(&self) -> Settings {
        let path = |name| Some(self.dir.path().join(name));
        Settings { cert: path("cert.pem"), key: path("key.pem"), ..Settings::default() }
    }

    /// With one site of these hosts and without a certificate of its own.
    fn open(&self, settings: &Settings, hosts: &[&str]) -> Result<Tls, Error> {
        self.open_sites(settings, vec![site("main", hosts, None)])
    }

    fn open_sites(&self, settings: &Settings, sites: Vec<Site>) -> Result<Tls, Error> {
        let (keys_dir, clock) = (self.dir.path(), self.clock.clone());
        Material { keys_dir, sites, clock, registry: &self.registry }.open(settings)
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn write_files(&self, name: &str, (cert, key): &(String, String)) -> Files {
        let (cert_name, key_name) = (format!("{name}.pem"), format!("{name}.key"));
        self.write(&cert_name, cert);
        self.write(&key_name, key);
        Files { cert: self.dir.path().join(cert_name), key: self.dir.path().join(key_name) }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.dir.path().join(name), text).expect("written");
    }

    fn write_pair(&self, (cert, key): (&str, &str)) {
        self.write("cert.pem", cert);
        self.write("key.pem", key);
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).expect("a file")
    }
}

fn site(name: &str, hosts: &[&str], files: Option<Files>) -> Site {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    Site::new(name, &hosts, &[], files)
}

/// A pair in PEM for a name, valid until the given year.
fn pair(name: &str, until: i32) -> (String, String) {
    pair_for(&[name], until)
}

fn pair_for(names: &[&str], until: i32) -> (String, String) {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("params");
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("signed").pem(), key.serialize_pem())
}

fn borrowed(pair: &(String, String)) -> (&str, &str) {
    (&pair.0, &pair.1)
}

/// A client that trusts this certificate alone.
fn client(cert: &str, protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(cert.as_bytes()).expect("pem")).expect("a root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

/// Whether both sides agreed, and on what.
async fn shake(tls: &Tls, client: &TlsConnector, name: &str) -> Option<(HandshakeKind, bool)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (near, far) = tokio::io::duplex(64 << 10);
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let served = async {
        let mut stream = tls.acceptor().accept(near).await.ok()?;
        let h2 = tls.agreed_on_h2(stream.get_ref().1);
        // Tickets come with the first bytes.
        stream.write_all(b"x").await.ok()?;
        stream.flush().await.ok()?;
        Some(h2)
    };
    let asked = async {
        let mut stream = client.connect(name, far).await.ok()?;
        stream.read_u8().await.ok()?;
        stream.get_ref().1.handshake_kind()
    };
    let (h2, kind) = tokio::join!(served, asked);
    Some((kind?, h2?))
}

#[test]
fn what_cannot_be_used_is_named_with_what_to_do() {
    let (good, other) = (pair("a.test", 2030), pair("a.test", 2030));
    let der = CertificateDer::from_pem_slice(good.0.as_bytes()).expect("pem");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nMAUCAQAwAA==\n-----END PRIVATE KEY-----\n";
    let no_cert = "-----BEGIN CERTIFICATE-----\nMAUCAQAwAA==\n-----END CERTIFICATE-----\n";
    let cut = &good.0[..good.0.len() / 2];
    let cases: [(&[u8], &[u8], &str, &str); 9] = [
        (good.0.as_bytes(), other.1.as_bytes(), "key.pem", "does not belong"),
        (b"", good.1.as_bytes(), "cert.pem", "BEGIN CERTIFICATE"),
        (der.as_ref(), good.1.as_bytes(), "cert.pem", "openssl x509 -inform der"),
        (good.1.as_bytes(), good.1.as_bytes(), "cert.pem", "no certificate"),
        (cut.as_bytes(), good.1.as_bytes(), "cert.pem", "damaged"),
        (no_cert.as_bytes(), good.1.as_bytes(), "cert.pem", "server's own"),
        (good.0.as_bytes(), good.0.as_bytes(), "key.pem", "BEGIN PRIVATE KEY"),
        (good.0.as_bytes(), encrypted.as_bytes(), "key.pem", "passphrase"),
        (good.0.as_bytes(), no_key.as_bytes(), "key.pem", "ECDSA P-256"),
    ];
    let bench = Bench::new();
    for (cert, key, file, says) in cases {
        bench.write("cert.pem", cert);
        bench.write("key.pem", key);
        let error = bench.open(&bench.settings(), &[]).expect_err(says).to_string();
        assert!(error.contains(file) && error.contains(says), "{error}");
    }
    std::fs::remove_file(bench.dir.path().join("key.pem")).expect("removed");
    let error = bench.open(&bench.settings(), &[]).expect_err("a missing file").to_string();
    assert!(error.contains("key.pem") && error.contains("cannot be read"), "{error}");
    assert!(matches!(bench.open(&Settings::default(), &[]), Err(Error::Unset)));
}

#[tokio::test]
async fn the_protocol_is_what_the_client_prefers_of_ours() {
    let bench = Bench::new();
    let good = pair("a.test", 2030);
    bench.write_pair(borrowed(&good));
    let tls = bench.open(&bench.settings(), &[]).expect("good");
    for (asked, h2) in [
        (&[b"h2".as_slice(), b"http/1.1"][..], Some(true)),
        (&[b"http/1.1"], Some(false)),
        (&[], Some(false)),
        (&[b"spdy/3"], None),
    ] {
        let agreed = shake(&tls, &client(&good.0, asked), "a.test").await;
        assert_eq!(agreed.map(|(_, h2)| h2), h2, "{asked:?}");
    }
    assert_eq!(shake(&tls, &client(&good.0, &[]), "b.test").await, None, "the client checks names");
}

#[tokio::test]
async fn keys_are_agreed_on_so_that_a_later_quantum_computer_reads_nothing() {
    let bench = Bench::new();
    let good = pair("a.test", 2030);
    bench.write_pair(borrowed(&good));
    let tls = bench.open(&bench.settings(), &[]).expect("good");
    let (near, far) = tokio::io::duplex(64 << 10);
    let name = ServerName::try_from("a.test").expect("a name");
    let client = client(&good.0, &[]);
    let (served, asked) = tokio::join!(tls.acceptor().accept(near), client.connect(name, far));
    asked.expect("agreed");
    let stream = served.expect("agreed");
    let group = stream.get_ref().1.negotiated_key_exchange_group().expect("a group");
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_changed_pair_is_taken_and_a_broken_one_is_not() {
    let bench = Bench::new();
    let (first, second) = (pair("a.test", 2030), pair("a.test", 2031));
    bench.write_pair(borrowed(&first));
    let tls = bench.open(&bench.settings(), &[]).expect("good");
    let accepts = async |cert: &str| shake(&tls, &client(cert, &[]), "a.test").await.is_some();
    let count = |outcome: &str| {
        let line = format!("mainstay_tls_reloads_total{{outcome=\"{outcome}\",site=\"\"}} ");
        let text = bench.registry.encode_text();
        text.lines().find_map(|l| l.strip_prefix(&line)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert!(accepts(&first.0).await && !accepts(&second.0).await);

    tls.look();
    assert_eq!((count("done"), count("failed")), (0, 0), "nothing changed");
    bench.write("cert.pem", &second.0);
    tls.look();
    tls.look();
    assert_eq!((count("done"), count("failed")), (0, 1), "half a change is refused, and once");
    assert!(accepts(&first.0).await, "and the old pair stays");

    bench.write("key.pem", &second.1);
    tls.look();
    assert_eq!((count("done"), count("failed")), (1, 1));
    assert!(accepts(&second.0).await && !accepts(&first.0).await);
    let line = "mainstay_tls_certificate_expiry_timestamp_seconds{site=\"\"} 1924992000";
    assert!(bench.registry.encode_text().lines().any(|l| l == line));
    let sites = || vec![site("main", &["a.test"], None)];
    tls.renew(tls.open_for(sites()).expect("nothing new"));
    assert_eq!(count("done"), 2, "asked for, it is read unchanged too");
}

#[tokio::test]
async fn sessions_are_resumed_also_after_a_change_of_the_pair() {
    let bench = Bench::new();
    let good = pair("a.test", 2030);
    bench.write_pair(borrowed(&good));
    let tls = bench.open(&bench.settings(), &[]).expect("good");
    let client = client(&good.0, &[]);
    let kind = async || shake(&tls, &client, "a.test").await.map(|(kind, _)| kind);
    assert_eq!(kind().await, Some(HandshakeKind::Full));
    assert_eq!(kind().await, Some(HandshakeKind::Resumed));
    bench.write_pair(borrowed(&pair("a.test", 2031)));
    tls.look();
    assert_eq!(kind().await, Some(HandshakeKind::Resumed));
    let text = bench.registry.encode_text();
    for line in [
        r#"mainstay_tls_handshakes_total{version="1.3",kind="full"} 1"#,
        r#"mainstay_tls_handshakes_total{version="1.3",kind="resumed"} 2"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_end_of_the_certificate_is_told_and_does_not_keep_the_server_down() {
    let bench = Bench::new();
    bench.write_pair(borrowed(&pair("a.test", 2001)));
    let tls = bench.open(&bench.settings(), &[]).expect("an ended certificate is used");
    assert!(tls.0.in_use().held[0].told_of.is_some());
    let line = "mainstay_tls_certificate_expiry_timestamp_seconds{site=\"\"} 978307200";
    let text = bench.registry.encode_text();
    assert!(text.lines().any(|l| l == line), "{text}");
}

#[test]
fn a_certificate_that_was_not_valid_yet_is_told_to_have_ended() {
    let start = Timestamp::parse_rfc3339("2030-01-01T00:00:00Z").expect("a time");
    let bench = Bench { clock: Clock::fixed(start), ..Bench::new() };
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("params");
    params.not_before = rcgen::date_time_ymd(2031, 1, 1);
    params.not_after = rcgen::date_time_ymd(2032, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let cert = params.self_signed(&key).expect("signed").pem();
    bench.write_pair(borrowed(&(cert, key.serialize_pem())));
    let tls = bench.open(&bench.settings(), &["a.test"]).expect("it is used before its time");
    let found = check(&bench.settings(), vec![site("main", &["a.test"], None)], start);
    assert!(found.len() == 1 && found[0].what.contains("from 2031-01-01T00:00:00Z"), "{found:?}");
    assert!(tls.0.in_use().held[0].told_of.is_some());
    let told = |days: u32| {
        bench.clock.advance(DAY * days);
        let warnings = heard::warnings(|| tls.look());
        warnings.iter().filter(|line| line.contains("it ended at")).count()
    };
    assert_eq!([told(1), told(399), told(400), told(1)], [0, 0, 1, 0]);
}

#[test]
fn names_that_the_certificate_lacks_are_known() {
    let bench = Bench::new();
    bench.write_pair(borrowed(&pair("*.a.test", 2030)));
    let hosts = ["www.a.test", "www.a.test:8443", "*.a.test", "a.test", "b.test", "x.y.a.test"];
    let tls = bench.open(&bench.settings(), &hosts).expect("good");
    let in_use = tls.0.in_use();
    let selection = in_use.select().expect("one");
    let uncovered = in_use.list_uncovered(&selection);
    assert_eq!(uncovered[0].hosts, "a.test, b.test, x.y.a.test");
}

#[tokio::test]
async fn our_own_certificate_is_private_kept_and_renewed() {
    let bench = Bench::new();
    let settings = Settings { self_signed: true, ..Settings::default() };
    let tls = bench.open(&settings, &["shop.test:8443", "*.b.test"]).expect("made");
    for name in ["self-signed.crt", "self-signed.key"] {
        let mode = bench.dir.path().join(name).metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let made = bench.read("self-signed.crt");
    for name in ["localhost", "127.0.0.1", "::1", "shop.test", "any.b.test"] {
        assert!(shake(&tls, &client(&made, &[]), name).await.is_some(), "{name}");
    }
    assert!(shake(&tls, &client(&made, &[]), "other.test").await.is_none());

    let kept = |hosts| {
        bench.open(&settings, hosts).expect("kept");
        bench.read("self-signed.crt") == made
    };
    assert!(kept(&["shop.test"]) && kept(&[]), "fewer names change nothing");
    bench.clock.advance(DAY * 330);
    assert!(kept(&["shop.test"]));
    tls.look();
    assert!(kept(&["shop.test"]));
    bench.clock.advance(DAY * 10);
    tls.look();
    assert!(!kept(&["shop.test"]), "its end is near: made anew while it is served");
    let renewed = bench.read("self-signed.crt");
    assert!(shake(&tls, &client(&renewed, &[]), "shop.test").await.is_some());
    bench.open(&settings, &["new.test"]).expect("made");
    assert!(bench.read("self-signed.crt") != renewed, "a name more: made anew");
}
