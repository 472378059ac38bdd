//! `mainstay doctor --edge`, as an owner runs it.

use std::path::Path;

use mainstay_testkit::{Authority, Ended, Process, Request, Upstream};
use serde_json::Value;

use super::{App, LIMITS, before, naive, read_strictly};
use crate::launch;

fn doctor(data_dir: &Path, more: &[&str]) -> Ended {
    let mut command = Process::command(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["doctor", "--edge", "--data-dir"]).arg(data_dir).args(more);
    Process::run(&mut command, std::time::Duration::from_secs(200))
}

#[test]
fn a_sound_server_is_well() {
    let app = App::start(read_strictly);
    let server = before(&app).start();
    let ended = doctor(server.data_dir(), &["--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let cases = report["cases"].as_array().expect("cases");
    let bad: Vec<_> = cases.iter().filter(|case| case["ok"] != true).collect();
    assert_eq!((ended.code, bad.len()), (Some(0), 0), "{bad:#?}");
    assert!(cases.len() > 150, "{}", cases.len());
    let never = report["never_asked_for"].as_str().expect("a path");
    assert!(app.upstream.requests().iter().all(|heard| heard.target != never));
    assert!(
        app.upstream.requests().iter().any(|heard| heard.target == never.replace("smuggled", "a"))
    );
}

#[test]
fn what_is_suspicious_is_said_and_is_code_1() {
    // An app that hangs up on whatever is not the plainest request: somebody between would be to blame for that.
    let app = Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            if heard.target.ends_with("/b") {
                return Ok(());
            }
            wire.write(super::echo(&heard))?;
        }
        Ok(())
    });
    let server = launch().upstream(&format!("http://{}", app.address)).config(LIMITS).start();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("suspicious: three requests (RFC 9112 §9.3.2)"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("the app gave no answer to what it was sent (502)"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("suspicious: a folded header"), "{}", ended.stdout);
}

/// A script of Node's own `http`, which says its port.
fn start_node(script: &str) -> (Process, String) {
    let script = format!(
        "const s = require('http').createServer((q, r) => r.end('ok'));\n{script}\n\
         s.listen(0, '127.0.0.1', () => console.log('port ' + s.address().port));"
    );
    let mut command = Process::command("node");
    command.args(["-e", &script]);
    let process = Process::start(&mut command);
    let line = process.stdout.wait_for("port ", std::time::Duration::from_secs(20));
    let port = line.rsplit(' ').next().expect("a port").trim().to_owned();
    (process, format!("http://127.0.0.1:{port}"))
}

/// The smallest app: it answers before it has read a body, and to none of ours that it never saw whole.
#[test]
fn an_app_that_reads_no_bodies_is_well() {
    // The one that tells whether it does so is answered later than silence is waited for.
    let (app, url) = start_node(
        "s.removeAllListeners('request').on('request', (q, r) => {\n\
           console.log('saw ' + q.url);\n\
           if (q.headers['content-length'] > 1000) setTimeout(() => r.end('ok'), 1500); else r.end('ok');\n\
         });",
    );
    let server = launch().upstream(&url).config(LIMITS).start();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.contains("the app answers before it has read a body: "),
        "{}",
        ended.stdout
    );
    // What it wrote of the cases has come when this has.
    assert_eq!(server.send(&Request::get("/marker")).status, 200);
    let _line = app.stdout.wait_for("saw /marker", std::time::Duration::from_secs(20));
    let seen = app.stdout.text();
    assert!(seen.contains("/a") && !seen.contains("/smuggled"), "{seen}");
}

/// Apps that have nothing good to say of a path they do not know, and say it before they have read a body.
#[test]
fn an_app_that_answers_early_with_an_error_is_well_and_judged_by_count() {
    for refuses in ["r.statusCode = 404", "if (q.method === 'POST') r.statusCode = 500"] {
        let (_app, url) = start_node(&format!(
            "s.removeAllListeners('request').on('request', (q, r) => {{ {refuses}; r.end('no'); }});"
        ));
        let server = launch().upstream(&url).config(LIMITS).start();
        let ended = doctor(server.data_dir(), &["--json"]);
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let cases = report["cases"].as_array().expect("cases");
        let bad: Vec<_> = cases.iter().filter(|case| case["ok"] != true).collect();
        assert_eq!((ended.code, bad.len()), (Some(0), 0), "{refuses}: {bad:#?}");
        assert_eq!(report["answers_early"], true, "{refuses}");
        assert!(report["judged_by_count"].as_u64() > Some(0), "{refuses}: {report:#}");
    }
}

