//! [`ProcessManagersBuilder`]: what to run, and how.

use factum_engine::process::deadline_document;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::beginning::Beginning;
use super::deadlines::Deadlines;
use super::dispatcher::{Dispatcher, Owner};
use super::handler::{self, Effects, EventHandler, HandlerOptions, StartFrom};
use super::known::Known;
use super::logic::{Logic, Reacts, Typed};
use super::model::{self, Model};
use super::names::{self, ProcessStartError};
use super::schedule::{self, Schedule, Schedules};
use super::{ProcessManagers, Running, Signals};
use crate::projections::{Projections, ProjectionsBuilder, lease};
use factum_core::position::Position;
use factum_engine::clock::Clock;
use factum_engine::engine::{Engine, RetryPolicy};
use factum_engine::event::Event;
use factum_engine::process::instance::Keys;
use factum_engine::process::{CommandSet, ProcessManager, ReactSet, Respond, Route};

/// What a dispatcher works for.
type Part = (Arc<dyn Logic>, Keys, Arc<Signals>);
type AddEffects = Box<dyn FnOnce(ProjectionsBuilder, Position) -> ProjectionsBuilder + Send>;

/// Which process managers, schedules and handlers to run, and how.
pub struct ProcessManagersBuilder {
    engine: Engine,
    processes: Vec<(Arc<dyn Reacts>, StartFrom)>,
    /// The handlers, by name.
    effects: Vec<(String, StartFrom, AddEffects)>,
    schedules: Vec<Schedule>,
    deadlines: Vec<Route>,
    clock: Arc<dyn Clock>,
    retry: RetryPolicy,
    lease: Duration,
    concurrency: usize,
}

impl ProcessManagersBuilder {
    pub fn new(engine: Engine) -> Self {
        Self {
            clock: engine.clock().clone(),
            engine,
            processes: Vec::new(),
            effects: Vec::new(),
            schedules: Vec::new(),
            deadlines: Vec::new(),
            retry: RetryPolicy {
                attempts: 8,
                base: Duration::from_millis(20),
                cap: Duration::from_secs(5),
            },
            lease: Duration::from_secs(5),
            concurrency: 16,
        }
    }

    /// Also the process manager `P`, which takes every event of the store.
    #[must_use]
    pub fn with<P>(self) -> Self
    where
        P: Respond + ReactSet<<P as ProcessManager>::Events>,
    {
        self.with_from::<P>(StartFrom::Beginning)
    }

    /// Also the process manager `P`. If it is new, it begins there.
    #[must_use]
    pub fn with_from<P>(mut self, begin: StartFrom) -> Self
    where
        P: Respond + ReactSet<<P as ProcessManager>::Events>,
    {
        self.processes.push((Arc::new(Typed::<P>::new()), begin));
        self
    }

