//! The aggregate [`Webhook`] and its events.

use factum::prelude::*;
use schemars::JsonSchema;
use uuid::Uuid;

use super::filter::WebhookFilter;
use super::target::TargetUrl;
use crate::access::domain::TenantId;

/// The maximum number of webhooks of a tenant that are not deleted.
pub const MAX_WEBHOOKS: u64 = 100;

/// The maximum time for which the previous secret stays valid: seven days.
pub const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The id of a webhook.
#[derive(Id, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub struct WebhookId(pub Uuid);

/// The settings of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookSettings {
    /// The address that receives the deliveries.
    pub url: TargetUrl,
    /// The purpose of the webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The events to deliver.
    pub filter: WebhookFilter,
}

/// An event of a webhook. The metadata has the actor, the time and the reason.
#[derive(Event, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[event(prefix = "webhook")]
pub enum WebhookEvent {
    /// A webhook was created. It receives the events after this one.
    Created {
        /// The tenant, which never changes.
        #[tag]
        tenant: TenantId,
        /// The settings.
        settings: WebhookSettings,
    },
    /// The settings were replaced.
    Changed {
        /// The new settings.
        settings: WebhookSettings,
    },
    /// The secret was replaced. The previous one stays valid for some time.
    SecretRotated {
        /// The number of the new secret. The first secret has number 1.
        generation: u32,
        /// The time for which deliveries are also signed with the previous secret, in seconds.
        overlap_seconds: u64,
    },
    /// Deliveries were stopped.
    Disabled {
        /// The reason.
        reason: String,
        /// Whether the service stopped them, because the deliveries failed.
        automatic: bool,
    },
    /// Deliveries continue.
    Enabled {
        /// Whether the events before this one are skipped. Otherwise they are delivered, too.
        skip_missed: bool,
    },
    /// Stored events are delivered once more.
    ReplayRequested {
        /// The position of the first event.
        from: u64,
        /// The position of the last event.
        to: u64,
    },
    /// The webhook was deleted. Nothing more is delivered.
    Deleted {
        /// The tenant.
        #[tag]
        tenant: TenantId,
    },
}

/// The status of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WebhookStatus {
    /// Events are delivered.
    Enabled,
    /// Deliveries are stopped, and the missed events wait in the log.
    Disabled {
        /// The reason.
        reason: String,
        /// Whether the service stopped them, because the deliveries failed.
        automatic: bool,
    },
    /// The webhook is deleted.
    Deleted,
}

/// A webhook: an address of a tenant that receives events.
#[derive(Aggregate, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[aggregate(category = "webhook", id = WebhookId, event = WebhookEvent)]
pub struct Webhook {
    registration: Option<Registration>,
}

/// The state of a webhook after its creation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The tenant.
    pub tenant: TenantId,
    /// The settings.
    pub settings: WebhookSettings,
    /// The number of the current secret, from 1.
    pub generation: u32,
    /// The status.
    pub status: WebhookStatus,
}

impl Webhook {
    /// Returns the state after the creation, or `None` if the webhook does not exist.
    #[must_use]
    pub fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }
}

impl Apply<WebhookEvent> for Webhook {
    fn apply(&mut self, event: &WebhookEvent) {
        if let WebhookEvent::Created { tenant, settings } = event {
            self.registration = Some(Registration {
                tenant: tenant.clone(),
                settings: settings.clone(),
                generation: 1,
                status: WebhookStatus::Enabled,
            });
        }
        let Some(registration) = &mut self.registration else {
            return;
        };
        registration.apply(event);
    }
}

impl Registration {
    /// Applies an event after the creation.
    pub fn apply(&mut self, event: &WebhookEvent) {
        match event {
            WebhookEvent::Created { .. } | WebhookEvent::ReplayRequested { .. } => {}
            WebhookEvent::Changed { settings } => self.settings = settings.clone(),
            WebhookEvent::SecretRotated { generation, .. } => self.generation = *generation,
            WebhookEvent::Disabled { reason, automatic } => {
                self.status = WebhookStatus::Disabled {
                    reason: reason.clone(),
                    automatic: *automatic,
                };
            }
            WebhookEvent::Enabled { .. } => self.status = WebhookStatus::Enabled,
            WebhookEvent::Deleted { .. } => self.status = WebhookStatus::Deleted,
        }
    }
}

/// The number of webhooks of a tenant that are not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantWebhooks {
    /// The number.
    pub count: u64,
}

impl Apply<WebhookEvent> for TenantWebhooks {
    fn apply(&mut self, event: &WebhookEvent) {
        match event {
            WebhookEvent::Created { .. } => self.count += 1,
            WebhookEvent::Deleted { .. } => self.count = self.count.saturating_sub(1),
            WebhookEvent::Changed { .. }
            | WebhookEvent::SecretRotated { .. }
            | WebhookEvent::Disabled { .. }
            | WebhookEvent::Enabled { .. }
            | WebhookEvent::ReplayRequested { .. } => {}
        }
    }
}
