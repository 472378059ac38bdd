//! URLs that strangers send to reach what they cannot reach themselves: none of them makes a connection, as the kernel counts them.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mainstay_telemetry::outbound::{Answer, Client, Error, Policy, Purpose, Request, Resolver};
use mainstay_testkit::Authority;

use crate::world::{inside, populate, sent};
use crate::{client, ours, runtime};

/// What stands for a server of the internet.
const PUBLIC: &str = "93.184.215.14";
const PUBLIC_V6: &str = "2606:2800:21f:cb07:6820:80da:af6b:8b2c";

/// What a stranger may send, and the rule that refuses it.
const HOSTILE: &[(&str, &str)] = &[
    // Loopback, in every notation that browsers read.
    ("http://127.0.0.1/", "loopback address"),
    ("http://127.0.0.1:6379/", "port"),
    ("http://127.1/", "loopback address"),
    ("http://127.0.1/", "loopback address"),
    ("http://127.255.255.254/", "loopback address"),
    ("http://2130706433/", "loopback address"),
    ("http://0x7f000001/", "loopback address"),
    ("http://0x7f.1/", "loopback address"),
    ("http://0x7F.0x0.0x0.0x1/", "loopback address"),
    ("http://017700000001/", "loopback address"),
    ("http://0177.0.0.01/", "loopback address"),
    ("http://00000177.0.0.1/", "loopback address"),
    ("http://127.0.0.1./", "loopback address"),
    ("http://%31%32%37.0.0.1/", "loopback address"),
    ("http://１２７.０.０.１/", "loopback address"),
    ("http://①②⑦.⓪.⓪.①/", "loopback address"),
    ("http://127。0。0。1/", "loopback address"),
    ("http:127.0.0.1/", "loopback address"),
    ("http:\\\\127.0.0.1\\", "loopback address"),
    ("\thttp://127.0.0.1/\n", "loopback address"),
    ("ht\ntp://127.0.\t0.1/", "loopback address"),
    ("http://[::1]/", "loopback address"),
    ("http://[0:0:0:0:0:0:0:1]/", "loopback address"),
    ("http://[0000::0001]/", "loopback address"),
    ("http://[::ffff:127.0.0.1]/", "loopback address"),
    ("http://[::ffff:7f00:1]/", "loopback address"),
    ("http://[0:0:0:0:0:ffff:127.0.0.1]/", "loopback address"),
    ("http://[64:ff9b::127.0.0.1]/", "loopback address"),
    ("http://[64:ff9b::7f00:1]/", "loopback address"),
    ("https://127.0.0.1/", "loopback address"),
    ("https://[::1]/", "loopback address"),
    // This host.
    ("http://0/", "unspecified address"),
    ("http://0.0.0.0/", "unspecified address"),
    ("http://0x0/", "unspecified address"),
    ("http://[::]/", "unspecified address"),
    ("http://[::ffff:0.0.0.0]/", "unspecified address"),
    // Private networks.
    ("http://10.0.0.1/", "private address"),
    ("http://10.255.255.255/", "private address"),
    ("http://167772161/", "private address"),
    ("http://012.0.0.1/", "private address"),
    ("http://172.16.0.1/", "private address"),
    ("http://172.31.255.255/", "private address"),
    ("http://192.168.0.1/", "private address"),
    ("http://192.168.257/", "private address"),
    ("http://0xc0a80001/", "private address"),
    ("http://[::ffff:10.0.0.1]/", "private address"),
    ("http://[64:ff9b::192.168.0.1]/", "private address"),
    ("http://[fc00::1]/", "private address"),
    ("http://[fd00:ec2::254]/", "private address"),
    ("http://[fec0::1]/", "private address"),
    ("http://[2a00:1450::5efe:10.0.0.1]/", "private address"),
    // What clouds tell about themselves.
    ("http://169.254.169.254/latest/meta-data/", "link-local address"),
    ("http://2852039166/", "link-local address"),
    ("http://0xa9fea9fe/", "link-local address"),
    ("http://0251.0376.0251.0376/", "link-local address"),
    ("http://169.254.43518/", "link-local address"),
    ("http://[::ffff:169.254.169.254]/", "link-local address"),
    ("http://[::ffff:a9fe:a9fe]/", "link-local address"),
    ("http://[fe80::1]/", "link-local address"),
    ("http://169.254.170.2/", "link-local address"),
    ("http://168.63.129.16/", "link-local address"),
    ("http://100.100.100.200/", "carrier-grade NAT address"),
    ("http://100.64.0.1/", "carrier-grade NAT address"),
    ("http://100.127.255.255/", "carrier-grade NAT address"),
    // IPv4 within IPv6, which a tunnel or a translator unpacks.
    ("http://[2002:7f00:1::1]/", "transition address"),
    ("http://[2002:a9fe:a9fe::]/", "transition address"),
    ("http://[2001:0:7f00:1::]/", "transition address"),
    ("http://[2001::f5ff:fffe]/", "transition address"),
    ("http://[::127.0.0.1]/", "transition address"),
    ("http://[::ffff:0:127.0.0.1]/", "transition address"),
    ("http://[64:ff9b:1::127.0.0.1]/", "transition address"),
    ("http://192.88.99.1/", "transition address"),
    // Everything else that is no host of the internet.
    ("http://192.0.0.192/", "protocol address"),
    ("http://192.0.2.1/", "documentation address"),
    ("http://198.51.100.1/", "documentation address"),
    ("http://203.0.113.1/", "documentation address"),
    ("http://[2001:db8::1]/", "documentation address"),
    ("http://198.18.0.1/", "benchmarking address"),
    ("http://224.0.0.1/", "multicast address"),
    ("http://[ff02::1]/", "multicast address"),
    ("http://240.0.0.1/", "reserved address"),
    ("http://255.255.255.255/", "broadcast address"),
    ("http://4294967295/", "broadcast address"),
    ("http://[100::1]/", "reserved address"),
    ("http://[4000::1]/", "reserved address"),
    // Names of this machine and of this network.
    ("http://localhost/", "local name"),
    ("http://LOCALHOST/", "local name"),
    ("http://localhost./", "local name"),
    ("http://a.localhost/", "local name"),
    ("http://localhost.localdomain/", "local name"),
    ("http://metadata/", "local name"),
    ("http://metadata.google.internal/", "local name"),
    ("http://metadata.google.internal./", "local name"),
    ("http://printer.local/", "local name"),
    ("http://router.home.arpa/", "local name"),
    // Names that lead where they should not.
    ("http://loopback.test/", "loopback address"),
    ("http://loopback.test./", "loopback address"),
    ("http://LOOPBACK.test/", "loopback address"),
    ("http://metadata.test/", "link-local address"),
    ("http://mapped.test/", "loopback address"),
    ("http://sixtofour.test/", "transition address"),
    // One address that may not be asked among others that may, whichever comes first.
    ("http://mixed.test/", "private address"),
    ("http://mixed-v6.test/", "loopback address"),
    ("http://mixed-late.test/", "private address"),
    ("http://empty.test/", "no address"),
    // What may stand in front of a host, and what may not.
    ("http://user@public.test/", "user information in the URL"),
    ("http://user:secret@public.test/", "user information in the URL"),
    ("http://public.test@127.0.0.1/", "user information in the URL"),
    ("http://public.test:80@127.0.0.1/", "user information in the URL"),
    ("http://:secret@public.test/", "user information in the URL"),
    ("http://public.test#@127.0.0.1:99999/@", ""),
    // Ports of other services.
    ("http://public.test:22/", "port"),
    ("http://public.test:6379/", "port"),
    ("http://public.test:9200/", "port"),
    ("https://public.test:8080/", "port"),
    ("http://public.test:0/", "port"),
    ("http://public.test:65536/", "unreadable URL"),
    // Other schemes.
    ("file:///etc/passwd", "scheme"),
    ("file://127.0.0.1/etc/passwd", "scheme"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "scheme"),
    ("dict://127.0.0.1:11211/stats", "scheme"),
    ("ftp://public.test/", "scheme"),
    ("ldap://public.test/", "scheme"),
    ("ws://public.test/", "scheme"),
    ("unix:/var/run/docker.sock", "scheme"),
    ("http+unix://%2Fvar%2Frun%2Fdocker.sock/", "scheme"),
    ("jar:http://public.test!/", "scheme"),
    ("data:text/plain,x", "scheme"),
    ("javascript:alert(1)", "scheme"),
    ("netdoc:///etc/passwd", "scheme"),
    // No URLs.
    ("", "unreadable URL"),
    ("http://", "unreadable URL"),
    ("//public.test/", "unreadable URL"),
    ("public.test", "unreadable URL"),
    ("http://[::1", "unreadable URL"),
    ("http://[fe80::1%25lo]/", "unreadable URL"),
    ("http://[v1.x]/", "unreadable URL"),
    ("http://256.256.256.256/", "unreadable URL"),
    ("http://1.2.3.4.5/", "unreadable URL"),
    ("http://0x100000000/", "unreadable URL"),
    ("http://127.0.0.1%00.public.test/", "unreadable URL"),
    ("http://public.test%2f@127.0.0.1/", "user information in the URL"),
    ("http://a b/", "unreadable URL"),
];

