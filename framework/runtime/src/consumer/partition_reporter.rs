//! [`PartitionReporter`]: reports the status of one partition.

use std::sync::Arc;

use super::context::ConsumerContext;
use super::partition_status::PartitionStatus;
use super::status::ConsumerState;
use super::status_tracker::PartitionKey;

/// Reports the status of one partition.
#[derive(Clone)]
pub struct PartitionReporter {
    context: Arc<ConsumerContext>,
    key: PartitionKey,
}

impl PartitionReporter {
    /// Creates the reporter of a partition of a build.
    pub fn new(context: Arc<ConsumerContext>, key: PartitionKey) -> Self {
        Self { context, key }
    }

    /// Updates the status of the partition.
    pub fn update(&self, update: impl FnOnce(&mut PartitionStatus)) {
        let head = self.context.head();
        self.context.status.update(self.key, |status| {
            status.head = status.head.max(head);
            update(status);
        });
    }

    /// Reports the state of the partition.
    pub fn set_state(&self, state: ConsumerState) {
        self.update(|status| status.state = state);
    }

    /// Reports that an operation failed and will be retried.
    pub fn set_retrying(&self, error: String) {
        self.update(|status| {
            status.state = ConsumerState::Retrying;
            status.last_error = Some(error);
        });
    }
}
