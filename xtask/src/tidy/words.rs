//! Words that nothing we publish says: paths of one machine, and work put off.

use super::Finding;
use super::tree::File;

/// The words are cut in two so that this file does not say them.
const MACHINE: [&str; 4] = [
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/main"),
    concat!("/wo", "rk/shared"),
    concat!("../sh", "ared/"),
];
const POSTPONED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("#[ig", "nore")];

/// Every line with such a word.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    // Hashes and base64 of lock files say anything.
    let written = files.iter().filter(|file| !file.path.ends_with("-lock.json"));
    written.flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let place = || format!("{}:{number}", file.path);
        for word in MACHINE.iter().filter(|word| names_path(line, word)) {
            findings.push(Finding::new(place(), format!("`{word}` is a path of one machine")));
        }
        for word in POSTPONED.iter().filter(|word| says(line, word)) {
            findings.push(Finding::new(place(), format!("`{word}`: do it now, or leave it out")));
        }
    }
    findings
}

/// A path from the root of the file system; `https://host/path/` and `folder/path/` are other things.
fn names_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '}' | ')'))
    })
}

fn says(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&[File { path: "a.md".into(), text: text.into() }]).len()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(count(&format!("cd {}", MACHINE[1])), 1);
        assert_eq!(count(&format!("export X={}.cache", MACHINE[0])), 1);
        assert_eq!(count(&format!("see https://example.org{}x", MACHINE[0])), 0);
        assert_eq!(count("<a href=\"/work/cistern\">"), 0);
    }

    #[test]
    fn postponed_work_is_found() {
        assert_eq!(count(&format!("// {}: later", POSTPONED[0])), 1);
        assert_eq!(count(&format!("{}]", POSTPONED[3])), 1);
        assert_eq!(count("METHODOLOGY, mastodon"), 0);
    }
}