fn table(name: &str) -> Vec<IpAddr> {
    let addresses: &[&str] = match name.strip_suffix('.').unwrap_or(name) {
        "public.test" => &[PUBLIC],
        "six.test" => &[PUBLIC_V6],
        "both.test" => &[PUBLIC_V6, PUBLIC],
        "loopback.test" => &["127.0.0.1"],
        "metadata.test" => &["169.254.169.254"],
        "mapped.test" => &["::ffff:127.0.0.1"],
        "sixtofour.test" => &["2002:7f00:1::1"],
        "mixed.test" => &[PUBLIC, "10.0.0.1"],
        "mixed-v6.test" => &[PUBLIC, "::1"],
        "mixed-late.test" => &[PUBLIC, PUBLIC, PUBLIC, PUBLIC, PUBLIC, "192.168.0.1"],
        _ => &[],
    };
    addresses.iter().map(|text| text.parse().expect("an address")).collect()
}

/// Asks as for a stranger, and says how many connections that took.
fn ask(client: &Client, policy: Policy, url: &str) -> (Result<Answer, Error>, u64) {
    let before = sent();
    let request = Request::get(Purpose::Webhook, policy, url);
    let answer = runtime().block_on(client.send(request));
    let after = sent();
    assert_eq!(after.1, before.1, "{url}: a resolver was asked");
    (answer, after.0 - before.0)
}

