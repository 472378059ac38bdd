//! An answer's body, read up to a limit and decoded up to the same one. Keeps nothing that is over it, and decodes nothing where nothing came.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{self, HeaderMap};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::error::Error;
use super::limits::{Excess, Limits};

/// What comes in, as far as it may.
enum Sink {
    Plain(Capped),
    Gzip(Box<MultiGzDecoder<Capped>>),
}

/// A body, or the beginning of one.
#[derive(Default)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    pub(super) is_cut: bool,
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
) -> Result<Read, Error> {
    let max = limits.body_bytes_max;
    let (mut sink, mut received) = (None, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(Error::Answer)?;
        let Some(data) = frame.data_ref().filter(|data| !data.is_empty()) else { continue };
        // 204, 304 and many a redirect name a coding and have no body.
        let sink = match &mut sink {
            Some(sink) => sink,
            none => none.insert(Sink::of(headers, max)?),
        };
        let left = max - received;
        received += data.len().min(left);
        let taken = sink.take(data.get(..left).unwrap_or(data));
        let taken = taken.and_then(|()| match data.len() > left {
            true => Err(Error::TooLarge { max }),
            false => Ok(()),
        });
        match (taken, limits.excess) {
            (Ok(()), _) => {}
            (Err(Error::TooLarge { .. }), Excess::Cut) => {
                return Ok(Read { bytes: sink.cut(), is_cut: true });
            }
            (Err(error), _) => return Err(error),
        }
    }
    let Some(sink) = sink else { return Ok(Read::default()) };
    sink.finish(limits.excess)
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

    fn finish(mut self, excess: Excess) -> Result<Read, Error> {
        if let Self::Gzip(decoder) = &mut self
            && decoder.try_finish().is_err()
        {
            let fault = decoder.get_ref().fault();
            return match (fault, excess) {
                (Error::TooLarge { .. }, Excess::Cut) => {
                    Ok(Read { bytes: self.cut(), is_cut: true })
                }
                (fault, _) => Err(fault),
            };
        }
        Ok(Read { bytes: self.cut(), is_cut: false })
    }

    /// What there is by now.
    fn cut(&mut self) -> Bytes {
        let capped = match self {
            Self::Plain(capped) => capped,
            Self::Gzip(decoder) => decoder.get_mut(),
        };
        std::mem::take(&mut capped.bytes).into()
    }
}

impl Capped {
    fn fault(&self) -> Error {
        if self.is_full { Error::TooLarge { max: self.max } } else { Error::Encoding }
    }
}

impl Write for Capped {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let left = self.max - self.bytes.len();
        let fits = data.get(..left).unwrap_or(data);
        if fits.is_empty() && !data.is_empty() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(fits);
        Ok(fits.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
