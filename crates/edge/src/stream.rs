//! Files too large for memory, read a piece at a time on the blocking pool when the client wants one. Never holds a thread while a client dawdles.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

/// Bytes per piece: large enough that a thread hop per piece does not show, small enough to be held per download.
const PIECE_BYTES: u64 = 128 << 10;

/// A file being read.
pub(crate) struct Pieces {
    file: Arc<File>,
    left: Range<u64>,
    next: Next,
}

/// The piece that is handed out next.
enum Next {
    /// Nobody asked yet.
    Unasked,
    Read(Bytes),
    Reading(JoinHandle<std::io::Result<Bytes>>),
}

/// Opens a file and reads the first piece of `range`, off the worker.
///
/// # Errors
/// The operating system's, and `UnexpectedEof` when the file is shorter than the range.
pub(crate) async fn open(path: &Path, range: Range<u64>) -> std::io::Result<Pieces> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(path)?;
        let first = read(&file, &range)?;
        std::io::Result::Ok((file, first, range))
    });
    let (file, first, left) = opened.await.map_err(std::io::Error::other)??;
    Ok(Pieces { file: Arc::new(file), left, next: Next::Read(first) })
}

impl Pieces {
    /// The next piece, read when it is asked for; `None` after the last.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Bytes>>> {
        let piece = loop {
            match &mut self.next {
                Next::Unasked if self.left.is_empty() => return Poll::Ready(None),
                Next::Unasked => {
                    let (file, range) = (Arc::clone(&self.file), self.left.clone());
                    self.next =
                        Next::Reading(tokio::task::spawn_blocking(move || read(&file, &range)));
                }
                Next::Read(piece) => break Ok(std::mem::take(piece)),
                Next::Reading(reading) => {
                    let read = ready!(Pin::new(reading).poll(cx));
                    break read.map_err(std::io::Error::other).flatten();
                }
            }
        };
        self.next = Next::Unasked;
        match &piece {
            Ok(piece) => self.left.start += piece.len() as u64,
            // A body that broke has no further pieces.
            Err(_) => self.left.start = self.left.end,
        }
        Poll::Ready(Some(piece))
    }
}

/// The first piece of `range`; empty for an empty range.
fn read(file: &File, range: &Range<u64>) -> std::io::Result<Bytes> {
    let wanted = range.end.saturating_sub(range.start).min(PIECE_BYTES);
    let mut piece = vec![0; usize::try_from(wanted).map_err(std::io::Error::other)?];
    let mut filled = 0;
    while let Some(free) = piece.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read_at(free, range.start + filled as u64) {
            Ok(0) => {
                let kind = std::io::ErrorKind::UnexpectedEof;
                return Err(std::io::Error::new(kind, "the file became shorter"));
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Bytes::from(piece))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn read_all(pieces: &mut Pieces) -> std::io::Result<(Vec<u8>, usize)> {
        let (mut all, mut count) = (Vec::new(), 0);
        while let Some(piece) = poll_fn(|cx| pieces.poll_next(cx)).await {
            all.extend_from_slice(&piece?);
            count += 1;
        }
        Ok((all, count))
    }

    #[tokio::test]
    async fn a_range_comes_in_pieces_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film");
        let bytes: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &bytes).expect("written");
        let mut whole = open(&path, 0..300_000).await.expect("open");
        assert_eq!(read_all(&mut whole).await.expect("read"), (bytes.clone(), 3));
        let mut part = open(&path, 131_000..131_100).await.expect("open");
        assert_eq!(read_all(&mut part).await.expect("read"), (bytes[131_000..131_100].into(), 1));
    }

    #[tokio::test]
    async fn a_file_that_shrinks_ends_with_an_error_not_with_other_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film");
        std::fs::write(&path, vec![1; 300_000]).expect("written");
        let mut pieces = open(&path, 0..300_000).await.expect("open");
        assert_eq!(
            poll_fn(|cx| pieces.poll_next(cx)).await.expect("one").expect("read").len(),
            131_072
        );
        File::options().write(true).open(&path).expect("open").set_len(10).expect("cut");
        let broken = poll_fn(|cx| pieces.poll_next(cx)).await.expect("one").expect_err("broken");
        assert_eq!(broken.kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(poll_fn(|cx| pieces.poll_next(cx)).await.is_none());
        assert!(open(&path, 0..300_000).await.is_err());
        assert!(open(&folder.path().join("other"), 0..1).await.is_err());
    }
}
