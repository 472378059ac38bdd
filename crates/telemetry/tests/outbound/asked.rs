//! How names are looked up, and what the log tells of a request.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

use mainstay_telemetry::outbound::{Error, Purpose, Request, Resolver};
use mainstay_testkit::{Authority, Upstream};
use tracing_subscriber::fmt::MakeWriter;

use crate::caps::{SHORT, here, send};
use crate::{client, ours, runtime};

/// Lookups at a time, as the client has it.
const LOOKUPS_MAX: usize = 16;

#[test]
fn lookups_that_hang_are_so_many_and_no_more_though_nobody_waits_for_them() {
    // Outlives who holds its threads, whatever comes.
    let runtime = runtime();
    let (asked, (release, hold)) = (Arc::new(AtomicUsize::new(0)), mpsc::channel::<()>());
    let (count, hold) = (Arc::clone(&asked), Mutex::new(hold));
    let resolver = Resolver::table(move |_| {
        count.fetch_add(1, SeqCst);
        // Until the test lets go.
        let held = hold.lock().map_err(|_| io::ErrorKind::Other)?.recv();
        held.map_err(|_| io::ErrorKind::NotFound)?;
        Ok(Vec::new())
    });
    let (client, _) = client(resolver, &Authority::new());
    let ask = || {
        let request = Request::get(Purpose::Scan, ours("http://a.test/"), "http://a.test/");
        client.send(Request { limits: SHORT, ..request })
    };
    let all = async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..LOOKUPS_MAX * 2 {
            let client = client.clone();
            let request = Request::get(Purpose::Scan, ours("http://a.test/"), "http://a.test/");
            tasks.spawn(async move { client.send(Request { limits: SHORT, ..request }).await });
        }
        tasks.join_all().await
    };
    for answer in runtime.block_on(all) {
        let error = answer.map(|answer| answer.status).expect_err("no address");
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    }
    // Nobody waits any more, and none of them is over.
    assert_eq!(asked.load(SeqCst), LOOKUPS_MAX);
    drop(release);
    let error = runtime.block_on(ask()).map(|answer| answer.status).expect_err("no address");
    assert!(matches!(error, Error::Resolve(_)), "{error:?}");
}

#[test]
fn a_name_is_looked_up_as_it_is_written() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let resolver = Resolver::table(move |name| {
        seen.lock().map_err(|_| io::ErrorKind::Other)?.push(name.to_owned());
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    });
    let (client, _) = client(resolver, &Authority::new());
    let server = Upstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for host in ["site.example", "SITE.example."] {
        let url = format!("http://{host}:{}/", server.address.port());
        let answer = send(&client, Request::get(Purpose::Scan, ours(&url), &url));
        assert_eq!(answer.expect("an answer").status.as_u16(), 200);
    }
    assert_eq!(*names.lock().expect("names"), ["site.example", "site.example."]);
    let host = format!("site.example:{}", server.address.port());
    for heard in server.requests() {
        assert_eq!(heard.header("host"), Some(host.as_str()));
    }
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::ErrorKind::Other)?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn each_request_is_a_line_of_the_log_without_what_may_be_secret() {
    let server = Upstream::start(|wire| {
        let Some(heard) = wire.read_request()? else { return Ok(()) };
        wire.write(match heard.target.starts_with("/there") {
            true => "HTTP/1.1 204 x\r\n\r\n",
            false => "HTTP/1.1 302 x\r\nLocation: /there?key=hidden\r\nContent-Length: 0\r\n\r\n",
        })
    });
    let kept = Kept::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(kept.clone())
        .finish();
    let (client, _) = client(here(), &Authority::new());
    let url = format!("http://site.example:{}/path/hidden?key=hidden", server.address.port());
    tracing::subscriber::with_default(subscriber, || {
        let request = Request::get(Purpose::Webhook, ours(&url), &url);
        send(&client, request).expect("an answer");
        let request = Request::get(Purpose::Scan, ours(&url), "http://other.example/?key=hidden");
        send(&client, request).map(|answer| answer.status).expect_err("not ours");
        let body = "GET /path/hidden HTTP/1.1\r\n\r\n".into();
        let request = Request::get(Purpose::Image, ours(&url), &url);
        runtime().block_on(client.probe(&Request { body, ..request })).expect("an answer");
    });
    let text = String::from_utf8(kept.0.lock().expect("text").clone()).expect("text");
    let lines: Vec<_> = text.lines().filter(|line| line.contains("purpose=")).collect();
    let said = [
        "asked another purpose=\"webhook\" host=\"site.example\" status=204 hops=1 took_ms=",
        "another gave no answer purpose=\"scan\" host=\"other.example\" took_ms=",
        "asked another purpose=\"image\" host=\"site.example\" took_ms=",
    ];
    assert_eq!(lines.len(), said.len(), "{text}");
    for (line, said) in lines.iter().zip(said) {
        assert!(line.contains(said), "{said}: {line}");
    }
    assert!(lines[1].contains("error=refused: not a configured origin"), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}
