//! [`CausalTree`] and its events.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::record::RecordedEvent;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::stream_id::StreamId;
use factum_core::timestamp::Timestamp;

/// Events that share a correlation id, as a tree: below each event stand those that it caused.
///
/// Prints as indented lines, and serialises as a list in the same order, each event with its depth and the id of its
/// cause, so that no chain of events is too deep for it. The events' data are not kept: positions tell where they are.
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
    /// How many events of the tree lie above it: its cause, the cause of that, and so on.
    pub depth: usize,
    /// Its place in the store.
    pub position: Position,
    /// The stream that holds it.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: Version,
    /// Unique.
    pub id: Uuid,
    /// The stored name.
    pub name: String,
    /// When the store took it.
    pub recorded_at: Timestamp,
    /// Who, why, in what connection; `causation_id` names the cause.
    #[serde(serialize_with = "inner")]
    pub metadata: Arc<Metadata>,
}

impl CausalTree {
    /// What its events share.
    #[must_use]
    pub fn correlation_id(&self) -> Uuid {
        self.correlation_id
    }

    /// Its events: each right behind its cause and what that caused before, the oldest first.
    #[must_use]
    pub fn events(&self) -> &[CausalEvent] {
        &self.events
    }

    /// The events whose cause is not in the tree: what came from outside, or from ahead of [`Self::after`].
    pub fn roots(&self) -> impl Iterator<Item = &CausalEvent> {
        self.events.iter().filter(|event| event.depth == 0)
    }

    /// The events that `id` caused, oldest first.
    pub fn effects(&self, id: Uuid) -> impl Iterator<Item = &CausalEvent> {
        let cause = self.events.iter().position(|event| event.id == id);
        let below = cause.map_or(&[][..], |cause| &self.events[cause + 1..]);
        let depth = cause.map_or(0, |cause| self.events[cause].depth);
        let below = below.iter().take_while(move |event| event.depth > depth);
        below.filter(move |event| event.depth == depth + 1)
    }

    /// The events up to here were not looked at.
    #[must_use]
    pub fn after(&self) -> Position {
        self.after
    }

    /// The events behind here were not looked at; what follows later is not in the tree.
    #[must_use]
    pub fn through(&self) -> Position {
        self.through
    }

    /// `false`: there are more events than were asked for, behind [`Self::through`].
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn new(correlation_id: Uuid, found: Found) -> Self {
        Self {
            correlation_id,
            after: found.begin,
            through: found.through,
            complete: found.complete,
            events: in_order(found.events),
        }
    }
}

impl CausalEvent {
    pub fn new(record: &RecordedEvent) -> Self {
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

/// What was read.
pub struct Found {
    /// In the order of the store.
    pub events: Vec<CausalEvent>,
    pub begin: Position,
    pub through: Position,
    pub complete: bool,
}

/// An event without a correlation id may be what others were caused by: then its own id is what they share.
pub fn belongs(record: &RecordedEvent, correlation: Uuid) -> bool {
    match record.metadata.correlation_id {
        Some(id) => id == correlation,
        None => record.id == correlation,
    }
}

fn inner<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    metadata.serialize(serializer)
}

/// Each event behind its cause. A cause is older than its effect: whatever else an id says is no cause, so that there
/// is no circle.
fn in_order(events: Vec<CausalEvent>) -> Vec<CausalEvent> {
    let mut places = HashMap::<Uuid, usize>::with_capacity(events.len());
    let mut effects: Vec<Vec<usize>> = vec![Vec::new(); events.len()];
    let mut roots = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let cause = event.metadata.causation_id;
        match cause.and_then(|cause| places.get(&cause).copied()) {
            Some(cause) => effects[cause].push(place),
            None => roots.push(place),
        }
        places.insert(event.id, place);
    }
    let mut events: Vec<Option<CausalEvent>> = events.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(events.len());
    let mut next: Vec<(usize, usize)> = roots.into_iter().rev().map(|root| (root, 0)).collect();
    while let Some((place, depth)) = next.pop() {
        let below = effects[place].iter().rev();
        next.extend(below.map(|effect| (*effect, depth + 1)));
        ordered.extend(
            events[place]
                .take()
                .map(|event| CausalEvent { depth, ..event }),
        );
    }
    ordered
}