/// A proxy that takes half a body for whole does not excuse itself with an app that answers early.
#[test]
fn a_proxy_that_takes_half_a_body_for_whole_is_found() {
    let app = App::start(naive::read_any_chunks);
    let server = before(&app).start();
    let proxy = naive::Proxy::start_hasty(app.upstream.address);
    let ended = doctor(server.data_dir(), &["--json", "--address", &proxy.address.to_string()]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        (ended.code, &report["answers_early"]),
        (Some(1), &Value::Bool(false)),
        "{report:#}"
    );
    assert_eq!(report["judged_by_count"], 0, "{report:#}");
    let cases = report["cases"].as_array().expect("cases");
    for name in
        ["a length longer than the body", "no last chunk", "a last chunk without its last line end"]
    {
        let case = cases.iter().find(|case| case["name"] == name).expect("the case");
        let found = "an unfinished request was taken for a whole one";
        let findings = case["findings"].as_array().expect("findings");
        assert!(findings.iter().any(|finding| finding == found), "{case:#}");
    }
}

/// It agrees to whatever upgrade it is asked for, and says back what it hears for a while.
#[test]
fn an_app_that_echoes_over_any_upgrade_is_well() {
    let (_app, url) = start_node(
        "s.on('upgrade', (q, c, head) => {\n\
           c.on('error', () => {});\n\
           c.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');\n\
           c.write(head); c.pipe(c); setTimeout(() => c.end(), 1500);\n\
         });",
    );
    let server = launch().upstream(&url).config(LIMITS).start();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// The same with an app that goes on answering requests where it agreed to leave HTTP, and takes its time.
#[test]
fn an_app_that_answers_requests_behind_an_upgrade_is_found() {
    let (_app, url) = start_node(
        "s.on('upgrade', (q, c, head) => {\n\
           c.on('error', () => {});\n\
           c.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');\n\
           const ok = 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok';\n\
           c.on('data', () => setTimeout(() => c.write(ok), 2500));\n\
           c.unshift(head);\n\
         });",
    );
    let server = launch().upstream(&url).config(LIMITS).start();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    let found = "bytes behind an accepted upgrade were answered as a request";
    assert!(ended.stdout.contains(found), "{}", ended.stdout);
}

/// A proxy that is asked in the server's stead, and an app that reads otherwise.
#[test]
fn a_naive_proxy_is_found_and_every_group_is_announced() {
    let app = App::start(naive::read_any_chunks);
    let server = before(&app).start();
    let proxy = naive::Proxy::start(app.upstream.address);
    let ended = doctor(server.data_dir(), &["--address", &proxy.address.to_string()]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    // The second is one that an app may answer before it has read it. This one does not, so it has read it.
    for name in ["chunked twice", "an extension of 40 000 bytes"] {
        let found = format!("suspicious: {name} (");
        assert!(ended.stdout.contains(&found), "{name}: {}", ended.stdout);
    }
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 8, "{lines:?}");
    assert!(lines[0].starts_with("lengths: requests 1 to "), "{lines:?}");
    assert!(!ended.stdout.contains(lines[0]), "{}", ended.stdout);
}

#[test]
fn a_listener_with_tls_is_asked_over_tls() {
    let app = App::start(read_strictly);
    let (authority, folder) = (Authority::new(), tempfile::tempdir().expect("a folder"));
    let pair = authority.issue(&["app.test", "127.0.0.1"]);
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, pair.cert).expect("written");
    std::fs::write(&key, pair.key).expect("written");
    let server = launch()
        .upstream(&app.url())
        .argument("--tls-cert")
        .argument(&cert.display().to_string())
        .argument("--tls-key")
        .argument(&key.display().to_string())
        .config(LIMITS)
        .start();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(app.upstream.requests().iter().all(|h| h.header("x-forwarded-proto") == Some("https")));
}

#[test]
fn behind_a_public_url_the_listener_itself_is_found() {
    let app = App::start(read_strictly);
    let url = "https://shop.example";
    let server = before(&app).argument("--public-url").argument(url).start();
    let ended = doctor(server.data_dir(), &["--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(ended.code, Some(0), "{report:#} {}", ended.stderr);
    assert_eq!(report["host"], "shop.example");
    assert_eq!(report["address"], server.site_address().to_string());
    assert!(
        app.upstream
            .requests()
            .iter()
            .any(|h| h.header("x-forwarded-host") == Some("shop.example"))
    );
}

#[test]
fn without_a_server_or_an_app_there_is_nothing_to_say() {
    let empty = tempfile::tempdir().expect("a folder");
    let ended = doctor(empty.path(), &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("no server answers for the data dir"), "{}", ended.stderr);
    let app = App::start(read_strictly);
    let server = before(&app).start();
    app.upstream.kill();
    let ended = doctor(server.data_dir(), &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.stdout);
    assert!(ended.stderr.contains("does not answer (502)"), "{}", ended.stderr);
}
