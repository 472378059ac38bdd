//! The generator against servers that answer at once, late, or wrongly. Measures no product.

use std::net::TcpListener;

use super::*;

/// Answers every request, holding back number `stall` of each connection for `hold`.
fn serve(listener: &TcpListener, connections: usize, stall: usize, hold: Duration, answer: &[u8]) {
    std::thread::scope(|scope| {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().expect("a connection");
            scope.spawn(move || {
                let (mut chunk, mut number) = ([0; 4096], 0);
                while stream.read(&mut chunk).is_ok_and(|read| read > 0) {
                    if number == stall {
                        crate::server::pause(hold);
                    }
                    number += 1;
                    if stream.write_all(answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

fn run(
    rate: u32,
    stall: usize,
    hold: Duration,
    answer: &'static [u8],
) -> anyhow::Result<Latencies> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let load = Load {
        address: listener.local_addr()?,
        rate,
        seconds: 1,
        connections: 2,
        request: Request::Get { path: "/".into() },
    };
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, load.connections, stall, hold, answer));
        generate(&load)
    })
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[test]
fn every_request_is_sent_and_answered() -> anyhow::Result<()> {
    let latencies = run(200, usize::MAX, Duration::ZERO, OK)?;
    assert_eq!(latencies.answers, 200);
    assert!(latencies.p50 > 0.0 && latencies.p50 <= latencies.p99, "{latencies:?}");
    Ok(())
}

#[test]
fn a_stall_counts_for_everything_that_was_due_in_it() -> anyhow::Result<()> {
    // Both connections stall for 300 ms of one second: about a third of all requests were due meanwhile.
    let latencies = run(200, 20, Duration::from_millis(300), OK)?;
    assert!(latencies.p99 > 250_000.0, "coordinated omission: {latencies:?}");
    Ok(())
}

#[test]
fn a_wrong_status_is_a_failure() {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    assert!(run(50, usize::MAX, Duration::ZERO, answer).is_err());
}

#[test]
fn percentiles_are_ranks() {
    let latencies = summary((1..=1000).rev().map(Duration::from_micros).collect());
    assert_eq!(latencies.answers, 1000);
    for (found, expected) in
        [(latencies.p50, 500.0), (latencies.p99, 990.0), (latencies.p999, 999.0)]
    {
        assert!((found - expected).abs() < 0.001, "{found} {expected}");
    }
}
