//! What a scan says of a site that sends elsewhere, and of points that are lost.

use mainstay_scanner::{Missing, Site};
use mainstay_testkit::{Answerer, Authority};

use crate::planted::{HOST, STRICT, clean, run, scan_site};
use crate::world::{answer, read, settings};

#[test]
fn a_site_that_sends_to_a_name_that_is_not_its_own_is_not_graded() {
    let authority = Authority::new();
    let www = format!("www.{HOST}");
    let pair = authority.issue(&[HOST, &www]);
    let name = www.clone();
    let to = move |head: &str, scheme: &str| {
        let host = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned));
        let host = host.unwrap_or_default();
        let port = host.rsplit_once(':').map(|(_, port)| port.to_owned()).unwrap_or_default();
        match host.starts_with(&name) {
            true => clean(head),
            false => {
                answer(301, &format!("Location: {scheme}://{name}:{port}/?key=hidden\r\n"), "")
            }
        }
    };
    let plainly = to.clone();
    let http = Answerer::plain(move |head| plainly(head, "http"));
    let https = Answerer::secure(&pair, move |head| to(head, "https"));
    let (http_port, https_port) = (http.address.port(), https.address.port());
    for https_port in [https_port, 1] {
        let site = Site { host: HOST.into(), http_port, https_port, others: vec![] };
        let error = scan_site(&authority, &site, &settings()).expect_err("elsewhere");
        assert!(matches!(error, Missing::Elsewhere(_)), "{error:?}");
        let told = error.to_string();
        assert!(told.contains("[[site]] hosts = [\"www.shop.example\"]"), "{told}");
        assert!(told.contains("://www.shop.example:") && !told.contains("hidden"), "{told}");
    }
    // Where both are names of the site, it is what stands at the other one.
    let site = Site { host: HOST.into(), http_port, https_port, others: vec![www] };
    let scan = scan_site(&authority, &site, &settings()).expect("a scan");
    assert!(scan.findings.iter().all(|found| found.id != "csp-not-implemented"), "{scan:?}");
}

#[test]
fn points_that_are_lost_are_a_finding() {
    let authority = Authority::new();
    let pair = authority.issue(&[HOST]);
    let to_https =
        |_: &str, port: u16| answer(308, &format!("Location: https://{HOST}:{port}/\r\n"), "");
    // The site's own, in a way that the Observatory takes for another's.
    let https = |head: &str| match read(head).1 {
        "/" => answer(200, STRICT, "<!doctype html><script src=//shop.example/app.js></script>"),
        _ => clean(head),
    };
    let scan = run(&pair, &authority, to_https, https);
    let ids: Vec<_> = scan.findings.iter().map(|found| found.id).collect();
    assert_eq!(ids, ["sri-not-implemented-and-external-scripts-not-loaded-securely"], "{scan:?}");
    assert!(scan.score < 100, "{scan:?}");
}
