//! Several certificates: which one a name gets, each renewed by itself, sessions kept apart.

use rustls::version::TLS12;

use super::heard::warnings;
use super::swapped::Swapped;
use super::*;

/// `[tls]` for `main.test`; sites of their own for `shop.test` and everything below, and `blog.test`.
struct Three {
    bench: Bench,
    tls: Tls,
    pairs: [(String, String); 3],
}

fn three() -> Three {
    let bench = Bench::new();
    let pairs = [
        pair("main.test", 2030),
        pair_for(&["shop.test", "*.shop.test"], 2030),
        pair("blog.test", 2030),
    ];
    bench.write_pair(borrowed(&pairs[0]));
    let tls = bench.open_sites(&bench.settings(), sites(&bench, &pairs)).expect("good");
    Three { bench, tls, pairs }
}

fn sites(bench: &Bench, pairs: &[(String, String); 3]) -> Vec<Site> {
    vec![
        site("main", &["main.test", "plain.test"], None),
        site("shop", &["shop.test", "*.shop.test"], Some(bench.write_files("shop", &pairs[1]))),
        site("blog", &["Blog.test:8443"], Some(bench.write_files("blog", &pairs[2]))),
    ]
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem")
}

impl Three {
    /// Which of the pairs a name gets.
    fn chosen(&self, name: Option<&str>) -> Option<usize> {
        let chosen = self.tls.0.keys.choose(name);
        self.pairs.iter().position(|(cert, _)| der(cert) == chosen.chain()[0])
    }

