//! [`ProcessConsumer`]: applies events to process instances.
//!
//! The changes of the instances and the checkpoint are one change of documents.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use factum_core::document::{DocumentError, DocumentStore, InvalidDocumentChanges, Revision};
use factum_core::position::Position;
use factum_core::query::Query;
use factum_engine::clock::{Clock as _, SharedClock};
use factum_engine::error::{StoreError, panic_message};
use factum_engine::process::Correlation;
use factum_engine::process::instance::{Cause, InstanceKeys, ProcessInstance};
use factum_engine::record::RecordedEvent;

use super::definition::{ApplyToInstance, EventDriven, PreparedEffect};
use super::signals::Signals;
use crate::consumer::{Batch, BatchError, Consumer, ConsumerError, EventError, NewerEvents};

/// The longest id of a process instance, in bytes.
const MAX_INSTANCE_ID: usize = 512;

/// Applies the events of one process manager to its instances.
pub struct ProcessConsumer {
    name: String,
    definition: Arc<dyn EventDriven>,
    keys: InstanceKeys,
    starts_after: Position,
    signals: Arc<Signals>,
    clock: SharedClock,
}

/// Returns the name of the consumer of the process manager `name`.
#[must_use]
pub fn process_consumer_name(name: &str) -> String {
    format!("process:{name}")
}

/// An instance to change, and the revision at which it was read.
struct ChangedInstance {
    revision: Revision,
    instance: ProcessInstance,
    /// The last event that changed it.
    event: Position,
}

/// The effect of an event on an instance.
struct EventEffect<'e> {
    event: &'e RecordedEvent,
    id: String,
    starts: bool,
    apply: ApplyToInstance,
}

impl ProcessConsumer {
    /// Creates the consumer of a process manager; its deadlines count by `clock`.
    pub fn new(
        definition: Arc<dyn EventDriven>,
        keys: InstanceKeys,
        starts_after: Position,
        signals: Arc<Signals>,
        clock: SharedClock,
    ) -> Self {
        Self {
            name: process_consumer_name(definition.name()),
            definition,
            keys,
            starts_after,
            signals,
            clock,
        }
    }

    fn prepare(&self, event: &RecordedEvent) -> Result<Vec<PreparedEffect>, BatchError> {
        let prepared = catch_unwind(AssertUnwindSafe(|| self.definition.prepare(event)));
        let prepared = prepared
            .map_err(|panic| EventError::handler(event.position, panic_message(&*panic)))?;
        Ok(prepared?)
    }

    /// Applies the events of `batch` to their instances.
    async fn apply(
        &self,
        batch: &Batch<'_>,
    ) -> Result<BTreeMap<String, ChangedInstance>, BatchError> {
        let mut effects = Vec::with_capacity(batch.events.len());
        for event in batch.events {
            for prepared in self.prepare(event)? {
                effects.extend(effect(event, prepared)?);
            }
        }
        let mut ids = BTreeMap::new();
        for EventEffect { id, event, .. } in &effects {
            ids.entry(id.clone()).or_insert(event.position);
        }
        let mut found = self.find(batch.documents, ids).await?;
        let mut changed = BTreeSet::new();
        for effect in effects {
            let (event, position) = (effect.event, effect.event.position);
            let Some(known) = found.get_mut(&effect.id) else {
                continue;
            };
            if !known.instance.is_live() && !effect.starts {
                // A dead letter may have started it.
                if batch.unknown_dead_letter.is_some_and(|at| at < position) {
                    return Err(EventError::new(position, ConsumerError::Blocked).into());
                }
                continue;
            }
            if let Some(newer) = self.definition.newer_schema(&known.instance) {
                return Err(EventError::new(position, newer).into());
            }
            let cause = Cause::event(event, self.clock.at_system_time(event.recorded_at));
            let applied = (effect.apply)(&mut known.instance, &cause);
            applied.map_err(|error| EventError::new(position, error))?;
            known.event = position;
            changed.insert(effect.id);
        }
        found.retain(|id, _| changed.contains(id));
        Ok(found)
    }

