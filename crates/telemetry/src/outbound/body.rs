//! An answer's body, read up to a limit and decoded up to the same one. Keeps nothing that is over it.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{self, HeaderMap};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::Error;
use super::limits::Limits;

/// What comes in, as far as it may.
enum Sink {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

/// Bytes up to a limit.
struct Capped {
    bytes: Vec<u8>,
    max: usize,
    is_full: bool,
}

pub(super) async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limits: &Limits,
    has_none: bool,
) -> Result<Bytes, Error> {
    let max = limits.body_bytes_max;
    if has_none {
        return Ok(Bytes::new());
    }
    let mut sink = Sink::of(headers, max)?;
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Error::Answer)?;
        let Some(data) = frame.data_ref() else { continue };
        received += data.len();
        if received > max {
            return Err(Error::TooLarge { max });
        }
        sink.take(data)?;
    }
    sink.finish()
}

impl Sink {
    fn of(headers: &HeaderMap, max: usize) -> Result<Self, Error> {
        let capped = Capped { bytes: Vec::new(), max, is_full: false };
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = match (codings.next(), codings.next()) {
            (None, _) => return Ok(Self::Plain(capped)),
            (Some(coding), None) => coding.as_bytes().to_ascii_lowercase(),
            (Some(_), Some(_)) => return Err(Error::Encoding),
        };
        match coding.as_slice() {
            b"identity" | b"" => Ok(Self::Plain(capped)),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(capped)))),
            _ => Err(Error::Encoding),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Error> {
        let (written, capped) = match self {
            Self::Plain(capped) => (capped.write_all(data), &*capped),
            Self::Gzip(decoder) => (decoder.write_all(data), decoder.get_ref()),
        };
        written.map_err(|_| capped.fault())
    }

    fn finish(self) -> Result<Bytes, Error> {
        match self {
            Self::Plain(capped) => Ok(capped.bytes.into()),
            Self::Gzip(mut decoder) => match decoder.try_finish() {
                Ok(()) => Ok(std::mem::take(&mut decoder.get_mut().bytes).into()),
                Err(_) => Err(decoder.get_ref().fault()),
            },
        }
    }
}

impl Capped {
    fn fault(&self) -> Error {
        if self.is_full { Error::TooLarge { max: self.max } } else { Error::Encoding }
    }
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.max {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
