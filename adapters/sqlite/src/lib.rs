//! The factum store on SQLite: embedded in the program, one file, no server.
//!
//! An append that has returned is synced to disk: the file uses WAL with `synchronous=FULL`. Appends that arrive during
//! a commit are stored together in the next transaction, and each is checked separately. Several handles and several
//! processes may use one file at the same time.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("bank.db");
//! use factum::Engine;
//! use factum_sqlite::SqliteStore;
//!
//! let store = SqliteStore::open(file).await?;
//! let engine = Engine::new(store.clone());
//! // execute commands, then:
//! # let _ = engine;
//! store.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! To look at the events with the `sqlite3` command, use the view in the file: `sqlite3 bank.db 'select * from
//! events'`.
//!
//! Read models can live in the same file: see [`SqlProjection`]. They are updated after the appends, or inside of the
//! append transaction: see [`SqliteOptions::inline`].

mod access;
mod backup;
mod batch;
mod blocking;
mod database_file;
mod document;
mod error;
mod event_id;
mod event_type_list;
mod event_types;
mod file_guard;
mod file_path;
mod idempotency_key;
mod inline;
mod insert;
mod liveness_lock;
mod migrate;
mod open;
mod query;
mod read;
mod read_pool;
mod record;
mod snapshot;
mod statement;
mod store;
mod stream_list;
mod stream_state;
mod transaction;
mod view_pool;
mod watch;
mod write_connection;
mod write_request;
mod writer;
mod writer_cache;

pub use factum_sql::{
    BoxError, Dialect, FromRow, FromSqlValue, IntoSqlValue, Sql, SqlDatabase, SqlDatabaseExt,
    SqlError, SqlProject, SqlProjectSet, SqlProjection, SqlQuery, SqlReadModel, SqlRow, SqlText,
    SqlType, SqlValue, TrustedSql, View,
};
pub use open::SqliteOptions;
/// The driver, for [`Sql::driver`].
pub use rusqlite;
pub use store::SqliteStore;
