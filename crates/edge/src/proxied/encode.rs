//! Compression of bytes that are still arriving. What is written is complete on the other side after every flush; nothing is kept for later requests.

use std::io::{self, Write};

use bytes::Bytes;
use mainstay_base::coding::Coding;

/// Levels at which text is made smaller about as fast as an app writes it.
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
const ZSTD_LEVEL: i32 = 3;
/// 256 KiB of memory to look back in: larger windows gain little on pages, and every stream has its own.
const BROTLI_WINDOW_BITS: u32 = 18;
const BROTLI_BUFFER_BYTES: usize = 4_096;

/// A compressor of one stream.
pub(super) enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// # Errors
    /// When the library cannot have the memory it needs.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(GZIP_LEVEL),
            )),
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_BITS,
            ))),
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// Takes bytes in; what is ready comes out.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes)?,
            Self::Brotli(encoder) => encoder.write_all(bytes)?,
            Self::Zstd(encoder) => encoder.write_all(bytes)?,
        }
        Ok(self.take())
    }

    /// Everything that was taken in, so that the client can read up to here.
    pub(super) fn flush(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Gzip(encoder) => encoder.flush()?,
            Self::Brotli(encoder) => encoder.flush()?,
            Self::Zstd(encoder) => encoder.flush()?,
        }
        Ok(self.take())
    }

    /// The end of the stream.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
        }
        .into())
    }

    fn take(&mut self) -> Bytes {
        let out = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        std::mem::take(out).into()
    }
}

/// Whether text of this media type gets smaller by compression.
pub(super) fn is_compressible(essence: &str) -> bool {
    let named = matches!(
        essence,
        "application/javascript"
            | "application/json"
            | "application/xml"
            | "application/wasm"
            | "application/rtf"
            | "application/x-ndjson"
            | "font/ttf"
            | "font/otf"
            | "image/bmp"
            | "image/x-icon"
    );
    named
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || (essence.starts_with("text/") && essence != "text/event-stream")
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use super::*;

    /// Everything that can be read of a stream up to here, whether it ended or not.
    pub(in crate::proxied) fn decode(coding: Coding, packed: &[u8]) -> Vec<u8> {
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(packed)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(packed, 4_096)),
            Coding::Zstd => Box::new(zstd::Decoder::new(packed).expect("decoder")),
        };
        let (mut out, mut buffer) = (Vec::new(), [0; 64]);
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            out.extend_from_slice(&buffer[..count]);
        }
        out
    }

    #[test]
    fn a_flush_makes_everything_readable_and_the_end_is_the_end() {
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding).expect("encoder");
            let mut packed = encoder.write(b"first ").expect("write").to_vec();
            packed.extend(encoder.flush().expect("flush"));
            assert_eq!(decode(coding, &packed), b"first ", "{coding:?}");
            packed.extend(encoder.write(&b"more ".repeat(1_000)).expect("write"));
            packed.extend(encoder.finish().expect("finish"));
            let whole = decode(coding, &packed);
            assert_eq!(whole.len(), 6 + 5_000, "{coding:?}");
            assert!(packed.len() < 200, "{coding:?}: {}", packed.len());
        }
    }

    #[test]
    fn only_text_is_compressed_and_no_event_stream() {
        for essence in ["text/html", "text/x-component", "application/json", "image/svg+xml"] {
            assert!(is_compressible(essence), "{essence}");
        }
        for essence in ["text/event-stream", "image/png", "application/zip", "video/mp4", ""] {
            assert!(!is_compressible(essence), "{essence}");
        }
    }
}
