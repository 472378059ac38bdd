//! What the disk itself takes: a raw loop of write and fdatasync, the floor under every durable answer.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Writes 4 KiB and syncs, again and again for `time`; the 99th percentile of one turn, in microseconds.
pub(super) fn fdatasync_p99(dir: &Path, time: Duration) -> anyhow::Result<f64> {
    let path = dir.join("fdatasync");
    let mut file = File::create(&path)?;
    let (begun, mut taken) = (Instant::now(), Vec::new());
    while begun.elapsed() < time {
        let turn = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        taken.push(turn.elapsed());
    }
    std::fs::remove_file(path)?;
    taken.sort_unstable();
    let rank = (taken.len() * 99).div_ceil(100).saturating_sub(1);
    Ok(taken.get(rank).map_or(f64::NAN, |turn| turn.as_secs_f64() * 1e6))
}
