//! An app behind the server, as a visitor meets it: bodies both ways, failures that say what they are, several copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use mainstay_testkit::{Launch, Request, Upstream, Wire, eventually, free_port, holds_for, until};

use crate::launch;

const HTML: &str = "<!doctype html><html><head><title>x</title></head><body>hi</body></html>";

fn before(app: &Upstream) -> Launch {
    launch().upstream(&format!("http://{}", app.address))
}

fn page(more: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n{more}Content-Length: {}\r\n\r\n{HTML}",
        HTML.len()
    )
}

#[test]
fn a_page_of_an_app_gets_headers_a_report_only_policy_and_our_tag_with_its_nonce() {
    let app = Upstream::answering(page(
        "X-Frame-Options: ALLOWALL\r\nServer: old/1\r\nX-Powered-By: PHP/5\r\nSet-Cookie: __Host-mainstay_admin=x\r\nSet-Cookie: a=1\r\n",
    ));
    let server = before(&app).start();
    let page = server.send(&Request::get("/").header("accept", "text/html"));
    for name in [
        "x-frame-options",
        "x-content-type-options",
        "content-security-policy-report-only",
        "x-request-id",
    ] {
        assert_eq!(page.count(name), 1, "{name}");
    }
    for name in ["server", "x-powered-by", "content-security-policy", "etag"] {
        assert_eq!(page.count(name), 0, "{name}");
    }
    let cookies: Vec<_> = page
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, v)| v.as_str())
        .collect();
    assert_eq!(cookies, ["a=1"]);
    let policy = page.header("content-security-policy-report-only").unwrap_or_default();
    let nonce =
        policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap_or("");
    assert!(nonce.len() >= 22, "{policy}");
    assert!(page.text().contains(&format!("nonce=\"{nonce}\"")), "{}", page.text());
    assert!(page.header("server-timing").is_some_and(|t| t.contains("upstream;dur=")), "{page:?}");
    let heard = app.requests();
    let told = heard[0].header("content-security-policy").unwrap_or_default();
    assert!(told.contains(&format!("'nonce-{nonce}'")), "{told}");
}

#[test]
fn a_visitor_who_sends_slowly_is_not_taken_for_a_slow_app_or_for_us() {
    let app = Upstream::answering(page(""));
    let server = before(&app).start();
    let mut connection = server.connect();
    let request = Request::post("/").body("drip").to_bytes("x.test");
    let (head, body) = request.split_at(request.len() - 4);
    connection.write(head).expect("sent");
    for byte in body {
        holds_for("the app waits, too", Duration::from_millis(150), || app.requests().is_empty());
        connection.write(&[*byte]).expect("sent");
    }
    let answer = connection.read("POST").expect("an answer");
    let timing = answer.header("server-timing").expect("a timing");
    let times = timing.split("dur=").skip(1).map(|rest| rest.split(',').next().unwrap_or(rest));
    let times: Vec<f64> = times.map(|time| time.parse().expect("ms")).collect();
    assert_eq!(times.len(), 2, "{timing}");
    assert!(times.iter().all(|time| *time < 150.0), "{timing}");
    assert_eq!(app.requests()[0].body, b"drip");
}

#[test]
fn no_answer_is_a_page_for_people_and_a_problem_for_programs() {
    let app = Upstream::start(|wire| {
        let Some(heard) = wire.read_request()? else { return Ok(()) };
        if heard.target == "/hangs" { wire.read_to_end().map(drop) } else { Ok(()) }
    });
    let config = "[upstream]\nanswer_timeout = \"300ms\"\n";
    let server = before(&app).config(config).start();
    for (path, status) in [("/closes", 502), ("/hangs", 504)] {
        let people = server.send(&Request::get(path).header("accept", "text/html"));
        assert_eq!(
            (people.status, people.header("content-type")),
            (status, Some("text/html; charset=utf-8")),
            "{path}"
        );
        assert!(people.text().contains("The application behind this site"), "{}", people.text());
        let program = server.send(&Request::get(path).header("accept", "application/json"));
        assert_eq!(
            (program.status, program.header("content-type")),
            (status, Some("application/problem+json"))
        );
        let problem = program.json();
        assert_eq!((&problem["status"], &problem["source"]), (&status.into(), &"upstream".into()));
        assert_eq!(problem["retryable"], false, "{problem}");
        assert_eq!(program.count("content-security-policy"), 1);
    }
    for (accept, kind) in [
        ("application/json, text/html;q=0.5", "application/problem+json"),
        ("text/html;q=0, */*", "application/problem+json"),
        ("application/json;q=0.5, text/html", "text/html; charset=utf-8"),
        ("*/*", "application/problem+json"),
    ] {
        let asked = server.send(&Request::get("/closes").header("accept", accept));
        assert_eq!((asked.status, asked.header("content-type")), (502, Some(kind)), "{accept}");
    }
    app.kill();
    let gone = server.send(&Request::post("/").body("x"));
    assert_eq!((gone.status, &gone.json()["retryable"]), (502, &true.into()));
}

