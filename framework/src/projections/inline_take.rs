//! How an [`Inline`] projection takes what is appended in the transaction, and what is known of it behind that.

use std::borrow::Cow;
use std::sync::Arc;

use super::inline::{Current, Inline, InlineTransaction};
use super::{StepError, json};
use crate::append::{Append, Appended, StreamAppend};
use crate::document::{Changes, Revision};
use crate::error::{AppendError, StoreError};
use crate::metadata::Metadata;
use crate::place::{Position, Version};
use crate::record::{ContentType, NewEvent, Place, RecordedEvent};

impl Inline {
    /// Takes those of `events` that are its own; they are all that was appended behind `current`. How it stands then, once
    /// that is committed.
    ///
    /// # Errors
    /// [`AppendError::Projection`] if it cannot take one of them; the transaction must be rolled back.
    pub async fn take(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        current: Current,
        events: &[RecordedEvent],
    ) -> Result<Current, AppendError> {
        self.project(inside, &current, events).await?;
        let Some(last) = events.last().filter(|_| !current.builds.is_empty()) else {
            return Ok(current);
        };
        let changes = current.advance(last.position)?;
        let moved = inside.change(&changes).await;
        let revision = moved.map_err(|error| self.refusal(error.into()))?;
        Ok(current.moved(last.position, revision))
    }

    /// The same, where what `current` asks to be changed was changed already.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn project(
        &self,
        inside: &mut (impl InlineTransaction + ?Sized),
        current: &Current,
        events: &[RecordedEvent],
    ) -> Result<(), AppendError> {
        let own = match events.iter().all(|event| self.query.matches(event)) {
            true => Cow::Borrowed(events),
            false => {
                let own = events.iter().filter(|event| self.query.matches(event));
                Cow::Owned(own.cloned().collect())
            }
        };
        if own.is_empty() {
            return Ok(());
        }
        for held in &current.builds {
            let projected = inside.project(held.build.number, &own).await;
            projected.map_err(|error| self.refusal(error))?;
        }
        Ok(())
    }

    /// Whether it has something to take of `append`.
    #[must_use]
    pub fn takes(&self, append: &Append) -> bool {
        append.streams.iter().any(|part| {
            let mut events = part.events.iter();
            events.any(|event| {
                let query = &self.query;
                query.matches_parts(&part.stream, &event.name, &event.tags)
            })
        })
    }

    /// What was committed.
    pub fn committed(&self, current: Current) {
        self.known().current = Some(current);
    }

    /// How it stands behind the event at `head`, unless others have moved it since this process did.
    #[must_use]
    pub fn expected(&self, head: Position) -> Option<Current> {
        let known = self.known();
        let current = known.current.as_ref();
        let current = current.filter(|current| current.head == head && current.control.is_some());
        current.cloned()
    }

    fn refusal(&self, error: StepError) -> AppendError {
        match error {
            StepError::Store(error) => error.into(),
            StepError::Lost => {
                let reason = format!("the inline projection {:?} was moved meanwhile", self.name);
                StoreError::Unavailable(reason.into()).into()
            }
            error => AppendError::Projection {
                name: self.name.clone(),
                error: error.into(),
            },
        }
    }
}

impl Current {
    /// The changes that move it on to `head`; they are refused if anything is not as expected.
    ///
    /// # Errors
    /// [`StoreError::Failed`] for what cannot be written.
    pub fn moves(&self, head: Position) -> Result<Changes, StoreError> {
        let changes = self.advance(head)?;
        Ok(match &self.control {
            Some((key, revision)) => changes.require(key, *revision),
            None => changes,
        })
    }

    /// How it stands once they are made: at `head`, in documents of this `revision`.
    #[must_use]
    pub fn moved(mut self, head: Position, revision: Revision) -> Self {
        self.head = head;
        for held in &mut self.builds {
            held.checkpoint.position = head;
            held.checkpoint.stopped = None;
            held.revision = revision;
        }
        self
    }

    fn advance(&self, head: Position) -> Result<Changes, StoreError> {
        let mut builds = self.builds.iter();
        builds.try_fold(Changes::new(), |changes, held| {
            Ok(changes.with(held.advance(head)?.1))
        })
    }
}

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
                let place = Place {
                    position: Position::new(position),
                    version: Version::new(version),
                    recorded_at: appended.recorded_at,
                };
                let event = as_read(event, &mut shared)?;
                events.push(RecordedEvent::new(event, part.stream.clone(), place));
            }
        }
    }
    #[cfg(feature = "personal")]
    crate::personal::redact(&mut events)?;
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
    let read = serde_json::from_str(&json(&**metadata)?);
    let corrupt = |error| StoreError::Corrupt(format!("metadata: {error}"));
    Ok(Arc::new(read.map_err(corrupt)?))
}
