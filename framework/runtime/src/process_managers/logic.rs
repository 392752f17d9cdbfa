//! [`Logic`]: a process manager without its types.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::future::BoxFuture;
use tracing::warn;

use factum_core::document::DocumentStore;
use factum_core::query::Query;
use factum_core::timestamp::Timestamp;
use factum_engine::error::{DecodeError, StoreError, panic_message};
use factum_engine::event_set::EventSet;
use factum_engine::process::instance::{Cause, Due, Instance, Pending, Timer};
use factum_engine::process::{
    CommandSet as _, Correlation, Deadline, Order, ProcessManager, ReactSet, Reactions, Rejection,
    Respond, Route,
};
use factum_engine::record::RecordedEvent;
use factum_engine::upcast::upcast;

/// Why a process manager's own code could not take something.
pub type Fault = String;

/// The state of an instance was kept by newer code.
#[derive(Debug, thiserror::Error)]
#[error(
    "the state of {name} {id:?} is of version {version}, this code knows up to {known}: update the program"
)]
pub struct Newer {
    name: &'static str,
    id: String,
    version: u32,
    known: u32,
}

/// A process manager without its types.
pub trait Logic: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// The version of the form of its states, where they have any.
    fn version(&self) -> u32 {
        u32::MAX
    }

    /// The state of the instance was kept by newer code, to which it is left.
    fn is_newer(&self, instance: &Instance) -> Option<Newer> {
        let (known, version) = (self.version(), instance.version);
        (instance.lives() && version > known).then(|| Newer {
            name: self.name(),
            id: instance.id.clone(),
            version,
            known,
        })
    }

    /// Who gives its commands.
    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        let _ = instance;
        self.name().into()
    }

    /// Whether this code knows how to do what is due.
    fn knows(&self, due: &Due) -> bool {
        let _ = due;
        true
    }

    /// Whether appends set what is due, blindly. It is done one by one then, and each command takes its instance along.
    fn is_set_by_appends(&self) -> bool {
        false
    }

    /// The idempotency key of a command of `instance`, which is that command's alone.
    fn key(&self, instance: &str, pending: &Pending) -> String {
        let (name, position, number) = (self.name(), pending.cause.position, pending.number);
        format!("process/{name}/{instance}/{position}/{number}")
    }

    /// Sets what is to be set before anything is done; it was `now` when the program began.
    fn begin<'a>(
        &'a self,
        documents: &'a dyn DocumentStore,
        now: Timestamp,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let _ = (documents, now);
        Box::pin(async { Ok(()) })
    }

    /// How the command `name` of `instance` is executed.
    fn route(&self, instance: &str, name: &str) -> Option<Route>;

    /// A deadline of `instance` has passed, and it is `now`.
    fn deadline(
        &self,
        instance: &mut Instance,
        passed: (&str, &Timer),
        now: Timestamp,
    ) -> Result<(), Fault>;

    /// A command of `instance` was rejected.
    fn rejected(
        &self,
        instance: &mut Instance,
        rejection: &Rejection,
        cause: &Cause,
    ) -> Result<(), Fault>;
}

/// A process manager that takes events.
pub trait Reacts: Logic {
    fn query(&self) -> Query;

    /// Which instances the event is for, and what it does to them, in this order.
    fn prepare(&self, record: &RecordedEvent) -> Result<Vec<Prepared>, DecodeError>;
}

/// What an event means; or one of several that it stands for since it was split.
pub struct Prepared {
    pub correlation: Correlation<String>,
    pub effect: Effect,
}

pub type Effect = Box<dyn FnOnce(&mut Instance, &Cause) -> Result<(), Fault> + Send>;

/// The logic of `P`.
pub struct Typed<P> {
    routes: HashMap<&'static str, Route>,
    of: PhantomData<fn() -> P>,
}

impl<P: ProcessManager> Default for Typed<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: ProcessManager> Typed<P> {
    pub fn new() -> Self {
        let routes = P::Commands::routes().into_iter();
        Self {
            routes: routes.map(|route| (route.name, route)).collect(),
            of: PhantomData,
        }
    }
}