fn refusal(answer: Result<Answer, Error>) -> String {
    match answer {
        Ok(answer) => format!("answered from {}", answer.address),
        Err(Error::Refused(rule)) => rule.as_str().to_owned(),
        Err(error) => format!("failed: {error}"),
    }
}

#[test]
fn hostile_urls_make_no_connection() {
    inside("hostile::hostile_urls_make_no_connection", || {
        populate();
        let resolver = Resolver::table(|name| Ok(table(name)));
        let (client, registry) = client(resolver, &Authority::new());
        // Somebody answers at each of these addresses, and it would be counted.
        let reached = ask(&client, ours("http://127.0.0.1/"), "http://127.0.0.1/");
        assert_eq!((refusal(reached.0), reached.1), ("answered from 127.0.0.1:80".into(), 1));

        let hostile: Vec<_> = HOSTILE.iter().filter(|(_, rule)| !rule.is_empty()).collect();
        assert!(hostile.len() >= 80, "{}", hostile.len());
        for (url, rule) in &hostile {
            let (answer, connections) = ask(&client, Policy::stranger(), url);
            assert_eq!((refusal(answer).as_str(), connections), (*rule, 0), "{url:?}");
            let before = sent();
            let probe = Request::get(Purpose::Scan, Policy::stranger(), url);
            let refused = runtime().block_on(client.probe(&probe)).expect_err(url).rule();
            assert_eq!((refused.map(|r| r.as_str()), sent()), (Some(*rule), before), "{url:?}");
        }
        let text = registry.encode_text();
        let counted = format!(
            "mainstay_outbound_requests_total{{purpose=\"webhook\",outcome=\"refused\"}} {}",
            hostile.len()
        );
        assert!(text.contains(&counted), "{text}");
    });
}

