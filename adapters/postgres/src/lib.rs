//! The factum store on PostgreSQL 15 and newer.
//!
//! An append is one round trip: a database function checks each append of a batch separately, under the lock that
//! assigns positions, and the commit follows at once. Appends that arrive during a commit are stored together in the
//! next batch. Several processes may use one database. One database may hold several stores, each in its own schema.
//!
//! ```no_run
//! # async fn run() -> Result<(), factum::StoreError> {
//! use factum_postgres::PostgresStore;
//!
//! let store = PostgresStore::open("postgres://localhost/bank").await?;
//! # store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Read models can live in the same schema: see [`PostgresProjection`]. They are updated after the appends, or inside
//! of the append transaction: see [`PostgresOptions::inline`].
//!
//! To look at the events in `psql`, use the view of the schema: `select * from factum.events`.

mod append;
mod appended;
mod batch;
mod document;
mod document_conflicts;
mod error;
mod event_columns;
mod event_row;
mod find;
mod ignored_errors;
mod independent_batches;
mod inline;
mod insert;
mod migrate;
mod open;
mod project_set;
mod projection;
mod query;
mod read;
mod read_batcher;
mod read_model;
mod read_pool;
mod record;
mod recovery;
mod snapshot;
mod store;
mod stream_ids;
mod stream_state;
mod tables;
mod transaction;
mod view;
mod watch;
mod write_request;
mod writer;
mod writer_cache;

pub use open::PostgresOptions;
pub use project_set::PostgresProjectSet;
pub use projection::{BoxError, PostgresProject, PostgresProjection};
pub use read_model::PostgresReadModel;
pub use sqlx;
pub use sqlx::PgPool;
pub use sqlx::postgres::{PgConnectOptions, PgConnection};
pub use store::PostgresStore;
pub use tables::Tables;
pub use view::View;
