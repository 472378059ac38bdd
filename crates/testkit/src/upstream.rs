//! An app to stand in front of: a real socket that records every byte it reads and answers from a script. Speaks HTTP/1.1 strictly; forgives nothing.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::eventually;

/// How long a read or write may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A scripted app. Ends when dropped.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    requests: Mutex<Vec<Heard>>,
    sockets: Mutex<Vec<TcpStream>>,
    raw: Mutex<Vec<Vec<u8>>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// A request as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// `GET`.
    pub method: String,
    /// What stood between method and version.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body, decoded from its transfer coding.
    pub body: Vec<u8>,
    /// What followed the last chunk.
    pub trailers: Vec<(String, String)>,
}

/// One connection to the app, in the hand of its script.
#[derive(Debug)]
pub struct Wire {
    stream: BufReader<TcpStream>,
    number: usize,
    shared: Arc<Shared>,
}

impl Heard {
    /// The value of a header; the first when it came more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// How often a header came.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(found, _)| found == name).count()
    }
}

impl Upstream {
    /// Runs `script` for every connection, on a thread of its own; an error ends the connection.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn start(script: impl Fn(&mut Wire) -> Result<()> + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// The same at a given address: where another one ended.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn start_at(
        address: SocketAddr,
        script: impl Fn(&mut Wire) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let free = || TcpListener::bind(address).ok();
        let listener = eventually("a free address", PATIENCE, free);
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (kept, script) = (Arc::clone(&shared), Arc::new(script));
        spawn(move || accept(&listener, &kept, &script));
        Self { address, shared }
    }

    /// Answers every request on a connection with the same bytes, until the client closes.
    #[must_use]
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |wire| {
            while wire.read_request()?.is_some() {
                wire.write(&answer)?;
            }
            Ok(())
        })
    }

    /// Every request read so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Heard> {
        lock(&self.shared.requests).clone()
    }

    /// Every byte read so far, per connection.
    #[must_use]
    pub fn raw(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.raw).clone()
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// Closes every open connection; new ones are welcome.
    pub fn hang_up(&self) {
        for socket in lock(&self.shared.sockets).drain(..) {
            drop(socket.shutdown(Shutdown::Both));
        }
    }

    /// Ends it: nobody listens, every connection is closed. It may be started anew at its address.
    pub fn kill(&self) {
        if self.shared.stopped.swap(true, SeqCst) {
            return;
        }
        // Wakes the acceptor, which closes the listening socket.
        if let Ok(mut last) = TcpStream::connect(self.address) {
            drop(last.read(&mut [0]));
        }
        self.hang_up();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Wire {
    /// Which connection this is, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Reads the next request whole and records it; none when the client closed before one began.
    ///
    /// # Errors
    /// When it is cut short or no strict HTTP/1.1.
    pub fn read_request(&mut self) -> Result<Option<Heard>> {
        let Some(mut heard) = self.read_head()? else { return Ok(None) };
        self.read_body(&mut heard)?;
        self.record(&heard);
        Ok(Some(heard))
    }

    /// Reads a head and leaves the body. Recorded by [`Wire::record`].
    ///
    /// # Errors
    /// When it is cut short or no strict HTTP/1.1.
    pub fn read_head(&mut self) -> Result<Option<Heard>> {
        if self.stream.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let line = self.read_line()?;
        let words: Vec<_> = line.split(' ').collect();
        let [method, target, "HTTP/1.1"] = words.as_slice() else { return Err(malformed(&line)) };
        let (method, target) = ((*method).to_owned(), (*target).to_owned());
        let headers = self.read_fields()?;
        let connection = self.number;
        Ok(Some(Heard { connection, method, target, headers, body: vec![], trailers: vec![] }))
    }

    /// Reads the body of a head.
    ///
    /// # Errors
    /// When it is cut short, or its length is told twice or wrongly.
    pub fn read_body(&mut self, heard: &mut Heard) -> Result<()> {
        let (lengths, codings) = (heard.count("content-length"), heard.count("transfer-encoding"));
        if lengths + codings > 1 {
            return Err(malformed("two ways to tell the length"));
        }
        if codings == 1 {
            if heard.header("transfer-encoding") != Some("chunked") {
                return Err(malformed("another transfer coding"));
            }
            while let Some(chunk) = self.read_chunk()? {
                heard.body.extend(chunk);
            }
            heard.trailers = self.read_fields()?;
            return Ok(());
        }
        let length = heard.header("content-length").unwrap_or("0");
        let length = read_number(length, 10)?;
        heard.body = self.read_exactly(length)?;
        Ok(())
    }

    /// One chunk of a body; none for the last.
    ///
    /// # Errors
    /// When it is cut short or malformed.
    pub fn read_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.read_line()?;
        let size = read_number(&line, 16)?;
        if size == 0 {
            return Ok(None);
        }
        let chunk = self.read_exactly(size)?;
        if self.read_line()?.is_empty() { Ok(Some(chunk)) } else { Err(malformed("a long chunk")) }
    }

    /// Puts a request on record.
    pub fn record(&self, heard: &Heard) {
        lock(&self.shared.requests).push(heard.clone());
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the client closed.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Reads this many bytes.
    ///
    /// # Errors
    /// When fewer come.
    pub fn read_exactly(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut self.stream).take(length).read_to_end(&mut bytes)?;
        self.note(&bytes);
        if bytes.len() as u64 == length { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads until the client closes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        self.note(&bytes);
        Ok(bytes)
    }

    /// Sends nothing more, and goes on reading.
    ///
    /// # Errors
    /// The operating system's.
    pub fn end_writing(&mut self) -> Result<()> {
        self.stream.get_ref().shutdown(Shutdown::Write)
    }

    fn read_fields(&mut self) -> Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            if !is_token(name) {
                return Err(malformed(&line));
            }
            fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
    }

    /// A line that ends with CR LF and holds neither.
    fn read_line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        self.note(&line);
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(ErrorKind::UnexpectedEof.into());
        };
        let text = String::from_utf8(text.to_vec());
        text.map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }

    fn note(&self, bytes: &[u8]) {
        if let Some(raw) = lock(&self.shared.raw).get_mut(self.number) {
            raw.extend_from_slice(bytes);
        }
    }
}

