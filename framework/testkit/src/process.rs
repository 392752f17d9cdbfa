//! Given/when/then scenarios for process managers.

use std::fmt::Display;
use std::marker::PhantomData;

use serde_json::{Value, json};

use super::given_log::GivenLog;
use super::scenario::EventLists;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::command::Command;
use factum_engine::process::instance::{Cause, PendingCommand, ProcessInstance};
use factum_engine::process::{
    Correlation, ProcessManager, ReactSet, Rejection, Respond, SentBy, When,
};
use factum_engine::record::RecordedEvent;
use factum_runtime::process::{EventDriven as _, ProcessDefinition as _, TypedProcess};

/// Starts a scenario of the process instance `id` of the process manager `P`, without a store.
///
/// A scenario is a list of steps. Each step starts with [`when`](ProcessScenario::when),
/// [`when_deadline`](ProcessScenario::when_deadline) or [`when_rejected`](ProcessScenario::when_rejected). The `then`
/// methods check the effects of the last step. Each of them checks one effect and ignores the others;
/// [`then_nothing_else`](ProcessScenario::then_nothing_else) asserts that there are no further effects.
///
/// The time of all steps is 1970-01-01T00:00:00Z unless [`at`](ProcessScenario::at) sets another one.
///
/// The key of the events' stream is the text of `id`, so that [`correlate`](factum_engine::process::React::correlate) can use
/// `event.record.stream.key()`.
///
/// See [`ProcessManager`] for an example.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a scenario reads best with plain values"
)]
#[must_use = "a scenario without `when` and `then` tests nothing"]
pub fn process<P>(id: P::Id) -> ProcessScenario<P>
where
    P: Respond + ReactSet<<P as ProcessManager>::Events>,
{
    let id = id.to_string();
    ProcessScenario {
        definition: TypedProcess::new(),
        instance: ProcessInstance::new(&id),
        before: ProcessInstance::new(&id),
        now: Timestamp::from_micros(0),
        checked: Checked::default(),
        unhandled: Vec::new(),
        process_manager: PhantomData,
    }
}

/// A scenario of one process instance. Created by [`process`](process()).
pub struct ProcessScenario<P> {
    definition: TypedProcess<P>,
    instance: ProcessInstance,
    /// The instance before the last `when`.
    before: ProcessInstance,
    now: Timestamp,
    checked: Checked,
    /// The reasons why the instance did not handle some of the events.
    unhandled: Vec<String>,
    process_manager: PhantomData<fn() -> P>,
}

/// The effects that a `then` method has checked since the last `when`.
#[derive(Default)]
struct Checked {
    commands: bool,
    deadlines: Vec<String>,
    completion: bool,
}

