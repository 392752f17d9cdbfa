//! Encryption of the personal fields of an append.

use factum_core::append::{Append, AppendError, AppendEvent, ExpectedStream, InvalidAppend};
use factum_core::error::StoreError;
use factum_core::personal::{EncryptedValue, JsonObject, PersonalField, Pseudonym, Subject, TAG};
use factum_core::record::NewEvent;
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use uuid::Uuid;

use crate::key_cache::{KeyCache, KeyStates};
use crate::key_store::{KeyState, SharedKeyStore};
use crate::personal_categories::PersonalCategories;

/// Returns `append` with its personal fields encrypted and its events tagged with their data subjects.
///
/// Adds the categories of the streams with personal data to `categories`.
pub async fn encrypt(
    mut append: Append,
    keys: &KeyCache,
    categories: &PersonalCategories,
) -> Result<Append, AppendError> {
    let mut subjects = Vec::new();
    for AppendEvent { stream, event } in &append.events {
        // The store rejects an event without a stream.
        let Some(ExpectedStream { stream, .. }) = append.streams.get(*stream) else {
            continue;
        };
        if event.personal.is_empty() {
            continue;
        }
        // The store sees only the ciphertext, which is not nested.
        event.check_fields().map_err(InvalidAppend::from)?;
        categories.insert(stream.category());
        let fields = event.personal.iter();
        subjects.extend(fields.map(|field| pseudonym(keys.key_store(), field, stream)));
    }
    if subjects.is_empty() {
        return Ok(append);
    }
    let states = keys.find_or_create(subjects).await?;
    for AppendEvent { stream, event } in &mut append.events {
        let part = append.streams.get(*stream);
        if let Some(ExpectedStream { stream, .. }) = part.filter(|_| !event.personal.is_empty()) {
            encrypt_event(event, &states, |field| {
                pseudonym(keys.key_store(), field, stream)
            })?;
        }
    }
    Ok(append)
}

fn pseudonym(key_store: &SharedKeyStore, field: &PersonalField, stream: &StreamId) -> Pseudonym {
    key_store.pseudonym(match &field.subject {
        Subject::Stream => stream.key(),
        Subject::Id(id) => id,
    })
}

fn encrypt_event(
    event: &mut NewEvent,
    states: &KeyStates,
    subject_of: impl Fn(&PersonalField) -> Pseudonym,
) -> Result<(), AppendError> {
    let Ok(JsonObject(mut fields)) = serde_json::from_slice(&event.data) else {
        return Err(not_encryptable(
            event,
            "",
            "the data is not a JSON object, so it has no fields to encrypt",
        ));
    };
    let reserved = fields
        .iter()
        .find(|(_, value)| EncryptedValue::is_candidate(value));
    if let Some((field, _)) = reserved {
        let reason = "it contains the key `$personal`, which is reserved for encrypted values";
        return Err(not_encryptable(event, field, reason));
    }
    let mut tags = Vec::new();
    for personal in std::mem::take(&mut event.personal) {
        let subject = subject_of(&personal);
        let found = fields.iter_mut().find(|(key, _)| key == personal.field);
        let Some((_, value)) = found else {
            let reason = "the data has no such field, although it is marked as personal data";
            return Err(not_encryptable(event, personal.field, reason));
        };
        let key = match states.get(&subject) {
            Some(KeyState::Active(key)) => key,
            // A redacted value contains no personal data, so it is stored in plain text.
            Some(KeyState::Erased(_)) if value.get() == personal.redacted => continue,
            Some(KeyState::Erased(since)) => {
                return Err(AppendError::Invalid(InvalidAppend::Erased {
                    name: event.name.to_string(),
                    field: personal.field,
                    since: *since,
                }));
            }
            None => {
                let message = format!("the key store returned no key for subject {subject}");
                return Err(StoreError::Corrupt(message).into());
            }
        };
        let context = encryption_context(subject, event.id, personal.field);
        let ciphertext = key.encrypt(&context, value.get().as_bytes())?;
        *value = EncryptedValue::wrap(subject, personal.redacted, ciphertext)
            .map_err(|error| StoreError::Failed(error.into()))?;
        tags.push(subject_tag(subject)?);
    }
    tags.sort_unstable();
    tags.dedup();
    event.tags.extend(tags);
    let data = serde_json::to_vec(&JsonObject(fields));
    event.data = data
        .map_err(|error| StoreError::Failed(error.into()))?
        .into();
    Ok(())
}

/// Returns the context that a ciphertext is bound to.
///
/// A ciphertext cannot be moved to another event or field, because its context would differ.
pub fn encryption_context(subject: Pseudonym, event: Uuid, field: &str) -> Vec<u8> {
    // Only the last part varies in length, so that no two fields share a context.
    let (event, field) = (event.as_bytes(), field.as_bytes());
    [
        b"factum.personal.1\0",
        &event[..],
        subject.as_bytes(),
        field,
    ]
    .concat()
}

/// Returns the tag of the events with data of a subject.
pub fn subject_tag(subject: Pseudonym) -> Result<Tag, StoreError> {
    Tag::new(TAG, subject).map_err(|error| StoreError::Failed(error.into()))
}

fn not_encryptable(event: &NewEvent, field: &str, reason: &'static str) -> AppendError {
    AppendError::Invalid(InvalidAppend::NotEncryptable {
        name: event.name.to_string(),
        field: field.to_owned(),
        reason,
    })
}
