//! [`ProcessDefinition`]: a process manager without its types.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use factum_core::document::DocumentStore;
use factum_core::query::Query;
use factum_core::timestamp::Timestamp;
use factum_engine::codec;
use factum_engine::error::{BoxError, DecodeError, StoreError, panic_message};
use factum_engine::event_set::EventSet;
use factum_engine::process::instance::{Cause, DueEntry, PendingCommand, ProcessInstance, Timer};
use factum_engine::process::{
    CommandRoute, CommandSet as _, Correlation, Deadline, ProcessManager, ReactSet, Reactions,
    Rejection, Respond,
};
use factum_engine::record::RecordedEvent;
use factum_engine::upcast::upcast;
use futures_util::future::BoxFuture;
use tracing::warn;

use super::reaction_error::ReactionError;
use crate::consumer::ConsumerError;

/// A process manager without its types.
pub trait ProcessDefinition: Send + Sync + 'static {
    /// Returns the name.
    fn name(&self) -> &'static str;

    /// Returns the schema version of the state.
    fn version(&self) -> u32 {
        u32::MAX
    }

    /// Returns an error if the state of `instance` was stored by newer code.
    fn newer_schema(&self, instance: &ProcessInstance) -> Option<ConsumerError> {
        let (known, version) = (self.version(), instance.version);
        (instance.is_live() && version > known).then(|| ConsumerError::NewerSchema {
            name: self.name(),
            id: instance.id.clone(),
            version,
            known,
        })
    }

    /// Returns the actor of the commands of `instance`.
    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        let _ = instance;
        self.name().into()
    }

    /// Returns whether this code can do the work of `entry`.
    fn can_execute(&self, entry: &DueEntry) -> bool {
        let _ = entry;
        true
    }

    /// Returns whether these are the deadlines that decisions set.
    ///
    /// Appends write their due index without reading it. The work is done one item at a time, and each command deletes its
    /// instance in its own append.
    fn are_decision_deadlines(&self) -> bool {
        false
    }

    /// Returns the idempotency key of a command of `instance`.
    fn idempotency_key(&self, instance: &str, pending: &PendingCommand) -> String {
        let (name, position, number) = (self.name(), pending.cause.position, pending.number);
        format!("process/{name}/{instance}/{position}/{number}")
    }

    /// Sets the first deadlines; the program started at `now`.
    fn initialize<'a>(
        &'a self,
        documents: &'a dyn DocumentStore,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let _ = (documents, now);
        Box::pin(async { Ok(()) })
    }

    /// Returns the commands that the process manager declares.
    fn routes(&self) -> Vec<CommandRoute> {
        Vec::new()
    }

    /// Returns how the command `name` of `instance` is executed; `None` if this code has no such command.
    fn route(&self, instance: &str, name: &str) -> Option<CommandRoute>;

    /// Handles a deadline of `instance` that has passed; the current time is `now`.
    ///
    /// # Errors
    /// Returns the reason if the code of the process manager fails.
    fn deadline(
        &self,
        instance: &mut ProcessInstance,
        name: &str,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<(), ReactionError>;

    /// Handles the rejection of a command of `instance`.
    ///
    /// # Errors
    /// Returns the reason if the code of the process manager fails.
    fn rejected(
        &self,
        instance: &mut ProcessInstance,
        rejection: &Rejection,
        cause: &Cause,
    ) -> Result<(), ReactionError>;
}

/// A process manager that processes events.
pub trait EventDriven: ProcessDefinition {
    /// Returns the filter of its events.
    fn query(&self) -> Query;

    /// Decodes an event, and returns the instances that it belongs to and its effects on them, in order.
    ///
    /// # Errors
    /// Returns [`DecodeError`] if the event cannot be decoded.
    fn prepare(&self, record: &RecordedEvent) -> Result<Vec<PreparedEffect>, DecodeError>;
}

/// The effect of an event on a process instance.
pub struct PreparedEffect {
    /// The instance.
    pub correlation: Correlation<String>,
    /// Applies the event.
    pub apply: ApplyToInstance,
}

/// Applies an event to a process instance.
pub type ApplyToInstance =
    Box<dyn FnOnce(&mut ProcessInstance, &Cause) -> Result<(), ReactionError> + Send>;

