//! How an [`Inline`] projection takes what is appended in the transaction, and what is known of it behind that.

use std::borrow::Cow;

use super::inline_projection::{Current, Inline};
use super::transaction::InlineTransaction;
use crate::consumer::BatchError;
use factum_core::append::Append;
use factum_core::append::AppendError;
use factum_core::document::{Changes, Revision};
use factum_core::position::Position;
use factum_engine::error::StoreError;
use factum_engine::record::RecordedEvent;

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
        let revision = moved.map_err(|error| self.rejection(error.into()))?;
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
            projected.map_err(|error| self.rejection(error))?;
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

    fn rejection(&self, error: BatchError) -> AppendError {
        match error {
            BatchError::Store(error) => error.into(),
            BatchError::LeaseLost => {
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
    /// The changes that move it on to `head`; they are rejected if anything is not as expected.
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
