//! [`FailedDelivery`]: work of a process instance that failed permanently; lists, retries and discards it.
//!
//! [`WorkExecutor`](super::work_executor::WorkExecutor) stores it.

use factum_core::document::{DocumentChanges, DocumentStore, encode_document};
use factum_core::error::StoreError;
use factum_core::timestamp::Timestamp;
use factum_engine::process::instance::{InstanceKeys, InstanceWork};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::documents::{find_instance, try_change};
use crate::document_scan::scan_all;

/// Work of a process manager, a schedule or a deadline that failed permanently.
///
/// It blocks later commands of its instance, but not deadlines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailedDelivery {
    /// The id of the process instance, or the name of the schedule.
    ///
    /// For a deadline of a decision, it is the stream, a `/` and the name of the deadline.
    pub instance: String,
    /// The number of the work item.
    pub number: u64,
    /// The work.
    #[serde(flatten)]
    pub work: DeliveryWork,
    /// The last error, with its causes.
    pub error: String,
    /// The number of attempts.
    pub attempts: u32,
    /// The time at which the last attempt failed.
    pub since: Timestamp,
    /// The reason why a user has discarded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded: Option<String>,
}

/// The work of a failed or a pending delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "work", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryWork {
    /// The execution of a command.
    Command {
        /// The name of the command.
        name: String,
        /// The command, as JSON.
        body: Value,
    },
    /// The response to a deadline that has passed.
    Deadline {
        /// The name of the deadline.
        name: String,
        /// The due time.
        due: Timestamp,
    },
}

impl From<InstanceWork> for DeliveryWork {
    fn from(work: InstanceWork) -> Self {
        match work {
            InstanceWork::Command(pending) => Self::Command {
                name: pending.command,
                body: pending.body,
            },
            InstanceWork::Deadline(name, timer) => Self::Deadline {
                name,
                due: timer.due,
            },
        }
    }
}

impl FailedDelivery {
    /// Creates a failed delivery.
    pub(crate) fn new(instance: &str, work: InstanceWork, error: String, attempts: u32) -> Self {
        let number = work.number();
        Self {
            instance: instance.to_owned(),
            number,
            work: work.into(),
            error,
            attempts,
            since: Timestamp::now(),
            discarded: None,
        }
    }

    /// Returns whether it can be retried or discarded.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.discarded.is_none()
    }
}

/// Returns all failed deliveries, by instance, including discarded ones.
pub async fn list(
    documents: &dyn DocumentStore,
    keys: &InstanceKeys,
) -> Result<Vec<FailedDelivery>, StoreError> {
    let found = scan_all(documents, keys.failed_deliveries()).await?;
    found
        .iter()
        .map(factum_core::document::Document::decode)
        .collect()
}

/// Returns the number of failed deliveries that can be retried or discarded.
pub async fn count_waiting(
    documents: &dyn DocumentStore,
    keys: &InstanceKeys,
) -> Result<usize, StoreError> {
    let failed = list(documents, keys).await?;
    Ok(failed.iter().filter(|failed| failed.is_waiting()).count())
}

/// The resolution of a failed delivery.
#[derive(Debug, Clone, Copy)]
pub enum Resolution<'a> {
    /// It is retried.
    Retry,
    /// It is discarded, for this reason.
    Discard(&'a str),
}

/// Retries or discards a failed delivery; returns `false` if it does not exist any more.
pub async fn resolve(
    documents: &dyn DocumentStore,
    keys: &InstanceKeys,
    failed: &FailedDelivery,
    resolution: Resolution<'_>,
) -> Result<bool, StoreError> {
    let key = keys.failed_delivery(&failed.instance, failed.number);
    loop {
        let found = find_instance(documents, keys, &failed.instance).await?;
        let found = found.filter(|(_, instance)| instance.failed.contains(&failed.number));
        let Some((revision, mut instance)) = found else {
            // It was cancelled, or its instance was completed.
            try_change(documents, DocumentChanges::new().delete(&key)).await?;
            return Ok(false);
        };
        instance.failed.remove(&failed.number);
        if let Resolution::Discard(_) = resolution {
            instance.remove_work(failed.number);
        }
        let changes = instance.store(keys, revision)?;
        let changes = match resolution {
            Resolution::Retry => changes.delete(&key),
            Resolution::Discard(reason) => {
                let discarded = FailedDelivery {
                    discarded: Some(reason.to_owned()),
                    ..failed.clone()
                };
                changes.put(&key, encode_document(&discarded)?)
            }
        };
        if try_change(documents, changes).await?.is_yes() {
            return Ok(true);
        }
    }
}
