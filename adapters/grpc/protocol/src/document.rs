//! Documents and snapshots.

use factum_core::document::{Document, DocumentChanges, DocumentEffect, Revision};
use factum_core::position::{Position, Version};
use factum_core::snapshot::Snapshot;

use crate::event::stream;
use crate::invalid::InvalidMessage;
use crate::v1;
use crate::v1::document_change::Effect;

/// Converts changes into messages.
#[must_use]
pub fn changes_message(changes: &DocumentChanges) -> Vec<v1::DocumentChange> {
    let changes = changes.as_slice().iter().map(|change| v1::DocumentChange {
        key: change.key.clone(),
        expected_revision: change.expected.map(Revision::get),
        effect: Some(match &change.effect {
            DocumentEffect::Put(value) => Effect::Put(value.clone()),
            DocumentEffect::Delete => Effect::Delete(v1::Unit {}),
            DocumentEffect::Keep => Effect::Keep(v1::Unit {}),
        }),
    });
    changes.collect()
}

/// Converts messages into changes.
///
/// # Errors
/// Returns [`InvalidMessage`] if the effect of a change is not set.
pub fn changes(
    field: &str,
    messages: Vec<v1::DocumentChange>,
) -> Result<DocumentChanges, InvalidMessage> {
    let mut changes = DocumentChanges::new();
    for (index, change) in messages.into_iter().enumerate() {
        let effect = match change.effect {
            Some(Effect::Put(value)) => DocumentEffect::Put(value),
            Some(Effect::Delete(_)) => DocumentEffect::Delete,
            Some(Effect::Keep(_)) => DocumentEffect::Keep,
            None => return Err(InvalidMessage::missing(format!("{field}[{index}].effect"))),
        };
        let expected = change.expected_revision.map(Revision::new);
        changes = changes.and(change.key, expected, effect);
    }
    Ok(changes)
}

/// Converts a document into a message.
#[must_use]
pub fn to_message(document: Document) -> v1::Document {
    v1::Document {
        key: document.key,
        revision: document.revision.get(),
        value: document.value,
    }
}

/// Converts a message into a document.
#[must_use]
pub fn from_message(message: v1::Document) -> Document {
    Document {
        key: message.key,
        revision: Revision::new(message.revision),
        value: message.value,
    }
}

/// Converts a snapshot into a message.
#[must_use]
pub fn snapshot_message(snapshot: Snapshot) -> v1::Snapshot {
    v1::Snapshot {
        stream: snapshot.stream.to_string(),
        version: snapshot.version.get(),
        position: snapshot.position.get(),
        schema_version: snapshot.schema_version,
        data: snapshot.data,
    }
}

/// Converts a message into a snapshot.
///
/// # Errors
/// Returns [`InvalidMessage`] if the name of the stream is not valid.
pub fn snapshot(message: v1::Snapshot) -> Result<Snapshot, InvalidMessage> {
    Ok(Snapshot {
        stream: stream("snapshot.stream", message.stream)?,
        version: Version::new(message.version),
        position: Position::new(message.position),
        schema_version: message.schema_version,
        data: message.data,
    })
}
