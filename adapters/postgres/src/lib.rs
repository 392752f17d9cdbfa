//! The factum store on PostgreSQL 15 and newer, where one machine is outgrown.
//!
//! One append is one round trip: a function judges every append of a batch on its own, under the lock that puts
//! them in order, and the commit follows at once. Appends that arrive while a batch is under way go out together
//! in the next. Any number of processes may use one database; several stores may live in it, each in a schema of
//! its own.
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
//! Read models can live in the same schema: see [`PostgresProjection`]. They are filled behind the appends, or in the
//! transaction of each: see [`PostgresOptions::inline`].
//!
//! For people, the schema holds a view: `select * from factum.events`.

mod answer;
mod append;
mod batch;
mod document;
mod error;
mod find;
mod gather;
mod ignored;
mod inline;
mod insert;
mod job;
mod known;
mod lost;
mod migrate;
mod names;
mod open;
mod packed;
mod project_set;
mod projection;
mod query;
mod read;
mod read_model;
mod readers;
mod recorded;
mod rounds;
mod rows;
mod snapshot;
mod store;
mod stream;
mod tables;
mod touched;
mod transaction;
mod view;
mod watch;
mod writer;

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
