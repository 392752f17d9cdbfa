//! [`ProcessInstance`]: the document of a process instance.
//!
//! State, outbox and deadlines are one document, so that they never diverge. It is changed only at the revision at
//! which it was read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use factum_core::document::{DocumentChanges, Revision, encode_document};
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::action::ProcessAction;
use crate::error::StoreError;
use crate::record::RecordedEvent;

/// The document of a process instance.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessInstance {
    /// The id of the instance.
    pub id: String,
    /// The schema version of the state.
    pub version: u32,
    /// The state; `None` if the instance is not live, unless it `has_unit_state`.
    state: Option<Value>,
    /// Set if the instance is live and its state is the JSON `null` of a type without fields.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_unit_state: bool,
    /// The number of the next work item.
    next: u64,
    /// The commands to execute, in order.
    pub outbox: VecDeque<PendingCommand>,
    /// The deadlines, by name.
    pub deadlines: BTreeMap<String, Timer>,
    /// The numbers of failed deliveries.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub failed: BTreeSet<u64>,
    /// The entry of the instance in the due index.
    due: Option<DueTime>,
}

/// The time and the kind of the next work of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DueTime {
    at: Timestamp,
    is_deadline: bool,
}

/// A command to execute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingCommand {
    /// The number of the work item.
    pub number: u64,
    /// The name of the command.
    pub command: String,
    /// The schema version of the command.
    #[serde(default = "first_version", skip_serializing_if = "is_first_version")]
    pub version: u32,
    /// The command, as JSON.
    pub body: Value,
    /// The cause.
    pub cause: Cause,
    /// Set if the due time counts from the storage of an event, and that time was not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<CountsFrom>,
}

/// The event from whose storage a due time counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsFrom {
    /// The stream of the event.
    pub stream: StreamId,
    /// The version of the event in its stream.
    pub version: Version,
    /// The time between the storage of the event and the due time.
    pub after: Duration,
}

fn first_version() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires it")]
fn is_first_version(version: &u32) -> bool {
    *version == first_version()
}

/// A deadline that is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    /// The number of the work item.
    pub number: u64,
    /// The due time.
    pub due: Timestamp,
    /// The cause.
    pub cause: Cause,
}

/// The cause of a command or a deadline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The position of the event; 0 if there is none, or if it is not stored yet.
    pub position: Position,
    /// The id of the event.
    pub event: Option<Uuid>,
    /// The time at which the event was stored or the deadline was due.
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace_parent: Option<String>,
}

/// The next work item of an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum InstanceWork {
    /// A command to execute.
    Command(PendingCommand),
    /// A deadline, with its name.
    Deadline(String, Timer),
}

impl InstanceWork {
    /// Returns the number of the work item.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Command(pending) => pending.number,
            Self::Deadline(_, timer) => timer.number,
        }
    }
}

impl Cause {
    /// Creates the cause from an event that was stored at the time `at`, by the clock for deadlines.
    #[must_use]
    pub fn event(event: &RecordedEvent, at: Timestamp) -> Self {
        let metadata = &event.metadata;
        Self {
            position: event.position,
            event: Some(event.id),
            at,
            correlation: metadata.correlation_id.or(Some(event.id)),
            tenant: metadata.tenant.clone(),
            trace_parent: metadata.trace_parent.clone(),
        }
    }

    /// Creates the cause of a deadline that is set by an event which is not stored yet.
    #[must_use]
    pub fn new_event(event: Option<Uuid>, metadata: &Metadata, due: Timestamp) -> Self {
        Self {
            event,
            correlation: metadata.correlation_id,
            tenant: metadata.tenant.clone(),
            trace_parent: metadata.trace_parent.clone(),
            ..Self::none(due)
        }
    }

    /// Creates a cause without an event.
    #[must_use]
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

    /// Returns the same cause, at another time.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Self {
        Self { at, ..self.clone() }
    }

    /// Returns the W3C trace context of the request that is the cause.
    #[must_use]
    pub fn trace_parent(&self) -> Option<&str> {
        self.trace_parent.as_deref()
    }

    /// Returns the metadata of a command with this cause.
    #[must_use]
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

