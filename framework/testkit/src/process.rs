//! Given these events, when this one, a rejection or a deadline, then those commands and deadlines.

use std::fmt::Display;
use std::marker::PhantomData;

use serde_json::{Value, json};

use super::scenario::Facts;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use factum_engine::command::Command;
use factum_engine::process::{
    Correlation, ProcessManager, ReactSet, Rejection, Respond, SentBy, When,
};
use factum_engine::record::RecordedEvent;
use factum_runtime::process_managers::{Cause, Instance, Logic as _, Pending, Reacts as _, Typed};

/// Begins a scenario of the instance `id` of the process manager `P`, without a store.
///
/// All happens at one time, which is 1970-01-01T00:00:00Z if [`at`](ProcessScenario::at) does not say otherwise. Each
/// `when` forgets what followed from the one before; a `then` that names something tells of it alone, and
/// [`then_nothing_else`](ProcessScenario::then_nothing_else) of all that none has named.
///
/// The events stand in a stream whose key is the text of `id`, so that [`correlate`](crate::React::correlate) may go by
/// `event.record.stream.key()`.
///
/// An example stands at [`ProcessManager`].
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
        logic: Typed::new(),
        instance: Instance::new(&id),
        before: Instance::new(&id),
        at: Timestamp::from_micros(0),
        checked: Checked::default(),
        aside: Vec::new(),
        of: PhantomData,
    }
}

/// One instance of a process manager, and what it has been through. Made by [`process`].
pub struct ProcessScenario<P> {
    logic: Typed<P>,
    instance: Instance,
    /// As it was ahead of the last `when`.
    before: Instance,
    at: Timestamp,
    checked: Checked,
    /// What was given or happened, and is none of its business.
    aside: Vec<String>,
    of: PhantomData<fn() -> P>,
}

