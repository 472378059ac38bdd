//! The name of this process among those that share a database: made once per data directory, so that a restart keeps it.

use std::path::Path;
use std::sync::Arc;

use mainstay_base::{Clock, Entropy};
use uuid::Uuid;

use super::Error;
use crate::whole;

const FILE: &str = "node";

/// The name kept in the data directory, else a new one.
pub(crate) async fn find_name(
    data_dir: &Path,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Arc<str>, Error> {
    let path = data_dir.join(FILE);
    if let Some(kept) = find_kept(data_dir).await {
        return Ok(kept.to_string().into());
    }
    let name = entropy.uuid_v7(clock.now())?.to_string();
    // On disk before a copy or an event bears it: after a power failure another name would be a stranger there.
    whole::write(&path, &name).await.map_err(|source| Error::File { path, source })?;
    Ok(name.into())
}

/// The name kept in the data directory.
pub(crate) async fn find_kept(data_dir: &Path) -> Option<Uuid> {
    let kept = tokio::fs::read_to_string(data_dir.join(FILE)).await.ok()?;
    Uuid::parse_str(kept.trim()).ok()
}
