//! [`Instance`]: all that is kept of one instance of a process manager. One document: whoever changes it does so at the
//! revision that it was read at, so that its state and what it has to do never part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::reactions::Order;
use crate::error::StoreError;
use crate::record::RecordedEvent;
use factum_core::document::{DocumentChanges, Revision, encode_document};
use factum_core::metadata::Metadata;
use factum_core::position::Position;
use factum_core::timestamp::Timestamp;

/// What one instance has in mind, and what it has to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    /// The version of the state's form.
    pub version: u32,
    /// `None`: it does not live, unless it is `bare`.
    state: Option<Value>,
    /// It lives, and its state is the `null` of a type without fields.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    bare: bool,
    /// The number that its next work is given.
    next: u64,
    /// What is to be executed, in order.
    pub outbox: VecDeque<Pending>,
    pub deadlines: BTreeMap<String, Timer>,
    /// The numbers of what could not be done, and waits for somebody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dead: BTreeSet<u64>,
    /// How it stands among what is due.
    wake: Option<Wake>,
}

/// When something is to be done for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Wake {
    at: Timestamp,
    deadline: bool,
}

/// A command to be executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub number: u64,
    pub command: String,
    /// The version of its form.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub version: u32,
    pub body: Value,
    pub cause: Cause,
}

fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_first(version: &u32) -> bool {
    *version == first()
}

/// A deadline that is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    pub number: u64,
    pub due: Timestamp,
    pub cause: Cause,
}

/// What led to something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The event, in the end.
    pub position: Position,
    pub event: Option<Uuid>,
    /// When it was stored, or when the deadline was due that it led to.
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
}

/// The next thing to be done for an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    Command(Pending),
    Deadline(String, Timer),
}

impl Work {
    pub fn number(&self) -> u64 {
        match self {
            Self::Command(pending) => pending.number,
            Self::Deadline(_, timer) => timer.number,
        }
    }
}

impl Cause {
    pub fn of(event: &RecordedEvent) -> Self {
        let metadata = &event.metadata;
        Self {
            position: event.position,
            event: Some(event.id),
            at: event.recorded_at,
            correlation: metadata.correlation_id.or(Some(event.id)),
            tenant: metadata.tenant.clone(),
            trace_parent: metadata.trace_parent.clone(),
        }
    }

    /// Of a deadline that is due `at`, set by an append that is on its way.
    pub fn ahead(event: Option<Uuid>, metadata: &Metadata, at: Timestamp) -> Self {
        Self {
            event,
            correlation: metadata.correlation_id,
            tenant: metadata.tenant.clone(),
            trace_parent: metadata.trace_parent.clone(),
            ..Self::none(at)
        }
    }

    /// No event led to it.
    pub fn none(at: Timestamp) -> Self {
        Self {
            position: Position::ZERO,
            event: None,
            at,
            correlation: None,
            tenant: None,
            trace_parent: None,
        }
    }

    pub fn at(&self, at: Timestamp) -> Self {
        Self { at, ..self.clone() }
    }

    pub fn metadata(&self, actor: &str) -> Metadata {
        let mut metadata = Metadata::default();
        metadata.actor = Some(actor.to_owned());
        metadata.correlation_id = self.correlation;
        metadata.causation_id = self.event;
        metadata.tenant.clone_from(&self.tenant);
        metadata.trace_parent.clone_from(&self.trace_parent);
        metadata
    }
}

impl Instance {
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// The changes that put an instance there that has only `pending` to do, whatever was there before.
    pub fn put(id: &str, pending: Pending, keys: &Keys) -> Result<DocumentChanges, StoreError> {
        let at = pending.cause.at;
        let due = Due {
            id: id.to_owned(),
            deadline: false,
            command: Some(pending.command.clone()),
        };
        let instance = Self {
            outbox: VecDeque::from([pending]),
            wake: Some(Wake {
                at,
                deadline: false,
            }),
            ..Self::new(id)
        };
        Ok(DocumentChanges::new()
            .put(keys.due(at, id), encode_document(&due)?)
            .put(keys.instance(id), encode_document(&instance)?))
    }

