//! Opening the personal fields of a page.

use std::fmt;

use factum_core::error::StoreError;
use factum_core::personal::{EncryptedFields, Envelope, mark_unreadable};
use factum_core::record::RecordedEvent;
use serde_json::value::RawValue;

use super::held::{Missing, States};
use super::key::Key;
use super::key_store::KeyState;
use super::seal::context;
use super::store::Shared;

impl Shared {
    /// Opens what is sealed, and puts what is left to read in the place of what was forgotten. What cannot be opened stays
    /// sealed, and says so to whoever decodes it.
    pub async fn open(&self, events: &mut [RecordedEvent]) -> Result<(), StoreError> {
        let mut found = Vec::new();
        for (index, event) in events.iter_mut().enumerate() {
            match EncryptedFields::of(event) {
                Ok(None) => {}
                Ok(Some(fields)) => {
                    self.is_personal(event.stream.category());
                    found.push((index, fields));
                }
                Err(reason) => mark_unreadable(event, &reason),
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let envelopes = found.iter().flat_map(|(_, fields)| &fields.envelopes);
        let wanted = envelopes.map(|(_, envelope)| envelope.subject).collect();
        let states = self.held.states(wanted, Missing::LeftOut).await?;
        for (index, mut fields) in found {
            let event = &mut events[index];
            let values = fields.envelopes.iter().map(|(index, envelope)| {
                let field = &fields.object.0[*index].0;
                opened(event, field, envelope, &states).map(|value| (*index, value))
            });
            let values: Vec<_> = match values.collect::<Result<_, _>>() {
                Ok(values) => values,
                Err(reason) => {
                    mark_unreadable(event, &reason);
                    continue;
                }
            };
            for (index, value) in values {
                fields.object.0[index].1 = value;
            }
            let data = serde_json::to_vec(&fields.object);
            event.data = data.map_err(|error| corrupt(event, error))?.into();
        }
        Ok(())
    }
}

fn opened(
    event: &RecordedEvent,
    field: &str,
    envelope: &Envelope,
    states: &States,
) -> Result<Box<RawValue>, String> {
    match states.get(&envelope.subject) {
        Some(KeyState::Forgotten(_)) => Ok(envelope.redacted.clone()),
        Some(KeyState::Held(key)) => decrypt(event, field, envelope, key).ok_or_else(|| {
            format!("field `{field}` cannot be decrypted: its ciphertext was changed or moved")
        }),
        None => Err(format!(
            "field `{field}` cannot be decrypted: its key is missing and was not erased"
        )),
    }
}

fn decrypt(
    event: &RecordedEvent,
    field: &str,
    envelope: &Envelope,
    key: &Key,
) -> Option<Box<RawValue>> {
    let context = context(envelope.subject, event.id, field);
    let plain = key.open(&context, &envelope.ciphertext)?;
    let plain = String::from_utf8(plain.to_vec()).ok()?;
    RawValue::from_string(plain).ok()
}

fn corrupt(event: &RecordedEvent, reason: impl fmt::Display) -> StoreError {
    let RecordedEvent { position, name, .. } = event;
    StoreError::Corrupt(format!("event at position {position} ({name}): {reason}"))
}
