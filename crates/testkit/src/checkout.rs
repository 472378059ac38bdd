//! The checkout that a test or a tool works on.

use std::path::{Path, PathBuf};

/// The top of the checkout: of the one that cargo runs this program in, not of the one it was built in, because checkouts may
/// share a target folder.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "cargo says it in no other way")]
pub fn checkout() -> PathBuf {
    let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map_or(built_in, PathBuf::from);
    let is_top = |folder: &&Path| folder.join("Cargo.lock").is_file();
    package.ancestors().find(is_top).unwrap_or(&package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_holds_the_rooms() {
        assert!(checkout().join("crates/testkit/src/checkout.rs").is_file());
        assert!(checkout().join("xtask").is_dir());
    }
}
