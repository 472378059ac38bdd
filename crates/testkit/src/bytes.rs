//! Looking for bytes that must not be somewhere. Only reads.

use std::path::{Path, PathBuf};

/// Where `needle` begins in `hay`.
#[must_use]
pub fn find_bytes(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len().max(1)).position(|window| window == needle)
}

/// Every regular file below `dir` that holds `needle` in its name or its bytes.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn list_files_with(dir: &Path, needle: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let kind = entry.file_type().expect("a file type");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).expect("a readable file");
                let named = entry.file_name().to_string_lossy().contains(needle);
                if named || find_bytes(&bytes, needle.as_bytes()).is_some() {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}
