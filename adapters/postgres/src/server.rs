//! [`Server`]: the address of the server, and the session settings that the store depends on.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tracing::warn;

/// The settings of every session, whatever the defaults of the server, the database and the role are.
///
/// A statement that has waited for a lock must see all earlier commits. A commit that is acknowledged must be durable,
/// so `synchronous_commit = off` is replaced; weaker and stronger waits for standbys stay. The listener is idle most of
/// the time.
const SETTINGS: &str = "
    set standard_conforming_strings = on;
    set extra_float_digits = 1;
    set default_transaction_isolation = 'read committed';
    set idle_session_timeout = 0;
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

/// The settings of the writer's session.
///
/// The writer calls one function. Planning it for each batch would take longer than running it, so it is planned once,
/// for large tables.
const WRITER_SETTINGS: &str = "
    set row_security = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set jit = off";

/// The settings of the sessions that read events.
///
/// Pages are read in index order by statements that are planned once. Planning or compiling them takes longer than
/// reading a page.
const READER_SETTINGS: &str = "
    set row_security = off;
    set plan_cache_mode = force_generic_plan;
    set enable_seqscan = off;
    set max_parallel_workers_per_gather = 0;
    set jit = off";

/// The address of the server, and the settings of its sessions.
///
/// The settings are statements after the connection was opened: a connection pooler such as pgbouncer rejects them as
/// parameters of the connection.
#[derive(Debug, Clone)]
pub struct Server {
    address: PgConnectOptions,
    settings: Arc<str>,
}

impl Server {
    /// Creates the address for sessions with the default settings, in `schema`.
    pub fn new(address: PgConnectOptions, schema: &str) -> Self {
        // Unqualified names are resolved in the first schema. A temporary table must not hide a table of the store.
        let settings = format!("set search_path = \"{schema}\", pg_temp;{SETTINGS}");
        Self {
            // The connection's own default for this parameter is rejected by pgbouncer.
            address: address.disable_statement_logging().extra_float_digits(None),
            settings: settings.into(),
        }
    }

    /// Returns the address for the session of the writer.
    pub fn for_writer(&self) -> Self {
        self.with_settings(WRITER_SETTINGS)
    }

    /// Returns the address for sessions that read events.
    pub fn for_readers(&self) -> Self {
        self.with_settings(READER_SETTINGS)
    }

    fn with_settings(&self, settings: &str) -> Self {
        Self {
            address: self.address.clone(),
            settings: format!("{};{settings}", self.settings).into(),
        }
    }

    /// Opens a session.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.address.connect().await?;
        self.configure(&mut connection).await?;
        Ok(connection)
    }

    /// Opens the first connection, without settings, and decides whether all connections use TLS.
    ///
    /// With `sslmode=prefer`, the server decides once: later connections do not fall back to plain text.
    pub async fn connect_first(&mut self) -> Result<PgConnection, sqlx::Error> {
        let is_socket =
            self.address.get_socket().is_some() || self.address.get_host().starts_with('/');
        let host = self.address.get_host().to_owned();
        match self.address.get_ssl_mode() {
            PgSslMode::Prefer if !is_socket => {}
            PgSslMode::Allow if !is_socket => {
                warn!(
                    host,
                    "sslmode=allow does not use TLS; set sslmode=require or sslmode=disable"
                );
                return self.address.connect().await;
            }
            _ => return self.address.connect().await,
        }
        let secure = self.address.clone().ssl_mode(PgSslMode::Require);
        let plain = self.address.clone().ssl_mode(PgSslMode::Disable);
        match secure.connect().await {
            Ok(connection) => {
                self.address = secure;
                Ok(connection)
            }
            Err(error) if is_tls_error(&error) => {
                let connection = plain.connect().await?;
                warn!(
                    host, %error,
                    "connected without TLS, because sslmode is prefer; set sslmode=require or sslmode=disable"
                );
                self.address = plain;
                Ok(connection)
            }
            Err(error) => Err(error),
        }
    }

    /// Sets the settings of a session.
    pub async fn configure(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        configure(connection, self.settings.clone()).await
    }

    /// Creates a pool of sessions that connects on demand.
    pub fn pool(&self, max_connections: u32) -> PgPool {
        let settings = self.settings.clone();
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| Box::pin(configure(connection, settings.clone())))
            .connect_lazy_with(self.address.clone())
    }
}

/// Returns whether the server has no TLS, or the handshake failed.
fn is_tls_error(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == ErrorKind::InvalidData,
        _ => false,
    }
}

async fn configure(connection: &mut PgConnection, settings: Arc<str>) -> Result<(), sqlx::Error> {
    let set = sqlx::raw_sql(AssertSqlSafe(settings));
    set.execute(connection).await.map(drop)
}
