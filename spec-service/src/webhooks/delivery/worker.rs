//! [`Worker`]: delivers the events of one webhook whenever this node holds its lease.

use std::sync::Arc;
use std::time::Duration;

use factum::store::{Metadata, StoreError, error_chain};
use tokio::sync::watch;
use uuid::Uuid;

use super::lease::ProgressLease;
use super::progress::Progress;
use super::schedule::RetrySchedule;
use super::sender::Sender;
use super::session::{DeliverySession, DeliverySessionEnd};
use crate::webhooks::directory::WebhookView;
use crate::webhooks::domain::DisableWebhook;

/// The time after which a lease that another node holds is tried again.
const LEASE_POLL: Duration = Duration::from_millis(500);

/// The pause after an error of the store.
const ERROR_PAUSE: Duration = Duration::from_secs(1);

/// The longest time that the directory needs to show that a webhook was disabled.
const DISABLE_PAUSE: Duration = Duration::from_secs(5);

/// The actor of changes that the service makes itself.
const ACTOR: &str = "spec-service";

/// Delivers the events of one webhook whenever this node holds its lease.
pub struct Worker {
    pub sender: Arc<Sender>,
    pub schedule: RetrySchedule,
    pub node: Uuid,
    /// The webhook. The sender is dropped when it is deleted.
    pub views: watch::Receiver<Arc<WebhookView>>,
    pub stop: watch::Receiver<bool>,
}

impl Worker {
    /// Runs until the service stops, or the webhook is deleted.
    pub async fn run(mut self) {
        while let Some(view) = self.enabled_view().await {
            match self.deliver(view).await {
                Ok(None) => {}
                Ok(Some(pause)) => self.pause(pause).await,
                Err(error) => {
                    let error = error_chain(&error);
                    tracing::warn!(error, "deliveries of a webhook interrupted, will retry");
                    self.pause(ERROR_PAUSE).await;
                }
            }
        }
    }

    /// Waits until the webhook is enabled. Returns `None` if the service stops or the webhook is deleted.
    async fn enabled_view(&mut self) -> Option<Arc<WebhookView>> {
        // A closed channel still has its last value.
        self.views.has_changed().ok()?;
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => None,
            view = self.views.wait_for(|view| view.is_enabled()) => Some(view.ok()?.clone()),
        }
    }

    /// Delivers events if this node can acquire the lease. Returns a pause before the next attempt.
    async fn deliver(&mut self, view: Arc<WebhookView>) -> Result<Option<Duration>, StoreError> {
        let documents = self.sender.engine.store().clone();
        let start = Progress::starting_after(view.created, 1);
        let acquired = ProgressLease::acquire(&*documents, view.id, self.node, start).await?;
        let Some((lease, progress)) = acquired else {
            return Ok(Some(LEASE_POLL));
        };
        let session = DeliverySession::new(
            self.sender.clone(),
            self.schedule,
            view.clone(),
            lease,
            progress,
        );
        match session.run(&mut self.views, &mut self.stop).await {
            DeliverySessionEnd::Ended => Ok(None),
            DeliverySessionEnd::LeaseLost => Ok(Some(LEASE_POLL)),
            DeliverySessionEnd::Failed(error) => Err(error),
            DeliverySessionEnd::MustDisable(reason) => {
                self.disable(&view, reason).await;
                Ok(Some(DISABLE_PAUSE))
            }
        }
    }

    /// Disables the webhook, with a warning in the log.
    async fn disable(&self, view: &WebhookView, reason: String) {
        tracing::warn!(webhook = %view.id, reason, "webhook disabled, because its deliveries failed");
        let disable = DisableWebhook {
            webhook: view.id,
            tenant: view.registration.tenant.clone(),
            reason: reason.clone(),
            automatic: true,
        };
        let mut metadata = Metadata::default();
        metadata.actor = Some(ACTOR.to_owned());
        metadata.reason = Some(reason);
        let disabled = self.sender.engine.execute(disable).metadata(metadata).await;
        if let Err(error) = disabled {
            tracing::warn!(
                error = error_chain(&error),
                "webhook could not be disabled, will retry"
            );
        }
    }

    /// Waits for a change of the webhook, at most for `pause`.
    async fn pause(&mut self, pause: Duration) {
        tokio::select! {
            _ = self.stop.wait_for(|stop| *stop) => {}
            _ = self.views.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
