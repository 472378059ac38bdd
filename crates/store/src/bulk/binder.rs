//! The values of one statement as each engine takes them: one after the other, or one array per column.

use std::borrow::Cow;
use std::sync::Arc;

use mainstay_base::Timestamp;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Sqlite, Type};
use uuid::Uuid;

use super::Kind;
use crate::Ts;

/// Collects the values of a statement, row by row; a value that cannot be encoded is told at the end.
#[derive(Debug)]
pub(crate) enum Binder<'r> {
    Sqlite { args: SqliteArguments, failed: Option<sqlx::Error> },
    Direct(Vec<Value<'r>>),
    Postgres { columns: Vec<Column<'r>>, next: usize },
}

/// One value, bound on the thread that collected it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'r> {
    Null,
    Int(i64),
    Real(f64),
    Text(&'r str),
    Id(Uuid),
    Bytes(&'r [u8]),
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Id(value) => ValueRef::Blob(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// One array.
#[derive(Debug)]
pub(crate) enum Column<'r> {
    Text(Vec<Option<Cow<'r, str>>>),
    Id(Vec<Option<Uuid>>),
    Int(Vec<Option<i64>>),
    Small(Vec<Option<i32>>),
    Real(Vec<Option<f64>>),
    Flag(Vec<bool>),
    Time(Vec<Ts>),
    Bytes(Vec<&'r [u8]>),
}

impl Column<'_> {
    fn with_capacity(kind: Kind, rows: usize) -> Self {
        match kind {
            Kind::Text | Kind::Json => Self::Text(Vec::with_capacity(rows)),
            Kind::Id => Self::Id(Vec::with_capacity(rows)),
            Kind::Int => Self::Int(Vec::with_capacity(rows)),
            Kind::Small | Kind::Tiny => Self::Small(Vec::with_capacity(rows)),
            Kind::Real => Self::Real(Vec::with_capacity(rows)),
            Kind::Flag => Self::Flag(Vec::with_capacity(rows)),
            Kind::Time => Self::Time(Vec::with_capacity(rows)),
            Kind::Bytes => Self::Bytes(Vec::with_capacity(rows)),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(values) => values.is_empty(),
            Self::Id(values) => values.is_empty(),
            Self::Int(values) => values.is_empty(),
            Self::Small(values) => values.is_empty(),
            Self::Real(values) => values.is_empty(),
            Self::Flag(values) => values.is_empty(),
            Self::Time(values) => values.is_empty(),
            Self::Bytes(values) => values.is_empty(),
        }
    }

    fn add_to(&self, args: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError> {
        match self {
            Self::Text(values) => args.add(values),
            Self::Id(values) => args.add(values),
            Self::Int(values) => args.add(values),
            Self::Small(values) => args.add(values),
            Self::Real(values) => args.add(values),
            Self::Flag(values) => args.add(values),
            Self::Time(values) => args.add(values),
            Self::Bytes(values) => args.add(values),
        }
    }
}

/// Puts a value where it belongs. A row whose values do not fit their columns leaves an array of another length behind,
/// which PostgreSQL fills up with NULL and the first column's constraint refuses.
macro_rules! put {
    ($self:ident, $column:ident, $array:expr, $value:expr, $direct:expr) => {
        match $self {
            Self::Sqlite { .. } => {
                $self.add_sqlite($value);
            }
            Self::Direct(values) => values.push($direct),
            Self::Postgres { columns, next } => {
                if let Some(Column::$column(values)) = columns.get_mut(*next) {
                    values.push($array);
                }
                *next = (*next + 1) % columns.len().max(1);
            }
        }
    };
}

impl<'r> Binder<'r> {
    pub(crate) fn sqlite(values: usize) -> Self {
        let mut args = SqliteArguments::default();
        args.reserve(values, 0);
        Self::Sqlite { args, failed: None }
    }

    pub(crate) fn direct(values: usize) -> Self {
        Self::Direct(Vec::with_capacity(values))
    }

    pub(crate) fn postgres(columns: &[(&'static str, Kind)], rows: usize) -> Self {
        let columns = columns.iter().map(|(_, kind)| Column::with_capacity(*kind, rows));
        Self::Postgres { columns: columns.collect(), next: 0 }
    }

    pub(crate) fn finish_sqlite(self) -> Result<SqliteArguments, sqlx::Error> {
        match self {
            Self::Sqlite { args, failed } => failed.map_or(Ok(args), Err),
            Self::Direct(_) | Self::Postgres { .. } => {
                Err(sqlx::Error::Encode("bound for another engine".into()))
            }
        }
    }

    /// Whether no row was bound.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Sqlite { args, .. } => args.len() == 0,
            Self::Direct(values) => values.is_empty(),
            Self::Postgres { columns, .. } => columns.iter().all(Column::is_empty),
        }
    }

    pub(crate) fn finish_direct(self) -> rusqlite::Result<Vec<Value<'r>>> {
        match self {
            Self::Direct(values) => Ok(values),
            Self::Sqlite { .. } | Self::Postgres { .. } => Err(rusqlite::Error::InvalidQuery),
        }
    }

    pub(crate) fn finish_postgres(self) -> Result<PgArguments, sqlx::Error> {
        let Self::Postgres { columns, .. } = self else {
            return Err(sqlx::Error::Encode("bound for another engine".into()));
        };
        let mut args = PgArguments::default();
        for column in &columns {
            column.add_to(&mut args).map_err(sqlx::Error::Encode)?;
        }
        Ok(args)
    }

    fn add_sqlite<'t>(&mut self, value: impl Encode<'t, Sqlite> + Type<Sqlite>) {
        if let Self::Sqlite { args, failed } = self
            && let Err(e) = args.add(value)
        {
            failed.get_or_insert(sqlx::Error::Encode(e));
        }
    }

    /// Nothing, in whatever column comes next.
    pub(crate) fn null(&mut self) -> &mut Self {
        match self {
            Self::Sqlite { .. } => {
                self.add_sqlite(None::<i64>);
            }
            Self::Direct(values) => values.push(Value::Null),
            Self::Postgres { columns, next } => {
                match columns.get_mut(*next) {
                    Some(Column::Text(values)) => values.push(None),
                    Some(Column::Id(values)) => values.push(None),
                    Some(Column::Int(values)) => values.push(None),
                    Some(Column::Small(values)) => values.push(None),
                    Some(Column::Real(values)) => values.push(None),
                    // These are never NULL: such a row does not fit.
                    Some(Column::Flag(_) | Column::Time(_) | Column::Bytes(_)) | None => {}
                }
                *next = (*next + 1) % columns.len().max(1);
            }
        }
        self
    }

    /// Text; for SQLite one allocation instead of the two of `&str`.
    pub(crate) fn text(&mut self, value: &'r str) -> &mut Self {
        put!(self, Text, Some(storable(value)), Arc::<str>::from(value), Value::Text(value));
        self
    }

    pub(crate) fn maybe_text(&mut self, value: Option<&'r str>) -> &mut Self {
        put!(
            self,
            Text,
            value.map(storable),
            value.map(Arc::<str>::from),
            maybe(value, Value::Text)
        );
        self
    }

    pub(crate) fn shared(&mut self, value: &'r Arc<str>) -> &mut Self {
        put!(self, Text, Some(storable(value)), Arc::clone(value), Value::Text(value));
        self
    }

    pub(crate) fn maybe_shared(&mut self, value: Option<&'r Arc<str>>) -> &mut Self {
        put!(
            self,
            Text,
            value.map(|v| storable(v)),
            value.cloned(),
            maybe(value, |v| Value::Text(v))
        );
        self
    }

    pub(crate) fn maybe_json(&mut self, value: Option<&'r str>) -> &mut Self {
        put!(
            self,
            Text,
            value.map(storable_json),
            value.map(Arc::<str>::from),
            maybe(value, Value::Text)
        );
        self
    }

    pub(crate) fn id(&mut self, value: Uuid) -> &mut Self {
        self.maybe_id(Some(value))
    }

    pub(crate) fn maybe_id(&mut self, value: Option<Uuid>) -> &mut Self {
        put!(self, Id, value, value, maybe(value, Value::Id));
        self
    }

    pub(crate) fn int(&mut self, value: i64) -> &mut Self {
        put!(self, Int, Some(value), value, Value::Int(value));
        self
    }

    pub(crate) fn small(&mut self, value: i32) -> &mut Self {
        self.maybe_small(Some(value))
    }

    pub(crate) fn maybe_small(&mut self, value: Option<i32>) -> &mut Self {
        put!(self, Small, value, value, maybe(value, |v| Value::Int(v.into())));
        self
    }

    pub(crate) fn real(&mut self, value: f64) -> &mut Self {
        self.maybe_real(Some(value))
    }

    pub(crate) fn maybe_real(&mut self, value: Option<f64>) -> &mut Self {
        put!(self, Real, value, value, maybe(value, Value::Real));
        self
    }

    pub(crate) fn flag(&mut self, value: bool) -> &mut Self {
        put!(self, Flag, value, value, Value::Int(value.into()));
        self
    }

    pub(crate) fn at(&mut self, value: Timestamp) -> &mut Self {
        put!(self, Time, Ts(value), Ts(value), Value::Int(value.as_micros()));
        self
    }

    pub(crate) fn bytes(&mut self, value: &'r [u8]) -> &mut Self {
        put!(self, Bytes, value, value, Value::Bytes(value));
        self
    }
}

fn maybe<'r, T>(value: Option<T>, make: impl FnOnce(T) -> Value<'r>) -> Value<'r> {
    value.map_or(Value::Null, make)
}

/// PostgreSQL's text holds no NUL: an event is not lost for one.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Nor does its JSON, escaped or not.
pub(crate) fn storable_json(text: &str) -> Cow<'_, str> {
    if text.contains("\\u0000") {
        text.replace("\\u0000", "\\ufffd").into()
    } else {
        storable(text)
    }
}