#[test]
fn an_answer_that_breaks_off_is_never_taken_for_a_whole_one() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    });
    let server = before(&app).start();
    let mut connection = server.connect();
    connection.write(&Request::get("/").to_bytes("x.test")).expect("written");
    let bytes = connection.read_to_end().expect("read");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("hello"), "{text}");
    assert!(!text.ends_with("0\r\n\r\n"), "the end was made up: {text}");
}

#[test]
fn one_copy_may_die_and_come_back_and_no_visitor_notices() {
    let script = |body: &'static str| {
        move |wire: &mut Wire| {
            while wire.read_request()?.is_some() {
                wire.write(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ))?;
            }
            Ok(())
        }
    };
    let (one, two) = (Upstream::start(script("one")), Upstream::start(script("two")));
    let config =
        "[upstream]\nhealth_interval = \"100ms\"\nslow_start = \"0s\"\nrecover_after = 1\n";
    let server = before(&one).upstream(&format!("http://{}", two.address)).config(config).start();
    let stop = Arc::new(AtomicBool::new(false));
    let failed = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..4)
            .map(|_| {
                let (stop, server) = (Arc::clone(&stop), &server);
                scope.spawn(move || {
                    let (mut connection, mut failed, mut asked) = (server.connect(), 0, 0);
                    while !stop.load(SeqCst) {
                        asked += 1;
                        failed += usize::from(connection.send(&Request::get("/")).status != 200);
                    }
                    (asked, failed)
                })
            })
            .collect();
        let served = |app: &Upstream| app.requests().len();
        let wait = |app: &Upstream, what: &str| {
            let before = served(app);
            eventually(what, Duration::from_secs(20), || (served(app) > before + 50).then_some(()));
        };
        wait(&two, "traffic on the second copy");
        two.kill();
        wait(&one, "traffic on the first copy alone");
        let back = Upstream::start_at(two.address, script("two"));
        wait(&back, "traffic on the copy that came back");
        one.kill();
        wait(&back, "traffic on the copy that came back alone");
        stop.store(true, SeqCst);
        visitors.into_iter().map(|v| v.join().expect("a visitor")).collect::<Vec<_>>()
    });
    assert!(failed.iter().all(|(asked, failed)| *asked > 20 && *failed == 0), "{failed:?}");
}

#[test]
fn head_says_no_length_that_the_app_did_not_say() {
    let app = Upstream::start(|wire| {
        while let Some(heard) = wire.read_request()? {
            let (head, body) = match heard.target.as_str() {
                "/chunked" => ("Content-Type: text/plain\r\nTransfer-Encoding: chunked", ""),
                "/page" => ("Content-Type: text/html\r\nContent-Length: 5000", ""),
                _ => ("Content-Type: image/png\r\nContent-Length: 5", "bytes"),
            };
            let body = if heard.method == "HEAD" { "" } else { body };
            wire.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}"))?;
        }
        Ok(())
    });
    let server = before(&app).start();
    let mut connection = server.connect();
    for (path, length) in [("/chunked", None), ("/page", None), ("/picture", Some("5"))] {
        let answer = connection.send(&Request::head(path).header("accept", "text/html"));
        assert_eq!((answer.status, answer.header("content-length")), (200, length), "{path}");
    }
    assert_eq!(connection.send(&Request::get("/picture")).text(), "bytes");
}

#[test]
fn a_problem_says_whose_it_is() {
    let app = Upstream::start(|wire| {
        while wire.read_head()?.is_some() {
            wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")?;
            wire.read_to_end()?;
        }
        Ok(())
    });
    let server = before(&app).config("[upstream]\nin_flight_max = 1\n").start();
    let mut held = server.connect();
    held.write(&Request::get("/").to_bytes("x.test")).expect("sent");
    assert_eq!(held.read_head().expect("a head").status, 200);
    let busy = server.get("/");
    let problem = busy.json();
    assert_eq!((busy.status, &problem["source"]), (503, &"mainstay".into()), "{problem}");
    assert_eq!((busy.count("retry-after"), &problem["retryable"]), (1, &true.into()));
}

#[test]
fn a_request_that_comes_back_ends_with_508() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let server = launch().listen(&address).upstream(&format!("http://{address}")).start();
    let people = server.send(&Request::get("/a").header("accept", "text/html"));
    assert_eq!((people.status, people.count("x-request-id")), (508, 1), "{}", people.text());
    assert!(people.text().contains("came back to where it was sent from"), "{}", people.text());
    let program = server.send(&Request::post("/a").body("x").header("accept", "application/json"));
    let problem = program.json();
    assert_eq!((program.status, &problem["status"]), (508, &508.into()));
    assert_eq!((&problem["source"], &problem["retryable"]), (&"mainstay".into(), &false.into()));
    let refused = server.metrics().value("mainstay_requests_refused_total", &[("reason", "loop")]);
    assert!((refused - 2.0).abs() < 0.1, "each is let through a few times: {refused}");
    let _line = server.log().wait_for("leads back to this server", Duration::from_secs(10));
}

