//! npm lock files name versions and hashes, never where one machine fetched them from.

use super::Finding;
use super::tree::File;

/// Every lock file that names places.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let locks = files.iter().filter(|file| file.path.ends_with("package-lock.json"));
    let naming = locks.filter(|file| file.text.contains("\"resolved\""));
    naming
        .map(|file| {
            let what = "names registries: `npm install --package-lock-only --omit-lockfile-registry-resolved`";
            Finding::new(&file.path, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_names_a_registry_is_found() {
        let lock =
            |text: &str| File { path: "console/package-lock.json".into(), text: text.into() };
        let named = r#"{"packages":{"a":{"version":"1.0.0","resolved":"https://registry/a.tgz"}}}"#;
        assert_eq!(check(&[lock(named)]).len(), 1);
        assert_eq!(check(&[lock(r#"{"packages":{"a":{"version":"1.0.0"}}}"#)]).len(), 0);
    }
}
