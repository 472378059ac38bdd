//! A small file of the data directory, written whole or not at all, and on disk before anybody goes on.

use std::io::{self, Write as _};
use std::path::Path;

/// Puts this text in place of what the file held.
pub(crate) fn write(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut written = std::fs::File::create(&fresh)?;
    written.write_all(text.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(&fresh, file)?;
    sync_folder_of(file)
}

/// Removes it; done when there is none.
pub(crate) fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Ok(()) => sync_folder_of(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name is on disk when its folder is.
fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
