//! [`SqlDatabaseExt`]: the read models and queries of any SQL database.

use std::sync::Arc;

use factum_engine::projection::EventsOf;

use crate::database::SqlDatabase;
use crate::projection_set::SqlProjectSet;
use crate::read_model::SqlReadModel;
use crate::sql::{SqlQuery, StatementTarget};
use crate::sql_text::SqlText;

/// The methods that applications call on any [`SqlDatabase`].
pub trait SqlDatabaseExt: SqlDatabase + Sized {
    /// Returns the read model of `projection`, in tables of this database.
    fn read_model<P>(&self, projection: P) -> SqlReadModel
    where
        P: SqlProjectSet<EventsOf<P>>,
        Self: Clone,
    {
        SqlReadModel::new(Arc::new(self.clone()), projection)
    }

    /// Starts a query that reads the database, in a separate transaction.
    ///
    /// Use the plain names of tables, without braces: they are views of the active builds. Quote a name that is a
    /// keyword: `select * from "order"`.
    fn query(&self, sql: impl SqlText) -> SqlQuery<'_> {
        let sql = sql.into_text().into_owned();
        SqlQuery::new(StatementTarget::Database(self), sql)
    }
}

impl<D: SqlDatabase> SqlDatabaseExt for D {}
