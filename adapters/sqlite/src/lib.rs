//! The factum store on SQLite, embedded: one file, no server.
//!
//! Acknowledged is synced: WAL with `synchronous=FULL`. Appends that arrive while a commit is under way go
//! out together in the next transaction, each judged on its own. Several handles and several processes may
//! use one file at the same time.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("bank.db");
//! use factum::{EventStore, Query, Read};
//! use factum_sqlite::SqliteStore;
//!
//! let store = SqliteStore::open(file).await?;
//! assert!(store.read(Read::all(Query::all())).await?.events.is_empty());
//! store.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! For people, the file holds a view: `sqlite3 bank.db 'select * from events'`.
//!
//! Read models can live in the same file: see [`SqliteProjection`]; in the transactions that append: see
//! [`SqliteOptions::inline`].

mod batch;
mod document;
mod error;
mod file;
mod find;
mod inline;
mod insert;
mod job;
mod known;
mod migrate;
mod names;
mod open;
mod pair;
mod project_set;
mod projection;
mod query;
mod read;
mod read_model;
mod readers;
mod record;
mod snapshot;
mod store;
mod tables;
mod view;
mod watch;
mod writer;
mod writing;

pub use open::SqliteOptions;
pub use project_set::SqliteProjectSet;
pub use projection::{BoxError, SqliteProject, SqliteProjection};
pub use read_model::SqliteReadModel;
pub use sqlx;
pub use sqlx::{SqliteConnection, SqlitePool};
pub use store::SqliteStore;
pub use tables::Tables;
pub use view::View;