impl<P> ProcessScenario<P>
where
    P: Respond + ReactSet<<P as ProcessManager>::Events>,
{
    /// Sets the time of the following events and steps.
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.now = time;
        self
    }

    /// Applies events that happened before the tested step.
    ///
    /// Pass a list, or a tuple of lists if the events have several types. The commands that the process manager sends
    /// for them are discarded; the deadlines that it sets remain set.
    ///
    /// # Panics
    /// If an event cannot be serialized or deserialized, or if the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    pub fn given(mut self, events: impl EventLists) -> Self {
        let mut log = GivenLog::default();
        events.append_to(&mut log);
        for record in log.into_records() {
            self.handle(record);
        }
        self.instance.outbox.clear();
        self
    }

    /// Starts a step: the process manager handles `event`.
    ///
    /// # Panics
    /// If the event cannot be serialized or deserialized, or if the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn when<E>(mut self, event: E) -> Self
    where
        [E; 1]: EventLists,
    {
        self.start_step();
        let mut log = GivenLog::default();
        [event].append_to(&mut log);
        for record in log.into_records() {
            self.handle(record);
        }
        self
    }

    /// Starts a step: the deadline `name` fires at the time at which it is due.
    ///
    /// # Panics
    /// If no deadline with this name is set, or if the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn when_deadline(mut self, name: &str) -> Self {
        self.start_step();
        let Some(timer) = self.instance.deadlines.get(name).cloned() else {
            let set: Vec<_> = self.instance.deadlines.keys().collect();
            let unhandled = self.unhandled();
            panic!(
                "no deadline {name:?} is set for {}; deadlines that are set: {set:?}{unhandled}",
                P::NAME
            );
        };
        self.now = timer.due;
        // A deadline that fires is no longer set, which is not an effect of the step.
        self.before.deadlines.remove(name);
        let fired = self
            .definition
            .deadline(&mut self.instance, name, &timer, timer.due);
        if let Err(error) = fired {
            panic!("{} failed on the deadline {name:?}: {error}", P::NAME);
        }
        self
    }

    /// Starts a step: `command`, which the process manager sent, was rejected with `error`.
    ///
    /// # Panics
    /// If the command cannot be serialized to JSON, or if the process manager fails.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a scenario reads best with plain values"
    )]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn when_rejected<C>(mut self, command: C, error: impl Display) -> Self
    where
        C: Command + SentBy<P>,
    {
        self.start_step();
        let rejection = Rejection::new(
            C::NAME.to_owned(),
            body(&command),
            error.to_string(),
            self.now,
        );
        let cause = Cause::none(self.now);
        if let Err(error) = self
            .definition
            .rejected(&mut self.instance, &rejection, &cause)
        {
            panic!(
                "{} failed on the rejection of {}: {error}",
                P::NAME,
                C::NAME
            );
        }
        self
    }

    /// Asserts that the step sends exactly these commands, in this order.
    ///
    /// Pass a list, or a tuple if the commands have several types.
    ///
    /// # Panics
    /// If the step sends other commands, more commands or fewer commands.
    #[track_caller]
    pub fn then_sends(mut self, commands: impl Sent<P>) -> Self {
        self.checked.commands = true;
        let (expected, actual) = (commands.sent(), self.sent());
        let unhandled = self.unhandled();
        assert!(
            actual == expected,
            "unexpected commands of {}{unhandled}\n  expected: {}\n    actual: {}",
            P::NAME,
            json!(expected),
            json!(actual)
        );
        self
    }

    /// Asserts that the deadline `name` is set to `when`.
    ///
    /// `when` is a [`Timestamp`], or a [`Duration`](std::time::Duration) after the time of the step.
    ///
    /// # Panics
    /// If the deadline is not set, or if it is set to another time.
    #[track_caller]
    pub fn then_deadline(mut self, name: &str, when: impl Into<When>) -> Self {
        self.checked.deadlines.push(name.to_owned());
        let expected = when.into().due(self.now);
        let due = self.instance.deadlines.get(name).map(|timer| timer.due);
        let actual = due.map_or("not set".to_owned(), |due| format!("due at {due}"));
        let unhandled = self.unhandled();
        assert!(
            due == Some(expected),
            "unexpected deadline {name:?} of {}{unhandled}\n  expected: due at {expected}\n    actual: {actual}",
            P::NAME
        );
        self
    }

    /// Asserts that the deadline `name` was set before the step and is not set after it.
    ///
    /// # Panics
    /// If the deadline was not set before the step, or if it is still set.
    #[track_caller]
    pub fn then_cancels(mut self, name: &str) -> Self {
        self.checked.deadlines.push(name.to_owned());
        let unhandled = self.unhandled();
        let before = self.before.deadlines.contains_key(name);
        assert!(
            before,
            "cannot expect that {} cancels the deadline {name:?}: it was not set before the step{unhandled}",
            P::NAME
        );
        if let Some(timer) = self.instance.deadlines.get(name) {
            let due = timer.due;
            panic!(
                "{} did not cancel the deadline {name:?}: it is due at {due}{unhandled}",
                P::NAME
            );
        }
        self
    }

    /// Asserts that the process instance is complete.
    ///
    /// # Panics
    /// If the process instance is still active.
    #[track_caller]
    pub fn then_completes(mut self) -> Self {
        self.checked.completion = true;
        let (id, unhandled) = (&self.instance.id, self.unhandled());
        assert!(
            !self.instance.is_live(),
            "instance {id:?} of {} is not complete{unhandled}",
            P::NAME
        );
        self
    }

    /// Asserts that the step has no effects other than those that earlier `then` calls checked.
    ///
    /// Effects are: a command is sent, a deadline is set, moved or cancelled, or the process instance completes.
    ///
    /// # Panics
    /// If the step has an effect that no `then` call since the last `when` checked.
    #[track_caller]
    pub fn then_nothing_else(self) -> Self {
        if !self.checked.commands {
            let sent = self.sent();
            assert!(
                sent.is_empty(),
                "unexpected commands of {}\n  expected: none\n    actual: {}",
                P::NAME,
                json!(sent)
            );
        }
        let completes = self.before.is_live() && !self.instance.is_live();
        if !self.checked.completion {
            let id = &self.instance.id;
            assert!(
                !completes,
                "instance {id:?} of {} completed unexpectedly",
                P::NAME
            );
        }
        let due = |instance: &ProcessInstance| {
            let timers = instance.deadlines.iter();
            let timers = timers.filter(|(name, _)| !self.checked.deadlines.contains(name));
            timers
                .map(|(name, timer)| (name.clone(), timer.due))
                .collect::<Vec<_>>()
        };
        if !completes {
            let (expected, actual) = (due(&self.before), due(&self.instance));
            assert!(
                actual == expected,
                "unexpected changes of deadlines of {}\n  expected: {expected:?}\n    actual: {actual:?}",
                P::NAME
            );
        }
        self
    }

    /// Passes the state to `check`, which can make assertions on it.
    ///
    /// The state is the default value of `P` if the process instance has not started or is complete.
    ///
    /// # Panics
    /// If the state cannot be deserialized, or if `check` panics.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&P)) -> Self {
        let state = self.instance.state().cloned().map(serde_json::from_value);
        match state {
            None => check(&P::default()),
            Some(Ok(state)) => check(&state),
            Some(Err(error)) => {
                panic!("the state of {} cannot be deserialized: {error}", P::NAME)
            }
        }
        self
    }

    fn start_step(&mut self) {
        self.instance.outbox.clear();
        self.before = self.instance.clone();
        self.checked = Checked::default();
    }

    #[track_caller]
    fn handle(&mut self, mut record: RecordedEvent) {
        record.recorded_at = self.now;
        if let Ok(stream) = StreamId::new("given", &self.instance.id) {
            record.stream = stream;
        }
        let prepared = match self.definition.prepare(&record) {
            Ok(prepared) => prepared,
            Err(error) => panic!("{} cannot handle {}: {error}", P::NAME, record.name),
        };
        for prepared in prepared {
            let (id, starts) = match prepared.correlation {
                Correlation::Starts(id) => (id, true),
                Correlation::Continues(id) => (id, false),
                Correlation::Ignored => {
                    let name = &record.name;
                    self.unhandled
                        .push(format!("{name} is not correlated with an instance"));
                    continue;
                }
            };
            if id != self.instance.id {
                let name = &record.name;
                self.unhandled
                    .push(format!("{name} belongs to instance {id:?}"));
                continue;
            }
            if !(starts || self.instance.is_live()) {
                let (name, id) = (&record.name, &self.instance.id);
                self.unhandled.push(format!(
                    "{name} continues instance {id:?}, which has not started or is complete"
                ));
                continue;
            }
            if let Err(error) =
                (prepared.apply)(&mut self.instance, &Cause::event(&record, self.now))
            {
                panic!("{} failed on {}: {error}", P::NAME, record.name);
            }
        }
    }

    /// Returns the end of a panic message, which explains why the instance did not handle some events.
    fn unhandled(&self) -> String {
        match &*self.unhandled {
            [] => String::new(),
            reasons => format!(
                "; events that instance {:?} did not handle: {}",
                self.instance.id,
                reasons.join(", ")
            ),
        }
    }

    fn sent(&self) -> Vec<Value> {
        let named = |pending: &PendingCommand| json!({ (pending.command.clone()): pending.body });
        self.instance.outbox.iter().map(named).collect()
    }
}

