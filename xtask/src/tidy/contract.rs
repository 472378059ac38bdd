//! Expand, then contract: a migration takes nothing away that a server of the version before still asks for, or says who stopped.
//!
//! Servers that share a database are replaced one by one, so the old version asks while the new schema is there already.

use super::Finding;
use super::tree::File;

const FOLDER: &str = "crates/store/migrations/";
/// Migrations that had landed before this law, by folder: up to these numbers nothing is asked of them.
const LANDED: [(&str, u64); 3] = [("core_sqlite", 1), ("insight_sqlite", 14), ("postgres", 22)];
/// Begins the line that says which code used it last, and since when none does.
const LINE: &str = "-- contract:";
/// Fewer say nothing.
const WORDS_MIN: usize = 3;
/// What `ALTER TABLE … DROP` may take away without anybody missing it.
const DROPPED_FREELY: [&str; 4] = ["CONSTRAINT", "NOT", "EXPRESSION", "IDENTITY"];

/// Every newer migration that takes something away without a word.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    files.iter().filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Finding> {
    let (folder, name) = file.path.strip_prefix(FOLDER)?.split_once('/')?;
    let number = name.strip_suffix(".sql")?.split('_').next()?.parse().unwrap_or(u64::MAX);
    let landed = LANDED.iter().find(|(landed, _)| *landed == folder);
    if landed.is_some_and(|(_, last)| number <= *last) || is_explained(&file.text) {
        return None;
    }
    let taken = find_taken(&file.text)?;
    let what = format!(
        "{taken}: servers of the version before still run. Do it once none uses it any more, and say so: `{LINE} \
         nothing reads … since …`"
    );
    Some(Finding::new(&file.path, what))
}

fn is_explained(text: &str) -> bool {
    let mut lines = text.lines().filter_map(|line| line.trim_start().strip_prefix(LINE));
    lines.any(|said| said.split_whitespace().count() >= WORDS_MIN)
}

/// What whole things may not go, and how that is said.
const DROPPED: [(&str, &str); 6] = [
    ("TABLE", "DROP TABLE"),
    ("VIEW", "DROP VIEW"),
    ("FUNCTION", "DROP FUNCTION"),
    ("PROCEDURE", "DROP FUNCTION"),
    ("ROUTINE", "DROP FUNCTION"),
    ("SCHEMA", "DROP SCHEMA"),
];
/// What a table may be asked to refuse from now on, though the version before still writes it.
const REFUSALS: [&str; 5] = ["CHECK", "UNIQUE", "EXCLUDE", "PRIMARY", "FOREIGN"];

/// The first thing that is taken away, or changed under who uses it.
fn find_taken(text: &str) -> Option<&'static str> {
    let code = strip_comments(text).to_ascii_uppercase();
    // Tables of this migration, which no server knows yet.
    let mut made = Vec::new();
    code.split(';').find_map(|statement| {
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
        let words: Vec<_> =
            statement.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
        made.extend((0..words.len()).find_map(|at| find_made(&words[at..])));
        (0..words.len()).find_map(|at| match words[at..] {
            ["CREATE", "UNIQUE", "INDEX", ref rest @ ..] if !is_of_any(rest, &made) => {
                Some("CREATE UNIQUE INDEX")
            }
            ["DROP", "MATERIALIZED", "VIEW", ..] => Some("DROP VIEW"),
            ["DROP", what, ..] => {
                DROPPED.iter().find(|(name, _)| *name == what).map(|(_, said)| *said)
            }
            ["ALTER", "TABLE" | "VIEW" | "SCHEMA", ref rest @ ..] => find_altered(rest),
            _ => None,
        })
    })
}

/// The table that is created here.
fn find_made<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (["CREATE", "TABLE", rest @ ..] | ["CREATE", _, "TABLE", rest @ ..]) = words else {
        return None;
    };
    let rest = rest.strip_prefix(&["IF", "NOT", "EXISTS"]).unwrap_or(rest);
    rest.first().copied()
}

/// Whether what follows `CREATE UNIQUE INDEX` is of one of these tables.
fn is_of_any(words: &[&str], tables: &[&str]) -> bool {
    let mut behind = words.iter().skip_while(|word| **word != "ON").skip(1);
    behind.find(|word| **word != "ONLY").is_some_and(|table| tables.contains(table))
}