    fn count(&self, outcome: &str, site: &str) -> u32 {
        let line = format!("mainstay_tls_reloads_total{{outcome=\"{outcome}\",site=\"{site}\"}} ");
        let text = self.bench.registry.encode_text();
        text.lines().find_map(|l| l.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }

    /// Sites whose certificate's end is told.
    fn told(&self) -> Vec<String> {
        let text = self.bench.registry.encode_text();
        let name = "mainstay_tls_certificate_expiry_timestamp_seconds{site=\"";
        let sites = text.lines().filter_map(|line| line.strip_prefix(name)?.split('"').next());
        sites.map(str::to_owned).collect()
    }
}

#[test]
fn a_name_gets_the_certificate_that_is_for_it() {
    let three = three();
    for (name, expected) in [
        (None, 0),
        (Some("main.test"), 0),
        (Some("plain.test"), 0),
        (Some("unknown.test"), 0),
        (Some("shop.test"), 1),
        (Some("a.shop.test"), 1),
        // Nobody's certificate is for it: the one of the site that answers, as for a name one label below.
        (Some("a.b.shop.test"), 1),
        (Some("a.b.c.shop.test"), 1),
        (Some("evilshop.test"), 0),
        (Some(".shop.test"), 1),
        (Some("blog.test"), 2),
        (Some("a.blog.test"), 0),
        (Some("test"), 0),
        (Some("."), 0),
        (Some(""), 0),
        (Some("*.shop.test"), 1),
    ] {
        assert_eq!(three.chosen(name), Some(expected), "{name:?}");
    }
}

#[test]
fn a_sites_own_certificate_comes_before_anothers_and_an_exact_name_before_a_wildcard() {
    let bench = Bench::new();
    // By name: who holds it, and for what.
    let pairs = [
        pair_for(&["*.a.test", "own.a.test", "both.a.test", "x.y.a.test", "shop.b.test"], 2030),
        pair_for(&["*.a.test", "elsewhere.test", "*.b.test"], 2030),
        pair_for(&["exact.a.test"], 2030),
    ];
    bench.write_pair(borrowed(&pairs[0]));
    let sites = vec![
        site(
            "own",
            &["own.a.test", "x.y.a.test", "*.b.test"],
            Some(bench.write_files("own", &pairs[1])),
        ),
        site("exact", &["wrong.test", "x.a.test"], Some(bench.write_files("exact", &pairs[2]))),
        site("without", &["both.a.test", "elsewhere.test"], None),
    ];
    let tls = bench.open_sites(&bench.settings(), sites).expect("good");
    let three = Three { bench, tls, pairs };
    for (name, expected, why) in [
        ("own.a.test", 1, "its own, though another one names it exactly"),
        ("shop.b.test", 1, "its own, though by a wildcard"),
        ("x.y.a.test", 0, "its own is for one label"),
        ("exact.a.test", 2, "nobody's host: the exact name before the wildcard"),
        ("z.a.test", 0, "of two wildcards the one of [tls]"),
        ("both.a.test", 0, "a site without its own has that of [tls]"),
        ("elsewhere.test", 1, "unless only another one is for the name"),
        ("x.a.test", 0, "its own is not for it, another one is"),
        ("wrong.test", 2, "no one is: the browser shall say whose it is"),
    ] {
        assert_eq!(three.chosen(Some(name)), Some(expected), "{why}");
    }
    let in_use = three.tls.0.in_use();
    let selection = in_use.select().expect("some");
    let uncovered = in_use.list_uncovered(&selection);
    let uncovered: Vec<_> = uncovered.iter().map(|u| (&*u.site, &*u.hosts)).collect();
    assert_eq!(uncovered, [("exact", "wrong.test")]);
}

#[test]
fn a_wildcard_is_not_one_of_the_names_below_it() {
    let bench = Bench::new();
    let pairs = [
        pair("main.test", 2030),
        pair("any.b.test", 2030),
        pair_for(&["c.test", "*.b.test"], 2030),
    ];
    bench.write_pair(borrowed(&pairs[0]));
    let sites = vec![
        site("a", &["any.b.test"], Some(bench.write_files("a", &pairs[1]))),
        site("b", &["*.b.test"], None),
        site("c", &["c.test"], Some(bench.write_files("c", &pairs[2]))),
    ];
    let tls = bench.open_sites(&bench.settings(), sites).expect("good");
    let three = Three { bench, tls, pairs };
    for (name, expected) in [("any.b.test", 1), ("x.b.test", 2), ("c.test", 2), ("x.y.b.test", 0)] {
        assert_eq!(three.chosen(Some(name)), Some(expected), "{name}");
    }
    let in_use = three.tls.0.in_use();
    assert_eq!(in_use.list_uncovered(&in_use.select().expect("some")), []);
}

#[test]
fn a_name_of_one_site_below_anothers_wildcard_gets_its_own_where_none_is_for_it() {
    let bench = Bench::new();
    let pairs = [pair("main.test", 2030), pair("a.test", 2030), pair("b.test", 2030)];
    bench.write_pair(borrowed(&pairs[0]));
    let sites = vec![
        site("wild", &["*.x.test"], Some(bench.write_files("wild", &pairs[1]))),
        site("own", &["own.x.test", "*.deep.x.test"], Some(bench.write_files("own", &pairs[2]))),
    ];
    let tls = bench.open_sites(&bench.settings(), sites).expect("good");
    let three = Three { bench, tls, pairs };
    for (name, expected) in
        [("z.x.test", 1), ("own.x.test", 2), ("deep.x.test", 1), ("a.b.deep.x.test", 2)]
    {
        assert_eq!(three.chosen(Some(name)), Some(expected), "{name}");
    }
}

#[test]
fn without_one_for_everybody_the_first_sites_is() {
    let bench = Bench::new();
    let pairs = [pair("a.test", 2030), pair("b.test", 2030), pair("c.test", 2030)];
    let sites = |named: &[(&str, usize)]| {
        let each = named
            .iter()
            .map(|(name, at)| site(name, &[], Some(bench.write_files(name, &pairs[*at]))));
        each.collect::<Vec<_>>()
    };
    let settings = Settings::default();
    let tls = bench.open_sites(&settings, sites(&[("a", 0), ("b", 1)])).expect("good");
    let chosen = |name| {
        let chosen = tls.0.keys.choose(name);
        pairs.iter().position(|(cert, _)| der(cert) == chosen.chain()[0])
    };
    assert_eq!((chosen(None), chosen(Some("b.test"))), (Some(0), Some(1)));
    tls.renew(tls.open_for(sites(&[("b", 1), ("a", 0)])).expect("good"));
    assert_eq!((chosen(None), chosen(Some("a.test"))), (Some(1), Some(0)), "in their new order");
    tls.renew(tls.open_for(vec![site("plain", &["a.test"], None)]).expect("good"));
    assert_eq!((chosen(None), chosen(Some("a.test"))), (Some(1), Some(0)), "TLS goes on");
    assert!(matches!(bench.open_sites(&settings, Vec::new()), Err(Error::Unset)));
}

#[tokio::test]
async fn clients_verify_what_they_get_by_their_name() {
    let three = three();
    let accepts = async |at: usize, name: &str| {
        shake(&three.tls, &client(&three.pairs[at].0, &[]), name).await.is_some()
    };
    for (at, name) in [(0, "main.test"), (1, "SHOP.test"), (1, "a.shop.TEST"), (2, "BLOG.TEST")] {
        assert!(accepts(at, name).await, "{name}");
    }
    assert!(!accepts(0, "blog.test").await && !accepts(2, "main.test").await);
}

/// The certificate that a client of TLS 1.2 is shown, where certificates are sent in the clear, if its hello had these
/// bytes for its name.
async fn shown(tls: &Tls, name: &[u8]) -> Option<usize> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stand_in = "x".repeat(name.len());
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS12])
        .expect("a version")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let asked = ServerName::try_from(stand_in.clone()).expect("a name");
    let mut session = rustls::ClientConnection::new(Arc::new(config), asked).expect("a client");
    let mut hello = Vec::new();
    session.write_tls(&mut hello).expect("in memory");
    // A name's kind, its length in two bytes, the name (RFC 6066 §3).
    let entry = [&[0, 0, name.len() as u8], stand_in.as_bytes()].concat();
    let at = memchr::memmem::find(&hello, &entry).expect("the name") + 3;
    hello[at..at + name.len()].copy_from_slice(name);
    let (near, mut far) = tokio::io::duplex(64 << 10);
    far.write_all(&hello).await.expect("sent");
    let accepting = tls.acceptor().accept(near);
    let reading = async {
        let mut heard = Vec::new();
        let mut some = [0; 4 << 10];
        loop {
            let read = far.read(&mut some).await.unwrap_or(0);
            heard.extend_from_slice(&some[..read]);
            let in_use = tls.0.in_use();
            let held = in_use.held.iter().position(|held| {
                let own = &held.pair.certificate.chain()[0];
                memchr::memmem::find(&heard, own).is_some()
            });
            if read == 0 || held.is_some() {
                return held;
            }
        }
    };
    tokio::select! {
        biased;
        held = reading => held,
        _refused = accepting => None,
    }
}

