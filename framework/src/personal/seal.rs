//! Sealing the personal fields of an append.

use super::envelope::{Envelope, Spot};
use super::held::{Missing, States};
use super::key::Pseudonym;
use super::key_store::KeyState;
use super::mark::{PersonalField, Subject};
use super::object::Object;
use super::store::Shared;
use crate::append::{Append, AppendError, InvalidAppend};
use crate::error::StoreError;
use crate::record::NewEvent;
use crate::stream::StreamId;
use crate::tag::Tag;

impl Shared {
    /// `append` as it may be stored.
    pub(super) async fn sealed(&self, mut append: Append) -> Result<Append, AppendError> {
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
        let Ok(Object(mut fields)) = serde_json::from_slice(&event.data) else {
            return Err(unsealable(event, "", "its data are no JSON object"));
        };
        if let Some((field, _)) = fields.iter().find(|(_, value)| Envelope::is_like(value)) {
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
            let spot = Spot {
                event: event.id,
                field: personal.field,
            };
            *value = Envelope::seal(value, spot, (of, key), personal.redacted)?;
            tags.push(tag(of)?);
        }
        tags.sort_unstable();
        tags.dedup();
        event.tags.extend(tags);
        let data = serde_json::to_vec(&Object(fields));
        event.data = data
            .map_err(|error| StoreError::Failed(error.into()))?
            .into();
        Ok(())
    }
}

/// Finds the events with data of a subject.
pub(super) fn tag(of: Pseudonym) -> Result<Tag, StoreError> {
    Tag::new(super::TAG, of).map_err(|error| StoreError::Failed(error.into()))
}

fn unsealable(event: &NewEvent, field: &str, reason: &'static str) -> AppendError {
    AppendError::Invalid(InvalidAppend::NotEncryptable {
        name: event.name.to_string(),
        field: field.to_owned(),
        reason,
    })
}
