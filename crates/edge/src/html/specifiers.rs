//! What a script's text may import: the string literals that could be module specifiers. Resolves nothing, asks for no file.
//!
//! JavaScript cannot be split into strings and the rest without parsing all of it: one apostrophe in a comment or a regular
//! expression would swap the two. So every piece between two neighbouring quotes of a kind is taken. That finds too much,
//! which costs a hash, and misses no literal.

use std::collections::BTreeMap;

/// Longest specifier in bytes; URLs of modules are shorter.
const SPECIFIER_BYTES_MAX: usize = 512;

/// Bytes of specifiers that are kept of one script.
const SCRIPT_BYTES_MAX: usize = 64 * 1024;

/// How far back a comment is looked for that a specifier could stand in.
const LINE_BYTES: usize = 1024;

/// A string that may name a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Specifier {
    pub(super) text: String,
    /// It stands behind `import` or `from`. Otherwise it only looks like the path of a script.
    pub(super) imported: bool,
}

/// The strings of a script that may name modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Specifiers {
    pub(super) list: Vec<Specifier>,
    /// The script imports more: names put together while it runs, or more than is kept.
    pub(super) open: bool,
}

/// Reads the text of a script.
pub(super) fn read_specifiers(text: &str) -> Specifiers {
    let mut found = BTreeMap::new();
    let mut open = false;
    if text.contains("import") || text.contains("from") {
        for quote in ['"', '\'', '`'] {
            read_between(text, quote, &mut found, &mut open);
        }
    }
    let mut kept = 0;
    let mut list = Vec::with_capacity(found.len());
    for (text, imported) in found {
        kept += text.len();
        if kept > SCRIPT_BYTES_MAX {
            open = true;
            break;
        }
        list.push(Specifier { text, imported });
    }
    Specifiers { list, open }
}

fn read_between(text: &str, quote: char, found: &mut BTreeMap<String, bool>, open: &mut bool) {
    let mut start = None;
    for (end, _) in text.match_indices(quote) {
        let Some(start) = start.replace(end + 1) else { continue };
        let (piece, rest) = (&text[start..end], &text[end + 1..]);
        if piece.is_empty() || piece.len() > SPECIFIER_BYTES_MAX || piece.contains(['\n', '\r']) {
            continue;
        }
        let imported = is_imported(&text[..start - 1]);
        let computed = piece.contains("${") || rest.trim_start().starts_with('+');
        if computed {
            *open |= imported;
            continue;
        }
        let Some(piece) = unescaped(piece) else { continue };
        if imported || is_path_of_script(&piece) {
            *found.entry(piece).or_default() |= imported;
        }
    }
}

/// Whether a string that follows `before` is what `import "…"`, `import("…")` or `from "…"` names. Examples in
/// comments are not: a policy must not be widened for them.
fn is_imported(before: &str) -> bool {
    let trimmed = before.trim_end();
    let call = trimmed.strip_suffix('(').map(str::trim_end);
    let ends_with = |text: &str, word: &str| {
        text.strip_suffix(word).is_some_and(|rest| {
            !rest.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '#'))
        })
    };
    let imports = match call {
        Some(call) => ends_with(call, "import"),
        None => ends_with(trimmed, "import") || ends_with(trimmed, "from"),
    };
    // Minified files are one line: only its end is looked at.
    let near = &before[before.floor_char_boundary(before.len().saturating_sub(LINE_BYTES))..];
    imports && !is_comment(near.rsplit('\n').next().unwrap_or(near))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('*') || line.starts_with("/*") || line.starts_with("//")
}

/// `./x.js`, `/js/x.mjs?v=1`, and `assets/x.js` as bundlers list what to load ahead. A word with a dot is none.
fn is_path_of_script(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    let lower = path.to_ascii_lowercase();
    path.contains('/')
        && (lower.ends_with(".js") || lower.ends_with(".mjs"))
        && !text
            .contains(|c: char| c.is_whitespace() || c.is_control() || "\"'`<>{}|^\\".contains(c))
}

/// The only escape found in specifiers is `\/`, made by JSON writers; a string with another one is none.
fn unescaped(piece: &str) -> Option<String> {
    let text = piece.replace("\\/", "/");
    (!text.contains('\\')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, bool)> {
        let list = read_specifiers(text).list.into_iter();
        list.map(|specifier| (specifier.text, specifier.imported)).collect()
    }

    #[test]
    fn every_way_to_import_is_found() {
        for (text, expected) in [
            ("import './a.js'", "./a.js"),
            ("import\"./a.js\"", "./a.js"),
            ("import x, {y as z} from\n  \"./a.js\";", "./a.js"),
            ("import{a as b}from\"./a.js\";b()", "./a.js"),
            ("export*from'./a.js'", "./a.js"),
            ("export { x } from `./a.js`", "./a.js"),
            ("const m = await import( './a.js' )", "./a.js"),
            ("import(`./a.js`).then(x)", "./a.js"),
            ("import { h } from 'preact'", "preact"),
            ("import 'https://cdn.example/x.js'", "https://cdn.example/x.js"),
            ("import './a b.js'", "./a b.js"),
            ("import(\"\\/js\\/a.js\")", "/js/a.js"),
            ("import './data'", "./data"),
            ("x(/[\"']/); import('./a.js')", "./a.js"),
            ("// don't\nimport './a.js'", "./a.js"),
            ("a = `${b}'s`; import './a.js'", "./a.js"),
        ] {
            let found = read(text);
            assert!(found.contains(&(expected.to_owned(), true)), "{text}: {found:?}");
        }
    }

    #[test]
    fn paths_of_scripts_count_wherever_they_stand() {
        let text = "const d=[\"assets/a-1.js\",\"assets/a.css\",'./b.mjs?v=1','Node.js','a.js',\"x /y.js\"];import(d[0])";
        assert_eq!(
            read(text),
            [("./b.mjs?v=1".to_owned(), false), ("assets/a-1.js".to_owned(), false)]
        );
        assert_eq!(read("load('./a.js')"), [], "nothing is imported at all");
    }

    #[test]
    fn what_only_looks_like_an_import_is_none() {
        for text in [
            "Array.from('abc')",
            "Buffer.from(\"x\")",
            "reimport('x')",
            " * import x from 'https://cdn.example/x'",
            "// import x from 'https://cdn.example/x'",
            "  /* import 'https://cdn.example/x' */",
            "import x from y; 'https://cdn.example/x'",
        ] {
            assert_eq!(read(text), [], "{text}");
            assert!(!read_specifiers(text).open, "{text}");
        }
    }

    #[test]
    fn names_made_while_running_and_more_than_is_kept_leave_it_open() {
        for text in ["import(`./lang/${l}.js`)", "import('./lang/' + l)", "import(\"./\"\n+ l)"] {
            assert!(read_specifiers(text).open, "{text}");
        }
        assert!(!read_specifiers("import './a.js'; b = `./lang/${l}.js` + '/a' + c").open);
        let many: String = (0..5_000).map(|n| format!("import './chunk-{n:09}.js';")).collect();
        let found = read_specifiers(&many);
        assert!(found.open && found.list.len() < 5_000);
    }
}
