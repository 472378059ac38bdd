//! The words of a statement for each engine. Written once, with every table named `mainstay.table`, as PostgreSQL needs
//! it; SQLite's copy lacks the schema's name. Texts differ only where the engines do.

/// A statement in the words of both engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sql {
    /// For SQLite.
    pub(crate) sqlite: &'static str,
    /// For PostgreSQL.
    pub(crate) postgres: &'static str,
}

/// Makes a [`Sql`] at compile time, from one text or from one for each engine.
macro_rules! sql {
    (sqlite: $sqlite:expr, postgres: $postgres:expr $(,)?) => {
        $crate::sql::Sql { sqlite: $crate::sql::sql!($sqlite).sqlite, postgres: $postgres }
    };
    ($text:expr $(,)?) => {{
        const TEXT: &str = $text;
        const BYTES: [u8; $crate::sql::bare_len(TEXT)] = $crate::sql::bare(TEXT);
        const BARE: &str = match std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => "",
        };
        $crate::sql::Sql { sqlite: BARE, postgres: TEXT }
    }};
}
pub(crate) use sql;

const SCHEMA: &[u8] = b"mainstay.";

const fn is_schema(text: &[u8], at: usize) -> bool {
    if at + SCHEMA.len() > text.len() {
        return false;
    }
    let mut i = 0;
    while i < SCHEMA.len() {
        if text[at + i] != SCHEMA[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Length of `text` without the schema's name.
pub(crate) const fn bare_len(text: &str) -> usize {
    let text = text.as_bytes();
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        if is_schema(text, at) {
            at += SCHEMA.len();
        } else {
            at += 1;
            len += 1;
        }
    }
    len
}

/// `text` without the schema's name; `N` is [`bare_len`].
pub(crate) const fn bare<const N: usize>(text: &str) -> [u8; N] {
    let text = text.as_bytes();
    let mut out = [0; N];
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        if is_schema(text, at) {
            at += SCHEMA.len();
        } else {
            out[len] = text[at];
            at += 1;
            len += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_knows_no_schema() {
        const ONE: Sql =
            sql!("SELECT a FROM mainstay.b JOIN mainstay.c ON mainstay.b.d = 'mainstay'");
        assert_eq!(ONE.sqlite, "SELECT a FROM b JOIN c ON b.d = 'mainstay'");
        assert_eq!(
            ONE.postgres,
            "SELECT a FROM mainstay.b JOIN mainstay.c ON mainstay.b.d = 'mainstay'"
        );
        const TWO: Sql =
            sql!(sqlite: "SELECT 1 FROM mainstay.a", postgres: "SELECT 2 FROM mainstay.a");
        assert_eq!((TWO.sqlite, TWO.postgres), ("SELECT 1 FROM a", "SELECT 2 FROM mainstay.a"));
    }
}
