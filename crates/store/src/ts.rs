//! Time as a column: integer microseconds since the epoch on SQLite, so that it sorts and divides without parsing;
//! `timestamptz` on PostgreSQL.

use mainstay_base::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

/// A [`Timestamp`] that can be bound and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(pub Timestamp);

impl From<Ts> for Timestamp {
    fn from(ts: Ts) -> Self {
        ts.0
    }
}

impl From<Timestamp> for Ts {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Type<Sqlite> for Ts {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}

impl Encode<'_, Sqlite> for Ts {
    fn encode_by_ref(&self, args: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Sqlite>>::encode_by_ref(&self.0.as_micros(), args)
    }
}

impl<'r> Decode<'r, Sqlite> for Ts {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<'r, Sqlite>>::decode(value)
            .map(|micros| Self(Timestamp::from_micros(micros)))
    }
}

/// 2000-01-01, from which PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
/// The last microsecond PostgreSQL can name (294276-12-31); whatever is later is its `infinity`.
const POSTGRES_LAST: i64 = 9_223_371_331_200_000_000 - POSTGRES_EPOCH - 1;

impl Type<Postgres> for Ts {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(sqlx::postgres::types::Oid(TIMESTAMPTZ))
    }
}

impl PgHasArrayType for Ts {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(sqlx::postgres::types::Oid(TIMESTAMPTZ_ARRAY))
    }
}

// Fixed in PostgreSQL's catalogue, `pg_type.dat`.
const TIMESTAMPTZ: u32 = 1184;
const TIMESTAMPTZ_ARRAY: u32 = 1185;

impl Ts {
    /// As PostgreSQL counts.
    pub(crate) fn postgres_micros(self) -> i64 {
        let micros = self.0.as_micros().saturating_sub(POSTGRES_EPOCH);
        if micros > POSTGRES_LAST { i64::MAX } else { micros }
    }
}

impl Encode<'_, Postgres> for Ts {
    fn encode_by_ref(&self, args: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Postgres>>::encode_by_ref(&self.postgres_micros(), args)
    }

    fn size_hint(&self) -> usize {
        size_of::<i64>()
    }
}

impl<'r> Decode<'r, Postgres> for Ts {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as Decode<'r, Postgres>>::decode(value)?;
                Ok(Self(Timestamp::from_micros(micros.saturating_add(POSTGRES_EPOCH))))
            }
            // As PostgreSQL writes it while DateStyle is ISO and the connection speaks UTC, which sqlx sees to.
            PgValueFormat::Text => {
                let text = value.as_str()?.replacen(' ', "T", 1).replace("+00", "Z");
                let at = Timestamp::parse_rfc3339(&text).ok_or("not an instant")?;
                Ok(Self(at))
            }
        }
    }
}
