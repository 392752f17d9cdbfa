//! [`CausalTree`] and its [`CausalEvent`]s.

use std::collections::HashMap;
use std::sync::Arc;

use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::RecordedEvent;
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The events with one correlation id, as a tree.
///
/// The children of an event are the events that it caused.
///
/// The tree displays as indented lines. It serializes as a flat list in the same order, each event with its depth and
/// the id of its cause, so that the nesting is not limited. It does not contain the data of the events; read them by
/// their positions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CausalTree {
    correlation_id: Uuid,
    after: Position,
    through: Position,
    complete: bool,
    events: Vec<CausalEvent>,
}

/// An event of a [`CausalTree`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CausalEvent {
    /// The number of its ancestors in the tree: its cause, the cause of its cause, and so on.
    pub depth: usize,
    /// The position in the log.
    pub position: Position,
    /// The stream.
    pub stream: StreamId,
    /// The version in the stream.
    pub version: Version,
    /// The id of the event.
    pub id: Uuid,
    /// The event type.
    pub name: String,
    /// The time at which the event was stored.
    pub recorded_at: Timestamp,
    /// The metadata; `causation_id` is the id of the cause.
    #[serde(serialize_with = "inner")]
    pub metadata: Arc<Metadata>,
}

impl CausalTree {
    /// Returns the correlation id.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// Returns the events in depth-first order: each one before its effects, and the effects oldest first.
    #[must_use]
    pub fn events(&self) -> &[CausalEvent] {
        &self.events
    }

    /// Returns the events whose cause is not in the tree.
    ///
    /// These are requests, and effects of events up to [`Self::after`].
    pub fn roots(&self) -> impl Iterator<Item = &CausalEvent> {
        self.events.iter().filter(|event| event.depth == 0)
    }

    /// Returns the events that the event `id` caused, oldest first.
    pub fn effects(&self, id: Uuid) -> impl Iterator<Item = &CausalEvent> {
        let cause = self.events.iter().position(|event| event.id == id);
        let below = cause.map_or(&[][..], |cause| &self.events[cause + 1..]);
        let depth = cause.map_or(0, |cause| self.events[cause].depth);
        let below = below.iter().take_while(move |event| event.depth > depth);
        below.filter(move |event| event.depth == depth + 1)
    }

    /// Returns the position up to which the log was skipped.
    #[must_use]
    pub fn after(&self) -> Position {
        self.after
    }

    /// Returns the position up to which the log was read. Later events are not in the tree.
    #[must_use]
    pub fn through(&self) -> Position {
        self.through
    }

    /// Returns `false` if the limit was reached, and the tree has more events after [`Self::through`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub(crate) fn new(correlation_id: Uuid, found: FoundEvents) -> Self {
        Self {
            correlation_id,
            after: found.after,
            through: found.through,
            complete: found.complete,
            events: depth_first(found.events),
        }
    }
}

impl CausalEvent {
    pub(crate) fn new(record: &RecordedEvent) -> Self {
        Self {
            depth: 0,
            position: record.position,
            stream: record.stream.clone(),
            version: record.version,
            id: record.id,
            name: record.name.to_string(),
            recorded_at: record.recorded_at,
            metadata: record.metadata.clone(),
        }
    }
}

/// The events with one correlation id that were found in the log.
pub struct FoundEvents {
    /// The events, in the order of the log.
    pub events: Vec<CausalEvent>,
    /// The position up to which the log was skipped.
    pub after: Position,
    /// The position up to which the log was read.
    pub through: Position,
    /// Set if all events up to the requested position were found.
    pub complete: bool,
}

/// Returns whether `record` has the correlation id.
///
/// Without a correlation id, the id of the record is the correlation id of its effects.
pub fn belongs_to(record: &RecordedEvent, correlation: Uuid) -> bool {
    match record.metadata.correlation_id {
        Some(id) => id == correlation,
        None => record.id == correlation,
    }
}

fn inner<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    metadata.serialize(serializer)
}

/// Sorts the events in depth-first order.
///
/// A cause is always older than its effect. Any other causation id is ignored, so the tree has no cycles.
fn depth_first(events: Vec<CausalEvent>) -> Vec<CausalEvent> {
    let mut indices = HashMap::<Uuid, usize>::with_capacity(events.len());
    let mut effects: Vec<Vec<usize>> = vec![Vec::new(); events.len()];
    let mut roots = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let cause = event.metadata.causation_id;
        match cause.and_then(|cause| indices.get(&cause).copied()) {
            Some(cause) => effects[cause].push(index),
            None => roots.push(index),
        }
        indices.insert(event.id, index);
    }
    let mut events: Vec<Option<CausalEvent>> = events.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(events.len());
    let mut next: Vec<(usize, usize)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
    while let Some((index, depth)) = next.pop() {
        let below = effects[index].iter().rev();
        next.extend(below.map(|effect| (*effect, depth + 1)));
        ordered.extend(
            events[index]
                .take()
                .map(|event| CausalEvent { depth, ..event }),
        );
    }
    ordered
}