impl ProcessInstance {
    /// Creates an instance that is not live.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            ..Self::default()
        }
    }

    /// Returns the changes that replace an instance with one whose only work is `pending`.
    ///
    /// # Errors
    /// Returns [`StoreError::Failed`] if it cannot be encoded.
    pub fn replace_with(
        id: &str,
        pending: PendingCommand,
        keys: &InstanceKeys,
    ) -> Result<DocumentChanges, StoreError> {
        let at = pending.cause.at;
        let entry = DueEntry {
            id: id.to_owned(),
            is_deadline: false,
            command: Some(pending.command.clone()),
        };
        let instance = Self {
            outbox: VecDeque::from([pending]),
            due: Some(DueTime {
                at,
                is_deadline: false,
            }),
            ..Self::new(id)
        };
        Ok(DocumentChanges::new()
            .put(keys.due(at, id), encode_document(&entry)?)
            .put(keys.instance(id), encode_document(&instance)?))
    }

    /// Returns the time of its entry in the due index.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        self.due.map(|due| due.at)
    }

    /// Returns whether the instance was started and is not completed.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.state().is_some()
    }

    /// Returns the state; `None` if the instance is not live.
    #[must_use]
    pub fn state(&self) -> Option<&Value> {
        match self.has_unit_state {
            true => Some(&Value::Null),
            false => self.state.as_ref(),
        }
    }

    /// Sets the state of a live instance.
    pub fn set_state(&mut self, state: Value) {
        self.has_unit_state = state.is_null();
        self.state = Some(state);
    }

    /// Adds the work that follows from `cause`.
    pub fn add_actions(&mut self, actions: Vec<ProcessAction>, cause: &Cause) {
        let completes = actions.contains(&ProcessAction::Complete);
        for action in actions {
            let number = self.next;
            match action {
                ProcessAction::Send {
                    command,
                    version,
                    body,
                } => {
                    self.next += 1;
                    self.outbox.push_back(PendingCommand {
                        number,
                        command: command.to_owned(),
                        version,
                        body,
                        cause: cause.clone(),
                        counts_from: None,
                    });
                }
                ProcessAction::SetDeadline { name, due } => {
                    self.next += 1;
                    let cause = cause.clone();
                    // The due index is ordered by digits, so it has no times before 1970.
                    let due = due.max(Timestamp::from_micros(0));
                    self.deadlines.insert(name, Timer { number, due, cause });
                }
                ProcessAction::CancelDeadline { name } => {
                    self.deadlines.remove(&name);
                }
                ProcessAction::Complete => {}
            }
        }
        if completes {
            (self.state, self.has_unit_state) = (None, false);
            self.deadlines.clear();
        }
    }

    /// Removes a work item that is done or not wanted any more.
    pub fn remove_work(&mut self, number: u64) {
        // Usually the first one.
        if self
            .outbox
            .pop_front_if(|pending| pending.number == number)
            .is_some()
        {
            return;
        }
        self.outbox.retain(|pending| pending.number != number);
        self.deadlines.retain(|_, timer| timer.number != number);
    }

    /// Moves the command `number` to the time `due`, which does not change any more.
    pub fn move_command(&mut self, number: u64, due: Timestamp) {
        let mut pending = self.outbox.iter_mut();
        if let Some(pending) = pending.find(|pending| pending.number == number) {
            pending.cause.at = due;
            pending.counts_from = None;
        }
    }

    /// Returns whether the work item exists.
    #[must_use]
    pub fn has_work(&self, number: u64) -> bool {
        self.outbox.iter().any(|pending| pending.number == number)
            || self.deadlines.values().any(|timer| timer.number == number)
    }

    /// Returns the next work item and its time. A failed delivery blocks later commands, but not deadlines.
    #[must_use]
    pub fn next_work(&self) -> Option<(Timestamp, InstanceWork)> {
        let command = self.outbox.front().filter(|_| self.failed.is_empty());
        let timers = self.deadlines.iter();
        let timer = timers
            .filter(|(_, timer)| !self.failed.contains(&timer.number))
            .min_by_key(|(_, timer)| (timer.due, timer.number));
        match (command, timer) {
            (Some(command), Some((_, timer))) if command.cause.at <= timer.due => {
                Some((command.cause.at, InstanceWork::Command(command.clone())))
            }
            (_, Some((name, timer))) => {
                let work = InstanceWork::Deadline(name.clone(), timer.clone());
                Some((timer.due, work))
            }
            (Some(command), None) => {
                Some((command.cause.at, InstanceWork::Command(command.clone())))
            }
            (None, None) => None,
        }
    }

    /// Returns the changes that delete the instance, which was read at `revision`.
    #[must_use]
    pub fn delete(&self, keys: &InstanceKeys, revision: Revision) -> DocumentChanges {
        let deleted = DocumentChanges::new().delete_if(keys.instance(&self.id), revision);
        match self.due {
            Some(due) => deleted.delete(keys.due(due.at, &self.id)),
            None => deleted,
        }
    }

    /// Returns the changes that store the instance and its entry in the due index.
    ///
    /// The instance was read at `revision`.
    ///
    /// # Errors
    /// Returns [`StoreError::Failed`] if it cannot be encoded.
    pub fn store(
        mut self,
        keys: &InstanceKeys,
        revision: Revision,
    ) -> Result<DocumentChanges, StoreError> {
        let failed = std::mem::take(&mut self.failed).into_iter();
        self.failed = failed.filter(|number| self.has_work(*number)).collect();
        let work = self.next_work();
        let due = work.as_ref().map(|(at, work)| DueTime {
            at: *at,
            is_deadline: matches!(work, InstanceWork::Deadline(..)),
        });
        let before = std::mem::replace(&mut self.due, due);
        let mut changes = DocumentChanges::new();
        if let Some(before) = before.filter(|before| Some(before.at) != due.map(|due| due.at)) {
            changes = changes.delete(keys.due(before.at, &self.id));
        }
        if let Some(DueTime { at, is_deadline }) = due.filter(|_| due != before) {
            let entry = DueEntry {
                id: self.id.clone(),
                is_deadline,
                command: match work {
                    // A live instance belongs to a process manager, which knows all its commands.
                    Some((_, InstanceWork::Command(pending))) if !self.is_live() => {
                        Some(pending.command)
                    }
                    _ => None,
                },
            };
            changes = changes.put(keys.due(at, &self.id), encode_document(&entry)?);
        }
        let key = keys.instance(&self.id);
        let is_over = !self.is_live() && self.outbox.is_empty();
        Ok(match (is_over, revision) {
            (true, Revision::ABSENT) => changes,
            (true, revision) => changes.delete_if(key, revision),
            (false, revision) => changes.put_if(key, revision, encode_document(&self)?),
        })
    }
}

