//! [`Application`]: the engine and the runtime that all capabilities share.

use std::sync::Arc;
use std::time::Duration;

use factum::engine::Receipt;
use factum::prelude::*;
use factum::{Position, Runtime};
use factum_server::write_check::WriteCheck;
use tracing::warn;
use uuid::Uuid;

use super::limits::MAX_KEY_BYTES;
use super::{AppError, Health, Refusal, RequestContext};

/// The maximum time that a request waits for the read models to catch up.
const READ_MODEL_TIMEOUT: Duration = Duration::from_secs(5);

/// The engine, and the runtime that updates the read models. Clones share them.
#[derive(Clone)]
pub struct Application(Arc<ApplicationState>);

struct ApplicationState {
    engine: Engine,
    runtime: Runtime,
    write_check: WriteCheck,
}

impl Application {
    /// Creates a handle to the store of `engine`.
    ///
    /// `runtime` must update the read models of all capabilities.
    #[must_use]
    pub fn new(engine: Engine, runtime: Runtime) -> Self {
        Self(Arc::new(ApplicationState {
            engine,
            runtime,
            write_check: WriteCheck::new("spec-service/write-check"),
        }))
    }

    /// Returns the engine, to load aggregates and to read events.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Executes a command for the caller, and waits until the read models show its events.
    ///
    /// # Errors
    /// Returns the refusal of the command, [`AppError::RevisionMismatch`] if the context expects another revision,
    /// [`AppError::KeyReused`], [`AppError::InvalidKey`], [`AppError::Contended`], or an error of the store.
    pub async fn execute<C>(
        &self,
        command: C,
        context: &RequestContext,
    ) -> Result<Receipt, AppError>
    where
        C: Decide,
        C::Error: Refusal,
    {
        let mut execute = self.0.engine.execute(command).metadata(context.metadata());
        if let Some(key) = &context.idempotency_key {
            execute = execute.idempotency_key(scoped_key(context, key)?);
        }
        if let Some(revision) = context.expected_revision {
            execute = execute.expected_version(revision);
        }
        let receipt = match (execute.await, context.expected_revision) {
            (Ok(receipt), _) => receipt,
            (Err(error), None) => return Err(error.into()),
            (Err(error), Some(expected)) => {
                return Err(AppError::with_expected_revision(error, expected));
            }
        };
        self.wait_after_write(receipt.position()).await;
        Ok(receipt)
    }

    /// Waits until all read models have reached `position`.
    ///
    /// # Errors
    /// Returns [`AppError::ListBehind`] after 5 seconds, [`AppError::BeyondHead`] if the log does not have the
    /// position, or [`AppError::Unavailable`] if the read models are not updated.
    pub async fn wait_until(&self, position: Position) -> Result<(), AppError> {
        let caught_up = self.0.runtime.wait_for(position);
        match tokio::time::timeout(READ_MODEL_TIMEOUT, caught_up).await {
            Ok(caught_up) => Ok(caught_up?),
            Err(_) => Err(AppError::ListBehind { position }),
        }
    }

    /// Waits until the read models have reached `position`.
    ///
    /// A failure is only logged, because the write is stored.
    pub async fn wait_after_write(&self, position: Position) {
        let caught_up = self.0.runtime.wait_for(position);
        match tokio::time::timeout(READ_MODEL_TIMEOUT, caught_up).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, %position, "write stored, but the list does not show it");
            }
            Err(_) => {
                warn!(%position, timeout = ?READ_MODEL_TIMEOUT, "write stored, but the list has not caught up");
            }
        }
    }

    /// Stops the projections, and releases their leases, so that the next process continues at once.
    pub async fn stop(&self) {
        self.0.runtime.stop().await;
    }

    /// Checks whether the store accepts writes, and returns the status of the projections.
    pub async fn health(&self) -> Health {
        let store = self.0.write_check.run(&**self.0.engine.store()).await;
        let projections = self.0.runtime.status();
        Health {
            store,
            head: *self.0.engine.store().watch().borrow(),
            projections,
        }
    }

    /// Updates the lag metrics of the projections with the current head of the store.
    ///
    /// # Errors
    /// Returns an error if the store cannot be read.
    pub async fn measure(&self) -> Result<(), factum::store::StoreError> {
        factum::metrics::measure(&self.0.engine, &self.0.runtime).await
    }
}

/// Returns the key with a prefix for the caller, so that callers never get each other's results.
fn scoped_key(context: &RequestContext, key: &str) -> Result<String, AppError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(AppError::InvalidKey { bytes: key.len() });
    }
    let actor = format!("{}/{}", context.tenant(), context.actor());
    let actor = Uuid::new_v5(&Uuid::NAMESPACE_OID, actor.as_bytes());
    Ok(format!("{}-{key}", actor.simple()))
}
