//! The functions on webhooks that both APIs call.

mod refusals;

use std::sync::Arc;

use factum::prelude::*;
use factum::{Position, Timestamp};
use uuid::Uuid;

use super::delivery::{DeliveryEntry, SecretKey, delete_progress, find_entry, read_log};
use super::directory::{WebhookDirectory, WebhookView};
use super::domain::{
    ChangeWebhook, CreateWebhook, DeleteWebhook, DisableWebhook, EnableWebhook, ReplayDeliveries,
    RotateSecret, TargetUrl, WebhookFilter, WebhookId, WebhookRejection, WebhookSettings,
};
use crate::app::{AppError, Application, Cursor, ItemPage, PageQuery, Refusal, RequestContext};

/// A place in the list of webhooks: after the webhook whose creation has this position.
pub type WebhookCursor = Cursor<'w'>;

/// A place in a delivery log: before the attempt with this number.
pub type DeliveryCursor = Cursor<'d'>;

/// The settings of a webhook, not yet validated.
#[derive(Debug, Clone, Default)]
pub struct NewWebhook {
    /// The address that receives the deliveries.
    pub url: String,
    /// The purpose of the webhook.
    pub description: Option<String>,
    /// The namespaces of the specifications. Empty means all.
    pub namespaces: Vec<String>,
    /// The event types. Empty means all.
    pub events: Vec<String>,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookWritten {
    /// The id of the webhook.
    pub id: WebhookId,
    /// The number of changes.
    pub revision: u64,
    /// The position of the write.
    pub position: Position,
}

/// A new secret, which is shown once.
#[derive(Clone)]
pub struct NewSecret {
    /// The write that created it.
    pub written: WebhookWritten,
    /// The secret as receivers need it.
    pub secret: String,
}

/// A handle to the webhooks. Clones share the application.
#[derive(Clone)]
pub struct Webhooks {
    app: Application,
    directory: InMemory<WebhookDirectory>,
    key: SecretKey,
}

impl Webhooks {
    /// Creates a handle to the webhooks of `app`, whose runtime must update `directory`.
    #[must_use]
    pub fn new(app: Application, directory: InMemory<WebhookDirectory>, key: SecretKey) -> Self {
        Self {
            app,
            directory,
            key,
        }
    }

