//! [`recorded`]: appended events, as a read returns them.

use factum_core::append::{Append, Appended, StreamAppend};
use factum_core::error::StoreError;
use factum_core::position::{Position, Version};
use factum_core::record::{Assigned, ContentType, NewEvent, RecordedEvent};

/// Returns the events of appends as a read in the transaction returns them.
///
/// The appends must be in the order of their positions. The keys of personal data are not available, so personal fields
/// are redacted.
///
/// # Errors
/// [`StoreError::Corrupt`] if an answer does not fit its append.
pub fn recorded<'a>(
    stored: impl IntoIterator<Item = (&'a Append, &'a Appended)>,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events = Vec::new();
    for (append, appended) in stored.into_iter().filter(|(_, told)| !told.repeated) {
        let parts = append.streams.iter().filter(|part| !part.events.is_empty());
        let parts: Vec<&StreamAppend> = parts.collect();
        if append.count() as u64 != appended.count || parts.len() != appended.versions.len() {
            let what = format!(
                "number of appended events: {}; the result is {appended:?}",
                append.count()
            );
            return Err(StoreError::Corrupt(what));
        }
        let mut position = appended.position.get() - appended.count;
        for (part, (_, last)) in parts.into_iter().zip(&appended.versions) {
            let mut version = last.get() - part.events.len() as u64;
            for event in &part.events {
                position += 1;
                version += 1;
                let assigned = Assigned {
                    position: Position::new(position),
                    version: Version::new(version),
                    recorded_at: appended.recorded_at,
                };
                let event = as_read(event);
                events.push(RecordedEvent::new(event, part.stream.clone(), assigned));
            }
        }
    }
    factum_core::personal::redact(&mut events)?;
    Ok(events)
}

/// Returns `event` as a read returns it: the content type may be spelled differently.
fn as_read(event: &NewEvent) -> NewEvent {
    NewEvent {
        content_type: ContentType::from(event.content_type.as_str()),
        ..event.clone()
    }
}
