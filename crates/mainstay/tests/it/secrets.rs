//! A secret in a query string is kept nowhere: no table, no log, no metric, no answer. And visitors who ask not to be told apart are not.

use std::time::Duration;

use mainstay_testkit::{Batch, CHROME, Request, Server, Site, fresh_id, list_files_with, until};
use serde_json::json;

use crate::launch_bare;

fn server() -> Server {
    let site = Site::of(&[
        ("index.html", "<p>home</p>"),
        ("about.html", "<p>about</p>"),
        ("docs/index.html", "<p>docs</p>"),
    ]);
    launch_bare().site(site).start()
}

fn with_secret_everywhere(secret: &str) -> Batch {
    let query = format!("?token={secret}");
    let address = format!("https://shop.example/visible-marker{query}#token={secret}");
    Batch::page_view(&address)
        .from(&format!("https://user:{secret}@partner.example/path{query}"))
        .by(&format!("{CHROME} Shop/1.0{query}"))
        .event(json!({"type": "error", "t": 1, "name": format!("TypeError{query}"), "line": 1, "col": 2,
            "message": format!("visible-marker failed at {address} with \"/relative{query}\""),
            "stack": format!("Error: {address}\n at f ({address}:3:14)\n at https://x/y.js{query}&b=2:1:2\n at g (%3Ftoken%3D{secret})"),
            "src": format!("https://shop.example/app.js{query}")}))
        .event(json!({"type": "vital", "t": 1, "name": "LCP", "value": 5, "nav": "navigate",
            "attr": {"url": address, "element": format!("a[href=\"/x{query}\"]"), format!("/key{query}"): 1}}))
        .event(json!({"type": "custom", "t": 1, "name": format!("signup{query}"),
            "props": {"link": address, "again": format!("/a/b{query}&c=d"), format!("/key{query}"): true}}))
        .engagement(5_000, 10)
        .header("referer", &address)
}

