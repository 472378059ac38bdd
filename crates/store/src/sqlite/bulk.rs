//! Inserts of many rows in statements of few fixed sizes, so that each is prepared once and stays prepared.

use std::fmt::Write as _;
use std::sync::Arc;

use mainstay_base::Timestamp;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteQueryResult};
use sqlx::{Arguments, AssertSqlSafe, Encode, Sqlite, Type};
use uuid::Uuid;

/// Rows per statement. What remains takes the smallest size that holds it, filled up with rows of NULL that the text
/// drops: on the way to SQLite's thread a second statement costs more than the empty rows.
const SIZES: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const ROWS_MAX: usize = SIZES[SIZES.len() - 1];

/// The parts of a bulk insert's text around its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text {
    /// `INSERT INTO table (columns)`; the first column is never NULL.
    pub(crate) head: &'static str,
    /// Values per row.
    pub(crate) columns: usize,
    /// What follows the rows.
    pub(crate) tail: &'static str,
}

/// The texts of one bulk insert, one per size.
#[derive(Debug)]
pub(crate) struct Bulk {
    texts: [Arc<str>; SIZES.len()],
    columns: usize,
}

impl Bulk {
    pub(crate) fn new(text: &Text) -> Self {
        Self { texts: SIZES.map(|rows| text_of(text, rows).into()), columns: text.columns }
    }

    /// Cuts `rows` into the sizes there are statements for.
    pub(crate) fn chunks<'a, R>(&self, rows: &'a [R]) -> impl Iterator<Item = Chunk<'a, R>> {
        let mut rest = rows;
        std::iter::from_fn(move || {
            let (rows, tail) = rest.split_at(rest.len().min(ROWS_MAX));
            rest = tail;
            let size = SIZES.iter().position(|size| *size >= rows.len())?;
            (!rows.is_empty()).then_some(Chunk { rows, size })
        })
    }

    /// Inserts one chunk; `bind` binds each row's values in the order of the columns.
    pub(crate) async fn insert<R>(
        &self,
        conn: &mut SqliteConnection,
        chunk: &Chunk<'_, R>,
        bind: impl Fn(&R, &mut Binder),
    ) -> Result<SqliteQueryResult, sqlx::Error> {
        let mut binder = Binder::with_capacity(chunk.rows.len() * self.columns);
        for row in chunk.rows {
            bind(row, &mut binder);
        }
        let text = AssertSqlSafe(Arc::clone(&self.texts[chunk.size]));
        sqlx::query_with(text, binder.finish()?).execute(conn).await
    }

    /// Inserts all rows, whatever became of each.
    pub(crate) async fn insert_all<R>(
        &self,
        conn: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Binder),
    ) -> Result<(), sqlx::Error> {
        for chunk in self.chunks(rows) {
            self.insert(conn, &chunk, &bind).await?;
        }
        Ok(())
    }
}

/// Rows for one statement.
#[derive(Debug)]
pub(crate) struct Chunk<'a, R> {
    pub(crate) rows: &'a [R],
    size: usize,
}

/// Numbered placeholders would be looked up by name for every value, in time growing with their number; `?` is not.
fn text_of(text: &Text, rows: usize) -> String {
    let row = format!("({})", vec!["?"; text.columns].join(","));
    let mut out = String::with_capacity(text.head.len() + text.tail.len() + rows * (row.len() + 1));
    let _infallible = write!(
        out,
        "{} SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL {}",
        text.head,
        vec![row; rows].join(","),
        text.tail
    );
    out
}

/// Collects the values of a statement; a value that cannot be encoded is told at the end.
#[derive(Debug)]
pub(crate) struct Binder {
    args: SqliteArguments,
    failed: Option<sqlx::Error>,
}

impl Binder {
    fn with_capacity(values: usize) -> Self {
        let mut args = SqliteArguments::default();
        args.reserve(values, 0);
        Self { args, failed: None }
    }

    fn finish(self) -> Result<SqliteArguments, sqlx::Error> {
        self.failed.map_or(Ok(self.args), Err)
    }

    pub(crate) fn add<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) -> &mut Self {
        if let Err(e) = self.args.add(value) {
            self.failed.get_or_insert(sqlx::Error::Encode(e));
        }
        self
    }

    /// Text; one allocation instead of the two of `&str`.
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.add(Arc::<str>::from(value))
    }

    pub(crate) fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        self.add(value.map(Arc::<str>::from))
    }

    pub(crate) fn shared(&mut self, value: &Arc<str>) -> &mut Self {
        self.add(Arc::clone(value))
    }

    pub(crate) fn maybe_shared(&mut self, value: Option<&Arc<str>>) -> &mut Self {
        self.add(value.cloned())
    }

    pub(crate) fn id(&mut self, value: Uuid) -> &mut Self {
        self.add(value)
    }

    pub(crate) fn at(&mut self, value: Timestamp) -> &mut Self {
        self.add(value.as_micros())
    }
}