#[tokio::test]
async fn names_that_no_library_sends_do_no_harm() {
    let three = three();
    for (name, expected) in [
        (&b"blog.test."[..], Some(2)),
        (b"BLOG.test.", Some(2)),
        (b"..blog.test", None),
        (b"blog.test..", None),
        (b"\xff\xfe\x00\x80test", None),
        (b"blog.test\0", None),
        (b"*.shop.test", None),
        (b"192.0.2.1", Some(0)),
        (b"-", None),
        (b"x", Some(0)),
    ] {
        assert_eq!(
            shown(&three.tls, name).await,
            expected,
            "{:?}",
            name.escape_ascii().to_string()
        );
    }
    assert_eq!(shown(&three.tls, b"shop.test").await, Some(1), "as ever");
}

#[tokio::test]
async fn a_session_is_not_resumed_under_another_name() {
    let three = three();
    let mut roots = RootCertStore::empty();
    for (cert, _) in &three.pairs {
        roots.add(der(cert)).expect("a root");
    }
    for versions in [&[&rustls::version::TLS13][..], &[&TLS12]] {
        let tickets = Arc::new(Swapped::default());
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        config.resumption = rustls::client::Resumption::store(tickets);
        let client = TlsConnector::from(Arc::new(config));
        let kind = async |name: &str| shake(&three.tls, &client, name).await.map(|(kind, _)| kind);
        assert_eq!(kind("shop.test").await, Some(HandshakeKind::Full));
        assert_eq!(kind("shop.test").await, Some(HandshakeKind::Resumed));
        assert_eq!(kind("blog.test").await, Some(HandshakeKind::Full), "{versions:?}");
    }
}

#[test]
fn each_pair_is_renewed_by_itself() {
    let mut three = three();
    let bench = &three.bench;
    three.tls.look();
    assert_eq!(three.told(), ["", "blog", "shop"]);
    let (renewed, of_blog) = (pair_for(&["shop.test", "new.test"], 2031), pair("blog.test", 2031));
    bench.write("shop.pem", &renewed.0);
    bench.write_files("blog", &of_blog);
    three.tls.look();
    three.tls.look();
    let counts = |three: &Three| {
        ["", "shop", "blog"].map(|site| (three.count("done", site), three.count("failed", site)))
    };
    assert_eq!(counts(&three), [(0, 0), (0, 1), (1, 0)], "half a change is refused, and once");
    assert_eq!(three.chosen(Some("a.shop.test")), Some(1));
    three.pairs[2] = of_blog;
    assert_eq!(three.chosen(Some("blog.test")), Some(2));

    three.bench.write("shop.key", &renewed.1);
    three.bench.write("blog.key", "nothing");
    three.tls.look();
    assert_eq!(counts(&three), [(0, 0), (1, 1), (1, 1)]);
    three.pairs[1] = renewed;
    for (name, expected) in
        [("shop.test", 1), ("new.test", 1), ("a.shop.test", 1), ("blog.test", 2), ("main.test", 0)]
    {
        assert_eq!(three.chosen(Some(name)), Some(expected), "{name}");
    }
}

