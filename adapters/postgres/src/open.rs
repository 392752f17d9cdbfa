//! [`PostgresOptions`]: the options for opening a store.

use std::str::FromStr as _;
use std::sync::Arc;

use factum_core::error::StoreError;
use factum_sql::{BoxedProjection, EventsOf, SqlProjectSet};
use sqlx::postgres::{PgConnectOptions, PgListener};

use crate::error::store_error;
use crate::inline::Inline;
use crate::read_pool::ReadPool;
use crate::server::Server;
use crate::server_check::{check_server, check_sessions, check_tables};
use crate::store::{PostgresStore, StoreParts};

/// The maximum number of connections that read.
const MAX_READERS: u32 = 1_000;

/// The options for opening a store: start with [`new`](Self::new), end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    server: PgConnectOptions,
    schema: String,
    readers: u32,
    inline: Vec<Arc<dyn BoxedProjection>>,
}

impl PostgresOptions {
    /// Creates the default options for the database that `server` names.
    #[must_use]
    pub fn new(server: PgConnectOptions) -> Self {
        Self {
            server,
            schema: "factum".to_owned(),
            readers: 8,
            inline: Vec::new(),
        }
    }

    /// Sets the schema that holds the store; it is created if it does not exist.
    ///
    /// A schema name has 1 to 40 of `a-z`, `0-9` and `_`, and does not start with a digit or with `pg_`. The default is
    /// `factum`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the maximum number of connections that read events, 1 to 1,000.
    ///
    /// The [pool](PostgresStore::pool) for read models has the same maximum. One more connection writes, and one
    /// listens for notifications. The default is 8.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections;
        self
    }

    /// Runs `projection` inside of the transaction that appends.
    ///
    /// A read that starts after an append has returned sees the effect of its events. A rejected append leaves no
    /// trace in the tables of the projection. If the projection fails on an event, the append is rejected with
    /// [`AppendError::Projection`](factum_core::append::AppendError::Projection).
    ///
    /// Give the [read model](PostgresStore::read_model) of the same projection to the runtime, in this process or
    /// another: it builds the tables, catches up, and retries dead letters. Appends update a build once it has caught
    /// up. Until then, and while the projection is paused or has dead letters, they leave it to the runtime. The
    /// projection must have one partition. Each append runs its statements while no other process can append, so keep
    /// them few. Every process that appends should set the option. After an append without the option, the runtime or
    /// the next append of this store catches up.
    #[must_use]
    pub fn inline<P: SqlProjectSet<EventsOf<P>>>(mut self, projection: P) -> Self {
        self.inline.push(Arc::new(projection));
        self
    }

    /// Connects, checks the server, and creates or updates the schema.
    ///
    /// A schema of the current version needs no privilege to create. With `sslmode=prefer`, the default, it is decided
    /// here whether all connections use TLS.
    ///
    /// # Errors
    /// - [`StoreError::NewerSchema`] if a newer version of this crate migrated the schema.
    /// - [`StoreError::Unavailable`] if the server does not answer.
    /// - [`StoreError::CannotOpen`] if an option is not valid, or if two inline projections have the same name.
    /// - [`StoreError::Failed`] if the server rejects the connection, or if its certificate is not valid.
    /// - [`StoreError::Failed`] if a store cannot use the server. Its version is lower than 15, the encoding is not UTF8,
    ///   the server or the role is read-only, or a connection pooler changes sessions. The same applies if the role
    ///   lacks a privilege or does not see all rows.
    pub async fn open(self) -> Result<PostgresStore, StoreError> {
        check_schema_name(&self.schema)?;
        check_readers(self.readers)?;
        let inline = Inline::new(&self.inline)?;
        let mut server = Server::new(self.server, &self.schema);
        let mut writer = server.connect_first().await.map_err(store_error)?;
        let process = check_server(&mut writer).await?;
        let writer_server = server.for_writer();
        let configured = writer_server.configure(&mut writer).await;
        configured.map_err(store_error)?;
        let pool = server.pool(self.readers + 1);
        check_sessions(&mut writer, process, &pool).await?;
        crate::migrate::migrate(&mut writer, &self.schema).await?;
        check_tables(&mut writer).await?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(store_error)?;
        let channel = format!("factum:{}", self.schema);
        listener.listen(&channel).await.map_err(store_error)?;
        let parts = StoreParts {
            writer_server,
            writer,
            inline,
            pool,
            read_pool: ReadPool::new(server.for_readers(), self.readers),
            listener,
        };
        PostgresStore::start(parts).await
    }
}

fn check_readers(readers: u32) -> Result<(), StoreError> {
    if (1..=MAX_READERS).contains(&readers) {
        return Ok(());
    }
    let reason = format!("invalid number of readers: {readers}; expected 1 to {MAX_READERS}");
    Err(StoreError::CannotOpen(reason))
}

fn check_schema_name(schema: &str) -> Result<(), StoreError> {
    let starts_well = schema
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let all_allowed = schema
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_reserved = schema.starts_with("pg_") || schema == "information_schema";
    if starts_well && all_allowed && !is_reserved && schema.len() <= 40 {
        return Ok(());
    }
    let reason = format!(
        "invalid schema name: {schema:?}; use 1 to 40 of a-z, 0-9 and _, and do not start with a digit or with pg_"
    );
    Err(StoreError::CannotOpen(reason))
}

impl PostgresStore {
    /// Opens the database at `url` with the default [`PostgresOptions`].
    ///
    /// A URL looks like `postgres://user@host/database`.
    ///
    /// # Errors
    /// The errors of [`PostgresOptions::open`], and [`StoreError::Failed`] if `url` is not valid.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let server = PgConnectOptions::from_str(url).map_err(store_error)?;
        PostgresOptions::new(server).open().await
    }
}
