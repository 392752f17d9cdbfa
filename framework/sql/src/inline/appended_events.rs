//! [`recorded`]: events that were appended, as they are read.

use std::sync::Arc;

use factum_core::append::{Append, Appended, StreamAppend};
use factum_core::document::encode_document;
use factum_core::error::StoreError;
use factum_core::metadata::Metadata;
use factum_core::position::{Position, Version};
use factum_core::record::{Assigned, ContentType, NewEvent, RecordedEvent};

/// The events of appends, given in the order of their positions, just as they are read in a transaction: without the keys of
/// personal data.
///
/// # Errors
/// [`StoreError::Corrupt`] if an answer does not fit its append.
pub fn recorded<'a>(
    stored: impl IntoIterator<Item = (&'a Append, &'a Appended)>,
) -> Result<Vec<RecordedEvent>, StoreError> {
    let mut events = Vec::new();
    let mut shared = None;
    for (append, appended) in stored.into_iter().filter(|(_, told)| !told.repeated) {
        let parts = append.streams.iter().filter(|part| !part.events.is_empty());
        let parts: Vec<&StreamAppend> = parts.collect();
        if append.count() as u64 != appended.count || parts.len() != appended.versions.len() {
            let what = format!("{} events were appended, and {appended:?}", append.count());
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
                let event = as_read(event, &mut shared)?;
                events.push(RecordedEvent::new(event, part.stream.clone(), assigned));
            }
        }
    }
    factum_core::personal::redact(&mut events)?;
    Ok(events)
}

/// Metadata as they were given, and as they are read.
type Shared = (Arc<Metadata>, Arc<Metadata>);

/// `event` as it comes out of a store: of what goes in, two things need not come out the same.
fn as_read(event: &NewEvent, shared: &mut Option<Shared>) -> Result<NewEvent, StoreError> {
    let metadata = match shared {
        Some((given, read)) if Arc::ptr_eq(given, &event.metadata) => read.clone(),
        _ => {
            let read = metadata_as_read(&event.metadata)?;
            *shared = Some((event.metadata.clone(), read.clone()));
            read
        }
    };
    Ok(NewEvent {
        content_type: ContentType::from(event.content_type.as_str()),
        metadata,
        ..event.clone()
    })
}

/// The values of the open map may have keys that are fields, and numbers that lose their last digit.
fn metadata_as_read(metadata: &Arc<Metadata>) -> Result<Arc<Metadata>, StoreError> {
    if metadata.extra.is_empty() {
        return Ok(metadata.clone());
    }
    let read = serde_json::from_str(&encode_document(&**metadata)?);
    let corrupt = |error| StoreError::Corrupt(format!("metadata: {error}"));
    Ok(Arc::new(read.map_err(corrupt)?))
}