/// Whether a new column must be given a value: the version before gives it none.
fn is_demanded(column: &[&str]) -> bool {
    let begins_next = |word: &&&str| matches!(**word, "ADD" | "ALTER" | "DROP");
    let len = column.iter().take_while(|word| !begins_next(word)).count();
    let column = &column[..len];
    let has = |wanted: &[&str]| column.windows(wanted.len()).any(|words| words == wanted);
    // Not what a foreign key does when its row goes: `ON DELETE SET DEFAULT`.
    let is_set = |at: usize| at > 0 && column[at - 1] == "SET";
    let fills = |(at, word): (usize, &&str)| match *word {
        "DEFAULT" | "GENERATED" => !is_set(at),
        _ => at > 0 && word.ends_with("SERIAL"),
    };
    (has(&["NOT", "NULL"]) || has(&["PRIMARY", "KEY"])) && !column.iter().enumerate().any(fills)
}

/// The same of what follows `ALTER TABLE`.
fn find_altered(words: &[&str]) -> Option<&'static str> {
    (0..words.len()).find_map(|at| match words[at..] {
        ["RENAME", "CONSTRAINT", ..] => None,
        ["RENAME", ..] => Some("RENAME"),
        // The version before may write none, and rely on it.
        ["DROP", "DEFAULT", ..] => Some("DROP DEFAULT"),
        ["DROP", what, ..] if !DROPPED_FREELY.contains(&what) => Some("DROP COLUMN"),
        ["SET", "NOT", "NULL", ..] => Some("SET NOT NULL"),
        ["ADD", "CONSTRAINT", _, what, ..] | ["ADD", what, ..] if REFUSALS.contains(&what) => {
            Some("ADD CONSTRAINT")
        }
        ["ADD", ref column @ ..] if is_demanded(column) => Some("ADD COLUMN … NOT NULL"),
        ["ALTER", "COLUMN", _, "TYPE", ..]
        | ["ALTER", _, "TYPE", ..]
        | ["SET", "DATA", "TYPE", ..] => Some("a change of type"),
        _ => None,
    })
}

