//! Redaction of personal data by a reader without keys.

use tracing::warn;

use super::encrypted_fields::EncryptedFields;
use crate::error::StoreError;
use crate::record::{ContentType, RecordedEvent};

/// Replaces every encrypted field with its redacted value.
///
/// An event that is encrypted in an unknown format is [marked as unreadable](mark_unreadable).
///
/// # Errors
/// Returns [`StoreError::Corrupt`] if an event cannot be serialized.
pub fn redact(events: &mut [RecordedEvent]) -> Result<(), StoreError> {
    for event in events {
        let mut fields = match EncryptedFields::of(event) {
            Ok(None) => continue,
            Ok(Some(fields)) => fields,
            Err(reason) => {
                mark_unreadable(event, &reason);
                continue;
            }
        };
        for (index, value) in fields.values {
            fields.object.0[index].1 = value.redacted;
        }
        let data = serde_json::to_vec(&fields.object).map_err(|error| {
            let RecordedEvent { position, name, .. } = event;
            StoreError::Corrupt(format!("event at position {position} ({name}): {error}"))
        });
        event.data = data?.into();
    }
    Ok(())
}

/// Marks an event as unreadable.
///
/// Decoding this event fails with `reason`. The other events of the page stay readable.
pub fn mark_unreadable(event: &mut RecordedEvent, reason: &str) {
    let (position, event_type) = (event.position.get(), &*event.name);
    warn!(
        position,
        event_type, reason, "cannot decrypt personal data of an event"
    );
    event.content_type = ContentType::encrypted(reason);
}
