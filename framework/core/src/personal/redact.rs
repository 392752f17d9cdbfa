//! Redaction without keys.

use tracing::warn;

use super::envelope::EncryptedFields;
use crate::error::StoreError;
use crate::record::{ContentType, RecordedEvent};

/// Replaces every encrypted field with its redacted value, as a reader without keys sees it.
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
        for (index, envelope) in fields.envelopes {
            fields.object.0[index].1 = envelope.redacted;
        }
        let data = serde_json::to_vec(&fields.object).map_err(|error| {
            let RecordedEvent { position, name, .. } = event;
            StoreError::Corrupt(format!("event at position {position} ({name}): {error}"))
        });
        event.data = data?.into();
    }
    Ok(())
}

/// Marks one event as unreadable, so that decoding it fails with `reason` and the other events of the page stay readable.
pub fn mark_unreadable(event: &mut RecordedEvent, reason: &str) {
    let (position, name) = (event.position.get(), &*event.name);
    warn!(position, name, reason, "cannot decrypt personal data");
    event.content_type = ContentType::encrypted(reason);
}
