//! What every Rust file keeps: a sign at the top, no silenced lints, no `unsafe` in rooms; and base keeps its closed list of files.

use super::Finding;
use super::tree::{File, Tree};

/// The files of `base`: no junk drawer. A new one needs a reason that no other room is the place.
const BASE: [&str; 14] = [
    "agent",
    "clock",
    "code",
    "coding",
    "entropy",
    "lib",
    "net",
    "net/class",
    "net/class/tests",
    "path",
    "secret",
    "task",
    "units",
    "task/tests",
];

/// Every Rust file that breaks one of the habits.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.files.iter().filter(|file| file.path.ends_with(".rs"));
    rust.flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !file.text.starts_with("//! ") {
        let what =
            "begins without a sign: `//!`, one sentence on what lives here and what never does";
        findings.push(Finding::new(&file.path, what));
    }
    if let Some(name) = file.path.strip_prefix("crates/base/src/")
        && !BASE.contains(&name.trim_end_matches(".rs"))
    {
        findings.push(Finding::new(&file.path, "base is a closed list of files: find its room"));
    }
    let in_room = file.path.starts_with("crates/");
    for (number, line) in (1..).zip(file.text.lines()) {
        let place = || format!("{}:{number}", file.path);
        let code = code(line);
        if code.contains(concat!("#[", "allow(")) || code.contains(concat!("#![", "allow(")) {
            let what = "silences a lint for ever: `#[expect(lint, reason = \"…\")]`";
            findings.push(Finding::new(place(), what));
        }
        if in_room && has_unsafe(code) {
            findings.push(Finding::new(place(), "no `unsafe` in rooms"));
        }
    }
    findings
}

/// The line without its comment. A `//` within a string cuts more than it should, which hides nothing that compiles.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn has_unsafe(code: &str) -> bool {
    code.match_indices(concat!("un", "safe")).any(|(at, word)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].trim_start();
        let opens =
            ["{", "fn ", "impl ", "extern ", "trait "].iter().any(|next| after.starts_with(next));
        opens && !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check_file(&File { path: path.into(), text: text.into() }).len()
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(count("crates/edge/src/lib.rs", "//! A sign.\nuse x;"), 0);
        assert_eq!(count("crates/edge/src/lib.rs", "use x;"), 1);
        assert_eq!(count("crates/edge/src/lib.rs", ""), 1);
    }

    #[test]
    fn base_is_closed() {
        assert_eq!(count("crates/base/src/clock.rs", "//! A sign."), 0);
        assert_eq!(count("crates/base/src/util.rs", "//! A sign."), 1);
        assert_eq!(count("crates/edge/src/range.rs", "//! A sign."), 0);
    }

    #[test]
    fn lints_are_not_silenced() {
        let silenced = concat!("//! A sign.\n#[", "allow(dead_code)]\nfn f() {}");
        assert_eq!(count("xtask/src/a.rs", silenced), 1);
        assert_eq!(count("xtask/src/a.rs", "//! A sign.\n#[expect(dead_code, reason = \"r\")]"), 0);
    }

    #[test]
    fn rooms_are_safe() {
        let block = concat!("//! A sign.\nlet x = un", "safe { *p };");
        assert_eq!(count("crates/edge/src/a.rs", block), 1);
        let words =
            "//! A sign.\nlet policy = \"'unsafe-inline'\"; // unsafe { }\nfn is_unsafe() {}";
        assert_eq!(count("crates/edge/src/a.rs", words), 0);
    }
}
