//! A client for HTTP/1.1 over one connection with full control over the bytes. Knows no redirects, no pool, no compression.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::tls::Transport;

/// How long a read or write may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request under construction.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// An answer, its body complete and decoded from its transfer coding.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `HTTP/1.1`.
    pub version: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as sent, content coding included.
    pub body: Vec<u8>,
}

/// What came back for raw bytes.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The answer; none when the server closed without one.
    pub response: Option<Response>,
    /// Whether the server closed the connection within the time given. Not awaited after an answer that keeps it.
    pub closed: bool,
}

impl Request {
    /// Any method.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// HEAD.
    #[must_use]
    pub fn head(target: &str) -> Self {
        Self::new("HEAD", target)
    }

    /// POST.
    #[must_use]
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// Adds a header line. `Host` is sent by itself unless it is given here.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body and its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The bytes that are sent to `host`.
    #[must_use]
    pub fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

impl Response {
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

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        let read = serde_json::from_slice(&self.body);
        read.unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.text()))
    }
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<Transport>,
    host: String,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address)
            .unwrap_or_else(|error| panic!("no connection to {address}: {error}"))
    }

    /// Connects from another of this machine's addresses, to be another client.
    ///
    /// # Panics
    /// When nobody listens, or the address is none of this machine's.
    #[must_use]
    pub fn open_from(source: IpAddr, address: SocketAddr) -> Self {
        let connected = || {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
            socket.connect(&address.into())?;
            set_up(socket.into())
        };
        let stream =
            connected().unwrap_or_else(|error| panic!("no connection from {source}: {error}"));
        Self::over(Transport::Plain(stream), address)
    }

    /// Connects, or says why not.
    ///
    /// # Errors
    /// The operating system's.
    pub fn try_open(address: SocketAddr) -> Result<Self> {
        Ok(Self::over(Transport::Plain(Self::connect(address)?), address))
    }

    pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
        set_up(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    pub(crate) fn over(stream: Transport, address: SocketAddr) -> Self {
        Self { stream: BufReader::new(stream), host: address.to_string() }
    }

    /// What ALPN agreed on; none without TLS.
    #[must_use]
    pub fn protocol(&self) -> Option<String> {
        self.stream.get_ref().protocol()
    }

    /// Whether it goes on with the TLS session of another connection.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.stream.get_ref().is_resumed()
    }

    /// The socket, for what this client does not do.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref().socket()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the server closed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Sends a request and reads its answer.
    ///
    /// # Panics
    /// When no complete answer comes.
    #[must_use]
    pub fn send(&mut self, request: &Request) -> Response {
        let answer = self.try_send(request);
        answer.unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.target))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When no complete answer comes.
    pub fn try_send(&mut self, request: &Request) -> Result<Response> {
        self.write(&request.to_bytes(&self.host))?;
        self.read(&request.method)
    }

    /// Reads the next answer, to a request of this method.
    ///
    /// # Errors
    /// When it ends early, does not come, or is no HTTP.
    pub fn read(&mut self, method: &str) -> Result<Response> {
        let mut response = self.read_head()?;
        while response.status < 200 {
            response = self.read_head()?;
        }
        if method != "HEAD" && !matches!(response.status, 204 | 304) {
            response.body = self.read_body(&response)?;
        }
        Ok(response)
    }

    /// Reads status line and headers, and leaves the body.
    ///
    /// # Errors
    /// When they do not come or are no HTTP.
    pub fn read_head(&mut self) -> Result<Response> {
        let line = self.read_line()?;
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| malformed(&line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(Response { status, version, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads up to `bytes` bytes of a body, as much as there is.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn read_some(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        let read = self.stream.read(&mut buffer)?;
        buffer.truncate(read);
        Ok(buffer)
    }

    /// Reads to the end of the connection. A reset counts as an end, and so does TLS that is cut without a goodbye:
    /// nothing more comes either way.
    ///
    /// # Errors
    /// When the server keeps it open for longer than a read may take.
    pub fn read_to_end(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Err(error)
                if !matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof
                ) =>
            {
                Err(error)
            }
            _ => Ok(bytes),
        }
    }

    /// Whether the server closes within this time.
    #[must_use]
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        drop(self.socket().set_read_timeout(Some(time)));
        let closed = self.read_to_end().is_ok();
        drop(self.socket().set_read_timeout(Some(PATIENCE)));
        closed
    }

    fn read_body(&mut self, response: &Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if response.header("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
            loop {
                let line = self.read_line()?;
                let size = u64::from_str_radix(line.split(';').next().unwrap_or(""), 16);
                let size = size.map_err(|_| malformed(&line))?;
                self.read_exactly(size, &mut body)?;
                self.read_line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match response.header("content-length") {
            Some(length) => {
                let length = length.parse().map_err(|_| malformed(length))?;
                self.read_exactly(length, &mut body)?;
            }
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    fn read_exactly(&mut self, length: u64, into: &mut Vec<u8>) -> Result<()> {
        let read = (&mut self.stream).take(length).read_to_end(into)?;
        if read as u64 == length { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }
}

fn set_up(stream: TcpStream) -> Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn malformed(line: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("not HTTP: {line:?}"))
}