#[test]
fn a_token_in_a_query_is_in_no_table_log_or_metric() {
    let mut server = server();
    let secret = format!("SECRET{}", fresh_id());
    server.accept(&with_secret_everywhere(&secret));
    let bot =
        with_secret_everywhere(&secret).by(&format!("Googlebot/2.1 (+http://x/?token={secret})"));
    server.accept(&bot);
    server.accept(&with_secret_everywhere(&secret).header("sec-gpc", "1"));
    for path in ["/", "/about", "/missing", "/docs", "/_mainstay/m.js", "/_mainstay/nothing"] {
        let request = Request::get(&format!("{path}?token={secret}"));
        let request = request.header("referer", &format!("https://other.example/x?token={secret}"));
        assert!(server.send(&request.header("cookie", &format!("token={secret}"))).status < 500);
    }
    let refused = Batch::of(&format!("https://a/?token={secret}"));
    assert_eq!(server.post(&refused).status, 400);
    drop(
        server.send_raw(
            format!("BROKEN /?token={secret}\r\n\r\n").as_bytes(),
            Duration::from_secs(2),
        ),
    );
    let asked = server.admin(Request::get(&format!("/api/v1/pages?site=x&token={secret}")));
    assert_eq!(asked.status, 404);

    let (page, inner) =
        (format!("https://shop.example/visible-marker?token={secret}"), "script-src");
    let violation = json!({"csp-report": {"document-uri": page, "referrer": page, "source-file": page,
        "blocked-uri": format!("wss://user:{secret}@chat.example/socket?token={secret}"),
        "effective-directive": inner, "violated-directive": format!("{inner} 'nonce-{secret}'"),
        "original-policy": format!("{inner} 'nonce-{secret}'"), "script-sample": format!("go('/x?token={secret}')"),
        "line-number": 1}});
    let report =
        Request::post("/_mainstay/reports").header("content-type", "application/csp-report");
    let report = report.header("referer", &page).body(violation.to_string());
    assert_eq!(server.send(&report).status, 204);

    let metrics = server.metrics();
    assert!(
        metrics.text().contains("visible-marker") && !metrics.text().contains(&secret),
        "{}",
        metrics.text()
    );
    for list in ["pages", "sources", "devices", "vitals", "errors", "reports"] {
        let text = server.admin(Request::get(&format!("/api/v1/{list}?bots=include"))).text();
        assert!(!text.contains(&secret), "{list}: {text}");
    }
    for list in ["errors", "reports"] {
        let text = server.admin(Request::get(&format!("/api/v1/{list}"))).text();
        assert!(text.contains("visible-marker"), "{list}: {text}");
    }
    assert_eq!(server.rows("/api/v1/reports")[0]["blocked"], "wss://chat.example/socket");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!ended.stderr.contains(&secret) && !ended.stdout.contains(&secret), "{}", ended.stderr);
    let holding = list_files_with(server.data_dir(), "visible-marker");
    assert!(!holding.is_empty(), "the rows are there");
    let logged = list_files_with(&server.data_dir().join("logs"), "\"path\":\"/about\"");
    assert!(!logged.is_empty(), "the access log is there");
    assert_eq!(list_files_with(server.data_dir(), &secret), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_crash_leaves_no_secret_behind_either() {
    let mut server = server();
    let secret = format!("SECRET{}", fresh_id());
    server.accept(&with_secret_everywhere(&secret));
    server.kill();
    let wal = list_files_with(server.data_dir(), "visible-marker");
    assert!(wal.iter().any(|file| file.ends_with("insight.db-wal")), "not in the log yet: {wal:?}");
    assert_eq!(list_files_with(server.data_dir(), &secret), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn who_opts_out_is_counted_as_a_page_and_not_as_a_visitor() {
    for header in ["sec-gpc", "dnt"] {
        let mut server = server();
        let quiet = |path: &str| {
            Batch::page_view(&format!("https://a.example{path}?utm_source=letter"))
                .from("https://partner.example/quiet-referrer-path")
                .header(header, "1")
                .engagement(3_000, 50)
        };
        server.accept(&quiet("/one"));
        server.accept(&quiet("/two"));
        let pages = server.rows("/api/v1/pages");
        assert_eq!(pages.len(), 2, "{pages:?}");
        assert!(pages.iter().all(|row| row["pageviews"] == 1 && row["visitors"] == 0), "{pages:?}");
        assert_eq!(server.read("/api/v1/visitors/now"), json!({"now": 0}));
        let points = server.rows("/api/v1/visitors?step=86400");
        let sum =
            |field: &str| points.iter().filter_map(|point| point[field].as_i64()).sum::<i64>();
        assert_eq!((sum("pageviews"), sum("visitors"), sum("bounces")), (2, 0, 0), "{points:?}");
        let sources = server.rows("/api/v1/sources");
        assert_eq!(
            sources[0]["key"], "partner.example",
            "no attribution to a campaign: {sources:?}"
        );
        server.stop();
        let path = list_files_with(server.data_dir(), "quiet-referrer-path");
        assert!(path.is_empty(), "{header}: {path:?}");
        assert!(list_files_with(server.data_dir(), "letter").is_empty(), "{header}");
    }
    let mut told = server();
    told.accept(
        &Batch::page_view("https://a.example/").from("https://partner.example/loud-referrer-path"),
    );
    told.stop();
    assert!(
        !list_files_with(told.data_dir(), "loud-referrer-path").is_empty(),
        "without the wish it is kept"
    );
}

#[test]
fn no_whole_client_address_is_kept() {
    let mut server = server();
    server.accept(
        &Batch::page_view("https://a.example/")
            .header("x-forwarded-for", "198.51.100.77")
            .header("host", "a.example"),
    );
    let request =
        Request::get("/").header("host", "a.example").header("x-forwarded-for", "198.51.100.77");
    assert_eq!(server.send(&request).status, 200);
    let log = server.data_dir().join("logs");
    until("a written line", Duration::from_secs(5), || {
        !list_files_with(&log, "127.0.0.0").is_empty()
    });
    server.stop();
    assert!(!list_files_with(server.data_dir(), "127.0.0.0").is_empty(), "truncated");
    for address in ["127.0.0.1", "198.51.100.77"] {
        let found = list_files_with(server.data_dir(), address);
        assert!(found.is_empty(), "{address}: {found:?}");
    }
}
