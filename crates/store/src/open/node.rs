//! The name of this process among those that share a database: made once per data directory, so that a restart keeps it.

use std::path::Path;
use std::sync::Arc;

use mainstay_base::{Clock, Entropy};
use tokio::fs;
use uuid::Uuid;

use super::Error;

const FILE: &str = "node";

/// The name kept in the data directory, else a new one.
pub(crate) async fn find_name(
    data_dir: &Path,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Arc<str>, Error> {
    let path = data_dir.join(FILE);
    if let Some(kept) = find_kept(data_dir) {
        return Ok(kept.to_string().into());
    }
    let name = entropy.uuid_v7(clock.now())?.to_string();
    fs::write(&path, &name).await.map_err(|source| Error::File { path, source })?;
    Ok(name.into())
}

/// The name kept in the data directory.
pub(crate) fn find_kept(data_dir: &Path) -> Option<Uuid> {
    let kept = std::fs::read_to_string(data_dir.join(FILE)).ok()?;
    Uuid::parse_str(kept.trim()).ok()
}
