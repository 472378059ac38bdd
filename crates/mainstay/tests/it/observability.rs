//! Our metrics in the hands of the tools that people read them with: promtool's lint, and a Prometheus server that scrapes us.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use mainstay_testkit::{
    Batch, Connection, Process, Request, Server, Site, Upstream, eventually, free_port,
};
use serde_json::{Value, json};

use crate::launch;

/// Time until Prometheus has started and scraped, on a busy machine.
const SCRAPED: Duration = Duration::from_secs(40);

#[test]
fn promtool_finds_nothing_wrong_with_any_family() {
    let server = serve_with_traffic();
    let metrics = server.metrics();
    let text = metrics.text();
    let has_series =
        |family: &&str| ["", "_count"].iter().any(|end| metrics.has(&format!("{family}{end}")));
    let untested: Vec<_> = list_families(text).filter(|family| !has_series(family)).collect();
    assert_eq!(untested, [""; 0], "families without a series");
    let (code, said) = lint(text);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    // What the manual promises is there; without TLS, all but what tells of it.
    let manual = std::fs::read_to_string(mainstay_testkit::checkout().join("docs/metrics.md"));
    let manual = manual.expect("the manual");
    let names = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let promised: Vec<_> =
        names.filter(|name| !name.contains("tls_") && !name.contains("https_")).collect();
    assert!(promised.len() > 30, "{promised:?}");
    let absent: Vec<_> =
        promised.into_iter().filter(|name| !list_families(text).any(|f| f == *name)).collect();
    assert_eq!(absent, [""; 0], "promised, and never there");
    // It is promtool that judges: what it is known to dislike, it dislikes here.
    let (code, said) = lint("# TYPE things counter\nthings 1\n");
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn prometheus_keeps_the_servers_numbers_and_exemplars() {
    let server = serve_with_traffic();
    let expected = server.metrics();
    let prometheus = Prometheus::start(&server);
    let samples = eventually("a scrape of all requests", SCRAPED, || {
        let samples = prometheus.ask("/api/v1/query?query=%7Bjob%3D%22mainstay%22%7D")?;
        let has_requests = list(&samples).iter().any(|s| name_of(s) == "http_requests_total");
        has_requests.then_some(samples)
    });
    let mut compared = 0;
    for sample in list(&samples).iter().filter(|sample| is_settled(name_of(sample))) {
        let labels: Vec<_> = sample["metric"].as_object().expect("labels").iter().collect();
        let own = labels
            .iter()
            .filter(|(name, _)| !["__name__", "job", "instance"].contains(&name.as_str()));
        let own: Vec<_> =
            own.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or(""))).collect();
        let ours = expected.value(name_of(sample), &own);
        let theirs: f64 =
            sample["value"][1].as_str().and_then(|v| v.parse().ok()).expect("a number");
        assert!((ours - theirs).abs() < 1e-9, "{sample}: {ours}");
        compared += 1;
    }
    assert!(compared >= 12, "too few series to speak of agreement: {compared}");

    let exemplars = eventually("exemplars", SCRAPED, || {
        let found = prometheus.ask(
            "/api/v1/query_exemplars?query=http_request_duration_seconds_bucket&start=0&end=9999999999",
        )?;
        (!list(&found).is_empty()).then_some(found)
    });
    let id = server.get("/").header("x-request-id").map(str::len);
    for series in list(&exemplars) {
        for exemplar in list(&series["exemplars"]) {
            let trace = exemplar["labels"]["trace_id"].as_str().expect("a trace id");
            assert_eq!(Some(trace.len()), id, "as long as a request id: {exemplar}");
            assert!(trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{exemplar}");
        }
    }
}

