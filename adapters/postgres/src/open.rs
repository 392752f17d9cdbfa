//! [`PostgresOptions`]: how a database is opened.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use factum::{EventsOf, StoreError};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};

use crate::PostgresProjectSet;
use crate::error::store_error;
use crate::inline::{Inlined, Inlines, OfProjection};
use crate::readers::Readers;
use crate::store::PostgresStore;

/// The one function that the writer calls is planned once and for good, for tables that have grown: to plan it anew
/// for each batch would take longer than to run it.
const WRITING: [(&str, &str); 4] = [
    // Under the lock of the head each statement must see what was committed before it, whatever the database's
    // default is.
    ("default_transaction_isolation", "read committed"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// Pages are read in the order of an index, by statements that are planned once: to plan, or to compile, takes longer
/// than to read.
const READING: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
];

/// How a database is opened. Start with [`PostgresOptions::new`], end with [`open`](Self::open).
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    server: PgConnectOptions,
    schema: String,
    readers: u32,
    inline: Vec<Arc<dyn Inlined>>,
}

impl PostgresOptions {
    /// The defaults, for the database that `server` names.
    #[must_use]
    pub fn new(server: PgConnectOptions) -> Self {
        Self {
            server,
            schema: "factum".to_owned(),
            readers: 8,
            inline: Vec::new(),
        }
    }

    /// The schema that holds the store; created if there is none. Default `factum`. 1 to 40 lower-case
    /// letters, digits and `_`, the first no digit.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// At most this many connections that read events at the same time, and as many for read models; at least 1.
    /// Default 8. One connection writes, one listens.
    #[must_use]
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// `projection` has its effect in the transaction that appends: a read behind an append's answer finds it, a rejected
    /// append leaves no trace in its tables, and an event that it cannot take rejects that append, with
    /// [`AppendError::Projection`](factum::AppendError::Projection).
    ///
    /// It is an ordinary projection, with the same tables and versions; [`open`](Self::open) builds what is not there
    /// yet. Each append pays for its statements, while no other process can append: keep them few. Every process
    /// that appends should have it; for one that has not, the next append here catches up.
    #[must_use]
    pub fn inline<P: PostgresProjectSet<EventsOf<P>>>(mut self, projection: P) -> Self {
        self.inline.push(Arc::new(OfProjection(projection)));
        self
    }

    /// Connects, brings the schema up to date, and then the [inline](Self::inline) projections.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer version of this crate wrote it, [`StoreError::Unavailable`] if
    /// the server does not answer, [`StoreError::Failed`] if it rejects, if the name of the schema breaks
    /// its rule, or if an inline projection cannot take what is stored.
    pub async fn open(self) -> Result<PostgresStore, StoreError> {
        check(&self.schema)?;
        let inlines = Inlines::new(&self.inline)?;
        // PostgreSQL takes names to be of the schema that is first on this path.
        let server = self
            .server
            .options([("search_path", &self.schema)])
            .disable_statement_logging();
        let writing = server.clone().options(WRITING);
        let mut writer = writing.connect().await.map_err(store_error)?;
        crate::migrate::migrate(&mut writer, &self.schema).await?;
        inlines.build(&mut writer).await?;
        let pool = pool(&server, self.readers);
        let mut listener = PgListener::connect_with(&pool).await.map_err(store_error)?;
        let channel = format!("factum:{}", self.schema);
        listener.listen(&channel).await.map_err(store_error)?;
        let readers = Readers::new(server.options(READING), self.readers);
        PostgresStore::start(writing, (writer, inlines), (pool, readers), listener).await
    }
}

fn pool(server: &PgConnectOptions, readers: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(readers + 1)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy_with(server.clone())
}

fn check(schema: &str) -> Result<(), StoreError> {
    let first = schema
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let rest = schema
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if first && rest && schema.len() <= 40 {
        return Ok(());
    }
    let reason =
        format!("{schema:?} is no name of a schema: 1 to 40 of a-z, 0-9 and _, no digit first");
    Err(StoreError::Failed(reason.into()))
}

impl PostgresStore {
    /// Opens the database at `url`, e.g. `postgres://user@host/database`, with the default
    /// [`PostgresOptions`].
    ///
    /// # Errors
    /// As [`PostgresOptions::open`]; and [`StoreError::Failed`] if `url` cannot be read.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let server = PgConnectOptions::from_str(url).map_err(store_error)?;
        PostgresOptions::new(server).open().await
    }
}
