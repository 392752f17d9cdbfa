//! Sealing the personal fields of an append.

use super::held::{Missing, States};
use super::key_store::KeyState;
use super::store::Shared;
use factum_core::append::{Append, AppendError, InvalidAppend};
use factum_core::personal::Pseudonym;
use factum_core::personal::{Envelope, JsonObject};
use factum_core::personal::{PersonalField, Subject};
use factum_core::stream_id::StreamId;
use factum_core::tag::Tag;
use factum_engine::error::StoreError;
use factum_engine::record::NewEvent;
use uuid::Uuid;

impl Shared {
    /// `append` as it may be stored.
    pub async fn sealed(&self, mut append: Append) -> Result<Append, AppendError> {
        let mut wanted = Vec::new();
        for part in &append.streams {
            let before = wanted.len();
            for field in part.events.iter().flat_map(|event| &event.personal) {
                wanted.push(self.whose(field, &part.stream));
            }
            if wanted.len() > before {
                self.is_personal(part.stream.category());
            }
        }
        if wanted.is_empty() {
            return Ok(append);
        }
        let states = self.held.states(wanted, Missing::Made).await?;
        for part in &mut append.streams {
            for event in &mut part.events {
                if !event.personal.is_empty() {
                    self.seal(event, &part.stream, &states)?;
                }
            }
        }
        Ok(append)
    }

    fn whose(&self, field: &PersonalField, stream: &StreamId) -> Pseudonym {
        self.held.keys.pseudonym(match &field.subject {
            Subject::Stream => stream.key(),
            Subject::Id(id) => id,
        })
    }

    fn seal(
        &self,
        event: &mut NewEvent,
        stream: &StreamId,
        states: &States,
    ) -> Result<(), AppendError> {
        let Ok(JsonObject(mut fields)) = serde_json::from_slice(&event.data) else {
            return Err(unsealable(event, "", "its data are no JSON object"));
        };
        if let Some((field, _)) = fields
            .iter()
            .find(|(_, value)| Envelope::is_candidate(value))
        {
            let reason = "it holds `$personal`, which stands for sealed data";
            return Err(unsealable(event, field, reason));
        }
        let mut tags = Vec::new();
        for personal in std::mem::take(&mut event.personal) {
            let of = self.whose(&personal, stream);
            let place = fields.iter_mut().find(|(key, _)| key == personal.field);
            let Some((_, value)) = place else {
                let reason = "it is said to be personal data, and is not among the fields";
                return Err(unsealable(event, personal.field, reason));
            };
            let key = match states.get(&of) {
                Some(KeyState::Held(key)) => key,
                // There is nothing of the subject in it.
                Some(KeyState::Forgotten(_)) if value.get() == personal.redacted => continue,
                Some(KeyState::Forgotten(since)) => {
                    return Err(AppendError::Invalid(InvalidAppend::Forgotten {
                        name: event.name.to_string(),
                        field: personal.field,
                        since: *since,
                    }));
                }
                None => return Err(StoreError::Corrupt(format!("no key for {of}")).into()),
            };
            let context = context(of, event.id, personal.field);
            let ciphertext = key.seal(&context, value.get().as_bytes())?;
            *value = Envelope::wrap(of, personal.redacted, ciphertext)
                .map_err(|error| StoreError::Failed(error.into()))?;
            tags.push(tag(of)?);
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
}

/// Returns the context that a ciphertext is bound to, so that it cannot be moved to another event or field.
pub fn context(subject: Pseudonym, event: Uuid, field: &str) -> Vec<u8> {
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

/// Finds the events with data of a subject.
pub fn tag(of: Pseudonym) -> Result<Tag, StoreError> {
    Tag::new(crate::TAG, of).map_err(|error| StoreError::Failed(error.into()))
}

fn unsealable(event: &NewEvent, field: &str, reason: &'static str) -> AppendError {
    AppendError::Invalid(InvalidAppend::NotEncryptable {
        name: event.name.to_string(),
        field: field.to_owned(),
        reason,
    })
}
