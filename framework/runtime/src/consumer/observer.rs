//! [`ConsumerObserver`]: observes a consumer from its read model.

use std::sync::{Arc, Weak};

use factum_core::position::Position;
use factum_core::store::EventStore;
use tokio::sync::watch;

use super::control_error::WaitError;
use super::status::ConsumerStatus;
use crate::log_head::read_head;

/// Observes a consumer, and keeps neither the consumer nor its store alive.
#[derive(Clone)]
pub struct ConsumerObserver {
    status: watch::Receiver<ConsumerStatus>,
    ended: watch::Receiver<bool>,
    store: Weak<dyn EventStore>,
}

impl ConsumerObserver {
    /// Creates the observer of a consumer from its status, its end, and the store of its events.
    pub fn new(
        status: watch::Receiver<ConsumerStatus>,
        ended: watch::Receiver<bool>,
        store: &Arc<dyn EventStore>,
    ) -> Self {
        Self {
            status,
            ended,
            store: Arc::downgrade(store),
        }
    }

    /// Checks that the log has the position.
    ///
    /// # Errors
    /// Returns [`WaitError::BeyondHead`] if it ends before the position.
    pub async fn check_position(&self, position: Position) -> Result<(), WaitError> {
        let Some(store) = self.store.upgrade() else {
            return Ok(());
        };
        if position <= *store.watch().borrow() || self.has_ended() {
            return Ok(());
        }
        // Another node may have stored events that this handle has not been notified of.
        match read_head(&*store).await {
            Ok(head) if head < position => Err(WaitError::BeyondHead {
                name: self.status.borrow().name.clone(),
                position,
                head,
            }),
            // An error of the store is reported by the consumer.
            _ => Ok(()),
        }
    }

    /// Returns whether the consumer does not run any more on this node.
    pub fn has_ended(&self) -> bool {
        *self.ended.borrow() || self.ended.has_changed().is_err()
    }

    /// Waits until the consumer does not run any more on this node.
    pub async fn ended(&self) {
        // Without the sender, the consumer does not run either.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Returns the error that describes the current status.
    pub fn error(&self) -> WaitError {
        self.status.borrow().wait_error()
    }
}
