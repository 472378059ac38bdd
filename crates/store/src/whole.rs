//! A small file of the data directory, written whole or not at all, and on disk before anybody goes on.

use std::io;
use std::path::Path;

use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// Puts this text in place of what the file held.
pub(crate) async fn write(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut written = File::create(&fresh).await?;
    written.write_all(text.as_bytes()).await?;
    written.sync_all().await?;
    fs::rename(&fresh, file).await?;
    sync_folder_of(file).await
}

/// Removes it; done when there is none.
pub(crate) async fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file).await {
        Ok(()) => sync_folder_of(file).await,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name is on disk when its folder is.
async fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    File::open(folder).await?.sync_all().await
}
