//! Reads a file whose disk gives back only parts of it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, SeekFrom};

/// So much is given up where one byte cannot be read: what disks and file systems lose at a time.
const BLOCK: u64 = 4_096;
/// In place of what cannot be read. As a length it is longer than any file, so that no record begins with it.
const HOLE: u8 = 0xff;

/// What lies from here to there, with a hole for each block that cannot be read; and whether there is none.
///
/// # Errors
/// The disk's, where it gives nothing back.
pub(super) async fn read(
    file: &mut (impl AsyncRead + AsyncSeek + Unpin),
    from: u64,
    to: u64,
) -> io::Result<(Vec<u8>, bool)> {
    let (mut bytes, mut failure, mut is_lost) = (Vec::new(), None, true);
    let mut at = from;
    while at < to {
        let end = ((at / BLOCK + 1) * BLOCK).min(to);
        let before = bytes.len();
        match read_block(file, at, end, &mut bytes).await {
            Ok(()) => is_lost = false,
            Err(error) => {
                failure = Some(error);
                let hole = usize::try_from(end - at).unwrap_or(usize::MAX);
                bytes.truncate(before);
                bytes.resize(before + hole, HOLE);
            }
        }
        at = end;
    }
    match failure {
        Some(error) if is_lost => Err(error),
        failure => Ok((bytes, failure.is_none())),
    }
}

async fn read_block(
    file: &mut (impl AsyncRead + AsyncSeek + Unpin),
    from: u64,
    to: u64,
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    file.seek(SeekFrom::Start(from)).await?;
    file.take(to - from).read_to_end(bytes).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::ops::Range;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::ReadBuf;

    use super::super::record::{self, Found, HEAD};
    use super::*;

    /// Gives back what lies outside of the range.
    struct Disk(Cursor<Vec<u8>>, Range<u64>);

    impl AsyncRead for Disk {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let at = self.0.position();
            if self.1.contains(&at) {
                return Poll::Ready(Err(io::Error::from_raw_os_error(5)));
            }
            // Up to the bad place, as a disk does.
            let end = if at < self.1.start { self.1.start } else { u64::MAX };
            let end = end.min(at + buf.remaining() as u64).min(self.0.get_ref().len() as u64);
            buf.put_slice(&self.0.get_ref()[at as usize..end as usize]);
            self.0.set_position(end);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncSeek for Disk {
        fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
            Pin::new(&mut self.0).start_seek(position)
        }

        fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
            Pin::new(&mut self.0).poll_complete(cx)
        }
    }

    fn list(mut rest: &[u8]) -> Vec<u8> {
        let mut found = Vec::new();
        loop {
            match record::at(rest) {
                Found::Record(record) => {
                    found.push(record[0]);
                    rest = &rest[HEAD + record.len()..];
                }
                Found::Damaged { next: Some(next) } => rest = &rest[next..],
                Found::Damaged { next: None } | Found::End => return found,
            }
        }
    }

    #[tokio::test]
    async fn records_beside_a_bad_place_are_read() {
        const EACH: usize = 3_000;
        let records = (0..10_u8).map(|n| record::frame(&[n; EACH - HEAD]).unwrap());
        let file = records.collect::<Vec<_>>().concat();
        let all = file.len() as u64;
        for (bad, from, expected) in [
            (0..0, 0, vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
            (0..1, 0, vec![2, 3, 4, 5, 6, 7, 8, 9]),
            (9_000..9_001, 0, vec![0, 1, 5, 6, 7, 8, 9]),
            (9_000..9_001, 9_000, vec![5, 6, 7, 8, 9]),
            (29_000..30_000, 0, vec![0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ] {
            let mut disk = Disk(Cursor::new(file.clone()), bad.clone());
            let (bytes, is_whole) = read(&mut disk, from, all).await.unwrap();
            assert_eq!(bytes.len() as u64, all - from, "{bad:?}");
            assert_eq!((list(&bytes), is_whole), (expected, bad.is_empty()), "{bad:?} from {from}");
        }
        let mut dead = Disk(Cursor::new(file), 0..all);
        assert_eq!(read(&mut dead, 0, all).await.unwrap_err().raw_os_error(), Some(5));
    }
}
