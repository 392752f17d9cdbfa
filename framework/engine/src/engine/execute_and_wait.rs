//! [`WaitForPosition`] and [`ExecuteAndWait`]: executing a command and waiting until a reader has seen its events.

use std::future::IntoFuture;

use factum_core::position::Position;
use futures_util::future::BoxFuture;

use crate::command::Decide;
use crate::engine::execute_call::Execute;
use crate::engine::execute_error::ExecuteError;
use crate::engine::receipt::Receipt;

/// A reader that can wait until it has processed all events up to a position, for example a read model.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot wait for a position",
    label = "not a reader",
    note = "pass a handle to a read model, or implement `WaitForPosition`"
)]
pub trait WaitForPosition: Sync {
    /// The reason why the reader cannot reach the position.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until the reader has processed all events up to and including `position`.
    ///
    /// # Errors
    /// Returns an error if the reader cannot reach the position, for example because it has stopped.
    fn wait_for(&self, position: Position) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A command that is executed when awaited, followed by a wait. Created by [`Execute::and_wait`].
#[must_use = "a command does nothing until awaited"]
pub struct ExecuteAndWait<'e, C, R> {
    execute: Execute<'e, C>,
    reader: &'e R,
}

/// A command was not executed, or the wait for its position failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecuteAndWaitError<E: std::error::Error + 'static, W: std::error::Error + 'static> {
    /// The command was not executed.
    #[error(transparent)]
    Execute(#[from] ExecuteError<E>),
    /// The command was executed, but the wait failed. Do not execute the command again.
    #[error(
        "command executed at position {}, but waiting for the reader failed",
        receipt.position()
    )]
    Wait {
        /// The receipt of the command.
        receipt: Receipt,
        /// The reason.
        #[source]
        error: W,
    },
}

impl<'e, C: Decide> Execute<'e, C> {
    /// Waits, after the command, until `reader` has processed its events.
    ///
    /// The next query to the read model then includes the effects of the command ("read your own writes"), unless its
    /// events have become dead letters. The wait has no timeout; it ends if the reader reports an error.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use factum::engine::{ExecuteAndWaitError, WaitForPosition};
    /// use factum::prelude::*;
    /// use factum::Position;
    /// use tokio::sync::watch;
    ///
    /// /// A read model that publishes the position up to which it has processed events.
    /// struct Balances {
    ///     position: watch::Receiver<Position>,
    /// }
    ///
    /// impl WaitForPosition for Balances {
    ///     type Error = watch::error::RecvError;
    ///
    ///     async fn wait_for(&self, position: Position) -> Result<(), Self::Error> {
    ///         let mut reached = self.position.clone();
    ///         reached.wait_for(|reached| *reached >= position).await.map(drop)
    ///     }
    /// }
    ///
    /// async fn deposit<C: Decide>(engine: &Engine, balances: &Balances, deposit: C) {
    ///     match engine.execute(deposit).by("ada").and_wait(balances).await {
    ///         Ok(receipt) => println!("visible in the read model: {}", receipt.position()),
    ///         Err(ExecuteAndWaitError::Execute(error)) => println!("not executed: {error}"),
    ///         Err(ExecuteAndWaitError::Wait { receipt, error }) => {
    ///             println!("executed at {}, but not visible yet: {error}", receipt.position());
    ///         }
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// ```
    pub fn and_wait<R: WaitForPosition>(self, reader: &'e R) -> ExecuteAndWait<'e, C, R> {
        ExecuteAndWait {
            execute: self,
            reader,
        }
    }
}

impl<'e, C: Decide, R: WaitForPosition> IntoFuture for ExecuteAndWait<'e, C, R> {
    type Output = Result<Receipt, ExecuteAndWaitError<C::Error, R::Error>>;
    type IntoFuture = BoxFuture<'e, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { execute, reader } = self;
        let execution = execute.into_future();
        Box::pin(async move {
            let receipt = execution.await?;
            match reader.wait_for(receipt.position()).await {
                Ok(()) => Ok(receipt),
                Err(error) => Err(ExecuteAndWaitError::Wait { receipt, error }),
            }
        })
    }
}