    async fn find(
        &self,
        documents: &dyn DocumentStore,
        ids: BTreeMap<String, Position>,
    ) -> Result<BTreeMap<String, ChangedInstance>, BatchError> {
        let new = ids.into_iter().map(|(id, event)| {
            let changed = ChangedInstance {
                revision: Revision::ABSENT,
                instance: ProcessInstance::new(&id),
                event,
            };
            (id, changed)
        });
        let mut found: BTreeMap<_, _> = new.collect();
        let keys: Vec<String> = found.keys().map(|id| self.keys.instance(id)).collect();
        for document in documents.find_documents(&keys).await? {
            let id = document.key.strip_prefix(&self.keys.instance(""));
            let Some(changed) = id.and_then(|id| found.get_mut(id)) else {
                continue;
            };
            changed.revision = document.revision;
            // An instance that cannot be decoded only fails its own event.
            let decoded = document.decode();
            changed.instance =
                decoded.map_err(|error| EventError::handler(changed.event, error))?;
        }
        Ok(found)
    }
}

impl Consumer for ProcessConsumer {
    fn name(&self) -> &str {
        &self.name
    }

    fn query(&self) -> Query {
        self.definition.query()
    }

    fn starts_after(&self) -> Position {
        self.starts_after
    }

    fn newer_events(&self) -> NewerEvents {
        NewerEvents::Wait
    }

    /// Returns the ids of the instances that the event belongs to.
    fn correlation_keys(&self, event: &RecordedEvent) -> Option<Vec<String>> {
        let prepared = self.prepare(event).ok()?.into_iter();
        let ids = prepared.filter_map(|prepared| match prepared.correlation {
            Correlation::Starts(id) | Correlation::Continues(id) => Some(id),
            Correlation::Ignored => None,
        });
        Some(ids.collect())
    }

    fn acquired(&self) {
        self.signals.wake();
    }

    async fn handle(&self, batch: Batch<'_>) -> Result<Revision, BatchError> {
        loop {
            let changed = self.apply(&batch).await?;
            let events: HashMap<String, Position> = changed
                .iter()
                .map(|(id, changed)| (self.keys.instance(id), changed.event))
                .collect();
            let mut changes = batch.changes.clone();
            for changed in changed.into_values() {
                let stored = changed.instance.store(&self.keys, changed.revision)?;
                changes = changes.with(stored);
            }
            match batch.documents.change_documents(changes).await {
                Ok(revision) => {
                    self.signals.wake();
                    return Ok(revision);
                }
                // The dispatcher has changed the instance: apply the events to its new state.
                Err(DocumentError::RevisionConflict { key, .. }) if events.contains_key(&key) => {}
                Err(DocumentError::Invalid(invalid)) => {
                    let position = invalid_key(&invalid).and_then(|key| events.get(key).copied());
                    let last = batch.events.last().map(|event| event.position);
                    let Some(position) = position.or(last) else {
                        return Err(StoreError::Failed(invalid.into()).into());
                    };
                    return Err(EventError::handler(position, invalid).into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the key of the document that cannot be stored.
fn invalid_key(invalid: &InvalidDocumentChanges) -> Option<&str> {
    match invalid {
        InvalidDocumentChanges::Key { key }
        | InvalidDocumentChanges::ValueTooLarge { key, .. }
        | InvalidDocumentChanges::TooDeep { key, .. } => Some(key),
        _ => None,
    }
}

/// Returns the effect of an event on an instance; `None` if no instance processes it.
fn effect(
    event: &RecordedEvent,
    prepared: PreparedEffect,
) -> Result<Option<EventEffect<'_>>, BatchError> {
    let (id, starts) = match prepared.correlation {
        Correlation::Starts(id) => (id, true),
        Correlation::Continues(id) => (id, false),
        Correlation::Ignored => return Ok(None),
    };
    if id.len() > MAX_INSTANCE_ID || id.contains(char::is_control) {
        let rule = format!(
            "invalid id of a process instance {id:?}; at most {MAX_INSTANCE_ID} bytes without control characters are allowed"
        );
        return Err(EventError::handler(event.position, rule).into());
    }
    Ok(Some(EventEffect {
        event,
        id,
        starts,
        apply: prepared.apply,
    }))
}
