//! [`ProcessHandle`] and [`DeliveryHandle`]: observe and control process managers, schedules and deadlines.

use std::ops::Deref;
use std::sync::Arc;

use factum_core::document::{DocumentStore, Scan};
use factum_core::error::StoreError;
use factum_core::position::Position;
use factum_core::store::Store;
use factum_core::timestamp::Timestamp;
use factum_engine::engine::WaitForPosition;
use factum_engine::process::instance::{DueEntry, InstanceKeys, InstanceWork};

use super::deadline_gate::blocked_instances;
use super::definition::ProcessDefinition;
use super::documents::find_instance;
use super::failed_delivery::{self, FailedDelivery, Resolution};
use super::pending_delivery::{self, PendingDelivery};
use super::signals::Signals;
use crate::consumer::{ConsumerHandle, ControlError, WaitError};

/// Observes and controls the commands of a process manager, a schedule or a decision's deadline.
///
/// It is cheap to clone.
#[derive(Clone)]
pub struct DeliveryHandle {
    definition: Arc<dyn ProcessDefinition>,
    keys: InstanceKeys,
    signals: Arc<Signals>,
    store: Arc<dyn Store>,
}

impl DeliveryHandle {
    /// Creates the handle.
    pub(crate) fn new(
        definition: Arc<dyn ProcessDefinition>,
        keys: InstanceKeys,
        signals: Arc<Signals>,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            definition,
            keys,
            signals,
            store,
        }
    }

    fn documents(&self) -> &dyn DocumentStore {
        &*self.store
    }

    /// Returns the name.
    pub(crate) fn process(&self) -> &'static str {
        self.definition.name()
    }

    /// Returns the notifications of its tasks.
    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Returns the shared notifications of its tasks.
    pub(crate) fn shared_signals(&self) -> &Arc<Signals> {
        &self.signals
    }

    /// Returns the process manager.
    pub(crate) fn definition(&self) -> &Arc<dyn ProcessDefinition> {
        &self.definition
    }

    /// Returns the keys of its documents.
    pub(crate) fn keys(&self) -> &InstanceKeys {
        &self.keys
    }

    /// Returns the next work of at most `limit` instances, soonest first.
    ///
    /// Each schedule and each deadline of a decision is an instance of its own, so these lists are complete. A process
    /// instance is listed with its next command or deadline.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn pending(&self, limit: usize) -> Result<Vec<PendingDelivery>, ControlError> {
        Ok(pending_delivery::list(self.documents(), &self.keys, limit).await?)
    }

    /// Returns the work that failed permanently, by instance and in order, including discarded work.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn failed_deliveries(&self) -> Result<Vec<FailedDelivery>, ControlError> {
        Ok(failed_delivery::list(self.documents(), &self.keys).await?)
    }

    /// Retries all failed deliveries.
    ///
    /// # Errors
    /// Returns [`ControlError::Store`] if the store fails.
    pub async fn retry_deliveries(&self) -> Result<(), ControlError> {
        for failed in self.failed_deliveries().await? {
            if failed.is_waiting() {
                let (documents, keys) = (self.documents(), &self.keys);
                failed_delivery::resolve(documents, keys, &failed, Resolution::Retry).await?;
            }
        }
        self.signals.wake();
        Ok(())
    }

    /// Retries one failed delivery.
    ///
    /// # Errors
    /// Returns [`ControlError::NotFailed`], or [`ControlError::Store`] if the store fails.
    pub async fn retry_delivery(&self, failed: &FailedDelivery) -> Result<(), ControlError> {
        self.resolve(failed, Resolution::Retry).await
    }

    /// Discards one failed delivery for this reason; later commands of its instance continue.
    ///
    /// # Errors
    /// Returns [`ControlError::NotFailed`], or [`ControlError::Store`] if the store fails.
    pub async fn discard_delivery(
        &self,
        failed: &FailedDelivery,
        reason: impl Into<String>,
    ) -> Result<(), ControlError> {
        let reason = reason.into();
        self.resolve(failed, Resolution::Discard(&reason)).await
    }

    async fn resolve(
        &self,
        failed: &FailedDelivery,
        resolution: Resolution<'_>,
    ) -> Result<(), ControlError> {
        let (documents, keys) = (self.documents(), &self.keys);
        let resolved = failed.is_waiting()
            && failed_delivery::resolve(documents, keys, failed, resolution).await?;
        self.signals.wake();
        match resolved {
            true => Ok(()),
            false => Err(ControlError::NotFailed {
                instance: failed.instance.clone(),
                number: failed.number,
            }),
        }
    }

    /// Returns whether there is work that is due and that this program can do.
    pub(crate) async fn has_due_work(&self, now: Timestamp) -> Result<bool, StoreError> {
        if !self.signals.is_initialized() {
            return Ok(true);
        }
        let mut scan = Scan::prefix(self.keys.due_index());
        let mut blocked = None;
        loop {
            let page = self.documents().scan_documents(scan.clone()).await?;
            for document in &page {
                let due = self.keys.due_time(&document.key);
                if due.is_some_and(|due| due > now) {
                    return Ok(false);
                }
                let entry: DueEntry = document.decode()?;
                if entry.is_deadline && blocked.is_none() {
                    let process = self.definition.name();
                    blocked = Some(blocked_instances(&*self.store, process).await?);
                }
                // A deadline of an instance with dead letters waits for a user.
                let is_blocked =
                    entry.is_deadline && blocked.iter().any(|blocked| blocked.contains(&entry.id));
                let can_execute = self.definition.can_execute(&entry) && !is_blocked;
                if can_execute && !self.needs_newer_code(&entry.id).await? {
                    return Ok(true);
                }
            }
            match scan.next(&page) {
                Some(next) => scan = next,
                None => return Ok(false),
            }
        }
    }

    /// Returns whether the next work of an instance needs newer code.
    async fn needs_newer_code(&self, id: &str) -> Result<bool, StoreError> {
        let found = find_instance(self.documents(), &self.keys, id).await?;
        let Some((_, instance)) = found else {
            return Ok(false);
        };
        Ok(match instance.next_work() {
            _ if self.definition.newer_schema(&instance).is_some() => true,
            Some((_, InstanceWork::Command(pending))) => {
                let route = self.definition.route(id, &pending.command);
                route.is_some_and(|route| route.version < pending.version)
            }
            _ => false,
        })
    }
}

impl std::fmt::Debug for DeliveryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DeliveryHandle")
            .field(&self.process())
            .finish()
    }
}

/// Observes and controls one process manager.
///
/// It dereferences to the [`ConsumerHandle`] of the process manager, and is cheap to clone.
#[derive(Debug, Clone)]
pub struct ProcessHandle {
    consumer: ConsumerHandle,
    deliveries: DeliveryHandle,
}

impl ProcessHandle {
    /// Creates the handle.
    pub(crate) fn new(consumer: ConsumerHandle, deliveries: DeliveryHandle) -> Self {
        Self {
            consumer,
            deliveries,
        }
    }

    /// Returns the handle of its commands and deadlines.
    #[must_use]
    pub fn deliveries(&self) -> &DeliveryHandle {
        &self.deliveries
    }
}

impl Deref for ProcessHandle {
    type Target = ConsumerHandle;

    fn deref(&self) -> &ConsumerHandle {
        &self.consumer
    }
}

impl WaitForPosition for ProcessHandle {
    type Error = WaitError;

    async fn wait_for(&self, position: Position) -> Result<(), WaitError> {
        self.consumer.wait_for(position).await
    }
}
