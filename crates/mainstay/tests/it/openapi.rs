//! The document of the reads, held against what the server answers.

use std::time::Duration;

use mainstay_testkit::{Batch, Connection, Request, Response, Server, TOKEN, Upstream, eventually};
use serde_json::{Value, json};

use crate::{keys, launch};

mod schema;

/// Where the document is.
const PATH: &str = "/api/v1/openapi.json";
const PAGE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>welcome</h1";

struct Document(Value);

impl Document {
    fn of(server: &Server) -> Self {
        let response = server.admin(Request::get(PATH));
        let kind = response.header("content-type");
        assert_eq!((response.status, kind), (200, Some("application/json")));
        Self(response.json())
    }

    /// Every read but the live stream, whose answer has no end, and those of one thing, which its path names.
    fn list_paths(&self) -> Vec<&str> {
        let paths = self.0["paths"].as_object().expect("paths");
        let reads = paths.keys().map(String::as_str).filter(|path| !path.contains('{'));
        reads.filter(|path| *path != "/api/v1/live").collect()
    }

    fn list_parameters(&self, path: &str) -> Vec<&Value> {
        let listed = self.0["paths"][path]["get"]["parameters"].as_array().expect("parameters");
        listed.iter().map(|parameter| self.find(parameter)).collect()
    }

    /// What a reference leads to.
    fn find<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("a place in this document");
        self.0.pointer(pointer).expect(reference)
    }

    /// An answer is of a status, a media type and a shape that are described.
    fn check(&self, path: &str, what: &str, response: &Response) {
        let answer = &self.0["paths"][path]["get"]["responses"][response.status.to_string()];
        assert!(!answer.is_null(), "{what}: {} is not described", response.status);
        let kind = response.header("content-type").unwrap_or_default();
        let schema = &self.find(answer)["content"][kind]["schema"];
        assert!(!schema.is_null(), "{what}: {kind} is not described");
        self.check_value(schema, what, &response.json());
    }

    fn check_value(&self, schema: &Value, what: &str, value: &Value) {
        let checked = schema::check(&self.0, schema, value);
        assert_eq!(checked, Ok(()), "{what}: {value:#}");
    }
}

/// A server that has something to say on every read.
fn visited(app: &Upstream) -> Server {
    let config =
        "[insight]\nsample_every = \"1s\"\n[[jobs.queue]]\nname = \"a\"\nconcurrency = 0\n";
    let server = launch().upstream(&format!("http://{}", app.address)).config(config).start();
    assert_eq!(server.get("/").status, 200);
    let view = Batch::page_view(&server.site_url("/?utm_source=news"));
    let view = view.vital("LCP", 812.5).custom("signup", &json!({}));
    server.accept(&view.error("TypeError", "x is not a function", ""));
    let blocked = json!({ "csp-report": {
        "blocked-uri": "inline", "document-uri": server.site_url("/"), "disposition": "report",
        "effective-directive": "script-src-elem", "violated-directive": "script-src-elem",
        "original-policy": "script-src 'none'", "referrer": "", "status-code": 200 } });
    let report =
        Request::post("/_mainstay/reports").header("content-type", "application/csp-report");
    assert_eq!(server.send(&report.body(blocked.to_string())).status, 204);
    let key = keys::make(&server, "jobs");
    let job = Request::post("/_mainstay/jobs/a").header("content-type", "application/json");
    let job = keys::with(job, &key.text).body(json!({ "type": "t", "payload": [1] }).to_string());
    assert_eq!(server.send(&job).status, 201);
    server
}

/// A value that a parameter does not take, and the status that says so.
fn wrong(parameter: &Value) -> Vec<(String, u16)> {
    let (name, schema) = (parameter["name"].as_str().expect("a name"), &parameter["schema"]);
    let mut values = Vec::new();
    if matches!(name, "site" | "queue") {
        return vec![("nobody".into(), 404)];
    }
    values.extend(schema["minimum"].as_i64().map(|least| (least - 1).to_string()));
    values.extend(schema["maximum"].as_i64().map(|most| (most + 1).to_string()));
    values.extend(schema["maxLength"].as_u64().map(|most| "A".repeat(most as usize + 1)));
    let invented = "invented".to_owned();
    values.into_iter().chain([invented]).map(|value| (value, 400)).collect()
}

