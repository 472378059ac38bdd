//! Strangers cannot make series: invented paths, methods, agents and hosts are counted together.

use mainstay_testkit::{Batch, Connection, Request, Server, fresh_id};

use crate::{serve, settle};

/// Requests sent ahead of their answers.
const AHEAD: usize = 50;

fn send_all(server: &Server, requests: &[Request], status: u16) {
    let mut connection: Connection = server.connect();
    for some in requests.chunks(AHEAD) {
        let bytes: Vec<u8> = some.iter().flat_map(|request| request.to_bytes("a")).collect();
        connection.write(&bytes).expect("sent");
        for _ in some {
            assert_eq!(connection.read("GET").expect("an answer").status, status);
        }
    }
}

#[test]
fn ten_thousand_paths_and_a_thousand_methods_add_at_most_five_series() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    settle(&server);
    let before = server.metrics();
    let kinds = ["", ".html", "/", ".php", "/x/y", ".js?v=1", "?q=1"];
    let paths: Vec<_> = (0..10_000)
        .map(|n| Request::get(&format!("/{}{}", fresh_id(), kinds[n % kinds.len()])))
        .collect();
    send_all(&server, &paths, 404);
    let methods: Vec<_> = (0..1_000).map(|n| Request::new(&format!("M{n}X"), "/")).collect();
    send_all(&server, &methods, 405);
    let after = server.metrics();
    let added = after.series() - before.series();
    assert!(added <= 5, "{added} series were added");
    let counted = |labels: &[(&str, &str)]| {
        after.value("http_requests_total", labels) - before.value("http_requests_total", labels)
    };
    assert!((counted(&[("route", "{unmatched}"), ("status_code", "404")]) - 10_000.0).abs() < 0.5);
    assert!((counted(&[("method", "_OTHER"), ("status_code", "405")]) - 1_000.0).abs() < 0.5);
}

#[test]
fn invented_agents_hosts_and_paths_of_ours_add_few_series() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    let request = |path: &str, agent: &str| Request::get(path).header("user-agent", agent);
    for agent in ["curl/8", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"]
    {
        assert_eq!(server.send(&request("/", agent)).status, 200);
        assert_eq!(server.send(&request("/_mainstay/x", agent)).status, 404);
    }
    settle(&server);
    let before = server.metrics().series();
    let requests: Vec<_> = (0..500)
        .map(|n| {
            request("/", &format!("agent-{n} curl/{n}"))
                .header("host", &format!("h{n}.example"))
                .header("referer", &format!("https://r{n}.example/"))
        })
        .collect();
    send_all(&server, &requests, 200);
    let ours: Vec<_> = (0..500).map(|n| request(&format!("/_mainstay/{n}"), "curl/8")).collect();
    send_all(&server, &ours, 404);
    let added = server.metrics().series() - before;
    assert!(added <= 5, "{added} series were added");
}

#[test]
fn invented_pages_in_events_are_counted_together() {
    let server = serve(&[("index.html", "<p>home</p>")]);
    for n in 0..60 {
        server.accept(
            &Batch::page_view(&format!("https://a/page-{}", ["a", "b"][n % 2].repeat(n + 1)))
                .vital("LCP", 800.0),
        );
    }
    let text = server.metrics().text().to_owned();
    let pages = text.lines().filter(|line| line.starts_with("page_views_total{")).count();
    assert!(pages <= 31, "{pages} pages");
    assert!(text.contains("page=\"other\""));
    assert!(
        (server.metrics().value("page_views_total", &[]) - 60.0).abs() < 0.1,
        "and every view is counted"
    );
}