    /// Creates a webhook, and returns its secret.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`] or [`InvalidTargetUrl`](super::domain::InvalidTargetUrl), or an error that every write
    /// can return.
    pub async fn create(
        &self,
        new: NewWebhook,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<NewSecret, AppError> {
        let tenant = context.tenant().clone();
        let id = match &context.idempotency_key {
            // A repeated request must refer to the same webhook, so the id is derived from the key.
            Some(key) => Uuid::new_v5(
                &Uuid::NAMESPACE_OID,
                format!("webhook\n{tenant}\n{}\n{key}", context.actor()).as_bytes(),
            ),
            None => Uuid::now_v7(),
        };
        let id = WebhookId(id);
        let create = CreateWebhook {
            webhook: id,
            tenant,
            settings: settings(new)?,
        };
        let written = self.write(id, create, reason, context).await?;
        Ok(self.new_secret(written, 1))
    }

    /// Returns a webhook.
    ///
    /// # Errors
    /// Returns [`WebhookRejection::NotFound`].
    pub fn get(
        &self,
        id: WebhookId,
        context: &RequestContext,
    ) -> Result<Arc<WebhookView>, AppError> {
        let found = self.directory.read(|directory| directory.find(id));
        let found = found.filter(|webhook| webhook.registration.tenant == *context.tenant());
        Ok(found.ok_or(WebhookRejection::NotFound)?)
    }

    /// Returns a page of the webhooks of the tenant, in the order of their creation.
    ///
    /// # Errors
    /// Returns [`AppError::InvalidLimit`].
    pub fn list(
        &self,
        query: PageQuery<WebhookCursor>,
        context: &RequestContext,
    ) -> Result<ItemPage<Arc<WebhookView>, WebhookCursor>, AppError> {
        query.check()?;
        let after = Position::new(query.after.map_or(0, |cursor| cursor.0));
        let tenant = context.tenant();
        let page = |directory: &WebhookDirectory| directory.page(tenant, after, query.limit);
        let (items, more) = self.directory.read(page);
        let last = items.last().filter(|_| more);
        let next = last.map(|webhook| Cursor(webhook.created.get()));
        Ok(ItemPage { items, next })
    }

    /// Replaces the settings of a webhook.
    ///
    /// # Errors
    /// Returns the errors of [`Self::create`].
    pub async fn change(
        &self,
        id: WebhookId,
        new: NewWebhook,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        let change = ChangeWebhook {
            webhook: id,
            tenant: context.tenant().clone(),
            settings: settings(new)?,
        };
        self.write(id, change, reason, context).await
    }

    /// Replaces the secret of a webhook, and returns the new one.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`], or an error that every write can return.
    pub async fn rotate_secret(
        &self,
        id: WebhookId,
        overlap_seconds: u64,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<NewSecret, AppError> {
        let rotate = RotateSecret {
            webhook: id,
            tenant: context.tenant().clone(),
            overlap_seconds,
        };
        let written = self.write(id, rotate, reason, context).await?;
        let load = self.app.engine().load::<super::domain::Webhook>(&id);
        let webhook = load.at_version(written.revision).await?;
        let generation = webhook.registration().map_or(1, |found| found.generation);
        Ok(self.new_secret(written, generation))
    }

    /// Stops the deliveries of a webhook.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`], or an error that every write can return.
    pub async fn disable(
        &self,
        id: WebhookId,
        reason: &str,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        let disable = DisableWebhook {
            webhook: id,
            tenant: context.tenant().clone(),
            reason: reason.trim().to_owned(),
            automatic: false,
        };
        self.write(id, disable, Some(reason), context).await
    }

    /// Continues the deliveries of a disabled webhook.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`], or an error that every write can return.
    pub async fn enable(
        &self,
        id: WebhookId,
        skip_missed: bool,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        let enable = EnableWebhook {
            webhook: id,
            tenant: context.tenant().clone(),
            skip_missed,
        };
        self.write(id, enable, reason, context).await
    }

    /// Deletes a webhook with its delivery log. Its events stay in the audit trail.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`], or an error that every write can return.
    pub async fn delete(
        &self,
        id: WebhookId,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        let delete = DeleteWebhook {
            webhook: id,
            tenant: context.tenant().clone(),
        };
        let written = self.write(id, delete, reason, context).await?;
        delete_progress(&**self.app.engine().store(), id).await?;
        Ok(written)
    }

    /// Returns a page of the delivery log of a webhook, newest first.
    ///
    /// # Errors
    /// Returns [`WebhookRejection::NotFound`], [`AppError::InvalidLimit`], or an error of the store.
    pub async fn deliveries(
        &self,
        id: WebhookId,
        query: PageQuery<DeliveryCursor>,
        context: &RequestContext,
    ) -> Result<ItemPage<DeliveryEntry, DeliveryCursor>, AppError> {
        query.check()?;
        self.get(id, context)?;
        let before = query.after.map(|cursor| cursor.0);
        let store = self.app.engine().store();
        let mut items = read_log(&**store, id, before, query.limit + 1).await?;
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        let next = items.last().filter(|_| more);
        let next = next.map(|entry| Cursor(entry.number));
        Ok(ItemPage { items, next })
    }

    /// Delivers the stored events of a range of positions once more, with the same ids.
    ///
    /// # Errors
    /// Returns [`WebhookRejection`], or an error that every write can return.
    pub async fn replay(
        &self,
        id: WebhookId,
        from: u64,
        to: u64,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        let replay = ReplayDeliveries {
            webhook: id,
            tenant: context.tenant().clone(),
            from,
            to,
        };
        self.write(id, replay, reason, context).await
    }

    /// Delivers the event of an attempt in the delivery log once more.
    ///
    /// # Errors
    /// Returns [`WebhookRejection::NoSuchDelivery`], or the errors of [`Self::replay`].
    pub async fn replay_delivery(
        &self,
        id: WebhookId,
        number: u64,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError> {
        self.get(id, context)?;
        let store = self.app.engine().store();
        let entry = find_entry(&**store, id, number).await?;
        let entry = entry.ok_or(WebhookRejection::NoSuchDelivery { number })?;
        let position = entry.position.get();
        self.replay(id, position, position, reason, context).await
    }

    fn new_secret(&self, written: WebhookWritten, generation: u32) -> NewSecret {
        let secret = self.key.secret(written.id, generation).to_text();
        NewSecret { written, secret }
    }

    async fn write<C>(
        &self,
        id: WebhookId,
        command: C,
        reason: Option<&str>,
        context: &RequestContext,
    ) -> Result<WebhookWritten, AppError>
    where
        C: Decide,
        C::Error: Refusal,
    {
        let context = context.with_reason(reason);
        let receipt = self.app.execute(command, &context).await?;
        Ok(WebhookWritten {
            id,
            revision: receipt.version().get(),
            position: receipt.position(),
        })
    }
}

/// Returns the time until which the previous secret of a webhook is valid, if it is.
#[must_use]
pub fn previous_secret_until(webhook: &WebhookView) -> Option<Timestamp> {
    let (_, until) = webhook.previous_secret?;
    (Timestamp::now() < until).then_some(until)
}

fn settings(new: NewWebhook) -> Result<WebhookSettings, AppError> {
    Ok(WebhookSettings {
        url: TargetUrl::parse(&new.url)?,
        description: new.description,
        filter: WebhookFilter {
            namespaces: new.namespaces,
            events: new.events,
        },
    })
}
