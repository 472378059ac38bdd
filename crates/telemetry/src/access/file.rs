//! The access log's file: appended to, rotated by size, never left with half a line. Knows nothing of what the lines say.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The current file and how it is rotated.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    rotate_at: u64,
    keep: u32,
    /// None after a failed rotation or removal; opened again by the next write.
    file: Option<File>,
    len: u64,
}

impl LogFile {
    /// Opens `path` for appending, for the owner only.
    pub(super) fn open(path: &Path, rotate_at: u64, keep: u32) -> io::Result<Self> {
        let (file, len) = open(path)?;
        Ok(Self { path: path.into(), rotate_at: rotate_at.max(1), keep, file: Some(file), len })
    }

    /// Appends whole lines. After an error none of them is in the file.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len.saturating_add(lines.len() as u64) > self.rotate_at {
            self.rotate()?;
        }
        if self.file.is_none() {
            let (file, len) = open(&self.path)?;
            (self.file, self.len) = (Some(file), len);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        match file.write_all(lines) {
            Ok(()) => {
                self.len = self.len.saturating_add(lines.len() as u64);
                Ok(())
            }
            Err(error) => {
                // A full disk may have taken half a line. Devices cannot be cut, and keep nothing anyway.
                let _cut = file.set_len(self.len);
                Err(error)
            }
        }
    }

    /// `access.log` becomes `access.log.1`, `.1` becomes `.2`, and so on; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        if self.keep == 0 {
            missing_is_fine(fs::remove_file(&self.path))?;
        }
        for number in (0..self.keep).rev() {
            missing_is_fine(fs::rename(self.rotated(number), self.rotated(number + 1)))?;
        }
        self.len = 0;
        Ok(())
    }

    fn rotated(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let mut len = file.metadata()?.len();
    if len > 0 && !ends_a_line(&file, len) {
        // Half a line of a process that was killed must not swallow our first.
        file.write_all(b"\n")?;
        len += 1;
    }
    Ok((file, len))
}

fn ends_a_line(file: &File, len: u64) -> bool {
    let mut last = [0];
    file.read_exact_at(&mut last, len - 1).is_ok() && last == *b"\n"
}

/// Somebody may have moved or removed a file by hand.
fn missing_is_fine(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
