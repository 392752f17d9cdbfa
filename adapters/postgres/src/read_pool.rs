//! [`ReadPool`]: the connections that read events.
//!
//! A pool of sqlx pings the server before and after each use of a connection, which takes as long as reading a small
//! page. This pool assumes that a connection works until a statement fails.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::BackendError;
use crate::server::Server;

pub struct ReadPool {
    server: Server,
    idle: Mutex<Vec<PgConnection>>,
    permits: Semaphore,
}

/// A connection with the permit to use it.
pub struct ReadConnection<'p> {
    pool: &'p ReadPool,
    pub connection: PgConnection,
    was_idle: bool,
    _permit: SemaphorePermit<'p>,
}

impl ReadPool {
    pub fn new(server: Server, max_connections: u32) -> Self {
        Self {
            server,
            idle: Mutex::default(),
            permits: Semaphore::new(max_connections as usize),
        }
    }

    pub async fn acquire(&self) -> Result<ReadConnection<'_>, BackendError> {
        let permit = self.permits.acquire().await;
        let permit = permit.map_err(|_| BackendError::from(sqlx::Error::PoolClosed))?;
        let idle = self.idle().pop();
        let was_idle = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(ReadConnection {
            pool: self,
            connection,
            was_idle,
            _permit: permit,
        })
    }

    pub async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // If the orderly close fails, the server notices the closed socket.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    async fn connect(&self) -> Result<PgConnection, BackendError> {
        let connected = self.server.connect().await;
        connected.map_err(|error| BackendError::from(error).into_not_executed())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadConnection<'_> {
    /// Connects again if the connection was lost while it was idle, and returns whether it did.
    pub async fn reconnect_if_stale<T>(
        &mut self,
        result: &Result<T, BackendError>,
    ) -> Result<bool, BackendError> {
        let lost = result.as_ref().is_err_and(BackendError::breaks_connection);
        if !lost || !self.was_idle {
            return Ok(false);
        }
        // The other idle connections are at least as old.
        self.pool.idle().clear();
        self.connection = self.pool.connect().await?;
        self.was_idle = false;
        Ok(true)
    }

    /// Returns the connection to the pool if it can be used again.
    pub fn release<T>(self, result: &Result<T, BackendError>) {
        let broken = result.as_ref().is_err_and(BackendError::breaks_connection);
        if !broken && !self.pool.permits.is_closed() {
            self.pool.idle().push(self.connection);
        }
    }
}