#[test]
fn what_a_public_server_redirects_to_is_checked_like_the_first_url() {
    inside("hostile::what_a_public_server_redirects_to_is_checked_like_the_first_url", || {
        populate();
        let resolver = Resolver::table(|name| Ok(table(name)));
        let (client, _) = client(resolver, &Authority::new());
        for (url, rule) in HOSTILE {
            // As a header's value, and not relative to the server.
            let is_sent = url.bytes().all(|byte| byte.is_ascii_graphic()) && url.contains("//");
            if !is_sent || url.starts_with("//") || rule.is_empty() {
                continue;
            }
            let first = format!("http://public.test/to/{url}");
            let (answer, connections) = ask(&client, Policy::stranger(), &first);
            let rule = if *rule == "unreadable URL" { "unreadable redirect" } else { rule };
            assert_eq!((refusal(answer).as_str(), connections), (rule, 1), "{url:?}");
        }
        let twice = "http://public.test/to/http://public.test/to/http://10.0.0.1/";
        let (answer, connections) = ask(&client, Policy::stranger(), twice);
        assert_eq!((refusal(answer).as_str(), connections), ("private address", 2));
        let ours = ours("http://public.test/");
        let (answer, connections) = ask(&client, ours, "http://public.test/to/http://six.test/");
        assert_eq!((refusal(answer).as_str(), connections), ("not a configured origin", 1));
        let round = format!("http://public.test{}/", "/to/http://public.test".repeat(4));
        let (answer, connections) = ask(&client, Policy::stranger(), &round);
        let error = answer.map(|answer| answer.status).expect_err("too many");
        assert_eq!((error.to_string().as_str(), connections), ("more than 3 redirects", 4));
    });
}

#[test]
fn public_servers_are_asked_at_the_address_that_was_checked() {
    inside("hostile::public_servers_are_asked_at_the_address_that_was_checked", || {
        populate();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        // Public for whoever asks first, this machine for whoever asks again.
        let resolver = Resolver::table(move |name| match name {
            "rebinding.test" if count.fetch_add(1, SeqCst) > 0 => {
                Ok(vec![IpAddr::from([127, 0, 0, 1])])
            }
            "rebinding.test" => Ok(table("public.test")),
            name => Ok(table(name)),
        });
        let (client, _) = client(resolver, &Authority::new());
        for (url, address) in [
            ("http://public.test/", PUBLIC),
            ("http://public.test./a?b#c", PUBLIC),
            ("http://PUBLIC.test:80/", PUBLIC),
            ("http://six.test/", PUBLIC_V6),
            ("http://both.test/", PUBLIC_V6),
            ("http://8.8.8.8/", "8.8.8.8"),
            ("http://134744072/", "8.8.8.8"),
            ("http://[64:ff9b::8.8.8.8]/", "64:ff9b::808:808"),
            ("http://public.test#@127.0.0.1:99999/@", PUBLIC),
            ("http://rebinding.test/", PUBLIC),
        ] {
            let (answer, connections) = ask(&client, Policy::stranger(), url);
            let answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
            // Both what the client says and what the server saw.
            assert_eq!(answer.address.ip().to_string(), address, "{url}");
            assert_eq!(String::from_utf8_lossy(&answer.body), address, "{url}");
            assert_eq!(connections, 1, "{url}");
        }
        assert_eq!(asked.load(SeqCst), 1, "a name is resolved once");
        let (answer, connections) = ask(&client, Policy::stranger(), "http://rebinding.test/");
        assert_eq!((refusal(answer).as_str(), connections), ("loopback address", 0));
        // A redirect to itself is a new question, and gets a new answer.
        asked.store(0, SeqCst);
        let again = "http://rebinding.test/to/http://rebinding.test/";
        let (answer, connections) = ask(&client, Policy::stranger(), again);
        assert_eq!((refusal(answer).as_str(), connections), ("loopback address", 1));
    });
}
