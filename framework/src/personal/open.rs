//! Opening the personal fields of a page.

use std::fmt;

use tracing::warn;

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
    /// Opens what is sealed, and puts what is left to read in the place of what was forgotten. What cannot be opened stays
    /// sealed, and says so to whoever decodes it.
    pub(super) async fn open(&self, events: &mut [RecordedEvent]) -> Result<(), StoreError> {
        let mut found: Vec<Sealed> = Vec::new();
        for (index, event) in events.iter_mut().enumerate() {
            match sealed(index, event) {
                Ok(None) => {}
                Ok(Some(sealed)) => {
                    self.is_personal(event.stream.category());
                    found.push(sealed);
                }
                Err(why) => stays_sealed(event, &why),
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
            let values = sealed.envelopes.iter().map(|(place, envelope)| {
                let field = &sealed.object.0[*place].0;
                opened(event, field, envelope, &states).map(|value| (*place, value))
            });
            let values: Vec<_> = match values.collect::<Result<_, _>>() {
                Ok(values) => values,
                Err(why) => {
                    stays_sealed(event, &why);
                    continue;
                }
            };
            for (place, value) in values {
                sealed.object.0[place].1 = value;
            }
            let data = serde_json::to_vec(&sealed.object);
            event.data = data.map_err(|error| corrupt(event, error))?.into();
        }
        Ok(())
    }
}

/// One event that cannot be read is no reason to withhold the others: whoever decodes it is told why.
fn stays_sealed(event: &mut RecordedEvent, why: &str) {
    let (position, name) = (event.position.get(), &*event.name);
    warn!(position, name, why, "personal data cannot be read");
    event.content_type = ContentType::sealed(why);
}

/// Puts what a reader without any key finds in the place of what is sealed.
pub(crate) fn redact(events: &mut [RecordedEvent]) -> Result<(), StoreError> {
    for (index, event) in events.iter_mut().enumerate() {
        let mut sealed = match sealed(index, event) {
            Ok(None) => continue,
            Ok(Some(sealed)) => sealed,
            Err(why) => {
                stays_sealed(event, &why);
                continue;
            }
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
fn sealed(index: usize, event: &RecordedEvent) -> Result<Option<Sealed>, String> {
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
            let unknown = || format!("`{field}` is sealed in an unknown form");
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
) -> Result<Box<serde_json::value::RawValue>, String> {
    let spot = Spot {
        event: event.id,
        field,
    };
    match states.get(&envelope.of) {
        Some(KeyState::Forgotten(_)) => Ok(envelope.redacted.clone()),
        Some(KeyState::Held(key)) => envelope.open(spot, key).ok_or_else(|| {
            format!("`{field}` is not what was sealed there: it was changed or moved")
        }),
        None => Err(format!(
            "`{field}` is sealed with a key that is neither here nor forgotten"
        )),
    }
}

fn corrupt(event: &RecordedEvent, reason: impl fmt::Display) -> StoreError {
    let RecordedEvent { position, name, .. } = event;
    StoreError::Corrupt(format!("event at position {position} ({name}): {reason}"))
}
