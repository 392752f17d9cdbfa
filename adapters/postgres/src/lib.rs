//! The factum store on PostgreSQL 15 and newer.
//!
//! An append is one round trip: a database function checks each append of a batch separately, under the lock that
//! assigns positions, and the commit follows at once. Appends that arrive during a commit are stored together in the
//! next batch. If no other process appends, the writer checks appends with its own cache instead. Several processes may
//! use one database. One database may hold several stores, each in its own schema.
//!
//! ```no_run
//! # async fn run() -> Result<(), factum_postgres::BoxError> {
//! use factum::Engine;
//! use factum_postgres::PostgresStore;
//!
//! let store = PostgresStore::open("postgres://localhost/bank").await?;
//! let engine = Engine::new(store.clone());
//! // execute commands, then:
//! # let _ = engine;
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! The database must have the encoding UTF8. The role needs no `create` privilege if the schema of the store exists. A
//! connection pooler such as pgbouncer must keep sessions: `pool_mode = session`.
//!
//! Connections use TLS as `sslmode` of the URL says, with rustls. `verify-full` checks the certificate of the server,
//! with the root certificates of the operating system and the file `sslrootcert`. The default, `prefer`, logs a warning
//! if the server has no TLS. Without the default feature `tls`, connections are plain text.
//!
//! Read models can live in the same schema: see [`SqlProjection`]. They are updated after the appends, or inside of the
//! append transaction: see [`PostgresOptions::inline`].
//!
//! To look at the events in `psql`, use the view of the schema: `select * from factum.events`.

mod appended;
mod cached_append;
mod database_append;
mod document;
mod document_conflicts;
mod error;
mod event_columns;
mod event_id;
mod event_row;
mod event_type_list;
mod idempotency_key;
mod import;
mod independent_batches;
mod inline;
mod insert;
mod migrate;
mod open;
mod query;
mod read;
mod read_batcher;
mod read_pool;
mod record;
mod recovery;
mod server;
mod server_check;
mod snapshot;
mod sql_transaction;
mod statement;
mod store;
mod stream_ids;
mod stream_list;
mod stream_state;
mod transaction;
mod watch;
mod write_request;
mod writer;
mod writer_cache;

pub use factum_sql::{
    BoxError, Dialect, FromRow, FromSqlValue, IntoSqlValue, Sql, SqlDatabase, SqlDatabaseExt,
    SqlError, SqlProject, SqlProjectSet, SqlProjection, SqlQuery, SqlReadModel, SqlRow, SqlText,
    SqlType, SqlValue, TrustedSql, View,
};
pub use open::PostgresOptions;
/// The driver, for [`Sql::driver`] and [`PostgresStore::pool`].
pub use sqlx;
pub use sqlx::PgPool;
pub use sqlx::postgres::{PgConnectOptions, PgConnection};
pub use store::PostgresStore;
