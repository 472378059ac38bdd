//! Damaged files, kept aside for whoever wants to look at them: the newest few.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs;

const SUFFIX: &str = "damaged";
/// So many are kept, of about the size of a segment each.
const KEPT_MAX: usize = 4;

/// Those that are there, oldest first.
#[derive(Debug)]
pub(super) struct Kept(Vec<u64>);

impl Kept {
    pub(super) async fn find(dir: &Path) -> io::Result<Self> {
        let mut numbers = Vec::new();
        let mut entries = fs::read_dir(dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if path.extension().is_some_and(|end| end == SUFFIX)
                && let Some(number) = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok())
            {
                numbers.push(number);
            }
        }
        numbers.sort_unstable();
        Ok(Self(numbers))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Gives a file a name under which nobody reads it, and lets the oldest go when there are too many. Numbered apart:
    /// the numbers of segments begin anew with a process that finds none.
    pub(super) async fn keep(&mut self, path: &Path) -> io::Result<()> {
        let number = self.0.last().map_or(1, |last| last + 1);
        fs::rename(path, beside(path, number)).await?;
        self.0.push(number);
        while self.0.len() > KEPT_MAX {
            match fs::remove_file(beside(path, self.0[0])).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => drop(self.0.remove(0)),
            }
        }
        Ok(())
    }
}

fn beside(path: &Path, number: u64) -> PathBuf {
    path.with_file_name(format!("{number:012}.{SUFFIX}"))
}
