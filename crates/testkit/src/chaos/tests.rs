//! Every weather, on a server that answers what it hears.

use std::time::Instant;

use super::*;
use crate::Upstream;

const PATIENCE: Duration = Duration::from_secs(10);

fn echo() -> Upstream {
    Upstream::start(|wire| {
        while wire.read_request()?.is_some() {
            wire.write(b"x")?;
        }
        Ok(())
    })
}

fn connect(proxy: &ChaosProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// One question and its answer; none when the connection is closed.
fn ask(stream: &mut TcpStream) -> Option<u8> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
    let mut byte = [0];
    (stream.read(&mut byte).ok()? == 1).then_some(byte[0])
}

#[test]
fn a_cut_closes_and_refuses_until_it_is_healed() {
    let app = echo();
    let proxy = ChaosProxy::start(app.address);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream), Some(b'x'));
    proxy.cut();
    assert_eq!(ask(&mut stream), None);
    let refused = TcpStream::connect(proxy.address()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(proxy.connections(), 0);
    proxy.heal();
    assert_eq!(ask(&mut connect(&proxy)), Some(b'x'));
}

#[test]
fn who_wakes_a_server_waits_and_so_do_those_who_come_meanwhile() {
    let app = echo();
    let proxy = ChaosProxy::start(app.address);
    let mut before = connect(&proxy);
    assert_eq!(ask(&mut before), Some(b'x'));
    let wakes_in = Duration::from_millis(300);
    proxy.sleep(wakes_in);
    assert_eq!(ask(&mut before), None, "closed when it went to sleep");
    assert!(proxy.is_asleep());
    let began = Instant::now();
    let mut both = [connect(&proxy), connect(&proxy)];
    assert_eq!(both.each_mut().map(ask), [Some(b'x'); 2]);
    assert!(began.elapsed() >= wakes_in, "{:?}", began.elapsed());
    assert!(!proxy.is_asleep());
    let began = Instant::now();
    assert_eq!(ask(&mut both[0]), Some(b'x'));
    assert_eq!(ask(&mut connect(&proxy)), Some(b'x'));
    assert!(began.elapsed() < wakes_in, "{:?}", began.elapsed());
}

#[test]
fn a_delay_is_waited_in_both_directions() {
    let app = echo();
    let proxy = ChaosProxy::start(app.address);
    let mut stream = connect(&proxy);
    let by = Duration::from_millis(60);
    proxy.delay(by);
    let began = Instant::now();
    assert_eq!(ask(&mut stream), Some(b'x'));
    assert!(began.elapsed() >= by * 2, "{:?}", began.elapsed());
    proxy.heal();
    let began = Instant::now();
    assert_eq!(ask(&mut stream), Some(b'x'));
    assert!(began.elapsed() < by * 2, "{:?}", began.elapsed());
}

#[test]
fn silence_swallows_bytes_and_healing_closes_what_lost_some() {
    let app = echo();
    let proxy = ChaosProxy::start(app.address);
    let (mut asked, mut spared) = (connect(&proxy), connect(&proxy));
    assert_eq!(ask(&mut spared), Some(b'x'));
    proxy.half_open();
    asked.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    asked.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let waited = asked.read(&mut [0]).unwrap_err();
    assert_eq!(waited.kind(), std::io::ErrorKind::WouldBlock, "neither an answer nor an end");
    drop(connect(&proxy));
    proxy.heal();
    assert_eq!(asked.read(&mut [0]).ok(), Some(0), "closed");
    assert_eq!(ask(&mut spared), Some(b'x'));
    assert_eq!(app.requests().len(), 2, "what was swallowed never arrived");
}

#[test]
fn the_end_of_a_silent_connection_is_not_heard() {
    let app = echo();
    let proxy = ChaosProxy::start(app.address);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream), Some(b'x'));
    proxy.half_open();
    app.hang_up();
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_proxy_that_turns_closes_and_leads_to_another_server() {
    let (app, other) = (echo(), echo());
    let proxy = ChaosProxy::start(app.address);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream), Some(b'x'));
    proxy.turn_to(other.address);
    assert_eq!(ask(&mut stream), None);
    assert_eq!(ask(&mut connect(&proxy)), Some(b'x'));
    assert_eq!((app.requests().len(), other.requests().len()), (1, 1));
}
