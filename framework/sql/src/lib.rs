//! SQL read models of [factum](https://docs.rs/factum), written once for SQLite and PostgreSQL.
//!
//! A projection implements [`SqlProjection`] and, for each event type, [`SqlProject`]. `store.read_model(…)` of an adapter
//! makes it a consumer, which the runtime runs. Applications name the types through the adapter crates, which re-export
//! them.
//!
//! | task | use |
//! |---|---|
//! | Write the tables of a projection | [`SqlProjection`], [`SqlProject`], [`Sql`] |
//! | Read tables | [`SqlDatabaseExt::query`], [`SqlReadModel::view`], [`SqlReadModel::live`] |
//! | Use the driver | [`Sql::driver`], [`View::driver`] |
//! | Support another database | [`SqlDatabase`], [`SqlConnection`], [`SqlTransaction`], [`inline`] |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod active_build;
mod braces;
mod connection;
mod database;
mod database_ext;
mod error;
pub mod inline;
mod live_query;
mod projection;
mod projection_set;
mod read_model;
mod row;
mod sql;
mod sql_text;
mod statement_clock;
pub mod table_names;
mod tables;
mod user_code;
mod value;
mod view;

pub use connection::{Dialect, Relation, SqlConnection, SqlTransaction};
pub use database::{SqlDatabase, TransactionWork};
pub use database_ext::SqlDatabaseExt;
pub use error::SqlError;
pub use factum_core::error::BoxError;
pub use factum_engine::projection::{EventsOf, Projection};
pub use factum_runtime::consumer::{BatchError, EventError};
pub use projection::{SqlProject, SqlProjection};
pub use projection_set::{BoxedProjection, SqlProjectSet};
pub use read_model::SqlReadModel;
pub use row::{ColumnIndex, FromRow, SqlRow};
pub use sql::{Sql, SqlQuery};
pub use sql_text::{SqlText, TrustedSql};
pub use value::{FromSqlValue, IntoSqlValue, SqlType, SqlValue};
pub use view::View;
