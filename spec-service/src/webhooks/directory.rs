//! [`WebhookDirectory`]: the webhooks that are not deleted, in the memory of each node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use factum::prelude::*;
use factum::{Position, Timestamp};

use super::domain::{Registration, WebhookEvent, WebhookId, WebhookStatus};
use crate::access::domain::TenantId;

/// The number of requests that a node remembers for a webhook.
const MAX_REQUESTS: usize = 20;

/// A webhook with everything that its deliveries need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    /// The id.
    pub id: WebhookId,
    /// The state: tenant, settings, secret and status.
    pub registration: Registration,
    /// The number of the previous secret, and the time until which it is valid.
    pub previous_secret: Option<(u32, Timestamp)>,
    /// The position of the creation. Later events are delivered.
    pub created: Position,
    /// The number of changes.
    pub revision: u64,
    /// The time of the creation.
    pub created_at: Timestamp,
    /// The actor of the creation.
    pub created_by: String,
    /// The time of the last change.
    pub updated_at: Timestamp,
    /// The actor of the last change.
    pub updated_by: String,
    /// The last requests that the deliveries must carry out, by the revisions that made them.
    pub requests: Vec<(u64, DeliveryRequest)>,
}

/// A request to the deliveries of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryRequest {
    /// Forgets earlier failures, and skips the events up to the position, if there is one.
    Restart {
        /// The position of the last event to skip.
        skip_to: Option<Position>,
    },
    /// Delivers stored events once more.
    Replay {
        /// The position of the first event.
        from: Position,
        /// The position of the last event.
        to: Position,
    },
}

impl WebhookView {
    /// Returns whether events are delivered.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.registration.status == WebhookStatus::Enabled
    }

    /// Returns the numbers of the secrets that are valid at `now`, the current one first.
    #[must_use]
    pub fn valid_secrets(&self, now: Timestamp) -> Vec<u32> {
        let previous = self.previous_secret.filter(|(_, until)| now < *until);
        let previous = previous.map(|(generation, _)| generation);
        std::iter::once(self.registration.generation)
            .chain(previous)
            .collect()
    }
}

/// The webhooks that are not deleted.
#[derive(Projection, Default)]
#[projection(name = "webhook_directory", events = WebhookEvent)]
pub struct WebhookDirectory {
    webhooks: BTreeMap<WebhookId, Arc<WebhookView>>,
}

impl WebhookDirectory {
    /// Returns the webhook with this id.
    #[must_use]
    pub fn find(&self, id: WebhookId) -> Option<Arc<WebhookView>> {
        self.webhooks.get(&id).cloned()
    }

    /// Returns all webhooks.
    #[must_use]
    pub fn all(&self) -> BTreeMap<WebhookId, Arc<WebhookView>> {
        self.webhooks.clone()
    }

    /// Returns up to `limit` webhooks of a tenant, and whether there are more.
    ///
    /// They were created after `after`.
    #[must_use]
    pub fn page(
        &self,
        tenant: &TenantId,
        after: Position,
        limit: usize,
    ) -> (Vec<Arc<WebhookView>>, bool) {
        let of_tenant = self
            .webhooks
            .values()
            .filter(|it| it.registration.tenant == *tenant);
        let mut found: Vec<_> = of_tenant.filter(|it| it.created > after).cloned().collect();
        found.sort_by_key(|webhook| webhook.created);
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }
}

impl Project<WebhookEvent> for WebhookDirectory {
    fn project(&mut self, event: &Recorded<WebhookEvent>) {
        let record = &event.record;
        let Ok(id) = record.stream.key().parse().map(WebhookId) else {
            return;
        };
        if matches!(event.event, WebhookEvent::Deleted { .. }) {
            self.webhooks.remove(&id);
            return;
        }
        let actor = record.metadata.actor.clone().unwrap_or_default();
        if let WebhookEvent::Created { tenant, settings } = &event.event {
            let view = WebhookView {
                id,
                registration: Registration {
                    tenant: tenant.clone(),
                    settings: settings.clone(),
                    generation: 1,
                    status: WebhookStatus::Enabled,
                },
                previous_secret: None,
                created: record.position,
                revision: record.version.get(),
                created_at: record.recorded_at,
                created_by: actor.clone(),
                updated_at: record.recorded_at,
                updated_by: actor,
                requests: Vec::new(),
            };
            self.webhooks.insert(id, Arc::new(view));
        } else if let Some(view) = self.webhooks.get_mut(&id) {
            Arc::make_mut(view).change(event, actor);
        }
    }
}

impl WebhookView {
    fn change(&mut self, event: &Recorded<WebhookEvent>, actor: String) {
        let record = &event.record;
        self.revision = record.version.get();
        self.updated_at = record.recorded_at;
        self.updated_by = actor;
        if let WebhookEvent::SecretRotated {
            overlap_seconds, ..
        } = &event.event
        {
            let until = record.recorded_at + Duration::from_secs(*overlap_seconds);
            self.previous_secret = Some((self.registration.generation, until));
        }
        let request = match event.event {
            WebhookEvent::Enabled { skip_missed } => Some(DeliveryRequest::Restart {
                skip_to: skip_missed.then_some(record.position),
            }),
            WebhookEvent::ReplayRequested { from, to } => Some(DeliveryRequest::Replay {
                from: Position::new(from),
                to: Position::new(to),
            }),
            _ => None,
        };
        if let Some(request) = request {
            if self.requests.len() == MAX_REQUESTS {
                self.requests.remove(0);
            }
            self.requests.push((self.revision, request));
        }
        self.registration.apply(&event.event);
    }
}
