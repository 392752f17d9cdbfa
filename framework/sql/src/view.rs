//! [`View`]: a read model at one position.

use std::any::Any;
use std::fmt;

use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_runtime::consumer::control_key;

use crate::active_build::ActiveBuild;
use crate::connection::{Dialect, SqlConnection};
use crate::read_model::SqlReadModel;
use crate::sql::{SqlQuery, StatementTarget};
use crate::sql_text::SqlText;
use crate::table_names::expand_table_names;

/// A read model at one [position](Self::position), without the effects of later writes.
///
/// It is a transaction that only reads. Do not keep it for long: the database keeps all rows that it may read.
pub struct View {
    connection: Box<dyn SqlConnection>,
    build: u64,
    position: Position,
}

impl View {
    /// Returns the position up to which every event has taken effect or is a dead letter.
    ///
    /// With one partition, no later event has taken effect; with several, some may have.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Starts a query. Table names in braces are those of the active build at this position.
    pub fn query(&mut self, sql: impl SqlText) -> SqlQuery<'_> {
        let sql = self.expand(&sql.into_text());
        SqlQuery::new(StatementTarget::Connection(&mut *self.connection), sql)
    }

    /// Returns `sql` with the table names in braces replaced, for the [driver](Self::driver).
    #[must_use]
    pub fn expand(&self, sql: &str) -> String {
        expand_table_names(sql, self.build, |_| {})
    }

    /// Returns the dialect of the database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// Returns the connection of the driver; `None` if it has another type than `C`.
    ///
    /// The type is `rusqlite::Connection` or `sqlx::PgConnection`.
    pub fn driver<C: Any>(&mut self) -> Option<&mut C> {
        let driver: &mut dyn Any = self.connection.driver();
        driver.downcast_mut()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("build", &self.build)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl SqlReadModel {
    /// Returns the read model as it is now; `None` without an active build.
    ///
    /// Any node may process the build.
    ///
    /// ```
    /// # use factum_sql::SqlReadModel;
    /// # async fn show(owners: SqlReadModel) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(mut view) = owners.view().await? {
    ///     let rows: Vec<(String, String)> = view.query("select account, name from {owner}").fetch_all().await?;
    ///     println!("{rows:?} at position {}", view.position());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database fails.
    pub async fn view(&self) -> Result<Option<View>, StoreError> {
        Ok(self.open().await?.1)
    }
}

impl SqlReadModel {
    /// Opens a view, and returns the documents that it was opened by.
    pub(crate) async fn open(&self) -> Result<(ActiveBuild, Option<View>), StoreError> {
        let mut connection = self.database.begin_read().await?;
        let name = self.projection.name();
        let control = connection.find_documents(&[control_key(name)]).await?;
        let active = ActiveBuild::new(name, control.first())?;
        let Some(build) = active.build() else {
            return Ok((active, None));
        };
        let found = connection.find_documents(active.checkpoints()).await?;
        let active = active.with_checkpoints(&found)?;
        let view = View {
            connection,
            build,
            position: active.position(),
        };
        Ok((active, Some(view)))
    }
}
