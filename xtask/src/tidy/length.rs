//! Files that one can read in one sitting: 400 lines, tests 600. A longer one is named here with its reason, or split.

use super::Finding;
use super::tree::File;

const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 600;
const CODE: [&str; 7] = [".rs", ".ts", ".tsx", ".mjs", ".js", ".css", ".sh"];

/// Files that may be longer, each with the reason.
pub(super) const EXCEPTIONS: &[(&str, &str)] = &[(
    "crates/store/src/transfer/table/list.rs",
    "one table: every table that is copied, with its columns",
)];

/// Every file that is too long, and every exception that nothing needs any more.
pub(super) fn check(files: &[File], exceptions: &[(&str, &str)]) -> Vec<Finding> {
    let is_excepted = |path: &str| exceptions.iter().any(|(excepted, _)| *excepted == path);
    let long: Vec<_> = files.iter().filter_map(|file| Some((file, excess(file)?))).collect();
    let unneeded = exceptions.iter().filter(|(path, _)| !long.iter().any(|(f, _)| f.path == *path));
    let unneeded = unneeded.map(|(path, _)| {
        Finding::new(*path, "is short enough now: take it off the list in tidy/length.rs")
    });
    let excessive = long.iter().filter(|(file, _)| !is_excepted(&file.path));
    excessive.map(|(file, what)| Finding::new(&file.path, what)).chain(unneeded).collect()
}

fn excess(file: &File) -> Option<String> {
    if !CODE.iter().any(|end| file.path.ends_with(end)) {
        return None;
    }
    let is_test = file.path.contains("/test/")
        || file.path.contains("/tests/")
        || file.path.ends_with("/tests.rs");
    let max = if is_test { TEST_LINES_MAX } else { LINES_MAX };
    let lines = file.text.lines().count();
    (lines > max)
        .then(|| format!("{lines} lines: split it, or give tidy/length.rs the reason (≤ {max})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize) -> File {
        File { path: path.into(), text: "x\n".repeat(lines) }
    }

    #[test]
    fn long_files_are_found() {
        let count = |path: &str, lines| check(&[file(path, lines)], &[]).len();
        assert_eq!(count("crates/edge/src/a.rs", LINES_MAX), 0);
        assert_eq!(count("crates/edge/src/a.rs", LINES_MAX + 1), 1);
        assert_eq!(count("console/src/a.ts", LINES_MAX + 1), 1);
        assert_eq!(count("crates/edge/src/a/tests.rs", LINES_MAX + 1), 0);
        assert_eq!(count("crates/edge/src/a/tests.rs", TEST_LINES_MAX + 1), 1);
        assert_eq!(count("docs/settings.md", 5_000), 0);
    }

    #[test]
    fn an_exception_holds_as_long_as_it_is_needed() {
        let exceptions = [("crates/edge/src/a.rs", "one table")];
        assert_eq!(check(&[file("crates/edge/src/a.rs", 500)], &exceptions).len(), 0);
        assert_eq!(check(&[file("crates/edge/src/a.rs", 50)], &exceptions).len(), 1);
    }
}
