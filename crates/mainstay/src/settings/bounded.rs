//! Reading a small file whole, never more of it than asked; what it says is judged elsewhere.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The text of the file, or why not, in words that follow its name.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let said = |error: std::io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    // The length a file claims says nothing about devices and pipes, so the reading itself is bounded.
    let read = File::open(path).map_err(said)?.take(bytes_max + 1).read_to_string(&mut text);
    if read.map_err(said)? as u64 > bytes_max {
        return Err(format!("is larger than {bytes_max} bytes"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_bound_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read_text(&file, 5).as_deref(), Ok("12345"));
        assert_eq!(read_text(&file, 4), Err("is larger than 4 bytes".into()));
        let endless = read_text(Path::new("/dev/zero"), 1_000);
        assert_eq!(endless, Err("is larger than 1000 bytes".into()));
        assert!(read_text(dir.path(), 5).is_err_and(|e| e.starts_with("cannot be read: ")));
    }
}
