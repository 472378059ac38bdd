//! The name of this process among those that share a database: made once per data directory, so that a restart keeps it.

use std::path::Path;
use std::sync::Arc;

use mainstay_base::{Clock, Entropy};
use tokio::fs;
use uuid::Uuid;

use super::Error;

const FILE: &str = "node";

/// The name kept in the data directory, else a new one.
pub(super) async fn find_name(
    data_dir: &Path,
    clock: &Clock,
    entropy: &Entropy,
) -> Result<Arc<str>, Error> {
    let path = data_dir.join(FILE);
    let kept = fs::read_to_string(&path).await.ok();
    if let Some(kept) = kept.and_then(|text| Uuid::parse_str(text.trim()).ok()) {
        return Ok(kept.to_string().into());
    }
    let name = entropy.uuid_v7(clock.now())?.to_string();
    fs::write(&path, &name).await.map_err(|source| Error::File { path, source })?;
    Ok(name.into())
}
