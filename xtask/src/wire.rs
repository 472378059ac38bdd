//! HTTP/1.1 as bytes on a socket: what a load generator sends and how far an answer is read. Follows no redirects, keeps no state.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Time without a byte after which a connection is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Length of the head itself, with its empty line.
    pub(crate) bytes: usize,
    /// Length of the body that follows; none when it ends with the connection or comes in chunks.
    pub(crate) body: Option<usize>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// Head as text.
    pub(crate) text: String,
    /// Body as it was on the wire.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.text, name)
    }
}

/// The bytes of a request; `headers` are whole lines without line ends.
pub(crate) fn request(method: &str, path: &str, headers: &[String], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Reads the head of an answer, once it is all there.
///
/// # Errors
/// When it is no HTTP/1.1 answer.
pub(crate) fn parse_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        if bytes.len() > HEAD_BYTES_MAX {
            bail!("an answer's head of more than {HEAD_BYTES_MAX} bytes");
        }
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes[..end]).context("an answer's head is not text")?;
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    let status: u16 =
        status.and_then(|digits| digits.parse().ok()).context("no HTTP/1.1 answer")?;
    // RFC 9112 §6.3: these never have a body.
    let body = match status {
        204 | 304 => Some(0),
        _ => header(text, "content-length").and_then(|length| length.parse().ok()),
    };
    Ok(Some(Head { status, bytes: end + 4, body }))
}

/// One request on a connection of its own, read to its end.
///
/// # Errors
/// When nobody listens, nothing comes in time, or it is no HTTP/1.1 answer.
pub(crate) fn fetch(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[String],
) -> anyhow::Result<Answer> {
    let mut stream = connect(address)?;
    let mut headers = headers.to_vec();
    headers.extend([format!("Host: {address}"), "Connection: close".to_owned()]);
    stream.write_all(&request(method, path, &headers, ""))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let head = parse_head(&bytes)?.context("an answer without an end of its head")?;
    let text = String::from_utf8_lossy(&bytes[..head.bytes]).into_owned();
    let body = bytes.split_off(head.bytes);
    Ok(Answer { head, text, body })
}

/// Sends one request on an open connection and reads its answer, whose length must be told.
///
/// # Errors
/// When the connection ends first.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &[u8]) -> anyhow::Result<Answer> {
    stream.write_all(request)?;
    stream.flush()?;
    read_answer(stream)
}

/// The same, and only the status of the answer.
///
/// # Errors
/// When the connection ends first.
pub(crate) fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> anyhow::Result<u16> {
    Ok(ask(stream, request)?.head.status)
}

/// Reads one answer, whose length must be told, and forgets its body.
///
/// # Errors
/// When the connection ends first.
pub(crate) fn read_status(stream: &mut impl Read) -> anyhow::Result<u16> {
    Ok(read_answer(stream)?.head.status)
}

fn read_answer(stream: &mut impl Read) -> anyhow::Result<Answer> {
    let mut bytes = Vec::with_capacity(1024);
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            bail!("the connection ended before the answer");
        }
        bytes.extend_from_slice(&chunk[..read]);
        if let Some(head) = parse_head(&bytes)? {
            let length = head.body.context("an answer that does not tell its length")?;
            if bytes.len() >= head.bytes + length {
                let text = String::from_utf8_lossy(&bytes[..head.bytes]).into_owned();
                let body = bytes.split_off(head.bytes);
                return Ok(Answer { head, text, body });
            }
        }
    }
}

/// Opens a connection without Nagle's delay.
///
/// # Errors
/// The operating system's.
pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields
        .filter(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_whole() -> anyhow::Result<()> {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\n\r\nhello";
        let head = parse_head(whole)?;
        assert_eq!(head, Some(Head { status: 200, bytes: 39, body: Some(12) }));
        assert_eq!(parse_head(&whole[..37])?, None);
        let unchanged = parse_head(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 12\r\n\r\n")?;
        assert_eq!(unchanged.and_then(|head| head.body), Some(0));
        assert!(parse_head(b"220 mail.example ESMTP\r\n\r\n").is_err());
        Ok(())
    }
}
