//! Reads what a server said on a connection, as a strict client would. Knows no socket; reads the same bytes again when more have come.

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body as far as it came, decoded from its transfer coding.
    pub body: Vec<u8>,
    /// All of it came. One that lasts until the connection ends is whole at its end.
    pub whole: bool,
}

/// What was read so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Final answers; the last one may not be whole.
    pub answers: Vec<Answer>,
    /// Interim answers (1xx).
    pub interim: usize,
    /// Why the rest is no HTTP/1.1.
    pub alien: Option<&'static str>,
}

impl Answer {
    /// The value of a header; the first when it came more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Whether the server closes behind it.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|words| {
            words.split(',').any(|word| word.trim().eq_ignore_ascii_case("close"))
        })
    }
}

impl Reading {
    /// How many answers came whole.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.answers.iter().filter(|answer| answer.whole).count()
    }
}

/// Reads all answers in `bytes`. `methods` are those of the requests in turn; what follows them is read as to GET.
/// `ended`: nothing more comes.
#[must_use]
pub fn read_answers(bytes: &[u8], methods: &[&str], ended: bool) -> Reading {
    let (mut reading, mut rest) = (Reading::default(), bytes);
    while !rest.is_empty() {
        if !b"HTTP/1.".starts_with(&rest[..rest.len().min(7)]) {
            reading.alien = Some("bytes that begin no answer");
            break;
        }
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { break };
        let Some((status, headers)) = read_head(&rest[..end]) else {
            reading.alien = Some("a head that is none");
            break;
        };
        rest = &rest[end + 4..];
        if (100..200).contains(&status) && status != 101 {
            reading.interim += 1;
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new(), whole: false };
        let method = methods.get(reading.answers.len()).copied().unwrap_or("GET");
        let read = read_body(&mut answer, method, rest, ended);
        reading.answers.push(answer);
        match read {
            Ok(Some(behind)) => rest = behind,
            Ok(None) => break,
            Err(why) => {
                reading.alien = Some(why);
                break;
            }
        }
    }
    reading
}

type Fields = Vec<(String, String)>;

fn read_head(head: &[u8]) -> Option<(u16, Fields)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1).filter(|code| code.len() == 3)?.parse().ok()?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some((status, lines.map(field).collect::<Option<_>>()?))
}

/// Reads the body and returns what is behind it; none when it is not whole.
fn read_body<'b>(
    answer: &mut Answer,
    method: &str,
    bytes: &'b [u8],
    ended: bool,
) -> Result<Option<&'b [u8]>, &'static str> {
    let bodiless = method == "HEAD" || matches!(answer.status, 204 | 304);
    let length = answer.header("content-length").map(str::to_owned);
    let behind = if bodiless {
        Some(bytes)
    } else if answer.header("transfer-encoding").is_some() {
        read_chunks(bytes, &mut answer.body)?
    } else if answer.status == 101 || length.is_none() {
        answer.body = bytes.to_vec();
        ended.then_some(&bytes[bytes.len()..])
    } else {
        let length: usize =
            length.and_then(|l| l.parse().ok()).ok_or("an answer's length that is no number")?;
        answer.body = bytes[..length.min(bytes.len())].to_vec();
        bytes.get(length..)
    };
    answer.whole = behind.is_some();
    Ok(behind)
}

fn read_chunks<'b>(
    mut bytes: &'b [u8],
    body: &mut Vec<u8>,
) -> Result<Option<&'b [u8]>, &'static str> {
    let bad = "an answer's chunk that is none";
    loop {
        let Some((line, rest)) = split_line(bytes) else { return Ok(None) };
        let size = std::str::from_utf8(line).ok().and_then(|l| usize::from_str_radix(l, 16).ok());
        let size = size.ok_or(bad)?;
        if size == 0 {
            return Ok(behind_trailers(rest));
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(rest) = rest.get(size..).filter(|rest| rest.len() >= 2) else { return Ok(None) };
        bytes = rest.strip_prefix(b"\r\n").ok_or(bad)?;
    }
}

fn behind_trailers(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (line, rest) = split_line(bytes)?;
        if line.is_empty() {
            return Some(rest);
        }
        bytes = rest;
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}
