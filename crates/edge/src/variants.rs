//! Compressed variants of one body: made once, kept; a precompressed sibling only if it decodes to the same bytes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use mainstay_base::coding::Coding;

/// Bodies below this are not worth a variant: the headers weigh more.
pub(crate) const COMPRESS_FROM_BYTES: usize = 512;
/// A variant must save at least one part in this many, else identity is served.
const WORTH_ONE_IN: usize = 20;
/// Bodies up to this are compressed at the best level; larger ones at a level that stays under about a second.
const BEST_LEVEL_UP_TO: usize = 512 << 10;

/// The body in this coding: the sibling file when it is exact, else made here. `None` when it would not pay.
pub(crate) fn make(coding: Coding, body: &Bytes, sibling_of: Option<&Path>) -> Option<Bytes> {
    let worth = |packed: &Vec<u8>| packed.len() + body.len() / WORTH_ONE_IN <= body.len();
    sibling_of
        .and_then(|file| read_exact_sibling(coding, body, file))
        .or_else(|| compress(coding, body).ok())
        .filter(worth)
        .map(Bytes::from)
}

fn read_exact_sibling(coding: Coding, body: &[u8], file: &Path) -> Option<Vec<u8>> {
    let suffix = match coding {
        Coding::Brotli => "br",
        Coding::Zstd => "zst",
        Coding::Gzip => "gz",
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    let sibling = PathBuf::from(name);
    let size = std::fs::metadata(&sibling).ok().filter(std::fs::Metadata::is_file)?.len();
    if size > body.len() as u64 {
        return None;
    }
    let packed = std::fs::read(sibling).ok()?;
    decodes_to(coding, &packed, body).then_some(packed)
}

fn decodes_to(coding: Coding, packed: &[u8], body: &[u8]) -> bool {
    // One byte more than expected is enough to know that a bomb is not our body.
    let limit = body.len() as u64 + 1;
    let mut out = Vec::with_capacity(body.len() + 1);
    let read = match coding {
        Coding::Brotli => {
            brotli::Decompressor::new(packed, 4_096).take(limit).read_to_end(&mut out)
        }
        Coding::Zstd => {
            zstd::Decoder::new(packed).and_then(|d| d.take(limit).read_to_end(&mut out))
        }
        Coding::Gzip => flate2::read::GzDecoder::new(packed).take(limit).read_to_end(&mut out),
    };
    read.is_ok() && out == body
}

fn compress(coding: Coding, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let small = body.len() <= BEST_LEVEL_UP_TO;
    match coding {
        Coding::Brotli => {
            let mut out = Vec::with_capacity(body.len() / 3);
            let quality = if small { 9 } else { 5 };
            let mut writer = brotli::CompressorWriter::new(&mut out, 4_096, quality, 22);
            writer.write_all(body)?;
            drop(writer);
            Ok(out)
        }
        Coding::Zstd => zstd::encode_all(body, if small { 17 } else { 9 }),
        Coding::Gzip => {
            let level = flate2::Compression::new(if small { 9 } else { 6 });
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::with_capacity(body.len() / 3), level);
            encoder.write_all(body)?;
            encoder.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Bytes {
        Bytes::from("<p>the same words again and again</p>\n".repeat(200))
    }

    #[test]
    fn every_coding_decodes_to_the_same_bytes() {
        for coding in Coding::ALL {
            let packed = make(coding, &page(), None).expect("text compresses");
            assert!(packed.len() < page().len() / 10, "{coding:?}");
            assert!(decodes_to(coding, &packed, &page()), "{coding:?}");
        }
    }

    #[test]
    fn noise_is_not_worth_a_variant() {
        let noise = mainstay_base::Entropy::seeded(7).bytes::<4_096>().expect("bytes");
        assert_eq!(make(Coding::Gzip, &Bytes::copy_from_slice(&noise), None), None);
    }

    #[test]
    fn a_sibling_is_used_only_when_it_is_exact() {
        let dir = tempfile::tempdir().expect("tempdir");
        let file = dir.path().join("a.html");
        let exact = compress(Coding::Gzip, &page()).expect("gzip");
        let mut marked = flate2::GzBuilder::new()
            .comment("sibling")
            .write(Vec::new(), flate2::Compression::best());
        marked.write_all(&page()).expect("write");
        let marked = marked.finish().expect("gzip");
        std::fs::write(dir.path().join("a.html.gz"), &marked).expect("write");
        assert_eq!(
            make(Coding::Gzip, &page(), Some(&file)).as_deref(),
            Some(&marked[..]),
            "the sibling, not ours"
        );

        let stale = Bytes::from(page().to_vec().repeat(2));
        let made = make(Coding::Gzip, &stale, Some(&file)).expect("made");
        assert_ne!(made, marked);
        assert_ne!(exact, marked);
        assert!(decodes_to(Coding::Gzip, &made, &stale));
    }
}
