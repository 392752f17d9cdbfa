//! [`PostgresOptions`]: the options for opening a store.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use factum_core::error::StoreError;
use factum_sql::{BoxedProjection, EventsOf, SqlProjectSet};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};

use crate::error::store_error;
use crate::inline::Inline;
use crate::read_pool::ReadPool;
use crate::store::{PostgresStore, StoreParts};

/// The session settings of the writer's connection.
///
/// The writer calls one function. Planning it for each batch would take longer than running it, so it is planned once,
/// for large tables.
const WRITER_SETTINGS: [(&str, &str); 4] = [
    // Each statement that runs under the lock of the head must see all earlier commits, whatever the default of the
    // database is.
    ("default_transaction_isolation", "read committed"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// The session settings of the connections that read events.
///
/// Pages are read in index order by statements that are planned once. Planning or compiling them takes longer than
/// reading a page.
const READER_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
];

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
    /// A schema name has 1 to 40 lower-case letters, digits and `_`, and does not start with a digit. The default is
    /// `factum`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Sets the maximum number of connections that read events, at least 1.
    ///
    /// The [pool](PostgresStore::pool) for read models has the same maximum. One more connection writes, and one
    /// listens for notifications. The default is 8.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
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

    /// Connects, and migrates the schema.
    ///
    /// # Errors
    /// - [`StoreError::NewerSchema`] if a newer version of this crate migrated the schema.
    /// - [`StoreError::Unavailable`] if the server does not answer.
    /// - [`StoreError::Failed`] if the server rejects the connection or a statement, if the schema name is not valid,
    ///   or if two inline projections have the same name.
    pub async fn open(self) -> Result<PostgresStore, StoreError> {
        check_schema_name(&self.schema)?;
        let inline = Inline::new(&self.inline)?;
        // PostgreSQL resolves unqualified names in the first schema of this path.
        let server = self
            .server
            .options([("search_path", &self.schema)])
            .disable_statement_logging();
        let writer_options = server.clone().options(WRITER_SETTINGS);
        let mut writer = writer_options.connect().await.map_err(store_error)?;
        crate::migrate::migrate(&mut writer, &self.schema).await?;
        let pool = pool(&server, self.readers);
        let mut listener = PgListener::connect_with(&pool).await.map_err(store_error)?;
        let channel = format!("factum:{}", self.schema);
        listener.listen(&channel).await.map_err(store_error)?;
        let parts = StoreParts {
            writer_options,
            writer,
            inline,
            pool,
            read_pool: ReadPool::new(server.options(READER_SETTINGS), self.readers),
            listener,
        };
        PostgresStore::start(parts).await
    }
}

fn pool(server: &PgConnectOptions, readers: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(readers + 1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(server.clone())
}

fn check_schema_name(schema: &str) -> Result<(), StoreError> {
    let starts_well = schema
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let all_allowed = schema
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if starts_well && all_allowed && schema.len() <= 40 {
        return Ok(());
    }
    let reason = format!(
        "invalid schema name: {schema:?}; use 1 to 40 of a-z, 0-9 and _, and do not start with a digit"
    );
    Err(StoreError::Failed(reason.into()))
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
