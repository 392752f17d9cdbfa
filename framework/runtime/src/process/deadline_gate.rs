//! [`DeadlineGate`]: delays a deadline while an earlier event may still cancel it.
//!
//! A deadline waits until its process manager has processed every event that was stored when the deadline became due.
//! It also waits while its instance has dead letters.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use factum_core::document::Document;
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;

use super::fence::DispatchOwner;
use super::process_consumer::process_consumer_name;
use crate::consumer::{Checkpoint, blocked_keys};
use crate::log_head::read_head;

/// Delays deadlines until earlier events are processed.
#[derive(Debug, Default)]
pub struct DeadlineGate(Mutex<ProcessedEvents>);

/// The time up to which all stored events are known to be processed.
#[derive(Debug, Clone, Copy, Default)]
enum ProcessedEvents {
    #[default]
    Unknown,
    /// All events that were stored at this time.
    Through(Timestamp),
    /// All events that were stored at this time, once the checkpoint has reached this position.
    ThroughOnceAt(Timestamp, Position),
}

/// The permission to handle a deadline that is due.
pub enum DeadlinePermission {
    /// It may be handled.
    Granted,
    /// Earlier events must be processed first.
    EventsFirst,
    /// Its instance has dead letters.
    Blocked,
}

/// Returns the ids of the instances with dead letters.
pub async fn blocked_instances(
    store: &dyn Store,
    process: &str,
) -> Result<HashSet<String>, StoreError> {
    blocked_keys(store, &process_consumer_name(process), 1).await
}

impl DeadlineGate {
    /// Returns whether a deadline of `instance` may be handled at the time `now`.
    ///
    /// The deadline has been due since the time `due`.
    pub async fn check(
        &self,
        store: &dyn Store,
        owner: &DispatchOwner,
        process: &str,
        instance: &str,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<DeadlinePermission, StoreError> {
        let DispatchOwner::LeaseHolder { lease, .. } = owner else {
            return Ok(DeadlinePermission::Granted);
        };
        // If the clock was set back, the results for later times are not valid.
        let is_valid = |at: Timestamp| (due..=now).contains(&at);
        let (at, required) = match self.processed() {
            ProcessedEvents::Through(at) if is_valid(at) => (at, Position::ZERO),
            ProcessedEvents::ThroughOnceAt(at, position) if is_valid(at) => (at, position),
            // The head is read once: events that are stored later do not delay the deadline.
            _ => (now, read_head(store).await?),
        };
        let found = store.find_documents(std::slice::from_ref(lease)).await?;
        let checkpoint: Option<Checkpoint> = found.first().map(Document::decode).transpose()?;
        let checkpoint = checkpoint.unwrap_or_default();
        if checkpoint.position < required {
            self.set_processed(ProcessedEvents::ThroughOnceAt(at, required));
            return Ok(DeadlinePermission::EventsFirst);
        }
        self.set_processed(ProcessedEvents::Through(at));
        let is_blocked = checkpoint.dead_letters > 0
            && blocked_instances(store, process).await?.contains(instance);
        Ok(match is_blocked {
            true => DeadlinePermission::Blocked,
            false => DeadlinePermission::Granted,
        })
    }

    fn processed(&self) -> ProcessedEvents {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_processed(&self, processed: ProcessedEvents) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = processed;
    }
}
