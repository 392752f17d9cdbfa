//! Deadlines that decisions set: kept by the append of the events that cause them, executed when they are due.
//!
//! Each is an instance with one command. An append reads nothing ahead of it: it puts the instance, and its entry among
//! what is due, whatever was there before. So a deadline that is moved or cancelled leaves an entry behind, which means
//! nothing, and goes when its time has come. The command takes its instance along in its own append, so that of the
//! command and whoever cancels it exactly one is first.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tracing::warn;
use uuid::Uuid;

use super::dispatcher::Dispatcher;
use super::instance::{Cause, Due, Instance, Keys, Pending, Timer};
use super::logic::{Fault, Logic};
use crate::document::Changes;
use crate::error::StoreError;
use crate::events::DeadlineOrders;
use crate::metadata::Metadata;
use crate::process::{Rejection, Route};
use crate::stream::StreamId;
use crate::timestamp::Timestamp;

/// What the deadlines that decisions set go by together, where a name is asked for.
pub const DEADLINES: &str = "deadlines";

/// Under which keys they lie: process managers have none of that name.
pub(super) fn keys() -> Keys {
    Keys::new("/deadlines")
}

/// No two deadlines have the same, since what stands behind the last `/` holds none.
fn id(stream: &StreamId, name: &str) -> String {
    let name = name.replace('%', "%25").replace('/', "%2F");
    format!("{stream}/{name}")
}

/// The name of the deadline with this id.
fn name(id: &str) -> String {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    name.replace("%2F", "/").replace("%25", "%")
}

/// What deadlines are set by.
pub(crate) struct Setting<'a> {
    pub(crate) stream: &'a StreamId,
    /// The event that they are set with.
    pub(crate) event: Option<Uuid>,
    pub(crate) metadata: &'a Metadata,
    pub(crate) now: Timestamp,
}

/// The changes that set and cancel what is ordered, each with an id of its own.
pub(crate) fn changes(
    orders: &DeadlineOrders,
    setting: &Setting<'_>,
    mut unique: impl FnMut() -> Uuid,
) -> Result<Changes, StoreError> {
    let keys = keys();
    let mut changes = Changes::new();
    for (name, order) in &orders.orders {
        let id = id(setting.stream, name);
        let Some(order) = order else {
            changes = changes.delete(keys.instance(&id));
            continue;
        };
        let due = order.when.due(setting.now).max(Timestamp::from_micros(0));
        let pending = Pending {
            // Without the bits that all ids share, so that any reader of JSON can take it for an integer.
            number: unique().as_u64_pair().1 & (u64::MAX >> 2),
            command: order.command.to_owned(),
            version: order.version,
            body: order.body.clone(),
            cause: Cause::ahead(setting.event, setting.metadata, due),
        };
        changes = changes.with(Instance::put(&id, pending, &keys)?);
    }
    Ok(changes)
}

/// All of them, as one process manager that takes no events.
pub(super) struct Deadlines {
    routes: HashMap<&'static str, Route>,
    /// The commands that a warning was given of.
    unknown: Mutex<HashSet<String>>,
}

impl Deadlines {
    pub(super) fn new(routes: Vec<Route>) -> Self {
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
        format!("deadline {}", name(instance)).into()
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
    /// Says what is due next, so that [`is_set`](Self::is_set) tells of what is due before. What is set while that is
    /// being found out counts as such.
    pub(super) fn expect(&self, next: Option<Timestamp>) {
        if self.logic.is_set_by_appends() {
            self.engine.alarm().expect(next);
        }
    }

    pub(super) async fn is_set(&self) {
        match self.logic.is_set_by_appends() {
            true => self.engine.alarm().sooner().await,
            false => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_deadlines_have_the_same_id() {
        let parts = [
            ("a-b", "c/d"),
            ("a-b/c", "d"),
            ("a-b", "c%2Fd"),
            ("a-b", "c%252Fd"),
            ("a-b", "c"),
            ("a-b/c", "%"),
        ];
        let mut ids = HashSet::new();
        for (stream, called) in parts {
            let id = id(&stream.parse().expect("a stream id"), called);
            assert_eq!(name(&id), called);
            assert!(ids.insert(id.clone()), "{id}");
        }
    }
}
