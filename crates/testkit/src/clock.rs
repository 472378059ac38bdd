//! A process whose clock is wrong.

use std::path::Path;

/// The library that moves a clock, as the loader finds it on every architecture.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";
const WHERE: [&str; 2] = ["/usr/lib", "/usr/lib64"];

/// Variables under which a program's wall clock is so many seconds ahead, or behind. Its timers stay right.
///
/// # Panics
/// When libfaketime is not installed: a clock that is right would prove nothing.
#[must_use]
pub fn moved_clock(seconds: i64) -> Vec<(String, String)> {
    let is_there = WHERE.iter().any(|place| {
        let inside = std::fs::read_dir(place).into_iter().flatten().flatten();
        let mut places = inside.map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"));
        Path::new(place).join("faketime/libfaketimeMT.so.1").exists()
            || places.any(|at| at.exists())
    });
    assert!(is_there, "libfaketime is not installed");
    [
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME", format!("{seconds:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
