//! Decryption of the personal fields of a page of events.

use std::fmt;

use factum_core::error::StoreError;
use factum_core::personal::{EncryptedFields, EncryptedValue, mark_unreadable};
use factum_core::record::RecordedEvent;
use serde_json::value::RawValue;

use crate::encrypt::encryption_context;
use crate::encryption_key::EncryptionKey;
use crate::key_cache::{KeyCache, KeyStates};
use crate::key_store::KeyState;
use crate::personal_categories::PersonalCategories;

/// Decrypts the encrypted fields of `events`.
///
/// Fields of erased subjects are replaced with their redacted values. An event that cannot be decrypted stays
/// encrypted, and decoding it fails with the reason. Adds the categories of the streams with personal data to
/// `categories`.
pub async fn decrypt(
    events: &mut [RecordedEvent],
    keys: &KeyCache,
    categories: &PersonalCategories,
) -> Result<(), StoreError> {
    let mut encrypted = Vec::new();
    for (index, event) in events.iter_mut().enumerate() {
        match EncryptedFields::of(event) {
            Ok(None) => {}
            Ok(Some(fields)) => {
                categories.insert(event.stream.category());
                encrypted.push((index, fields));
            }
            Err(reason) => mark_unreadable(event, &reason),
        }
    }
    if encrypted.is_empty() {
        return Ok(());
    }
    let values = encrypted.iter().flat_map(|(_, fields)| &fields.values);
    let subjects = values.map(|(_, value)| value.subject).collect();
    let states = keys.find(subjects).await?;
    for (index, mut fields) in encrypted {
        let event = &mut events[index];
        let plain = fields.values.iter().map(|(index, value)| {
            let field = &fields.object.0[*index].0;
            plain_value(event, field, value, &states).map(|plain| (*index, plain))
        });
        let plain: Vec<_> = match plain.collect::<Result<_, _>>() {
            Ok(plain) => plain,
            Err(reason) => {
                mark_unreadable(event, &reason);
                continue;
            }
        };
        for (index, plain) in plain {
            fields.object.0[index].1 = plain;
        }
        let data = serde_json::to_vec(&fields.object);
        event.data = data.map_err(|error| corrupt(event, error))?.into();
    }
    Ok(())
}

fn plain_value(
    event: &RecordedEvent,
    field: &str,
    value: &EncryptedValue,
    states: &KeyStates,
) -> Result<Box<RawValue>, String> {
    match states.get(&value.subject) {
        Some(KeyState::Erased(_)) => Ok(value.redacted.clone()),
        Some(KeyState::Active(key)) => decrypt_value(event, field, value, key).ok_or_else(|| {
            format!("field `{field}` cannot be decrypted: its ciphertext was changed or moved")
        }),
        None => Err(format!(
            "field `{field}` cannot be decrypted: its key is missing and was not erased"
        )),
    }
}

fn decrypt_value(
    event: &RecordedEvent,
    field: &str,
    value: &EncryptedValue,
    key: &EncryptionKey,
) -> Option<Box<RawValue>> {
    let context = encryption_context(value.subject, event.id, field);
    let plaintext = key.decrypt(&context, &value.ciphertext)?;
    let plaintext = String::from_utf8(plaintext.to_vec()).ok()?;
    RawValue::from_string(plaintext).ok()
}

fn corrupt(event: &RecordedEvent, reason: impl fmt::Display) -> StoreError {
    let RecordedEvent { position, name, .. } = event;
    StoreError::Corrupt(format!("event at position {position} ({name}): {reason}"))
}