fn accept<S>(listener: &TcpListener, shared: &Arc<Shared>, script: &Arc<S>)
where
    S: Fn(&mut Wire) -> Result<()> + Send + Sync + 'static,
{
    while let Ok((socket, _)) = listener.accept() {
        if shared.stopped.load(SeqCst) {
            return;
        }
        drop(socket.set_nodelay(true));
        drop(socket.set_read_timeout(Some(PATIENCE)));
        drop(socket.set_write_timeout(Some(PATIENCE)));
        let number = shared.connections.fetch_add(1, SeqCst);
        lock(&shared.raw).push(Vec::new());
        lock(&shared.sockets).extend(socket.try_clone());
        let mut wire = Wire { stream: BufReader::new(socket), number, shared: Arc::clone(shared) };
        let script = Arc::clone(script);
        spawn(move || {
            // A client that left is what many scripts are for.
            drop(script(&mut wire));
            drop(wire.stream.get_ref().shutdown(Shutdown::Both));
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "threads of a test's own app, ended with it")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Digits and nothing else: the number parser of the library would take a sign (RFC 9110 section 8.6, RFC 9112
/// section 7.1).
fn read_number(text: &str, radix: u32) -> Result<u64> {
    let sound = text.chars().all(|digit| digit.is_digit(radix));
    let number = u64::from_str_radix(text, radix).ok();
    number.filter(|_| sound).ok_or_else(|| malformed(text))
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    let mark = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not strict HTTP: {what:?}"))
}

#[cfg(test)]
mod tests;
