//! [`CommandSet`]: the commands that a process manager may send, and their routes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::Decide;
use crate::domain::deadline::CommandType;
use crate::engine::{Engine, ExecuteError};
use crate::error::{Outage, StoreError, error_chain, panic_message};
use crate::upcast::{Upcaster, upcast};
use factum_core::document::DocumentChanges;
use factum_core::metadata::Metadata;

/// One command, or a tuple of up to twelve.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a command nor a tuple of up to twelve commands",
    label = "not a set of commands",
    note = "each of them derives `Command`, `Serialize` and `Deserialize`, and implements `Decide`"
)]
pub trait CommandSet: Send + Sync + 'static {
    /// Returns the routes, which decode and execute the commands.
    #[doc(hidden)]
    fn routes() -> Vec<CommandRoute>;
}

/// A route that decodes and executes the commands with one name.
#[derive(Debug, Clone, Copy)]
pub struct CommandRoute {
    /// The name of the commands.
    pub name: &'static str,
    /// The current schema version of the commands.
    pub version: u32,
    command_type: CommandType,
    upcasters: &'static [Upcaster],
    /// Decodes a command of the current schema version and executes it.
    pub run: fn(Engine, Value, CommandEnvelope) -> BoxFuture<'static, CommandOutcome>,
}

/// The metadata and the idempotency key of a command that is sent.
#[derive(Debug, Clone)]
pub struct CommandEnvelope {
    /// The metadata of the events that the command stores.
    pub metadata: Metadata,
    /// The name of the work, which is the idempotency key among those of the framework.
    pub key: String,
    /// The document changes in the append of the command.
    ///
    /// If a required revision has changed, the command has no effect.
    pub changes: DocumentChanges,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum CommandOutcome {
    /// The command was executed.
    Done,
    /// The command was executed before, by this node or by another.
    Repeated,
    /// The domain rejected the command.
    Rejected(String),
    /// A required document has changed.
    Superseded,
    /// The store is unavailable; retry later.
    Unavailable(String),
    /// The command failed; a retry may succeed.
    Failed(String),
    /// This code cannot decode the command.
    Unreadable(String),
    /// The command has a newer schema version.
    NewerSchema(String),
}

impl CommandRoute {
    /// Returns the Rust type of the commands.
    #[must_use]
    pub fn command_type(&self) -> CommandType {
        self.command_type
    }

    /// Creates the route of the commands of type `C`.
    #[must_use]
    pub fn of<C: Decide + DeserializeOwned>() -> Self {
        Self {
            name: C::NAME,
            version: C::VERSION,
            command_type: CommandType::of::<C>(),
            upcasters: C::UPCASTERS,
            run: |engine, body, envelope| {
                let run = AssertUnwindSafe(run::<C>(engine, body, envelope)).catch_unwind();
                let failed =
                    |panic: Box<dyn Any + Send>| CommandOutcome::Failed(panic_message(&*panic));
                run.map(move |ran| ran.unwrap_or_else(failed)).boxed()
            },
        }
    }

    /// Converts `body` into the current schema version.
    ///
    /// # Errors
    /// Returns the outcome of a command that cannot be executed.
    pub fn upcast_body(&self, version: u32, body: &Value) -> Result<Value, CommandOutcome> {
        let (name, known) = (self.name, self.version);
        if version > known {
            return Err(CommandOutcome::NewerSchema(format!(
                "command {name} has version {version}; this code knows versions up to {known}: update the program"
            )));
        }
        let upcast = || upcast(self.upcasters, version, body.clone());
        let upcast = catch_unwind(AssertUnwindSafe(upcast));
        let unreadable = |error: String| {
            CommandOutcome::Unreadable(format!(
                "cannot decode command {name} (version {version}): {error}"
            ))
        };
        let upcast = upcast.map_err(|panic| unreadable(panic_message(&*panic)))?;
        upcast.map_err(|error| unreadable(error.to_string()))
    }
}

async fn run<C: Decide + DeserializeOwned>(
    engine: Engine,
    body: Value,
    envelope: CommandEnvelope,
) -> CommandOutcome {
    let command = match C::deserialize(body) {
        Ok(command) => command,
        Err(error) => {
            return CommandOutcome::Unreadable(format!(
                "cannot decode command {}: {error}",
                C::NAME
            ));
        }
    };
    let CommandEnvelope {
        metadata,
        key,
        changes,
    } = envelope;
    let execute = engine
        .execute(command)
        .metadata(metadata)
        .framework_key(&key)
        .consuming(changes);
    let error = match execute.await {
        Ok(receipt) if receipt.repeated() => return CommandOutcome::Repeated,
        Ok(_) => return CommandOutcome::Done,
        Err(error) => error,
    };
    match error {
        ExecuteError::Conflict { conflict, .. } if conflict.has_document_violation() => {
            CommandOutcome::Superseded
        }
        ExecuteError::Rejected(rejection) => CommandOutcome::Rejected(error_chain(&rejection)),
        error
            if Outage::is_in(&error)
                || matches!(error, ExecuteError::Store(StoreError::Closed)) =>
        {
            CommandOutcome::Unavailable(error_chain(&error))
        }
        error => CommandOutcome::Failed(error_chain(&error)),
    }
}

impl CommandSet for () {
    fn routes() -> Vec<CommandRoute> {
        Vec::new()
    }
}

impl<C: Decide + DeserializeOwned> CommandSet for C {
    fn routes() -> Vec<CommandRoute> {
        vec![CommandRoute::of::<C>()]
    }
}

macro_rules! command_set {
    ($($command:ident),+) => {
        impl<$($command: Decide + DeserializeOwned),+> CommandSet for ($($command,)+) {
            fn routes() -> Vec<CommandRoute> {
                vec![$(CommandRoute::of::<$command>()),+]
            }
        }
    };
}

command_set!(A);
command_set!(A, B);
command_set!(A, B, C);
command_set!(A, B, C, D);
command_set!(A, B, C, D, E);
command_set!(A, B, C, D, E, F);
command_set!(A, B, C, D, E, F, G);
command_set!(A, B, C, D, E, F, G, H);
command_set!(A, B, C, D, E, F, G, H, I);
command_set!(A, B, C, D, E, F, G, H, I, J);
command_set!(A, B, C, D, E, F, G, H, I, J, K);
command_set!(A, B, C, D, E, F, G, H, I, J, K, L);
