//! [`Sql`]: the tables of one build of a read model, and [`SqlQuery`]: a statement with its values.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use factum_core::error::{BoxError, StoreError};

use crate::braces::{explain_query, explain_statement};
use crate::connection::{Dialect, SqlConnection};
use crate::database::SqlDatabase;
use crate::error::SqlError;
use crate::row::{FromRow, SqlRow};
use crate::sql_text::SqlText;
use crate::statement_clock::StatementClock;
use crate::table_names::expand_table_names;
use crate::value::{IntoSqlValue, SqlValue};

/// The tables of one build of a read model, inside of the transaction that also moves the checkpoint.
///
/// Write the names of the projection's tables and indexes in braces: a rebuild fills new tables beside those that serve
/// readers, so the tables of build 3 are named `owner__3`. A name has 1 to 50 of `a-z`, `0-9` and `_`, and does not
/// start with a digit. Readers use the plain name, which is a view; if it is a keyword, such as `order`, they quote it:
/// `select * from "order"`. Write parameters as `$1`, `$2` and so on.
///
/// ```
/// # use factum_sql::{Sql, SqlError};
/// # async fn example(db: &mut Sql<'_>) -> Result<(), SqlError> {
/// db.query("insert into {owner} (account, name) values ($1, $2)").bind("a-1").bind("alice").execute().await?;
/// let name: Option<String> = db.query("select name from {owner} where account = $1").bind("a-1").fetch_optional().await?;
/// let rows: Vec<(String, i64)> = db.query("select name, count(*) from {owner} group by name").fetch_all().await?;
/// # Ok(()) }
/// ```
///
/// Statements that work on both databases use `bigint`, `double precision`, `text`, `bytea`, `boolean` and `uuid`
/// columns, `insert … on conflict … do update`, and `returning`. For other statements, use [`dialect`](Self::dialect),
/// or [`driver`](Self::driver) for the connection itself.
pub struct Sql<'c> {
    connection: &'c mut dyn SqlConnection,
    build: u64,
    table_names: BTreeSet<String>,
    clock: Arc<StatementClock>,
}

impl<'c> Sql<'c> {
    pub(crate) fn new(connection: &'c mut dyn SqlConnection, build: u64) -> Self {
        Self {
            connection,
            build,
            table_names: BTreeSet::new(),
            clock: Arc::new(StatementClock::new()),
        }
    }

    /// Starts a statement.
    pub fn query(&mut self, sql: impl SqlText) -> SqlQuery<'_> {
        let sql = self.expand(&sql.into_text());
        let target = StatementTarget::Transaction(&mut *self.connection, &self.clock);
        SqlQuery::new(target, sql)
    }

    /// Executes statements without parameters, separated by semicolons.
    ///
    /// # Errors
    /// Returns [`SqlError`] for the first statement that fails.
    pub async fn execute(&mut self, sql: impl SqlText) -> Result<(), SqlError> {
        let sql = self.expand(&sql.into_text());
        let _running = self.clock.start_statement();
        let executed = self.connection.execute_script(&sql).await;
        executed.map_err(|error| explain_statement(error, &sql))
    }

    /// Returns `sql` with the table names in braces replaced, for the [driver](Self::driver).
    pub fn expand(&mut self, sql: &str) -> String {
        let names = &mut self.table_names;
        expand_table_names(sql, self.build, |name| {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        })
    }

    /// Returns the dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// Returns the connection of the driver; `None` if it has another type than `C`.
    ///
    /// The type is `rusqlite::Connection` or `sqlx::PgConnection`. Statements through it are inside of the transaction.
    /// Do not end the transaction.
    pub fn driver<C: Any>(&mut self) -> Option<&mut C> {
        if self.connection.dialect() == Dialect::Postgres {
            self.clock.use_driver();
        }
        let driver: &mut dyn Any = self.connection.driver();
        driver.downcast_mut()
    }

    /// Returns the counter of its statements.
    pub(crate) fn clock(&self) -> Arc<StatementClock> {
        self.clock.clone()
    }

    /// Returns the table names that were written in braces.
    pub(crate) fn into_table_names(self) -> BTreeSet<String> {
        self.table_names
    }

    /// Converts an error into a [`StoreError`] if the database is its cause.
    pub(crate) fn store_error(&self, error: BoxError) -> Result<StoreError, BoxError> {
        self.connection.store_error(error)
    }
}