/// The definition of the process manager `P`.
pub struct TypedProcess<P> {
    routes: HashMap<&'static str, CommandRoute>,
    process: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> TypedProcess<P> {
    /// Creates the definition.
    #[must_use]
    pub fn new() -> Self {
        let routes = P::Commands::routes().into_iter();
        Self {
            routes: routes.map(|route| (route.name, route)).collect(),
            process: PhantomData,
        }
    }
}

impl<P: ProcessManager> Default for TypedProcess<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Decodes the state in its current schema version; the default if the instance is not live.
fn decode_state<P: ProcessManager>(instance: &ProcessInstance) -> Result<P, ReactionError> {
    let Some(state) = instance.state() else {
        return Ok(P::default());
    };
    let (id, version) = (&instance.id, instance.version);
    if version > P::VERSION {
        return Err(ReactionError::Newer(ConsumerError::NewerSchema {
            name: P::NAME,
            id: id.clone(),
            version,
            known: P::VERSION,
        }));
    }
    let invalid = |source: BoxError| ReactionError::DecodeState {
        name: P::NAME,
        id: id.clone(),
        version,
        source,
    };
    let state = upcast(P::UPCASTERS, version, state.clone()).map_err(|it| invalid(it.into()))?;
    serde_json::from_value(state).map_err(|it| invalid(it.into()))
}

/// Changes the state with `input`, and adds the reactions; a panic becomes an error.
fn apply_input<P: ProcessManager>(
    instance: &mut ProcessInstance,
    cause: &Cause,
    input: impl FnOnce(&mut P, &mut Reactions<P>),
) -> Result<(), ReactionError> {
    let applied = catch_unwind(AssertUnwindSafe(|| {
        let mut process: P = decode_state(instance)?;
        let mut reactions = Reactions::new(&instance.id, cause.at);
        input(&mut process, &mut reactions);
        let actions = reactions.finish()?;
        let state = codec::stored_value(&process).map_err(|source| {
            let name = P::NAME;
            ReactionError::EncodeState { name, source }
        })?;
        instance.set_state(state);
        instance.version = P::VERSION;
        instance.add_actions(actions, cause);
        Ok(())
    }));
    applied.map_err(|panic| ReactionError::Panicked(panic_message(&*panic)))?
}

impl<P: Respond> ProcessDefinition for TypedProcess<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn routes(&self) -> Vec<CommandRoute> {
        P::Commands::routes()
    }

    fn route(&self, _: &str, name: &str) -> Option<CommandRoute> {
        self.routes.get(name).copied()
    }

    fn deadline(
        &self,
        instance: &mut ProcessInstance,
        name: &str,
        timer: &Timer,
        _: Timestamp,
    ) -> Result<(), ReactionError> {
        let deadline = Deadline::new(name.to_owned(), timer.due);
        let cause = timer.cause.at(timer.due);
        instance.remove_work(timer.number);
        apply_input::<P>(instance, &cause, |process, then| {
            process.deadline(&deadline, then);
        })
    }

    fn rejected(
        &self,
        instance: &mut ProcessInstance,
        rejection: &Rejection,
        cause: &Cause,
    ) -> Result<(), ReactionError> {
        if !instance.is_live() {
            let Rejection { command, error, .. } = rejection;
            warn!(
                process_manager = P::NAME,
                instance = instance.id,
                command,
                error,
                "command rejected after the instance was completed; ignored"
            );
            return Ok(());
        }
        apply_input::<P>(instance, cause, |process, then| {
            process.rejected(rejection, then);
        })
    }
}

impl<P: Respond + ReactSet<<P as ProcessManager>::Events>> EventDriven for TypedProcess<P> {
    fn query(&self) -> Query {
        Query::event_types(P::Events::names())
    }

    fn prepare(&self, record: &RecordedEvent) -> Result<Vec<PreparedEffect>, DecodeError> {
        let reactions = P::prepare(record)?.into_iter();
        let prepared = reactions.map(|reaction| PreparedEffect {
            correlation: match reaction.correlation {
                Correlation::Starts(id) => Correlation::Starts(id.to_string()),
                Correlation::Continues(id) => Correlation::Continues(id.to_string()),
                Correlation::Ignored => Correlation::Ignored,
            },
            apply: Box::new(move |instance: &mut ProcessInstance, cause: &Cause| {
                apply_input::<P>(instance, cause, reaction.effect)
            }) as ApplyToInstance,
        });
        Ok(prepared.collect())
    }
}
