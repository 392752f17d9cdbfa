//! [`ChangeStream`]: the live changes of all specifications.

use std::collections::VecDeque;

use factum::engine::{LoadError, Subscription};
use factum::event::EventSet as _;
use factum::store::{Query, RecordedEvent};
use factum::{Engine, Position};

use super::{AppError, Change};
use crate::domain::{SpecEvent, SpecId};

/// A stream of the changes of all specifications in order, first stored changes, then new ones.
pub struct ChangeStream {
    subscription: Subscription,
    buffer: VecDeque<RecordedEvent>,
}

impl ChangeStream {
    pub(super) fn new(engine: &Engine, from: Position) -> Self {
        let after = Position::new(from.get().saturating_sub(1));
        Self {
            subscription: engine.subscribe(Query::event_types(SpecEvent::names()), after),
            buffer: VecDeque::new(),
        }
    }

    /// Waits for the next change.
    ///
    /// This method is cancel safe: dropping the future loses no change.
    ///
    /// # Errors
    /// Returns [`AppError::Unavailable`] after the store was closed, or another error of the store. Call the method
    /// again to continue after an error.
    pub async fn next(&mut self) -> Result<Change, AppError> {
        loop {
            if let Some(record) = self.buffer.pop_front() {
                return change(record);
            }
            self.buffer
                .extend(self.subscription.next_page().await?.events);
        }
    }
}

fn change(record: RecordedEvent) -> Result<Change, AppError> {
    let id: SpecId = record.stream.key().parse().map_err(|_| {
        AppError::Internal(
            format!("invalid stream id: {}; expected spec-UUID", record.stream).into(),
        )
    })?;
    let event = record.try_into().map_err(LoadError::Decode)?;
    Ok(Change { id, event })
}