    /// Under which time it stands among what is due.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.wake.map(|wake| wake.at)
    }

    pub fn lives(&self) -> bool {
        self.state().is_some()
    }

    /// `None`: it does not live.
    pub fn state(&self) -> Option<&Value> {
        match self.bare {
            true => Some(&Value::Null),
            false => self.state.as_ref(),
        }
    }

    /// It lives, with this state.
    pub fn live(&mut self, state: Value) {
        self.bare = state.is_null();
        self.state = Some(state);
    }

    /// Takes in what shall follow from `cause`.
    pub fn follow(&mut self, orders: Vec<Order>, cause: &Cause) {
        let completes = orders.contains(&Order::Complete);
        for order in orders {
            let number = self.next;
            match order {
                Order::Send {
                    command,
                    version,
                    body,
                } => {
                    self.next += 1;
                    self.outbox.push_back(Pending {
                        number,
                        command: command.to_owned(),
                        version,
                        body,
                        cause: cause.clone(),
                    });
                }
                Order::Deadline { name, due } => {
                    self.next += 1;
                    let cause = cause.clone();
                    // What is due is ordered by digits, which know no time before 1970.
                    let due = due.max(Timestamp::from_micros(0));
                    self.deadlines.insert(name, Timer { number, due, cause });
                }
                Order::Cancel { name } => {
                    self.deadlines.remove(&name);
                }
                Order::Complete => {}
            }
        }
        if completes {
            (self.state, self.bare) = (None, false);
            self.deadlines.clear();
        }
    }

    /// That work is done, or is not wanted any more.
    pub fn settle(&mut self, number: u64) {
        self.outbox.retain(|pending| pending.number != number);
        self.deadlines.retain(|_, timer| timer.number != number);
    }

    pub fn has(&self, number: u64) -> bool {
        self.outbox.iter().any(|pending| pending.number == number)
            || self.deadlines.values().any(|timer| timer.number == number)
    }

    /// What is to be done next, and when. Commands wait behind what could not be done; deadlines do not.
    pub fn work(&self) -> Option<(Timestamp, Work)> {
        let front = self.outbox.front().filter(|_| self.dead.is_empty());
        let timers = self.deadlines.iter();
        let timer = timers
            .filter(|(_, timer)| !self.dead.contains(&timer.number))
            .min_by_key(|(_, timer)| (timer.due, timer.number));
        match (front, timer) {
            (Some(front), Some((_, timer))) if front.cause.at <= timer.due => {
                Some((front.cause.at, Work::Command(front.clone())))
            }
            (_, Some((name, timer))) => {
                let work = Work::Deadline(name.clone(), timer.clone());
                Some((timer.due, work))
            }
            (Some(front), None) => Some((front.cause.at, Work::Command(front.clone()))),
            (None, None) => None,
        }
    }

    /// The changes that leave nothing of it, where it was at `revision`, but for what could not be done.
    pub fn forget(&self, keys: &Keys, revision: Revision) -> DocumentChanges {
        let gone = DocumentChanges::new().delete_if(keys.instance(&self.id), revision);
        match self.wake {
            Some(wake) => gone.delete(keys.due(wake.at, &self.id)),
            None => gone,
        }
    }

    /// The changes that keep it, where it was at `revision`.
    pub fn keep(mut self, keys: &Keys, revision: Revision) -> Result<DocumentChanges, StoreError> {
        let dead = std::mem::take(&mut self.dead).into_iter();
        self.dead = dead.filter(|number| self.has(*number)).collect();
        let work = self.work();
        let wake = work.as_ref().map(|(at, work)| Wake {
            at: *at,
            deadline: matches!(work, Work::Deadline(..)),
        });
        let before = std::mem::replace(&mut self.wake, wake);
        let at = |wake: Wake| wake.at;
        let mut changes = DocumentChanges::new();
        if let Some(gone) = before.filter(|before| Some(before.at) != wake.map(at)) {
            changes = changes.delete(keys.due(gone.at, &self.id));
        }
        if let Some(Wake { at, deadline }) = wake.filter(|_| wake != before) {
            let due = Due {
                id: self.id.clone(),
                deadline,
                command: match work {
                    // Whose instances are not asked for what they know.
                    Some((_, Work::Command(pending))) if !self.lives() => Some(pending.command),
                    _ => None,
                },
            };
            changes = changes.put(keys.due(at, &self.id), encode_document(&due)?);
        }
        let key = keys.instance(&self.id);
        let is_over = !self.lives() && self.outbox.is_empty();
        Ok(match (is_over, revision) {
            (true, Revision::ABSENT) => changes,
            (true, revision) => changes.delete_if(key, revision),
            (false, revision) => changes.put_if(key, revision, encode_document(&self)?),
        })
    }
}

/// What stands among what is due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Due {
    pub id: String,
    /// A deadline, and not a command.
    pub deadline: bool,
    /// The name of the command, where that says who can execute it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// Under which keys the documents of a process manager lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    pub fn new(name: &str) -> Self {
        Self {
            prefix: format!("process/{name}/"),
        }
    }

    pub fn instance(&self, id: &str) -> String {
        format!("{}instance/{id}", self.prefix)
    }

    /// Of everything that is due, in order of time.
    pub fn all_due(&self) -> String {
        format!("{}due/", self.prefix)
    }

    fn due(&self, at: Timestamp, id: &str) -> String {
        let micros = at.as_micros().max(0);
        format!("{}due/{micros:020}/{id}", self.prefix)
    }

    /// The time under which something is due.
    pub fn time(&self, key: &str) -> Option<Timestamp> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("due/")?;
        let micros = rest.get(..20)?.parse().ok()?;
        Some(Timestamp::from_micros(micros))
    }

    /// Of everything that could not be done.
    pub fn all_dead(&self) -> String {
        format!("{}dead/", self.prefix)
    }

    pub fn dead(&self, id: &str, number: u64) -> String {
        format!("{}dead/{id}/{number:020}", self.prefix)
    }

    /// Who does what is due.
    pub fn dispatcher(&self) -> String {
        format!("{}dispatcher", self.prefix)
    }
}
