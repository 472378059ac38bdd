//! Many large downloads by slow clients at once: no thread each, no memory each, and small pages come as before.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mainstay_testkit::{Connection, Request, Server, Site, until};

use crate::{launch, settle};

const DOWNLOADS: usize = 200;
const FILM_BYTES: usize = 20 << 20;
const SOON: Duration = Duration::from_secs(10);

fn server() -> Server {
    let site = Site::of(&[("index.html", "<p>home</p>")]);
    let film: Vec<u8> = (0..FILM_BYTES).map(|at| (at / 4_099 % 251) as u8).collect();
    site.write("film.mp4", film);
    launch().site(site).config("[edge]\nworkers = 1\n").start()
}

/// Threads that are not the store's, the jobs' or the console's: those come and go by themselves.
fn threads(server: &mut Server) -> usize {
    const OTHERS: [&str; 4] = ["core-", "insight-", "job", "control-plane"];
    let tasks = format!("/proc/{}/task", server.process().id());
    let tasks = std::fs::read_dir(tasks).expect("its threads").filter_map(Result::ok);
    // One that has ended meanwhile has no name.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| !OTHERS.iter().any(|other| name.starts_with(other))).count()
}

#[test]
fn slow_downloads_hold_no_threads_and_starve_nobody() {
    let mut server = server();
    assert_eq!(server.get("/").status, 200);
    settle(&server);
    let before = threads(&mut server);
    let mut downloads: Vec<Connection> = (0..DOWNLOADS)
        .map(|_| {
            let mut one = server.connect();
            one.write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
            one
        })
        .collect();
    for one in &mut downloads {
        assert_eq!(one.read_head().expect("a head").status, 200);
        assert!(!one.read_some(1_024).expect("a beginning").is_empty());
    }
    let mut took: Vec<Duration> = (0..100)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(server.get("/").status, 200);
            began.elapsed()
        })
        .collect();
    took.sort();
    assert!(took[94] < Duration::from_secs(1), "p95 of a page is {:?}", took[94]);
    // Up to 16 read files; each of 200 downloads had one of its own before.
    assert!(threads(&mut server) <= before + 16, "{} threads", threads(&mut server));
    // One of them goes on to its end, byte for byte.
    let mut one = server.connect();
    let whole = one.send(&Request::get("/film.mp4")).body;
    assert_eq!(whole.len(), FILM_BYTES);
    assert!(whole.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at / 4_099 % 251));
    drop(downloads);
    until("all have left", SOON, || server.metrics().value("mainstay_connections", &[]) < 3.5);
}

#[test]
fn a_download_that_nobody_reads_is_not_read_from_disk_either() {
    let mut server = server();
    let io = |server: &mut Server| {
        let io = std::fs::read_to_string(format!("/proc/{}/io", server.process().id()))
            .expect("its I/O");
        let line = io.lines().find_map(|line| line.strip_prefix("rchar:")).expect("a count");
        line.trim().parse::<usize>().expect("a number")
    };
    assert_eq!(server.get("/").status, 200);
    let before = io(&mut server);
    let head = server.send(&Request::head("/film.mp4"));
    assert_eq!(head.header("content-length"), Some("20971520"));
    assert!(io(&mut server) - before < 1 << 20, "HEAD reads nothing of the file");
    let mut idle: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut one = server.connect();
            one.write(b"GET /film.mp4 HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
            one.socket().try_clone().expect("a socket")
        })
        .collect();
    for one in &mut idle {
        assert_eq!(one.read(&mut [0]).expect("a byte"), 1);
    }
    let read = io(&mut server) - before;
    assert!(read < 4 * (FILM_BYTES / 2), "read {read} bytes ahead of who reads nothing");
}