#[test]
fn a_reload_takes_new_certificates_or_none() {
    let three = three();
    let Three { bench, tls, pairs } = &three;
    let mut wanted = sites(bench, pairs);
    let missing = Files { cert: "/nowhere.pem".into(), key: "/nowhere.key".into() };
    wanted[0].files = Some(missing.clone());
    wanted[2].files = None;
    let error = tls.open_for(wanted.clone()).expect_err("a missing file").to_string();
    assert!(error.contains("/nowhere.pem"), "{error}");
    assert_eq!((three.chosen(Some("blog.test")), three.told().len()), (Some(2), 3));

    // The other way round: what was good and is not any more stays.
    bench.write("shop.pem", "nothing");
    wanted[0].files = None;
    tls.renew(tls.open_for(wanted).expect("nothing new"));
    assert_eq!(three.chosen(Some("shop.test")), Some(1));
    assert_eq!(three.chosen(Some("blog.test")), Some(0), "nobody names it any more");
    assert_eq!((three.told(), three.count("failed", "shop")), (vec!["".into(), "shop".into()], 1));

    let again =
        Files { cert: bench.dir.path().join("blog.pem"), key: bench.dir.path().join("blog.key") };
    tls.renew(tls.open_for(vec![site("journal", &["blog.test"], Some(again))]).expect("good"));
    assert_eq!(three.chosen(Some("blog.test")), Some(2));
    assert_eq!(three.told(), ["", "journal"]);
}

/// Their ends are told by site, and each is renewed by itself.
#[test]
fn the_same_pair_under_another_sites_name_is_that_sites() {
    let three = three();
    let (bench, tls) = (&three.bench, &three.tls);
    let mut wanted = sites(bench, &three.pairs);
    wanted[2] = site("journal", &["blog.test"], wanted[2].files.clone());
    tls.renew(tls.open_for(wanted.clone()).expect("good"));
    assert_eq!(three.told(), ["", "journal", "shop"]);
    wanted.push(site("diary", &["*.blog.test"], wanted[2].files.clone()));
    tls.renew(tls.open_for(wanted).expect("good"));
    assert_eq!(three.told(), ["", "diary", "journal", "shop"]);
}

#[test]
fn a_host_is_anothers_only_where_the_one_that_was_shown_is_not_for_it() {
    let three = three();
    let tls = &three.tls;
    let shown = |name| tls.0.keys.choose(Some(name));
    for (asked, host, expected) in [
        ("main.test", "main.test", false),
        ("main.test", "shop.test", true),
        ("main.test", "SHOP.test.:8443", true),
        ("main.test", "plain.test", false),
        ("main.test", "unknown.test", false),
        ("main.test", "[::1]:1", false),
        ("main.test", "", false),
        ("plain.test", "blog.test", true),
        ("shop.test", "a.shop.test", false),
        ("a.shop.test", "shop.test", false),
        ("shop.test", "a.b.shop.test", false),
        ("shop.test", "main.test", true),
        ("blog.test", "a.shop.test", true),
    ] {
        assert_eq!(tls.is_for_another(&shown(asked), host), expected, "{asked} {host}");
    }
    // A connection lives on: what its client was shown counts, not what it would be shown now.
    let before = shown("shop.test");
    let renewed = pair("shop.test", 2031);
    three.bench.write_files("shop", &renewed);
    three.bench.write_files("blog", &pair_for(&["blog.test", "a.shop.test"], 2031));
    tls.look();
    assert!(!tls.is_for_another(&before, "a.shop.test"));
    assert!(tls.is_for_another(&shown("shop.test"), "a.shop.test"));
}