impl fmt::Debug for Sql<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql")
            .field("build", &self.build)
            .finish_non_exhaustive()
    }
}

/// The target of a statement.
pub(crate) enum StatementTarget<'q> {
    /// The transaction of a projection.
    Transaction(&'q mut dyn SqlConnection, &'q StatementClock),
    /// The transaction of a view.
    Connection(&'q mut dyn SqlConnection),
    /// A separate read transaction.
    Database(&'q dyn SqlDatabase),
}

/// A statement with its values: [bind](Self::bind) them in order, then execute or fetch.
#[must_use = "a query does nothing until it is executed or fetched"]
pub struct SqlQuery<'q> {
    target: StatementTarget<'q>,
    sql: String,
    values: Vec<SqlValue>,
}

impl<'q> SqlQuery<'q> {
    pub(crate) fn new(target: StatementTarget<'q>, sql: String) -> Self {
        Self {
            target,
            sql,
            values: Vec::new(),
        }
    }

    /// Binds the value of the next parameter.
    pub fn bind(mut self, value: impl IntoSqlValue) -> Self {
        self.values.push(value.into_sql_value());
        self
    }

    /// Executes the statement, and returns the number of rows that it changed.
    ///
    /// # Errors
    /// Returns [`SqlError`] if the statement fails.
    pub async fn execute(self) -> Result<u64, SqlError> {
        check_finite(&self.values)?;
        let (sql, values) = (&self.sql, &self.values);
        match self.target {
            StatementTarget::Transaction(connection, clock) => {
                let _running = clock.start_statement();
                let executed = connection.execute(sql, values).await;
                executed.map_err(|error| explain_statement(error, sql))
            }
            StatementTarget::Connection(connection) => {
                let executed = connection.execute(sql, values).await;
                executed.map_err(|error| explain_statement(error, sql))
            }
            StatementTarget::Database(database) => {
                let mut connection = database.begin_read().await?;
                let executed = connection.execute(sql, values).await;
                executed.map_err(|error| explain_query(error, sql))
            }
        }
    }

    /// Returns all rows.
    ///
    /// # Errors
    /// Returns [`SqlError`] if the statement fails or a row cannot be decoded.
    pub async fn fetch_all<T: FromRow>(self) -> Result<Vec<T>, SqlError> {
        let rows = self.fetch(usize::MAX).await?;
        rows.iter().map(T::from_row).collect()
    }

    /// Returns the first row.
    ///
    /// # Errors
    /// Returns [`SqlError::NoRow`] if there is none, or another [`SqlError`].
    pub async fn fetch_one<T: FromRow>(self) -> Result<T, SqlError> {
        self.fetch_optional().await?.ok_or(SqlError::NoRow)
    }

    /// Returns the first row, if there is one.
    ///
    /// # Errors
    /// Returns [`SqlError`] if the statement fails or the row cannot be decoded.
    pub async fn fetch_optional<T: FromRow>(self) -> Result<Option<T>, SqlError> {
        let rows = self.fetch(1).await?;
        rows.first().map(T::from_row).transpose()
    }

    async fn fetch(self, limit: usize) -> Result<Vec<SqlRow>, SqlError> {
        check_finite(&self.values)?;
        let (sql, values) = (&self.sql, &self.values);
        match self.target {
            StatementTarget::Transaction(connection, clock) => {
                let _running = clock.start_statement();
                let rows = connection.fetch(sql, values, limit).await;
                rows.map_err(|error| explain_statement(error, sql))
            }
            StatementTarget::Connection(connection) => {
                let rows = connection.fetch(sql, values, limit).await;
                rows.map_err(|error| explain_statement(error, sql))
            }
            StatementTarget::Database(database) => {
                let mut connection = database.begin_read().await?;
                let rows = connection.fetch(sql, values, limit).await;
                rows.map_err(|error| explain_query(error, sql))
            }
        }
    }
}

fn check_finite(values: &[SqlValue]) -> Result<(), SqlError> {
    for (index, value) in values.iter().enumerate() {
        match value {
            SqlValue::F64(value) if !value.is_finite() => {
                return Err(SqlError::NotFinite {
                    parameter: index + 1,
                    value: *value,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

impl fmt::Debug for SqlQuery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlQuery")
            .field("sql", &self.sql)
            .field("values", &self.values)
            .finish_non_exhaustive()
    }
}
