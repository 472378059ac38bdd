//! Just enough of a client: one command, one answer as text. Errors are answers that begin with `-`.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends one command on a connection of its own; the elements of an array come a line each.
pub(super) fn ask(at: SocketAddr, password: Option<&str>, words: &[&str]) -> Result<String> {
    let stream = TcpStream::connect_timeout(&at, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        send(&mut stream, &["AUTH", password])?;
        let _ok = read(&mut stream)?;
    }
    send(&mut stream, words)?;
    read(&mut stream)
}

fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<()> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.get_mut().write_all(bytes.as_bytes())
}

fn read(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(Error::other("closed before an answer"));
    }
    let line = line.trim_end();
    let length = || line[1..].parse::<i64>().map_err(Error::other);
    match line.as_bytes().first() {
        Some(b'+' | b':') => Ok(line[1..].to_owned()),
        Some(b'$') => match usize::try_from(length()?) {
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
            }
            Err(_) => Ok(String::new()),
        },
        Some(b'*') => {
            let parts = (0..length()?).map(|_| read(stream)).collect::<Result<Vec<_>>>()?;
            Ok(parts.join("\n"))
        }
        _ => Ok(line.to_owned()),
    }
}