fn strip_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("--").into_iter().chain(rest.find("/*")).min() {
        code.push_str(&rest[..at]);
        code.push(' ');
        let end = if rest[at..].starts_with("--") { "\n" } else { "*/" };
        rest = rest[at..].split_once(end).map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(&[File { path: format!("{FOLDER}{path}"), text: text.into() }]).len()
    }

    #[test]
    fn what_is_taken_away_needs_a_word() {
        for (text, findings) in [
            ("DROP TABLE old", 1),
            ("CREATE TABLE a (b INT);\ndrop\n  table if exists old;", 1),
            ("ALTER TABLE mainstay.a DROP COLUMN b", 1),
            ("ALTER TABLE a DROP b", 1),
            ("ALTER TABLE a RENAME TO c", 1),
            ("ALTER TABLE a RENAME b TO c", 1),
            ("ALTER TABLE a ALTER COLUMN b SET NOT NULL", 1),
            ("ALTER TABLE a ALTER COLUMN b TYPE bigint", 1),
            ("ALTER TABLE a ALTER b TYPE bigint", 1),
            ("ALTER TABLE a ADD c INT, ALTER COLUMN b SET DATA TYPE bigint", 1),
            ("DO $$ BEGIN EXECUTE 'DROP TABLE old'; END $$", 1),
            ("/* kept */ DROP /* not */ TABLE old", 1),
            ("ALTER TABLE a ADD CONSTRAINT b CHECK (c > 0)", 1),
            ("ALTER TABLE a ADD CONSTRAINT b CHECK (c > 0) NOT VALID", 1),
            ("ALTER TABLE a ADD CHECK (c > 0)", 1),
            ("ALTER TABLE a ADD CONSTRAINT b UNIQUE (c)", 1),
            ("ALTER TABLE a ADD d INT, ADD UNIQUE (c)", 1),
            ("ALTER TABLE a ADD CONSTRAINT b FOREIGN KEY (c) REFERENCES d", 1),
            ("ALTER TABLE a ADD COLUMN b INT NOT NULL", 1),
            ("ALTER TABLE a ADD b INT CHECK (b > 0) NOT NULL", 1),
            ("ALTER TABLE a ADD b INT NOT NULL, ADD COLUMN c INT DEFAULT 0", 1),
            ("ALTER TABLE a ADD COLUMN IF NOT EXISTS b INT PRIMARY KEY", 1),
            ("ALTER TABLE a ADD b INT NOT NULL REFERENCES d ON DELETE SET DEFAULT", 1),
            ("ALTER TABLE a ADD serial TEXT NOT NULL", 1),
            ("ALTER TABLE a ALTER COLUMN b DROP DEFAULT", 1),
            ("CREATE UNIQUE INDEX b ON mainstay.a (c)", 1),
            ("create unique index concurrently if not exists b on only a (c)", 1),
            ("CREATE TABLE a (b INT); CREATE UNIQUE INDEX ON c (d)", 1),
            ("CREATE UNIQUE INDEX ON a (b); CREATE TABLE a (b INT)", 1),
            ("DROP VIEW a", 1),
            ("DROP MATERIALIZED VIEW IF EXISTS a", 1),
            ("DROP FUNCTION mainstay.a(text)", 1),
            ("DROP SCHEMA old CASCADE", 1),
            ("ALTER TABLE a ADD COLUMN type TEXT NOT NULL DEFAULT ''", 0),
            ("ALTER TABLE a ADD b INT DEFAULT 0 NOT NULL, ADD COLUMN IF NOT EXISTS c TEXT NULL", 0),
            ("ALTER TABLE a ADD b BIGSERIAL NOT NULL, ADD c INT GENERATED ALWAYS AS (1) STORED", 0),
            ("CREATE TABLE IF NOT EXISTS a (b INT NOT NULL); CREATE UNIQUE INDEX c ON a (b)", 0),
            (
                "CREATE UNLOGGED TABLE d.a (b INT); CREATE UNIQUE INDEX ON ONLY d.a USING btree (b)",
                0,
            ),
            ("CREATE INDEX b ON a (c)", 0),
            ("ALTER TABLE a DROP CONSTRAINT b; ALTER TABLE a ALTER COLUMN b DROP NOT NULL", 0),
            ("ALTER TABLE a ALTER COLUMN b SET STORAGE EXTERNAL", 0),
            ("ALTER TABLE a RENAME CONSTRAINT b TO c; ALTER INDEX a RENAME TO b", 0),
            ("-- DROP TABLE old;\nCREATE TABLE a (b INT); /* ALTER TABLE a RENAME TO b */", 0),
            ("ALTER TABLE a ADD COLUMN c INT CHECK (c > 0); CREATE TABLE d (e INT UNIQUE)", 0),
            ("DROP INDEX a; DROP TRIGGER b; CREATE TABLE renamed (dropped INT)", 0),
        ] {
            assert_eq!(count("postgres/0023_x.sql", text), findings, "{text}");
            let said = format!("-- contract: nothing reads it since 0.3\n{text}");
            assert_eq!(count("postgres/0023_x.sql", &said), 0, "{said}");
            for unsaid in
                ["-- contract:", "-- contract: ok", "-- no contract: nothing reads it now"]
            {
                let text = format!("{unsaid}\n{text}");
                assert_eq!(count("postgres/0023_x.sql", &text), findings, "{text}");
            }
        }
    }

    #[test]
    fn what_had_landed_is_left_alone_and_whatever_is_newer_is_not() {
        for (path, findings) in [
            ("postgres/0022_x.sql", 0),
            ("postgres/0023_x.sql", 1),
            ("insight_sqlite/0014_x.sql", 0),
            ("insight_sqlite/0015_x.sql", 1),
            ("core_sqlite/0001_x.sql", 0),
            ("core_sqlite/0002_x.sql", 1),
            ("timescale/0001_x.sql", 1),
            ("postgres/later.sql", 1),
            ("README.md", 0),
        ] {
            assert_eq!(count(path, "DROP TABLE old"), findings, "{path}");
        }
    }
}
