//! The load generator: a process of its own, mostly on the load's core, told by JSON what to do and answering in JSON. Judges nothing.

use anyhow::{Context as _, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::running::{LOAD_CORE, SERVER_CORE};
use super::{disk, handshakes, open_loop, wakes};
use crate::server::{Place, RealTime, placed};

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Work {
    /// Requests at a fixed rate.
    Requests(open_loop::Load),
    /// TLS handshakes as fast as they are answered.
    Handshakes(handshakes::Load),
    /// Sleep and wake, nothing else.
    Wakes,
    /// Write to the disk at a fixed rate, where a server would.
    Disk(disk::Paced),
}

impl Work {
    fn core(&self) -> usize {
        match self {
            Self::Requests(_) | Self::Handshakes(_) | Self::Wakes => LOAD_CORE,
            Self::Disk(_) => SERVER_CORE,
        }
    }
}

/// Starts the process and waits for its answer.
///
/// # Errors
/// When it fails, with what it said.
pub(super) fn run<Answer: DeserializeOwned>(
    work: &Work,
    priority: RealTime,
) -> anyhow::Result<Answer> {
    let own = std::env::current_exe().context("the path of this program")?;
    let program = [
        own.display().to_string(),
        "bench".into(),
        "--generate".into(),
        serde_json::to_string(work)?,
    ];
    let is_real_time = matches!(priority, RealTime::On);
    let ran = placed(&program, Place { core: Some(work.core()), is_real_time }).output();
    let ran = ran.context("the generator cannot be run")?;
    ensure!(ran.status.success(), "the generator: {}", String::from_utf8_lossy(&ran.stderr).trim());
    serde_json::from_slice(&ran.stdout).context("the generator's answer")
}

/// The process itself.
///
/// # Errors
/// When the load is none, or could not be carried through.
pub(super) fn generate(work: &str) -> anyhow::Result<String> {
    let answer = match serde_json::from_str(work).context("what to do")? {
        Work::Requests(load) => serde_json::to_string(&open_loop::generate(&load)?)?,
        Work::Handshakes(load) => serde_json::to_string(&handshakes::generate(&load)?)?,
        Work::Wakes => serde_json::to_string(&wakes::generate())?,
        Work::Disk(load) => serde_json::to_string(&disk::paced_p99(&load)?)?,
    };
    Ok(answer)
}
