//! What the disk itself takes: a raw loop of write and fdatasync, the floor under every durable answer.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::server::pause;

const BLOCK: [u8; 4096] = [0x5a; 4096];

/// The same loop, whose turns are due at a rate instead of one after the other: what a stall of the machine costs an
/// answer is told by a load that goes on meanwhile, and hidden by a loop that stands still with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Paced {
    pub(super) dir: PathBuf,
    /// Turns a second.
    pub(super) rate: u32,
    pub(super) seconds: u32,
}

/// Writes 4 KiB and syncs, again and again for `time`; the 99th percentile of one turn, in microseconds.
pub(super) fn fdatasync_p99(dir: &Path, time: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    turns(dir, || (begun.elapsed() < time).then(Instant::now))
}

/// The 99th percentile from the moment a turn was due, in microseconds.
pub(super) fn paced_p99(load: &Paced) -> anyhow::Result<f64> {
    let (begun, step) = (Instant::now(), Duration::from_secs(1) / load.rate.max(1));
    let mut numbers = 0..load.rate.saturating_mul(load.seconds);
    turns(&load.dir, || {
        let due = begun + step * numbers.next()?;
        pause(due.saturating_duration_since(Instant::now()));
        Some(due)
    })
}

/// Takes turns until there is no next one; each begins when `next` says.
fn turns(dir: &Path, mut next: impl FnMut() -> Option<Instant>) -> anyhow::Result<f64> {
    let path = dir.join("fdatasync");
    let (mut file, mut taken) = (File::create(&path)?, Vec::new());
    while let Some(begun) = next() {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        taken.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    taken.sort_unstable();
    let rank = (taken.len() * 99).div_ceil(100).saturating_sub(1);
    Ok(taken.get(rank).map_or(f64::NAN, |turn| turn.as_secs_f64() * 1e6))
}
