//! The site that both sides serve: the same bytes at every run. Knows nothing of who serves it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const WORDS: [&str; 24] = [
    "mainstay", "site", "platform", "secure", "fast", "queue", "cache", "metric", "trace", "user",
    "session", "page", "event", "image", "upload", "report", "the", "of", "and", "to", "in", "for",
    "with", "on",
];

/// Writes the site into `dir` and says where it is.
pub(super) fn write(dir: &Path) -> io::Result<PathBuf> {
    let site = dir.join("site");
    fs::create_dir_all(&site)?;
    let mut numbers = Numbers(7);
    let page = page(&mut numbers, 10_000);
    let mut text = page.clone();
    text.truncate(1024);
    fs::write(site.join("1k.txt"), text)?;
    fs::write(site.join("index.html"), &page)?;
    fs::write(site.join("pre.html"), &page)?;
    fs::write(site.join("100k.bin"), numbers.bytes(100 << 10))?;
    fs::write(site.join("1m.bin"), numbers.bytes(1 << 20))?;
    let packed =
        Command::new("gzip").args(["-9", "-k", "-n", "-f"]).arg(site.join("pre.html")).status()?;
    if packed.success() { Ok(site) } else { Err(io::Error::other("gzip failed")) }
}

/// A page of about `bytes` bytes that compresses as prose does.
fn page(numbers: &mut Numbers, bytes: usize) -> String {
    let mut text = String::from("<!doctype html><html lang=en><head><title>t</title></head><body>");
    while text.len() + 20 < bytes {
        text.push_str(&format!("<p class=\"c{}\">", numbers.below(40)));
        for _ in 0..12 {
            let word = WORDS[numbers.below(WORDS.len())];
            text.push_str(&format!("{word}{} ", numbers.below(99)));
        }
        text.push_str("</p>\n");
    }
    text.push_str("</body></html>");
    text
}

/// Repeatable numbers (SplitMix64, Steele et al. 2014).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_site_is_the_same_every_time() -> io::Result<()> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let (one, two) = (write(one.path())?, write(two.path())?);
        for (name, length) in [("1k.txt", 1024), ("100k.bin", 102_400), ("1m.bin", 1 << 20)] {
            let bytes = fs::read(one.join(name))?;
            assert_eq!(bytes.len(), length);
            assert_eq!(bytes, fs::read(two.join(name))?);
        }
        let page = fs::read(one.join("index.html"))?.len();
        assert!((9_900..10_300).contains(&page), "{page}");
        let packed = fs::read(one.join("pre.html.gz"))?.len();
        assert!(packed < page / 2, "{packed}");
        Ok(())
    }
}