#[track_caller]
fn body<C: Command>(command: &C) -> Value {
    match factum_core::json::to_value(command) {
        Ok(body) => body,
        Err(error) => panic!(
            "the command {} cannot be serialized to JSON: {error}",
            C::NAME
        ),
    }
}

/// The values that [`ProcessScenario::then_sends`] accepts for the process manager `P`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent by `{P}`",
    note = "pass a list of commands, or a tuple of commands of several types, from the attribute `commands = (…)`"
)]
pub trait Sent<P> {
    /// Returns the expected commands as JSON, each with its name.
    fn sent(self) -> Vec<Value>;
}

impl<P, C: Command + SentBy<P>, const N: usize> Sent<P> for [C; N] {
    #[track_caller]
    fn sent(self) -> Vec<Value> {
        self.iter()
            .map(|command| json!({ (C::NAME): body(command) }))
            .collect()
    }
}

macro_rules! sent {
    ($($command:ident $index:tt),+) => {
        impl<P, $($command: Command + SentBy<P>),+> Sent<P> for ($($command,)+) {
            #[track_caller]
            fn sent(self) -> Vec<Value> {
                vec![$(json!({ ($command::NAME): body(&self.$index) })),+]
            }
        }
    };
}

sent!(A 0, B 1);
sent!(A 0, B 1, C 2);
sent!(A 0, B 1, C 2, D 3);
sent!(A 0, B 1, C 2, D 3, E 4);