/// What a `then` has spoken of.
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
    /// What follows happens at `time`.
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.at = time;
        self
    }

    /// These events have happened, of whatever types: a list, or a tuple of lists. What followed from them is forgotten,
    /// but for the deadlines that they set.
    ///
    /// # Panics
    /// If an event does not survive its stored form, or the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn given(mut self, events: impl Facts) -> Self {
        let mut records = Vec::new();
        events.record(&mut records);
        for record in records {
            self.take(record);
        }
        self.instance.outbox.clear();
        self
    }

    /// This event happens.
    ///
    /// # Panics
    /// If the event does not survive its stored form, or the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn when<E>(mut self, event: E) -> Self
    where
        [E; 1]: Facts,
    {
        self.begin();
        let mut records = Vec::new();
        [event].record(&mut records);
        for record in records {
            self.take(record);
        }
        self
    }

    /// The deadline `name` passes, when it is due.
    ///
    /// # Panics
    /// If no deadline of that name is set, or the process manager fails.
    #[track_caller]
    #[must_use = "a scenario without `when` and `then` tests nothing"]
    pub fn when_deadline(mut self, name: &str) -> Self {
        self.begin();
        let Some(timer) = self.instance.deadlines.get(name).cloned() else {
            let set: Vec<_> = self.instance.deadlines.keys().collect();
            panic!("no deadline {name:?} is set, but {set:?}{}", self.aside());
        };
        self.at = timer.due;
        let passed = self
            .logic
            .deadline(&mut self.instance, (name, &timer), timer.due);
        if let Err(fault) = passed {
            panic!("{fault}");
        }
        self
    }

    /// `command` was rejected with `error`.
    ///
    /// # Panics
    /// If the command cannot be written as JSON, or the process manager fails.
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
        self.begin();
        let (command, error) = (body(&command), error.to_string());
        let rejection = Rejection::new(C::NAME.to_owned(), command, error, self.at);
        let cause = Cause::none(self.at);
        if let Err(fault) = self.logic.rejected(&mut self.instance, &rejection, &cause) {
            panic!("{fault}");
        }
        self
    }

    /// These commands are sent, in this order, and no others: a list, or a tuple of commands of several types.
    ///
    /// # Panics
    /// If others are sent.
    #[track_caller]
    pub fn then_sends(mut self, commands: impl Sent<P>) -> Self {
        self.checked.commands = true;
        let expected = commands.sent();
        let aside = self.aside();
        assert_eq!(
            self.sent(),
            expected,
            "{} sends other commands{aside}",
            P::NAME
        );
        self
    }

    /// The deadline `name` is set then: at a [`Timestamp`], or so long after what has happened.
    ///
    /// # Panics
    /// If it is not set, or at another time.
    #[track_caller]
    pub fn then_deadline(mut self, name: &str, when: impl Into<When>) -> Self {
        self.checked.deadlines.push(name.to_owned());
        let due = self.instance.deadlines.get(name).map(|timer| timer.due);
        let expected = Some(when.into().due(self.at));
        let aside = self.aside();
        assert_eq!(due, expected, "the deadline {name:?} of {}{aside}", P::NAME);
        self
    }

    /// The deadline `name` is not set any more.
    ///
    /// # Panics
    /// If it is set now, or was not before.
    #[track_caller]
    pub fn then_cancels(mut self, name: &str) -> Self {
        self.checked.deadlines.push(name.to_owned());
        let before = self.before.deadlines.contains_key(name);
        assert!(before, "the deadline {name:?} was not set");
        let now = self.instance.deadlines.contains_key(name);
        assert!(!now, "the deadline {name:?} is still set");
        self
    }

    /// The instance is complete.
    ///
    /// # Panics
    /// If it lives on.
    #[track_caller]
    pub fn then_completes(mut self) -> Self {
        self.checked.completion = true;
        assert!(!self.instance.lives(), "{} is not complete", P::NAME);
        self
    }

    /// Nothing follows that was not named.
    ///
    /// # Panics
    /// If a command is sent, a deadline is set, moved or cancelled, or the instance is complete, and no `then` said so.
    #[track_caller]
    pub fn then_nothing_else(self) -> Self {
        if !self.checked.commands {
            let none: [Value; 0] = [];
            assert_eq!(self.sent(), none, "{} sends commands", P::NAME);
        }
        let completes = self.before.lives() && !self.instance.lives();
        if !self.checked.completion {
            assert!(!completes, "{} is complete", P::NAME);
        }
        let due = |instance: &Instance| {
            let timers = instance.deadlines.iter();
            let timers = timers.filter(|(name, _)| !self.checked.deadlines.contains(name));
            timers
                .map(|(name, timer)| (name.clone(), timer.due))
                .collect::<Vec<_>>()
        };
        if !completes {
            assert_eq!(
                due(&self.instance),
                due(&self.before),
                "deadlines of {}",
                P::NAME
            );
        }
        self
    }

    /// Looks at the state; the default, if the instance does not live.
    ///
    /// # Panics
    /// If the state cannot be read again.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&P)) -> Self {
        let state = self.instance.state().cloned().map(serde_json::from_value);
        match state {
            None => look(&P::default()),
            Some(Ok(state)) => look(&state),
            Some(Err(error)) => panic!("the state does not survive its stored form: {error}"),
        }
        self
    }

    fn begin(&mut self) {
        self.instance.outbox.clear();
        self.before = self.instance.clone();
        self.checked = Checked::default();
    }

    #[track_caller]
    fn take(&mut self, mut record: RecordedEvent) {
        record.recorded_at = self.at;
        if let Ok(stream) = StreamId::new("given", &self.instance.id) {
            record.stream = stream;
        }
        let prepared = match self.logic.prepare(&record) {
            Ok(prepared) => prepared,
            Err(error) => panic!("{error}"),
        };
        for prepared in prepared {
            let (id, starts) = match prepared.correlation {
                Correlation::Starts(id) => (id, true),
                Correlation::Continues(id) => (id, false),
                Correlation::Ignored => {
                    self.aside.push(format!("{} is for none", record.name));
                    continue;
                }
            };
            if id != self.instance.id {
                self.aside.push(format!("{} is for {id}", record.name));
                continue;
            }
            if !(starts || self.instance.lives()) {
                let (name, id) = (&record.name, &self.instance.id);
                self.aside
                    .push(format!("{name} continues {id}, which does not live"));
                continue;
            }
            if let Err(fault) = (prepared.effect)(&mut self.instance, &Cause::of(&record)) {
                panic!("{fault}");
            }
        }
    }

    /// What explains that nothing follows, to stand behind a message.
    fn aside(&self) -> String {
        match &*self.aside {
            [] => String::new(),
            aside => format!("; of {:?}: {}", self.instance.id, aside.join(", ")),
        }
    }

    fn sent(&self) -> Vec<Value> {
        let named = |pending: &Pending| json!({ (pending.command.clone()): pending.body });
        self.instance.outbox.iter().map(named).collect()
    }
}

#[track_caller]
fn body<C: Command>(command: &C) -> Value {
    match serde_json::to_value(command) {
        Ok(body) => body,
        Err(error) => panic!("the command {} cannot be written as JSON: {error}", C::NAME),
    }
}

/// What `then_sends` can name for the process manager `P`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what `{P}` can send",
    note = "name a list of commands, or a tuple of commands of several types, that stand in its `commands = (…)`"
)]
pub trait Sent<P> {
    /// The commands that are meant, by name.
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
