//! Which proven copies of this data directory's files still hold all that the files hold: a line each, the moment of the
//! proof as the database has it too. A start on the files ends that, because what is recorded from then on is in no copy.

use std::io;
use std::path::Path;

use mainstay_base::Timestamp;

use crate::whole;

const FILE: &str = "copied";

/// Notes a proof.
pub(crate) async fn note(data_dir: &Path, proven_at: Timestamp) -> io::Result<()> {
    let mut proofs = list(data_dir).await;
    proofs.push(proven_at);
    let lines = proofs.iter().map(|proof| format!("{}\n", proof.as_micros()));
    whole::write(&data_dir.join(FILE), &lines.collect::<String>()).await
}

/// The proofs of copies that are still whole.
pub(crate) async fn list(data_dir: &Path) -> Vec<Timestamp> {
    let text = tokio::fs::read_to_string(data_dir.join(FILE)).await.unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).map(Timestamp::from_micros).collect()
}

/// From now on the files hold more than any copy.
pub(super) async fn forget(data_dir: &Path) -> io::Result<()> {
    whole::remove(&data_dir.join(FILE)).await
}
