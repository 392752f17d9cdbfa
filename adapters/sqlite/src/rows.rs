//! Many rows in one statement: the driver pays for each statement, hardly for a row.

use std::sync::{Arc, OnceLock};

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Encode, Sqlite, SqliteConnection, Type};

use crate::error::Fault;

/// Statements are prepared for 1, 2, 4 … 512 rows, so that few texts serve every number of rows; rows
/// beyond those given are NULL and left out by the statement.
const SIZES: usize = 10;
pub(crate) const MOST: usize = 1 << (SIZES - 1);

/// A table that rows are inserted into.
pub(crate) struct Table {
    /// What stands in front of the insert, and behind it.
    frame: (&'static str, &'static str),
    insert: &'static str,
    columns: usize,
    texts: [OnceLock<Arc<str>>; SIZES],
}

/// What is to be inserted into a table.
pub(crate) struct Rows {
    table: &'static Table,
    chunks: Vec<SqliteArguments>,
}

impl Table {
    /// `insert`: the statement up to the rows. The first column is never NULL.
    pub(crate) const fn new(insert: &'static str, columns: usize) -> Self {
        Self {
            frame: ("", ""),
            insert,
            columns,
            texts: [const { OnceLock::new() }; SIZES],
        }
    }

    /// The same, with a transaction of its own.
    pub(crate) const fn at_once(insert: &'static str, columns: usize) -> Self {
        Self {
            frame: ("begin immediate; ", "; commit"),
            insert,
            columns,
            texts: [const { OnceLock::new() }; SIZES],
        }
    }

    fn text(&self, rows: usize) -> Arc<str> {
        let size = rows.next_power_of_two().trailing_zeros() as usize;
        let text = self.texts[size].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns].join(", "));
            let rows = vec![row; 1 << size].join(", ");
            let ((before, behind), insert) = (self.frame, self.insert);
            format!(
                "{before}{insert} select * from (values {rows}) where column1 is not null{behind}"
            )
            .into()
        });
        text.clone()
    }
}

impl Rows {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self {
            table,
            chunks: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The same rows, by the statement of another table.
    pub(crate) fn by(self, table: &'static Table) -> Self {
        Self { table, ..self }
    }

    /// Begins a row; [`Self::add`] gives its columns.
    pub(crate) fn begin(&mut self) {
        let full = |chunk: &SqliteArguments| chunk.len() >= MOST * self.table.columns;
        if self.chunks.last().is_none_or(full) {
            self.chunks.push(SqliteArguments::default());
        }
    }

    /// The next column of the row.
    pub(crate) fn add<'v>(
        &mut self,
        value: impl Encode<'v, Sqlite> + Type<Sqlite>,
    ) -> Result<(), Fault> {
        let Some(chunk) = self.chunks.last_mut() else {
            return Err(Fault::corrupt("a column without a row"));
        };
        chunk
            .add(value)
            .map_err(|error| Fault::from(sqlx::Error::Encode(error)))
    }

    pub(crate) async fn insert(self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        for chunk in self.chunks {
            let text = self.table.text(chunk.len() / self.table.columns);
            sqlx::query_with(AssertSqlSafe(text), chunk)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}
