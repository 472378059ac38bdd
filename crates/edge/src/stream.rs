//! Files too large for memory, read in pieces on the blocking pool; the client's pace is the reader's pace.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use tokio::sync::mpsc;

/// Bytes per piece: large enough that a thread hop per piece does not show.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces read ahead of the client.
const PIECES_AHEAD: usize = 2;

/// The receiving half of a file being read.
pub(crate) type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

/// Starts reading `range` of a file. Ends by itself when the receiver is dropped.
pub(crate) fn open(path: &Path, range: Range<u64>) -> std::io::Result<Pieces> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let (send, receive) = mpsc::channel(PIECES_AHEAD);
    drop(tokio::task::spawn_blocking(move || read_all(&file, range.end - range.start, &send)));
    Ok(receive)
}

fn read_all(file: &File, mut left: u64, send: &mpsc::Sender<std::io::Result<Bytes>>) {
    while left > 0 {
        let want = left.min(PIECE_BYTES as u64);
        let mut piece = Vec::with_capacity(want as usize);
        let read = file.take(want).read_to_end(&mut piece);
        let result = match read {
            Ok(0) => Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the file became shorter",
            )),
            Ok(n) => {
                left -= n as u64;
                Ok(Bytes::from(piece))
            }
            Err(error) => Err(error),
        };
        let failed = result.is_err();
        if send.blocking_send(result).is_err() || failed {
            return;
        }
    }
}
