//! [`ChangeStream`]: the live changes of all specifications.

use std::collections::VecDeque;

use factum::engine::{LoadError, Subscription};
use factum::event::EventSet as _;
use factum::store::{Query, RecordedEvent};
use factum::{Engine, Position};

use super::Change;
use crate::app::AppError;
use crate::specs::domain::{SpecEvent, SpecId};

/// The approximate maximum size of the contents that a stream buffers, in bytes.
///
/// The subscription reads one page ahead, so a stream holds up to two pages.
const MAX_BUFFER: usize = 128 * 1024;

/// The maximum number of changes in a page.
const MAX_PAGE: usize = 64;

/// A stream of the changes of all specifications in order, first stored changes, then new ones.
pub struct ChangeStream {
    subscription: Subscription,
    buffer: VecDeque<RecordedEvent>,
}

impl ChangeStream {
    /// Creates a stream for contents of at most `max_content` bytes.
    pub(super) fn new(engine: &Engine, from: Position, max_content: usize) -> Self {
        let after = Position::new(from.get().saturating_sub(1));
        let query = Query::event_types(SpecEvent::names());
        let page_size = (MAX_BUFFER / max_content.max(1)).clamp(1, MAX_PAGE);
        Self {
            subscription: engine.subscribe(query, after).page_size(page_size),
            buffer: VecDeque::new(),
        }
    }

    /// Waits for the next change.
    ///
    /// This method is cancel safe: dropping the future loses no change.
    ///
    /// # Errors
    /// Returns [`AppError::BeyondHead`] if the log ends before the position, for example after a restore from a backup.
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