    /// Also this schedule.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedules.push(schedule);
        self
    }

    /// Also the [deadlines](factum_engine::events::Events::deadline) that decisions set with one of these commands: a command, or a tuple of
    /// several. They are executed when they are due, in that order and one after the other, each exactly once; by the
    /// store's word, however many programs do so. One whose command no running program names waits, with a warning.
    ///
    /// ```no_run
    /// # use factum::prelude::*;
    /// # use serde::de::DeserializeOwned;
    /// # fn start<CancelOrder: Decide + DeserializeOwned, Remind: Decide + DeserializeOwned>(engine: Engine) {
    /// let processes = ProcessManagers::builder(&engine).deadlines::<(CancelOrder, Remind)>().start();
    /// # }
    /// ```
    #[must_use]
    pub fn deadlines<C: CommandSet>(mut self) -> Self {
        self.deadlines.extend(C::routes());
        self
    }

    /// Also this handler. The name stands for how far it has come: 1 to 128 bytes without `/` or control characters.
    #[must_use]
    pub fn handler<E: Event>(self, name: impl Into<String>, handler: impl EventHandler<E>) -> Self {
        self.handler_with(name, handler, HandlerOptions::default())
    }

    /// The same, with options.
    #[must_use]
    pub fn handler_with<E: Event>(
        mut self,
        name: impl Into<String>,
        handler: impl EventHandler<E>,
        options: HandlerOptions,
    ) -> Self {
        let name = name.into();
        let goes_by = name.clone();
        let add: AddEffects = Box::new(move |projections, head| {
            let starts_after = behind(options.begin, head);
            let effects = Effects::new(&name, handler, options.concurrency, starts_after);
            projections.with(effects)
        });
        self.effects.push((goes_by, options.begin, add));
        self
    }

    /// By which clock deadlines pass and schedules occur. Default: that of the engine.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How often, and after what pause, what failed is tried again before it becomes a dead letter. While the store is
    /// not there it is tried without end. Default: 8 attempts, pauses up to 5 seconds.
    #[must_use]
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How long an instance of the program may give no sign before others take over its work. Default: 5 seconds.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many commands of a process manager are executed at a time, at least one. They are begun in due order, and a
    /// deadline passes only when all ahead of it is done. Default: 16.
    #[must_use]
    pub fn concurrency(mut self, commands: usize) -> Self {
        self.concurrency = commands;
        self
    }

    /// Starts them, in tasks of the current tokio runtime.
    ///
    /// # Panics
    /// Outside a tokio runtime, and where [`try_start`](Self::try_start) fails.
    #[must_use]
    #[expect(clippy::panic, reason = "a mistake in the program, found at its start")]
    pub fn start(self) -> ProcessManagers {
        self.try_start().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts them, in tasks of the current tokio runtime.
    ///
    /// # Errors
    /// [`ProcessStartError`] if two go by one name, or a name is none.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn try_start(self) -> Result<ProcessManagers, ProcessStartError> {
        let processes = self.processes.iter().map(|(logic, _)| logic.name());
        let handlers = self.effects.iter().map(|(name, ..)| name.as_str());
        let schedules = self.schedules.iter().map(Schedule::name);
        names::check(processes.chain(handlers), schedules)?;
        Ok(self.run())
    }

    /// The projections that begin at the head, if they are new.
    fn at_head(&self) -> Vec<String> {
        let processes = self.processes.iter();
        let processes = processes.map(|(logic, begin)| (*begin, model::model_name(logic.name())));
        let handlers = self.effects.iter();
        let handlers = handlers.map(|(name, begin, _)| (*begin, handler::model_name(name)));
        let all = processes.chain(handlers);
        let at_head = all.filter(|(begin, _)| *begin == StartFrom::End);
        at_head.map(|(_, model)| model).collect()
    }

    fn run(self) -> ProcessManagers {
        let head = *self.engine.store().watch().borrow();
        let now = self.clock.now();
        let kept = (self.engine.clone(), self.retry.clone());
        let beginning = Beginning::keep(self.at_head(), head, kept);
        let schedules = self.schedules.iter().map(Schedule::name);
        let schedules = schedules.map(ToOwned::to_owned).collect();
        let mut projections = Projections::builder(&self.engine)
            .retry(self.retry.clone())
            .lease(self.lease);
        let mut logics: Vec<Part> = Vec::new();
        for (logic, begin) in &self.processes {
            let (signals, keys) = (Arc::new(Signals::default()), Keys::new(logic.name()));
            projections = projections.with(Model {
                name: model::model_name(logic.name()),
                logic: logic.clone(),
                keys: keys.clone(),
                starts_after: behind(*begin, head),
                signals: signals.clone(),
            });
            logics.push((logic.clone(), keys, signals));
        }
        for (.., add) in self.effects {
            projections = add(projections, head);
        }
        let projections = projections.start();
        logics.extend(of_no_events(self.schedules, self.deadlines));
        let end = watch::Sender::new(false);
        let running = logics.into_iter().map(|(logic, keys, signals)| {
            let dispatcher = Dispatcher {
                owner: owner(&*logic, &keys, &projections),
                logic: logic.clone(),
                keys: keys.clone(),
                engine: self.engine.clone(),
                clock: self.clock.clone(),
                retry: self.retry.clone(),
                signals: signals.clone(),
                beat: self.lease / 3,
                concurrency: self.concurrency,
                known: Known::default(),
            };
            let task = tokio::spawn(dispatcher.run(now, end.subscribe()));
            Running {
                logic,
                keys,
                signals,
                task,
            }
        });
        ProcessManagers {
            running: running.collect(),
            projections,
            engine: self.engine.clone(),
            clock: self.clock.clone(),
            schedules,
            beginning,
            end,
        }
    }
}

/// What takes no events.
fn of_no_events(schedules: Vec<Schedule>, deadlines: Vec<Route>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    if !schedules.is_empty() {
        let schedules = Arc::new(Schedules::new(schedules));
        parts.push((schedules, schedule::keys(), Arc::default()));
    }
    if !deadlines.is_empty() {
        let deadlines = Arc::new(Deadlines::new(deadlines));
        parts.push((deadlines, deadline_document::keys(), Arc::default()));
    }
    parts
}

/// Who does what is due: whoever takes the events, if there are any.
fn owner(logic: &dyn Logic, keys: &Keys, projections: &Projections) -> Owner {
    match projections.instances() {
        Some(instances) if ![schedule::keys(), deadline_document::keys()].contains(keys) => {
            Owner::OfEvents {
                lease: lease::key(&model::model_name(logic.name()), 1, 0),
                instances,
            }
        }
        _ => Owner::Everyone,
    }
}

fn behind(begin: StartFrom, head: Position) -> Position {
    match begin {
        StartFrom::Beginning => Position::ZERO,
        StartFrom::End => head,
    }
}