#[test]
fn a_request_may_pass_two_servers_but_not_go_round_between_them() {
    let app = Upstream::answering(page(""));
    let inner = before(&app).start();
    let outer = launch().upstream(&format!("http://{}", inner.site_address())).start();
    assert_eq!(outer.get("/").status, 200);
    let heard = app.requests();
    let lines = heard[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cdn-loop"));
    let marks: Vec<_> = lines.map(|(_, value)| value.clone()).collect();
    assert_eq!(marks.len(), 2, "{marks:?}");
    assert!(marks.iter().all(|mark| mark.starts_with("mainstay-") && mark.ends_with("-default")));
    // An app that asks its own site in the visitor's name is no loop.
    for (mark, times, status) in [(&marks[0], 3, 200), (&marks[1], 1, 200), (&marks[1], 3, 508)] {
        let mark = vec![mark.as_str(); times].join(", ");
        let again = inner.send(&Request::get("/").header("cdn-loop", &mark));
        assert_eq!(again.status, status, "{mark}");
    }

    let (one, two) = (free_port(), free_port());
    let ring = |own: u16, next: u16| {
        let listen = format!("127.0.0.1:{own}");
        launch().listen(&listen).upstream(&format!("http://127.0.0.1:{next}")).start()
    };
    let (first, _second) = (ring(one, two), ring(two, one));
    assert_eq!(first.get("/").status, 508, "whoever is met again and again ends it");
}

#[test]
fn the_app_of_one_site_may_pass_a_request_on_to_another_site() {
    let app = Upstream::answering(page(""));
    let site = |name: &str| {
        format!(
            "[[site]]\nname = \"{name}\"\nhosts = [\"{name}.test\"]\nupstreams = [\"http://{}\"]\n",
            app.address
        )
    };
    let config = format!("{}{}", site("shop"), site("api"));
    let server = launch().sites_in_settings().config(&config).start();
    assert_eq!(server.send(&Request::get("/").header("host", "shop.test")).status, 200);
    let mark = app.requests()[0].header("cdn-loop").expect("a mark").to_owned();
    let mark = vec![mark; 3].join(",");
    let passed_on = |host: &str| {
        let request = Request::get("/").header("host", host).header("cdn-loop", &mark);
        server.send(&request).status
    };
    assert_eq!((passed_on("api.test"), passed_on("shop.test")), (200, 508));
}

#[test]
fn a_switch_of_protocols_names_no_software_either() {
    let app = Upstream::start(|wire| {
        wire.read_request()?;
        wire.write(
            "HTTP/1.1 101 Switching Protocols\r\nServer: old/1\r\nX-Powered-By: PHP/5\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        wire.read_to_end().map(drop)
    });
    let server = before(&app).start();
    let mut connection = server.connect();
    let asking = Request::get("/ws").header("connection", "upgrade").header("upgrade", "websocket");
    connection.write(&asking.to_bytes("x.test")).expect("sent");
    let head = connection.read_head().expect("a head");
    assert_eq!(head.status, 101);
    assert_eq!((head.count("server"), head.count("x-powered-by")), (0, 0), "{:?}", head.headers);
}

#[test]
fn the_id_of_a_trusted_proxy_names_the_request_everywhere() {
    let app = Upstream::answering(page(""));
    let server = before(&app).config("[trust]\nproxies = [\"127.0.0.1\"]\n").start();
    let told = "5f0c1b2a-3d4e-4f60-8a9b-0c1d2e3f4a5b";
    let answer = server.send(&Request::get("/").header("x-request-id", told));
    assert_eq!(answer.header("x-request-id"), Some(told));
    assert_eq!(app.requests()[0].header("x-request-id"), Some(told));
    let log = server.data_dir().join("logs/access.log");
    let line = format!("\"request_id\":\"{told}\"");
    until("a line of that id", Duration::from_secs(20), || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains(&line))
    });
    let unfit = server.send(&Request::get("/").header("x-request-id", "has space"));
    assert!(unfit.header("x-request-id").is_some_and(|id| id.len() == 32), "{:?}", unfit.headers);
}

#[test]
fn the_app_is_told_by_no_header_what_the_proxy_in_front_passed_on_from_a_client() {
    let app = Upstream::answering(page(""));
    let config = "[trust]\nproxies = [\"127.0.0.1\"]\n";
    let server = before(&app).config(config).start();
    let request = Request::get("/")
        .header("host", "shop.test")
        .header("forwarded", "for=10.0.0.1;proto=https;host=evil.test")
        .header("x-forwarded-for", "198.51.100.9");
    assert_eq!(server.send(&request).status, 200);
    let heard = &app.requests()[0];
    let expected = r#"for=198.51.100.9;host="shop.test";proto=http"#;
    assert_eq!(heard.header("forwarded"), Some(expected));
    assert_eq!(heard.header("x-forwarded-for"), Some("198.51.100.9, 127.0.0.1"));
}
