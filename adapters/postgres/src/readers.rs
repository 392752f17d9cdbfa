//! [`Readers`]: the connections that read pages.
//!
//! A pool of sqlx asks the server for a sign of life before and behind every use, which takes as long as a small
//! page. Here a connection is taken to live until it turns out not to.

use std::sync::{Mutex, PoisonError};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::Fault;

pub(crate) struct Readers {
    server: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
    places: Semaphore,
}

/// A connection, and the right to use it.
pub(crate) struct Reader<'r> {
    readers: &'r Readers,
    pub(crate) connection: PgConnection,
    was_idle: bool,
    _place: SemaphorePermit<'r>,
}

impl Readers {
    /// At most `most` at the same time.
    pub(crate) fn new(server: PgConnectOptions, most: u32) -> Self {
        Self {
            server,
            idle: Mutex::default(),
            places: Semaphore::new(most as usize),
        }
    }

    pub(crate) async fn take(&self) -> Result<Reader<'_>, Fault> {
        let place = self.places.acquire().await;
        let place = place.map_err(|_| Fault::from(sqlx::Error::PoolClosed))?;
        let idle = self.idle().pop();
        let was_idle = idle.is_some();
        let connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Reader {
            readers: self,
            connection,
            was_idle,
            _place: place,
        })
    }

    pub(crate) async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // The server notices, whether or not it can be told in order.
            let _ = sqlx::Connection::close(connection).await;
        }
    }

    async fn connect(&self) -> Result<PgConnection, Fault> {
        let connected = self.server.connect().await;
        connected.map_err(|error| Fault::from(error).in_vain())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Connects again if the connection was lost while nobody used it. `false`: it was not.
    pub(crate) async fn renew<T>(&mut self, done: &Result<T, Fault>) -> Result<bool, Fault> {
        let lost = done
            .as_ref()
            .is_err_and(|fault| !fault.leaves_the_connection());
        if !lost || !self.was_idle {
            return Ok(false);
        }
        // The others have stood idle for at least as long.
        self.readers.idle().clear();
        self.connection = self.readers.connect().await?;
        self.was_idle = false;
        Ok(true)
    }

    /// Leaves the connection for the next, if it can be used again.
    pub(crate) fn leave<T>(self, done: &Result<T, Fault>) {
        let usable = done.as_ref().err().is_none_or(Fault::leaves_the_connection);
        if usable && !self.readers.places.is_closed() {
            self.readers.idle().push(self.connection);
        }
    }
}
