//! [`recorded`]: appended events, as a read returns them.

use factum_core::append::{Append, Appended};
use factum_core::error::StoreError;
use factum_core::record::{ContentType, NewEvent, RecordedEvent};

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
        if append.count() as u64 != appended.count
            || append.written_streams().len() != appended.versions.len()
        {
            let what = format!(
                "number of appended events: {}; the result is {appended:?}",
                append.count()
            );
            return Err(StoreError::Corrupt(what));
        }
        for (appending, assigned) in append.events.iter().zip(append.assigned(appended)) {
            let stream = append.stream_of(appending).clone();
            let event = as_read(&appending.event);
            events.push(RecordedEvent::new(event, stream, assigned));
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
