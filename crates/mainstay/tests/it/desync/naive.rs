//! A proxy that believes what it reads: the length before the coding, and every byte handed on as it came. What the corpus must fail on.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use mainstay_testkit::{Heard, Wire};

/// It ends with the test's process.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
}

/// Longest body that a hasty proxy makes whole.
const HASTY_BYTES_MAX: u64 = 1 << 20;

/// Time that a connection may be idle before its next head. Where it should be closed, in most cases, that takes this time.
const IDLE: Duration = Duration::from_millis(500);
/// Time that an answer of the app may take: more than a busy machine needs. Where the app waits for more of a body it is
/// spent in vain.
const ANSWER: Duration = Duration::from_secs(2);

type Carry = fn(&mut BufReader<TcpStream>, &mut TcpStream, u64) -> Result<()>;

/// How bodies are handed on.
#[derive(Clone, Copy)]
struct Bodies {
    length: Carry,
    chunks: Carry,
    /// For the next piece of a body.
    patience: Duration,
}

impl Proxy {
    pub(super) fn start(app: SocketAddr) -> Self {
        let chunks: Carry = |from, to, _| copy_chunks(from, to);
        Self::start_with(app, Bodies { length: copy, chunks, patience: Duration::from_millis(500) })
    }

    /// One that takes a body for whole where nothing more comes of it, or behind `0` and a line end.
    pub(super) fn start_hasty(app: SocketAddr) -> Self {
        let chunks: Carry = |from, to, _| copy_chunks_hastily(from, to);
        Self::start_with(
            app,
            Bodies { length: copy_hastily, chunks, patience: Duration::from_millis(200) },
        )
    }

    fn start_with(app: SocketAddr, bodies: Bodies) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                spawn(move || drop(carry(client, app, bodies)));
            }
        });
        Self { address }
    }
}

/// The other half of the disagreement: the coding before the length, wherever it is found in a line.
pub(super) fn read_leniently(wire: &mut Wire) -> Result<Option<Heard>> {
    let Some(mut heard) = wire.read_head()? else { return Ok(None) };
    let coding = heard.headers.iter().find(|(name, _)| name.trim() == "transfer-encoding");
    let is_chunked = coding.is_some_and(|(_, value)| value.contains("chunked"));
    let as_sent = heard.headers.clone();
    heard.headers.retain(|(name, _)| name.trim() != "transfer-encoding");
    if is_chunked {
        heard.headers.retain(|(name, _)| name != "content-length");
        heard.headers.push(("transfer-encoding".into(), "chunked".into()));
    }
    wire.read_body(&mut heard)?;
    heard.headers = as_sent;
    wire.record(&heard);
    Ok(Some(heard))
}

/// Takes for a chunked body whatever has its end, and answers once it was read.
pub(super) fn read_any_chunks(wire: &mut Wire) -> Result<Option<Heard>> {
    let Some(mut heard) = wire.read_head()? else { return Ok(None) };
    if heard.count("transfer-encoding") == 0 {
        wire.read_body(&mut heard)?;
    }
    while heard.count("transfer-encoding") > 0 && !heard.body.ends_with(b"0\r\n\r\n") {
        heard.body.extend(wire.read_exactly(1)?);
    }
    wire.record(&heard);
    Ok(Some(heard))
}

fn carry(client: TcpStream, app: SocketAddr, bodies: Bodies) -> Result<()> {
    let app = TcpStream::connect(app)?;
    app.set_read_timeout(Some(ANSWER))?;
    let (mut to_client, mut to_app) = (client.try_clone()?, app.try_clone()?);
    let (mut client, mut app) = (BufReader::new(client), BufReader::new(app));
    loop {
        client.get_ref().set_read_timeout(Some(IDLE))?;
        let (head, length) = read_head(&mut client)?;
        to_app.write_all(&head)?;
        client.get_ref().set_read_timeout(Some(bodies.patience))?;
        match length {
            Some(length) => (bodies.length)(&mut client, &mut to_app, length)?,
            None if has(&head, "chunked") => (bodies.chunks)(&mut client, &mut to_app, 0)?,
            None => {}
        }
        let (answer, length) = read_head(&mut app)?;
        to_client.write_all(&answer)?;
        if !head.starts_with(b"HEAD ") {
            copy(&mut app, &mut to_client, length.unwrap_or(0))?;
        }
        if has(&head, "connection: close") {
            return to_client.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Everything to the empty line, and the last length in it.
fn read_head(from: &mut impl BufRead) -> Result<(Vec<u8>, Option<u64>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let lengths = text.lines().filter_map(|line| line.strip_prefix("content-length:"));
    let length = lengths.filter_map(|value| value.trim().parse().ok()).next_back();
    Ok((head, length))
}

fn has(head: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(head).to_ascii_lowercase().contains(words)
}

fn copy(from: &mut BufReader<TcpStream>, to: &mut TcpStream, length: u64) -> Result<()> {
    let copied = std::io::copy(&mut from.take(length), to)?;
    if copied == length { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_chunks(from: &mut impl BufRead, to: &mut TcpStream) -> Result<()> {
    let mut body = Vec::new();
    while !body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n" {
        if from.read_until(b'\n', &mut body)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    to.write_all(&body)
}

/// What is missing is made up.
fn copy_hastily(from: &mut BufReader<TcpStream>, to: &mut TcpStream, length: u64) -> Result<()> {
    let mut body = Vec::new();
    // A time that is up is an end like another; what was read until then is kept.
    drop(from.take(length).read_to_end(&mut body));
    if length > HASTY_BYTES_MAX {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    to.write_all(&body)?;
    std::io::copy(&mut std::io::repeat(b' ').take(length - body.len() as u64), to)?;
    Ok(())
}

fn copy_chunks_hastily(from: &mut BufReader<TcpStream>, to: &mut TcpStream) -> Result<()> {
    let mut body = Vec::new();
    while !body.ends_with(b"\r\n0\r\n") && body != b"0\r\n" {
        if !matches!(from.read_until(b'\n', &mut body), Ok(1..)) {
            body.extend_from_slice(b"\r\n0\r\n");
        }
    }
    if from.buffer().starts_with(b"\r\n") {
        from.consume(2);
    }
    body.extend_from_slice(b"\r\n");
    to.write_all(&body)
}

#[expect(
    clippy::disallowed_methods,
    reason = "threads of a test's own proxy, ended with the process"
)]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}