/// Values that a parameter takes, as far as they can be listed.
fn right(parameter: &Value) -> Vec<String> {
    let schema = &parameter["schema"];
    let mut values: Vec<String> = schema["enum"]
        .as_array()
        .map(|listed| listed.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    for bound in ["minimum", "maximum", "default"] {
        values.extend(schema[bound].as_i64().map(|bound| bound.to_string()));
    }
    values
}

#[test]
fn every_answer_is_as_the_document_says() {
    let app = Upstream::answering(PAGE);
    let server = visited(&app);
    let document = Document::of(&server);
    assert!(document.list_paths().len() > 10, "{:?}", document.list_paths());
    for path in document.list_paths() {
        // A list without rows would prove nothing about rows.
        let rows = || {
            let response = server.admin(Request::get(path));
            assert_eq!(response.status, 200, "{path}: {}", response.text());
            let is_empty = response.json()["data"].as_array().is_some_and(Vec::is_empty);
            (!is_empty).then_some(response)
        };
        let response = eventually(&format!("rows of {path}"), Duration::from_secs(15), rows);
        document.check(path, path, &response);
        let stranger = server.admin_stranger(&Request::get(path));
        assert_eq!(stranger.status, 401, "{path}");
        document.check(path, path, &stranger);
    }
}

#[test]
fn parameters_are_taken_as_described() {
    let app = Upstream::answering(PAGE);
    let server = visited(&app);
    let document = Document::of(&server);
    let mut asked = 0;
    for path in document.list_paths() {
        for parameter in document.list_parameters(path) {
            let name = parameter["name"].as_str().expect("a name");
            assert!(parameter["description"].is_string(), "{path} {name}");
            let right = right(parameter).into_iter().map(|value| (value, 200));
            for (value, status) in right.chain(wrong(parameter)) {
                let target = format!("{path}?{name}={value}");
                // A span of its own: a day in steps of a second are more rows than one answer holds.
                let target = match name {
                    "step" => format!("{target}&from=2026-01-01T00:00:00Z&to=2026-01-01T00:10:00Z"),
                    _ => target,
                };
                let response = server.admin(Request::get(&target));
                assert_eq!(response.status, status, "{target}: {}", response.text());
                document.check(path, &target, &response);
                if status != 200 && name != "limit" && name != "step" {
                    assert_eq!(response.json()["field"], name, "{target}");
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked}");
}

#[test]
fn what_a_read_of_the_present_does_not_take_is_overlooked() {
    let app = Upstream::answering(PAGE);
    let server = visited(&app);
    let document = Document::of(&server);
    let mut asked = Vec::new();
    for path in document.list_paths() {
        let taken = document.list_parameters(path);
        if taken.iter().any(|parameter| parameter["name"] != "site") {
            continue;
        }
        let all = document.0["components"]["parameters"].as_object().expect("parameters");
        for parameter in all.values().filter(|parameter| !taken.contains(parameter)) {
            for (value, _) in wrong(parameter) {
                let target =
                    format!("{path}?{}={value}", parameter["name"].as_str().expect("a name"));
                let response = server.admin(Request::get(&target));
                assert_eq!(response.status, 200, "{target}: {}", response.text());
            }
        }
        asked.push(path);
    }
    for path in ["/api/v1/upstreams", "/api/v1/visitors/now"] {
        assert!(asked.contains(&path), "{asked:?}");
    }
}

#[test]
fn one_job_and_what_changes_it_are_as_described() {
    let app = Upstream::answering(PAGE);
    let server = visited(&app);
    let document = Document::of(&server);
    let one = "/api/v1/jobs/{queue}/{id}";
    document.check(one, "the job", &server.admin(Request::get("/api/v1/jobs/a/1")));
    document.check(one, "none", &server.admin(Request::get("/api/v1/jobs/a/2")));
    for (method, path, target, status) in [
        ("post", "/api/v1/jobs/{queue}/{id}/retry", "/api/v1/jobs/a/1/retry", 409),
        ("post", "/api/v1/jobs/{queue}/{id}/cancel", "/api/v1/jobs/a/1/cancel", 200),
        ("post", "/api/v1/jobs/queues/{queue}/pause", "/api/v1/jobs/queues/a/pause", 204),
        ("post", "/api/v1/jobs/queues/{queue}/resume", "/api/v1/jobs/queues/b/resume", 404),
        ("delete", one, "/api/v1/jobs/a/1", 200),
    ] {
        let stranger = server.admin_stranger(&Request::new(&method.to_uppercase(), target));
        assert_eq!(stranger.status, 401, "{target}");
        let response = server.admin(Request::new(&method.to_uppercase(), target));
        assert_eq!(response.status, status, "{target}: {}", response.text());
        let answer = &document.0["paths"][path][method]["responses"][status.to_string()];
        assert!(answer.is_object(), "{method} {path}: {status} is not described");
        if status == 200 {
            let schema = &answer["content"]["application/json"]["schema"];
            document.check_value(schema, target, &response.json());
        }
    }
}

#[test]
fn events_of_the_live_stream_are_as_described() {
    let app = Upstream::answering(PAGE);
    let server = visited(&app);
    let document = Document::of(&server);
    let nobody = server.admin(Request::get("/api/v1/live?site=nobody"));
    assert_eq!(nobody.status, 404);
    document.check("/api/v1/live", "a site that is none", &nobody);
    let content = &document.0["paths"]["/api/v1/live"]["get"]["responses"]["200"]["content"];
    let events = &content["text/event-stream"]["x-events"];
    let mut connection = Connection::open(server.admin_address());
    // HTTP/1.0: the body comes as it is, without chunks around it.
    let (host, path) = (server.admin_address(), "/api/v1/live");
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    connection.write(request.as_bytes()).expect("sent");
    let head = connection.read_head().expect("a head");
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    let mut bytes = Vec::new();
    let whole = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.matches("event: snapshot").count() > 1 && text.ends_with("\n\n")
    };
    while !whole(&bytes) {
        let piece = connection.read_some(8_192).expect("more");
        assert!(!piece.is_empty(), "ended early: {}", String::from_utf8_lossy(&bytes));
        bytes.extend(piece);
    }
    let text = String::from_utf8(bytes).expect("text");
    let mut seen = Vec::new();
    for event in text.split("\n\n").filter(|event| event.contains("event: ")) {
        let field = |name: &str| {
            let start = format!("{name}: ");
            event.lines().find_map(|line| line.strip_prefix(&start)).expect("a field").to_owned()
        };
        let (name, data) = (field("event"), field("data"));
        let data = serde_json::from_str(&data).expect("JSON");
        assert!(events[&name].is_object(), "{name} is not described");
        document.check_value(&events[&name], &name, &data);
        seen.push(name);
    }
    assert!(seen.starts_with(&["history".into(), "snapshot".into()]), "{seen:?}");
}

#[test]
fn every_way_in_is_described() {
    let server = crate::serve(&[]);
    let document = Document::of(&server);
    assert!(document.0["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
    assert_eq!(document.0["info"]["version"], server.read("/api/v1/session")["version"]);
    assert_eq!(document.0["security"], json!([{ "session": [] }, { "token": [] }, { "key": [] }]));
    let schemes = &document.0["components"]["securitySchemes"];
    let cookie = (&schemes["session"]["in"], &schemes["session"]["name"]);
    assert_eq!(cookie, (&json!("cookie"), &json!("__Host-mainstay_admin")));
    for token in [&schemes["token"], &schemes["key"]] {
        assert_eq!((&token["type"], &token["scheme"]), (&json!("http"), &json!("bearer")));
    }
}
