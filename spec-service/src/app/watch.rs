//! [`Changes`]: the changes of all specifications, as they happen.

use std::collections::VecDeque;

use factum::{Engine, EventSet as _, Position, Query, RecordedEvent, Subscription};

use super::{AppError, Change};
use crate::domain::{SpecEvent, SpecId};

/// The changes of all specifications, in order: those already made, then those to come.
pub struct Changes {
    subscription: Subscription,
    waiting: VecDeque<RecordedEvent>,
}

impl Changes {
    pub(super) fn new(engine: &Engine, from: Position) -> Self {
        let after = Position::new(from.get().saturating_sub(1));
        Self {
            subscription: engine.subscribe(Query::names(SpecEvent::names()), after),
            waiting: VecDeque::new(),
        }
    }

    /// Waits for the next change. Cancel safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] once the store is closed, or what the store says; ask again to go on.
    pub async fn next(&mut self) -> Result<Change, AppError> {
        loop {
            if let Some(record) = self.waiting.pop_front() {
                return change(record);
            }
            self.waiting
                .extend(self.subscription.next_page().await?.events);
        }
    }
}

fn change(record: RecordedEvent) -> Result<Change, AppError> {
    let id: SpecId =
        record.stream.key().parse().map_err(|_| {
            AppError::Internal(format!("{} is no specification", record.stream).into())
        })?;
    let event = record.try_into().map_err(factum::LoadError::Decode)?;
    Ok(Change { id, event })
}
