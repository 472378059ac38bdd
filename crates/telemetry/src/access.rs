//! The access log: one JSON line per request, gathered per worker and written by one thread. A worker never waits for the disk.

mod file;
mod line;
mod writer;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use mainstay_base::Timestamp;
use mainstay_base::task::Group;

pub use line::Line;

use crate::metrics::Registry;
use crate::{names, settings};
use file::LogFile;
use line::Formatter;
use writer::{Out, Shared};

/// The access log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the access log {path}")]
pub struct OpenError {
    /// The file or folder that could not be made or opened.
    pub path: PathBuf,
    /// The operating system's reason.
    #[source]
    pub source: io::Error,
}

/// Where workers get their buffers. Clones write to the same place.
#[derive(Clone)]
pub struct AccessLog {
    sender: Option<SyncSender<Vec<u8>>>,
    shared: Arc<Shared>,
    settings: settings::Log,
}

impl AccessLog {
    /// Opens `logs/access.log` under `data_dir`, or what the settings say, and starts the writer in `group`.
    ///
    /// After the soft stop the writer ends once every [`Buffer`] is dropped and written.
    ///
    /// # Errors
    /// [`OpenError`] when the folder or file cannot be made, or there is no thread to be had.
    pub fn open(
        settings: &settings::Log,
        data_dir: &Path,
        registry: &Registry,
        group: &Group,
    ) -> Result<Self, OpenError> {
        let folder = data_dir.join("logs");
        let path = folder.join("access.log");
        let out = match settings.access {
            settings::Access::Off => None,
            settings::Access::Stdout => Some(Out::Stdout),
            settings::Access::File => {
                create_private_folder(&folder)
                    .map_err(|source| OpenError { path: folder, source })?;
                LogFile::open(&path, settings.access_rotate.0, settings.access_keep)
                    .map(|file| Some(Out::File(file)))
                    .map_err(|source| OpenError { path: path.clone(), source })?
            }
        };
        let shared = Arc::new(Shared::new(registry.counter(&names::ACCESS_LOG_SHED)));
        let sender = match out {
            None => None,
            Some(out) => Some(
                writer::start(out, settings.access_queue, &shared, group)
                    .map_err(|source| OpenError { path, source })?,
            ),
        };
        Ok(Self { sender, shared, settings: settings.clone() })
    }

    /// A buffer for one worker.
    #[must_use]
    pub fn writer(&self) -> Buffer {
        self.shared.buffer_opened();
        Buffer {
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
            lines: Vec::new(),
            oldest: None,
            settings: self.settings.clone(),
            formatter: Formatter::default(),
        }
    }

    /// Whether the last lines could not be written.
    #[must_use]
    pub fn is_shedding(&self) -> bool {
        self.shared.is_shedding()
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One worker's lines on their way to the writer. Dropping it hands over what is left.
pub struct Buffer {
    sender: Option<SyncSender<Vec<u8>>>,
    shared: Arc<Shared>,
    lines: Vec<u8>,
    oldest: Option<Timestamp>,
    settings: settings::Log,
    formatter: Formatter,
}

impl Buffer {
    /// Adds a line; hands the buffer over when it is full.
    pub fn push(&mut self, line: &Line<'_>) {
        if self.sender.is_none() {
            return;
        }
        if self.lines.capacity() == 0 {
            self.lines =
                self.shared.take_spare(self.settings.access_buffer.bytes() + line::BYTES_MAX);
        }
        self.oldest.get_or_insert(line.at);
        self.formatter.write(&mut self.lines, line);
        if self.lines.len() >= self.settings.access_buffer.bytes() {
            self.flush();
        }
    }

    /// Hands the buffer over when its oldest line has waited long enough. Call it from the worker's tick.
    pub fn flush_due(&mut self, now: Timestamp) {
        // A wall clock set back must not keep lines waiting.
        let due =
            |oldest: Timestamp| now < oldest || now.since(oldest) >= self.settings.access_flush.0;
        if self.oldest.is_some_and(due) {
            self.flush();
        }
    }

    /// Hands over what is there. When the writer is behind, the lines are dropped and counted.
    pub fn flush(&mut self) {
        self.oldest = None;
        if self.lines.is_empty() {
            return;
        }
        let Some(sender) = &self.sender else { return };
        match sender.try_send(std::mem::take(&mut self.lines)) {
            Ok(()) => {}
            Err(TrySendError::Full(mut lines) | TrySendError::Disconnected(mut lines)) => {
                self.shared.shed(&lines);
                lines.clear();
                self.lines = lines;
            }
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.flush();
        self.shared.buffer_closed();
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("bytes", &self.lines.len()).finish_non_exhaustive()
    }
}

fn create_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests;
