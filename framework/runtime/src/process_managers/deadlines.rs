//! Deadlines that decisions set: kept by the append of the events that cause them, executed when they are due.
//!
//! Each deadline is an instance with one command. The append writes the instance and its entry in the due index without
//! reading them. A deadline that is moved or cancelled therefore leaves an old entry, which is deleted without effect when
//! it is due. The command deletes its instance in its own append, so either the command or its cancellation succeeds.

use factum_engine::process::deadline_document;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use super::dispatcher::Dispatcher;
use super::logic::{Fault, Logic};
use factum_core::timestamp::Timestamp;
use factum_engine::process::instance::{Cause, Due, Instance, Pending, Timer};
use factum_engine::process::{Rejection, Route};

/// What the deadlines that decisions set go by together, where a name is asked for.
pub const DEADLINES: &str = "deadlines";

/// All of them, as one process manager that takes no events.
pub struct Deadlines {
    routes: HashMap<&'static str, Route>,
    /// The commands that a warning was given of.
    unknown: Mutex<HashSet<String>>,
}

impl Deadlines {
    pub fn new(routes: Vec<Route>) -> Self {
        let routes = routes.into_iter().map(|route| (route.name, route));
        Self {
            routes: routes.collect(),
            unknown: Mutex::default(),
        }
    }
}

impl Logic for Deadlines {
    fn name(&self) -> &'static str {
        DEADLINES
    }

    fn actor<'a>(&'a self, instance: &'a str) -> Cow<'a, str> {
        format!("deadline {}", deadline_document::name(instance)).into()
    }

    /// Whether this program can execute the command. Where it cannot, the first of its name is worth a warning.
    fn knows(&self, due: &Due) -> bool {
        let Some(command) = &due.command else {
            return true;
        };
        let known = self.routes.contains_key(&**command);
        if !known {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            if unknown.insert(command.clone()) {
                let deadline = &due.id;
                warn!(
                    deadline,
                    command, "due, and not known here: it waits for a program that executes it"
                );
            }
        }
        known
    }

    fn is_set_by_appends(&self) -> bool {
        true
    }

    fn key(&self, instance: &str, pending: &Pending) -> String {
        format!("deadline/{instance}/{}", pending.number)
    }

    fn route(&self, _: &str, name: &str) -> Option<Route> {
        self.routes.get(name).copied()
    }

    fn deadline(
        &self,
        instance: &mut Instance,
        (_, timer): (&str, &Timer),
        _: Timestamp,
    ) -> Result<(), Fault> {
        instance.settle(timer.number);
        Ok(())
    }

    fn rejected(
        &self,
        instance: &mut Instance,
        rejection: &Rejection,
        _: &Cause,
    ) -> Result<(), Fault> {
        let Rejection { command, error, .. } = rejection;
        warn!(
            deadline = instance.id,
            command, error, "the command of a deadline was rejected"
        );
        Ok(())
    }
}

impl Dispatcher {
    /// Records the next due time, so that [`is_set`](Self::is_set) reports deadlines that are due earlier. Deadlines that
    /// are set while the index is read are reported too.
    pub fn expect(&self, next: Option<Timestamp>) {
        if self.logic.is_set_by_appends() {
            self.engine.alarm().expect(next);
        }
    }

    pub async fn is_set(&self) {
        match self.logic.is_set_by_appends() {
            true => self.engine.alarm().sooner().await,
            false => std::future::pending().await,
        }
    }
}
