//! Notices that the default or its table is not what it was when rows were copied, and has them copied anew.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{FILE, Names, SIZE, run_text};

impl Names {
    /// Whether what was copied is not what the default is any more: it lies in another file (a VACUUM FULL puts rows where
    /// others were copied from already, a TRUNCATE notes none), or a migration changed the table. Then nothing is copied
    /// yet. What was noted stays so.
    pub(super) async fn begin_anew_if_changed(
        &self,
        conn: &mut PgConnection,
    ) -> Result<bool, sqlx::Error> {
        let Self { default, moving, .. } = self;
        let look = format!(
            "SELECT file = {FILE}, obj_description('{moving}'::regclass, 'pg_class'), {}
             FROM {moving}, pg_class WHERE oid = '{default}'::regclass",
            self.shape()
        );
        let look = sqlx::query_as(AssertSqlSafe(look)).persistent(false);
        let (is_same, then, now): (bool, Option<String>, String) =
            look.fetch_one(&mut *conn).await?;
        if is_same && then.as_ref() == Some(&now) {
            return Ok(false);
        }
        for name in self.list_own(conn).await? {
            run_text(conn, &format!("DROP TABLE mainstay.{name}")).await?;
        }
        for text in [
            format!(
                "UPDATE {moving} SET file = {FILE}, next = 0, blocks = {SIZE}, copied = 0
                 FROM pg_class WHERE oid = '{default}'::regclass"
            ),
            format!("COMMENT ON TABLE {moving} IS '{now}'"),
        ] {
            run_text(conn, &text).await?;
        }
        Ok(true)
    }

    /// What a table must have in common with a piece of it: columns, constraints, indexes. As an expression; a number.
    pub(super) fn shape(&self) -> String {
        let of = format!("'mainstay.{}'::regclass", self.pieces.table);
        format!(
            "hashtextextended(concat_ws(';',
                (SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attcollation, attnotnull, attgenerated), ',' ORDER BY attnum)
                 FROM pg_attribute WHERE attrelid = {of} AND attnum > 0 AND NOT attisdropped),
                (SELECT string_agg(pg_get_constraintdef(oid), ',' ORDER BY conname) FROM pg_constraint WHERE conrelid = {of}),
                (SELECT string_agg(pg_get_indexdef(indexrelid), ',' ORDER BY indexrelid) FROM pg_index WHERE indrelid = {of})), 0)::text"
        )
    }
}