/// The state, brought up to today's form; that of an instance which begins, if there is none.
fn state<P: ProcessManager>(instance: &Instance) -> Result<P, Fault> {
    let Some(state) = instance.state() else {
        return Ok(P::default());
    };
    let fault = |error: &dyn std::error::Error| {
        let (name, id, version) = (P::NAME, &instance.id, instance.version);
        format!("the state of {name} {id:?} (version {version}) cannot be read: {error}")
    };
    if instance.version > P::VERSION {
        let newer = Newer {
            name: P::NAME,
            id: instance.id.clone(),
            version: instance.version,
            known: P::VERSION,
        };
        return Err(newer.to_string());
    }
    let state = upcast(P::UPCASTERS, instance.version, state.clone()).map_err(|it| fault(&it))?;
    serde_json::from_value(state).map_err(|error| fault(&error))
}

/// Lets `input` do what it does to the state and to what shall follow. What panics is a fault.
fn take<P: ProcessManager>(
    instance: &mut Instance,
    cause: &Cause,
    input: impl FnOnce(&mut P, &mut Reactions<P>),
) -> Result<(), Fault> {
    let taken = catch_unwind(AssertUnwindSafe(|| take_in(instance, cause, input)));
    taken.map_err(|panic| panic_message(&*panic))?
}

fn take_in<P: ProcessManager>(
    instance: &mut Instance,
    cause: &Cause,
    input: impl FnOnce(&mut P, &mut Reactions<P>),
) -> Result<(), Fault> {
    let mut process: P = state(instance)?;
    let mut then = Reactions::new(&instance.id, cause.at);
    input(&mut process, &mut then);
    let orders: Vec<Order> = then.finish()?;
    let state = serde_json::to_value(&process)
        .map_err(|error| format!("the state of {} cannot be kept: {error}", P::NAME))?;
    instance.live(state);
    instance.version = P::VERSION;
    instance.follow(orders, cause);
    Ok(())
}

impl<P: Respond> Logic for Typed<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> u32 {
        P::VERSION
    }

    fn route(&self, _: &str, name: &str) -> Option<Route> {
        self.routes.get(name).copied()
    }

    fn deadline(
        &self,
        instance: &mut Instance,
        (name, timer): (&str, &Timer),
        _: Timestamp,
    ) -> Result<(), Fault> {
        let deadline = Deadline::new(name.to_owned(), timer.due);
        let cause = timer.cause.at(timer.due);
        instance.settle(timer.number);
        take::<P>(instance, &cause, |process, then| {
            process.deadline(&deadline, then);
        })
    }

    fn rejected(
        &self,
        instance: &mut Instance,
        rejection: &Rejection,
        cause: &Cause,
    ) -> Result<(), Fault> {
        if !instance.lives() {
            let Rejection { command, error, .. } = rejection;
            warn!(
                process_manager = P::NAME,
                instance = instance.id,
                command,
                error,
                "rejected, and the instance does not live any more: nobody responds to it"
            );
            return Ok(());
        }
        take::<P>(instance, cause, |process, then| {
            process.rejected(rejection, then);
        })
    }
}

impl<P: Respond + ReactSet<<P as ProcessManager>::Events>> Reacts for Typed<P> {
    fn query(&self) -> Query {
        Query::event_types(P::Events::names())
    }

    fn prepare(&self, record: &RecordedEvent) -> Result<Vec<Prepared>, DecodeError> {
        let reactions = P::prepare(record)?.into_iter();
        let prepared = reactions.map(|reaction| Prepared {
            correlation: match reaction.correlation {
                Correlation::Starts(id) => Correlation::Starts(id.to_string()),
                Correlation::Continues(id) => Correlation::Continues(id.to_string()),
                Correlation::Ignored => Correlation::Ignored,
            },
            effect: Box::new(move |instance: &mut Instance, cause: &Cause| {
                take::<P>(instance, cause, reaction.effect)
            }) as Effect,
        });
        Ok(prepared.collect())
    }
}