#[test]
fn what_was_told_is_not_told_again() {
    let bench = Bench::new();
    let pairs = [pair("main.test", 2001), pair("elsewhere.test", 2400), pair("blog.test", 2400)];
    bench.write_pair(borrowed(&pairs[0]));
    let all = || sites(&bench, &pairs);
    let mut opened = None;
    let told = warnings(|| opened = bench.open_sites(&bench.settings(), all()).ok());
    let tls = opened.expect("good");
    let of = |told: &[String], site: &str, what: &str| {
        told.iter()
            .filter(|line| line.starts_with(&format!("{site}: ")) && line.contains(what))
            .count()
    };
    let (ended, uncovered) = ("is of no use now", "not for these names");
    assert_eq!((of(&told, "", ended), of(&told, "shop", uncovered)), (1, 1), "{told:?}");
    assert_eq!(of(&told, "main", uncovered), 1, "{told:?}");

    let renewed = pair("blog.test", 2401);
    let told = warnings(|| {
        tls.renew(tls.open_for(all()).expect("nothing new"));
        bench.write_files("blog", &renewed);
        tls.look();
    });
    assert_eq!((of(&told, "", ended), of(&told, "", uncovered)), (0, 0), "{told:?}");
    let sites = ["main", "shop", "blog"];
    assert_eq!(sites.map(|site| of(&told, site, uncovered)), [0; 3], "{told:?}");

    // What is another fault is told, and what was mended meanwhile is told when it is back.
    bench.write_pair(borrowed(&pair("main.test", 2002)));
    bench.write_files("shop", &pair_for(&["shop.test", "*.shop.test"], 2400));
    assert_eq!(of(&warnings(|| tls.look()), "", ended), 1);
    bench.write_files("shop", &pairs[1]);
    let told = warnings(|| tls.look());
    assert_eq!(sites.map(|site| of(&told, site, uncovered)), [0, 1, 0], "{told:?}");
}

#[test]
fn a_name_that_is_made_another_in_front_of_us_needs_no_certificate_of_ours() {
    let bench = Bench::new();
    let settings = Settings::default();
    let (origin, public) = ("origin.test".to_owned(), "shop.test:8443".to_owned());
    let files = bench.write_files("origin", &pair("origin.test", 2400));
    let found = |hosts: &[String]| {
        let known = [hosts, std::slice::from_ref(&public)].concat();
        let site = Site::new("only", hosts, &known, Some(files.clone()));
        check(&settings, vec![site], bench.clock.now())
    };
    assert_eq!(found(&[origin]), []);
    // Who answers for every name is asked for this one.
    let told = found(&[]);
    assert!(told.len() == 1 && told[0].what.contains("is not for shop.test of"), "{told:?}");
    let told = found(&["*.test".to_owned()]);
    assert!(told[0].what.contains("is not for *.test, shop.test of"), "{told:?}");
}

/// A browser that is given an address asks for no name (RFC 6066 §3), and so is shown what everybody is.
#[test]
fn an_address_needs_the_certificate_for_everybody() {
    let bench = Bench::new();
    let address = "192.0.2.1";
    let told = |everybodys: &[&str], sites: &[&str]| {
        bench.write_pair(borrowed(&pair_for(everybodys, 2400)));
        let own = bench.write_files("shop", &pair_for(sites, 2400));
        let sites = vec![site("shop", &["shop.test", address], Some(own))];
        check(&bench.settings(), sites, bench.clock.now())
            .into_iter()
            .map(|one| one.what)
            .collect::<Vec<_>>()
    };
    let found = told(&["main.test"], &["shop.test", address]);
    assert!(found.len() == 1 && found[0].contains("is not for 192.0.2.1 of site"), "{found:?}");
    assert_eq!(told(&["main.test", address], &["shop.test"]), [""; 0]);
}

#[test]
fn what_is_wrong_is_told_before_anything_is_served() {
    let bench = Bench::new();
    let pairs = [pair("main.test", 2001), pair("shop.test", 2400), pair("blog.test", 2400)];
    bench.write_pair(borrowed(&pairs[0]));
    let mut all = sites(&bench, &pairs);
    let found = |all: &[Site]| {
        let found = check(&bench.settings(), all.to_vec(), bench.clock.now()).into_iter();
        let name = |file: &Path| file.file_name().expect("a name").to_string_lossy().into_owned();
        found.map(|one| (name(&one.file), one.what)).collect::<Vec<_>>()
    };
    let told = found(&all);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].0 == "cert.pem" && told[0].1.contains("ended"), "{told:?}");
    assert!(told[1].1.contains("plain.test of site \"main\""), "{told:?}");
    assert!(told[2].0 == "shop.pem" && told[2].1.contains("*.shop.test"), "{told:?}");

    bench.write("blog.key", &pairs[0].1);
    all[1].files = None;
    let told = found(&all);
    assert_eq!(told.len(), 2, "what a name would get is not known: {told:?}");
    assert!(told[1].0 == "blog.pem" && told[1].1.contains("does not belong"), "{told:?}");
    let self_signed = Settings { self_signed: true, ..Settings::default() };
    assert!(check(&self_signed, vec![site("a", &["a.test"], None)], bench.clock.now()).is_empty());
    assert!(!bench.dir.path().join("self-signed.crt").exists());
}
