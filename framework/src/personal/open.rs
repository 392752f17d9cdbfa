//! Opening the personal fields of a page.

use std::fmt;

use super::envelope::{Envelope, Spot};
use super::held::{Missing, States};
use super::key_store::KeyState;
use super::object::Object;
use super::store::Shared;
use crate::error::StoreError;
use crate::record::{ContentType, RecordedEvent};

/// An event with sealed fields.
struct Sealed {
    /// Which of the page.
    index: usize,
    object: Object,
    /// Which of its fields, and what stands there.
    envelopes: Vec<(usize, Envelope)>,
}

impl Shared {
    /// Opens what is sealed, and puts what is left to read in the place of what was forgotten.
    pub(super) async fn open(&self, events: &mut [RecordedEvent]) -> Result<(), StoreError> {
        let mut found: Vec<Sealed> = Vec::new();
        for (index, event) in events.iter().enumerate() {
            if let Some(sealed) = sealed(index, event)? {
                self.is_personal(event.stream.category());
                found.push(sealed);
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let envelopes = found.iter().flat_map(|sealed| &sealed.envelopes);
        let wanted = envelopes.map(|(_, envelope)| envelope.of).collect();
        let states = self.held.states(wanted, Missing::LeftOut).await?;
        for mut sealed in found {
            let event = &mut events[sealed.index];
            for (place, envelope) in sealed.envelopes {
                let (field, value) = &mut sealed.object.0[place];
                *value = opened(event, field, &envelope, &states)?;
            }
            let data = serde_json::to_vec(&sealed.object);
            event.data = data.map_err(|error| corrupt(event, error))?.into();
        }
        Ok(())
    }
}

/// Puts what a reader without any key finds in the place of what is sealed.
pub(crate) fn redact(events: &mut [RecordedEvent]) -> Result<(), StoreError> {
    for (index, event) in events.iter_mut().enumerate() {
        let Some(mut sealed) = sealed(index, event)? else {
            continue;
        };
        for (place, envelope) in sealed.envelopes {
            sealed.object.0[place].1 = envelope.redacted;
        }
        let data = serde_json::to_vec(&sealed.object);
        event.data = data.map_err(|error| corrupt(event, error))?.into();
    }
    Ok(())
}

/// `None`: nothing in `event` is sealed.
fn sealed(index: usize, event: &RecordedEvent) -> Result<Option<Sealed>, StoreError> {
    let is_ours = |tag: &crate::Tag| {
        let behind = tag.as_str().strip_prefix(super::TAG);
        behind.is_some_and(|behind| behind.starts_with(':'))
    };
    if event.content_type != ContentType::Json || !event.tags.iter().any(is_ours) {
        return Ok(None);
    }
    // Whatever it is, the user's own tag may stand on it.
    let Ok(object) = serde_json::from_slice::<Object>(&event.data) else {
        return Ok(None);
    };
    let mut envelopes = Vec::new();
    for (place, (field, value)) in object.0.iter().enumerate() {
        if Envelope::is_like(value) {
            let envelope = Envelope::read(value);
            let unknown = || corrupt(event, format!("`{field}` is sealed in an unknown form"));
            envelopes.push((place, envelope.ok_or_else(unknown)?));
        }
    }
    Ok((!envelopes.is_empty()).then_some(Sealed {
        index,
        object,
        envelopes,
    }))
}

fn opened(
    event: &RecordedEvent,
    field: &str,
    envelope: &Envelope,
    states: &States,
) -> Result<Box<serde_json::value::RawValue>, StoreError> {
    let spot = Spot {
        event: event.id,
        field,
    };
    match states.get(&envelope.of) {
        Some(KeyState::Forgotten(_)) => Ok(envelope.redacted.clone()),
        Some(KeyState::Held(key)) => envelope.open(spot, key).ok_or_else(|| {
            let reason = "is not what was sealed there: it was changed or moved";
            corrupt(event, format!("`{field}` {reason}"))
        }),
        None => {
            let reason = "is sealed with a key that is neither here nor forgotten";
            Err(corrupt(event, format!("`{field}` {reason}")))
        }
    }
}

fn corrupt(event: &RecordedEvent, reason: impl fmt::Display) -> StoreError {
    let RecordedEvent { position, name, .. } = event;
    StoreError::Corrupt(format!("event at position {position} ({name}): {reason}"))
}
