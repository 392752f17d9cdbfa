//! [`CommandSet`]: one command, or a tuple of several, as a process manager names what it sends.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::command::Decide;
use crate::engine::{Engine, ExecuteError};
use crate::error::{StoreError, error_chain, panic_message};
use crate::upcast::{Upcaster, upcast};
use factum_core::document::DocumentChanges;
use factum_core::metadata::Metadata;

/// One command that decides and can be read from JSON, or a tuple of up to twelve.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a command nor a tuple of up to twelve commands",
    label = "not a set of commands",
    note = "each of them derives `Command`, `Serialize` and `Deserialize`, and implements `Decide`"
)]
pub trait CommandSet: Send + Sync + 'static {
    /// How each is read and executed.
    #[doc(hidden)]
    fn routes() -> Vec<Route>;
}

/// How the commands of one name are read and executed.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub name: &'static str,
    pub version: u32,
    upcasters: &'static [Upcaster],
    pub run: fn(Engine, Value, Envelope) -> BoxFuture<'static, Outcome>,
}

/// What a command is sent with.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub metadata: Metadata,
    pub key: String,
    /// What changes with it, as these changes require, or it does not happen.
    pub consumes: DocumentChanges,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It has happened.
    Done,
    /// The domain said no.
    Rejected(String),
    /// What it consumes is not there as it was.
    Overtaken,
    /// The store is not there: later.
    Away(String),
    /// It may work when tried again.
    Failed(String),
    /// This code cannot read it.
    Unreadable(String),
    /// Newer code can.
    Newer(String),
}

impl Route {
    pub fn of<C: Decide + DeserializeOwned>() -> Self {
        Self {
            name: C::NAME,
            version: C::VERSION,
            upcasters: C::UPCASTERS,
            run: |engine, body, envelope| {
                let run = AssertUnwindSafe(run::<C>(engine, body, envelope)).catch_unwind();
                let failed = |panic: Box<dyn Any + Send>| Outcome::Failed(panic_message(&*panic));
                run.map(move |ran| ran.unwrap_or_else(failed)).boxed()
            },
        }
    }

    /// `body` of that version in today's form, or why it is not executed.
    pub fn bring_up(&self, version: u32, body: &Value) -> Result<Value, Outcome> {
        let (name, known) = (self.name, self.version);
        if version > known {
            return Err(Outcome::Newer(format!(
                "the command {name} is of version {version}, this code knows up to {known}: update the program"
            )));
        }
        let upcast = || upcast(self.upcasters, version, body.clone());
        let upcast = catch_unwind(AssertUnwindSafe(upcast));
        let unreadable = |error: String| {
            let what = format!("the command {name} (version {version})");
            Outcome::Unreadable(format!("{what} cannot be read: {error}"))
        };
        let upcast = upcast.map_err(|panic| unreadable(panic_message(&*panic)))?;
        upcast.map_err(|error| unreadable(error.to_string()))
    }
}

async fn run<C: Decide + DeserializeOwned>(
    engine: Engine,
    body: Value,
    envelope: Envelope,
) -> Outcome {
    let command = match C::deserialize(body) {
        Ok(command) => command,
        Err(error) => {
            return Outcome::Unreadable(format!("the command {} cannot be read: {error}", C::NAME));
        }
    };
    let Envelope {
        metadata,
        key,
        consumes,
    } = envelope;
    let execute = engine
        .execute(command)
        .metadata(metadata)
        .idempotency_key(key)
        .consuming(consumes);
    let Err(error) = execute.await else {
        return Outcome::Done;
    };
    match error {
        // The key is this command's alone, so that it has happened: in an earlier form, if its code has changed.
        ExecuteError::KeyReused { .. } => Outcome::Done,
        ExecuteError::Conflict { conflict, .. } if conflict.has_document_violation() => {
            Outcome::Overtaken
        }
        ExecuteError::Rejected(rejection) => Outcome::Rejected(error_chain(&rejection)),
        ExecuteError::Store(
            error @ (StoreError::Unavailable(_) | StoreError::Interrupted(_) | StoreError::Closed),
        ) => Outcome::Away(error_chain(&error)),
        error => Outcome::Failed(error_chain(&error)),
    }
}

impl CommandSet for () {
    fn routes() -> Vec<Route> {
        Vec::new()
    }
}

impl<C: Decide + DeserializeOwned> CommandSet for C {
    fn routes() -> Vec<Route> {
        vec![Route::of::<C>()]
    }
}

macro_rules! command_set {
    ($($command:ident),+) => {
        impl<$($command: Decide + DeserializeOwned),+> CommandSet for ($($command,)+) {
            fn routes() -> Vec<Route> {
                vec![$(Route::of::<$command>()),+]
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
