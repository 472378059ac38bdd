//! What has to be there before anything is measured: peers, tools, the release binary. Measures nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Installs peers and load generators.
pub(super) fn install() -> anyhow::Result<()> {
    let status = Command::new(mainstay_testkit::checkout().join("scripts/setup"))
        .arg("bench")
        // The table alone goes to standard output.
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .context("scripts/setup cannot be run")?;
    ensure!(status.success(), "scripts/setup bench failed");
    Ok(())
}

/// Builds the release binary where this program was built, and says where it is.
pub(super) fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .current_dir(mainstay_testkit::checkout())
        .args(["build", "--release", "--locked", "-p", "mainstay", "--target-dir"])
        .arg(target()?)
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .context("cargo cannot be run")?;
    ensure!(status.success(), "the release build failed");
    release_binary()
}

/// The release binary beside this program's own build.
pub(super) fn release_binary() -> anyhow::Result<PathBuf> {
    let binary = target()?.join("release/mainstay");
    ensure!(binary.is_file(), "{} is not built", binary.display());
    Ok(binary)
}

/// Where a program is: Debian keeps servers where only root looks.
pub(super) fn find(program: &str) -> anyhow::Result<PathBuf> {
    let look = "PATH=$PATH:/usr/sbin:/sbin; command -v \"$0\"";
    let found = Command::new("sh").args(["-c", look, program]).output().context("sh")?;
    ensure!(
        found.status.success(),
        "{program} is not installed: `scripts/setup bench` installs every peer and tool"
    );
    Ok(PathBuf::from(String::from_utf8(found.stdout)?.trim()))
}

/// Servers that give up root's rights still read what is in here.
pub(super) fn open_to_all(dir: &Path) -> anyhow::Result<()> {
    Ok(fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?)
}

/// The target folder, of which this program is `<profile>/xtask`.
pub(super) fn target() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the path of this program")?;
    let target =
        own.parent().and_then(Path::parent).context("this program is in no target folder")?;
    Ok(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named() -> anyhow::Result<()> {
        assert!(find("sh")?.is_absolute());
        let missing = find("no-such-program").expect_err("found").to_string();
        assert!(missing.starts_with("no-such-program is not installed"), "{missing}");
        Ok(())
    }
}