/// An entry of the due index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DueEntry {
    /// The id of the instance.
    pub id: String,
    /// Set if the work is a deadline and not a command.
    pub is_deadline: bool,
    /// The name of the command, if it determines which programs can execute the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// The keys of the documents of a process manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceKeys {
    prefix: String,
}

impl InstanceKeys {
    /// Creates the keys of the process manager `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            prefix: format!("process/{name}/"),
        }
    }

    /// Returns the key of an instance.
    #[must_use]
    pub fn instance(&self, id: &str) -> String {
        format!("{}instance/{id}", self.prefix)
    }

    /// Returns the prefix of the due index, which is ordered by time.
    #[must_use]
    pub fn due_index(&self) -> String {
        format!("{}due/", self.prefix)
    }

    fn due(&self, at: Timestamp, id: &str) -> String {
        let micros = at.as_micros().max(0);
        format!("{}due/{micros:020}/{id}", self.prefix)
    }

    /// Returns the time of an entry of the due index.
    #[must_use]
    pub fn due_time(&self, key: &str) -> Option<Timestamp> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("due/")?;
        let micros = rest.get(..20)?.parse().ok()?;
        Some(Timestamp::from_micros(micros))
    }

    /// Returns the prefix of the failed deliveries.
    #[must_use]
    pub fn failed_deliveries(&self) -> String {
        format!("{}failed/", self.prefix)
    }

    /// Returns the key of a failed delivery.
    #[must_use]
    pub fn failed_delivery(&self, id: &str, number: u64) -> String {
        format!("{}failed/{id}/{number:020}", self.prefix)
    }

    /// Returns the key of the dispatcher's fencing token.
    #[must_use]
    pub fn dispatcher(&self) -> String {
        format!("{}dispatcher", self.prefix)
    }
}