/// A server in which every family of metrics has something to say.
fn serve_with_traffic() -> Server {
    let app = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let site = Site::of(&[("index.html", "<p>hello</p>"), ("a.css", "a{}")]);
    let config = format!(
        "[[site]]\ndir = \"{}\"\n[[site]]\nname = \"app\"\nhosts = [\"app.test\"]\nupstreams = [\"http://{}\"]\n",
        site.dir().display(),
        app.address
    );
    let server = launch().shared_engines().site(site).sites_in_settings().config(&config).start();
    assert_eq!(server.send(&Request::get("/").header("host", "app.test")).status, 200);
    let blocked = json!({"csp-report": {"document-uri": server.site_url("/"), "blocked-uri": "inline",
        "effective-directive": "script-src-elem", "disposition": "enforce"}});
    for (body, status) in [(blocked.to_string(), 204), ("no report".to_owned(), 400)] {
        let report =
            Request::post("/_mainstay/reports").header("content-type", "application/csp-report");
        assert_eq!(server.send(&report.body(body)).status, status);
    }
    for path in ["/", "/a.css", "/missing", "/"] {
        drop(server.get(path));
    }
    drop(server.send(&Request::new("BREW", "/")));
    drop(server.send_raw(b"GET / HTTP/1.1\r\n\r\n", Duration::from_secs(5)));
    let view = ["LCP", "INP", "FCP", "TTFB"]
        .iter()
        .fold(Batch::page_view(&server.site_url("/")), |batch, name| batch.vital(name, 120.5));
    let view = view.vital("CLS", 0.01).error("TypeError", "x is not a function", "at a.js:1:1");
    let view = view.engagement(1_000, 50).custom("signup", &json!({}));
    server.accept(&view.event(json!({"type": "unheard-of", "t": 1})));
    let recorded = json!({
        "metrics": [
            {"type": "counter", "name": "orders", "labels": {"plan": "pro"}, "value": 1},
            {"type": "gauge", "name": "stock_bytes", "value": 7},
            {"type": "histogram", "name": "wait_seconds", "value": 0.2},
        ],
        "signups": [{"source": "newsletter"}],
        "revenue": [{"amount": 9.5, "currency": "EUR"}],
        "api_usage": [{"endpoint": "/v1/items"}],
    });
    let key = crate::keys::make(&server, "record");
    assert_eq!(crate::record::send(&server, &key, &recorded).status, 204);
    server
}

/// What does not change between two scrapes while nobody asks.
fn is_settled(name: &str) -> bool {
    ["http_requests_total", "page_views_total", "errors_total", "mainstay_events_accepted_total"]
        .contains(&name)
        || name.starts_with("web_vital_") && !name.ends_with("_bucket")
        || ["http_request_duration_seconds_count", "http_request_duration_seconds_sum"]
            .contains(&name)
}

fn list_families(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
}

/// Exit code and words of `promtool check metrics`.
fn lint(text: &str) -> (Option<i32>, String) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped());
    let mut promtool = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, see scripts/setup");
    let mut stdin = promtool.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("promtool reads");
    drop(stdin);
    let ended = promtool.wait_with_output().expect("promtool ends");
    let words = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8_lossy(&words).into_owned())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn name_of(sample: &Value) -> &str {
    sample["metric"]["__name__"].as_str().unwrap_or("")
}

/// A Prometheus server that scrapes one of ours every second.
struct Prometheus {
    _process: Process,
    _folder: Site,
    address: SocketAddr,
}

impl Prometheus {
    fn start(server: &Server) -> Self {
        let target = server.admin_address();
        let folder = Site::of(&[(
            "prometheus.yml",
            &format!(
                "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: mainstay, static_configs: [{{targets: ['{target}']}}]}}]\n"
            ),
        )]);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Process::command("prometheus");
        command
            .arg(format!("--config.file={}", folder.path("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage");
        Self { _process: Process::start(&mut command), _folder: folder, address }
    }

    /// The result of a query; none while it is not up.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut connection = Connection::try_open(self.address).ok()?;
        let answer = connection.try_send(&Request::get(path)).ok().filter(|a| a.status == 200)?;
        let data = answer.json()["data"].clone();
        Some(if data["result"].is_array() { data["result"].clone() } else { data })
    }
}
