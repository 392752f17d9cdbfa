//! The commands on webhooks, and their rules.

use factum::event::EventSet as _;
use factum::prelude::*;
use schemars::JsonSchema;

use super::rejection::WebhookRejection;
use super::webhook::{
    MAX_OVERLAP_SECONDS, MAX_WEBHOOKS, Registration, TenantWebhooks, Webhook, WebhookEvent,
    WebhookId, WebhookSettings, WebhookStatus,
};
use crate::access::domain::TenantId;
use crate::specs::domain::{MAX_TEXT, SpecEvent};

/// Creates a webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook, query = TenantWebhooks)]
pub struct CreateWebhook {
    /// The id of the new webhook, created by the caller.
    #[id]
    pub webhook: WebhookId,
    /// The tenant.
    #[tag]
    pub tenant: TenantId,
    /// The settings.
    pub settings: WebhookSettings,
}

impl Decide for CreateWebhook {
    type Error = WebhookRejection;

    fn decide(
        &self,
        (webhook, tenant): (&Webhook, &TenantWebhooks),
    ) -> Result<Events<WebhookEvent>, WebhookRejection> {
        if webhook.registration().is_some() {
            return Err(WebhookRejection::AlreadyExists);
        }
        if tenant.count >= MAX_WEBHOOKS {
            return Err(WebhookRejection::TooMany);
        }
        Ok(WebhookEvent::Created {
            tenant: self.tenant.clone(),
            settings: checked(&self.settings)?,
        }
        .into())
    }
}

/// Replaces the settings of a webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct ChangeWebhook {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// The new settings.
    pub settings: WebhookSettings,
}

impl Decide for ChangeWebhook {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        let settings = checked(&self.settings)?;
        if settings == registration.settings {
            return Ok(Events::default());
        }
        Ok(WebhookEvent::Changed { settings }.into())
    }
}

/// Replaces the secret of a webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct RotateSecret {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// The time for which deliveries are also signed with the previous secret, in seconds.
    pub overlap_seconds: u64,
}

impl Decide for RotateSecret {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        if self.overlap_seconds > MAX_OVERLAP_SECONDS {
            let seconds = self.overlap_seconds;
            return Err(WebhookRejection::Overlap { seconds });
        }
        Ok(WebhookEvent::SecretRotated {
            generation: registration.generation.saturating_add(1),
            overlap_seconds: self.overlap_seconds,
        }
        .into())
    }
}

/// Stops the deliveries of a webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct DisableWebhook {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// The reason.
    pub reason: String,
    /// Whether the service disables it, because the deliveries failed.
    pub automatic: bool,
}

impl Decide for DisableWebhook {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        if registration.status != WebhookStatus::Enabled {
            return Err(WebhookRejection::AlreadyDisabled);
        }
        check_length("reason", &self.reason)?;
        Ok(WebhookEvent::Disabled {
            reason: self.reason.clone(),
            automatic: self.automatic,
        }
        .into())
    }
}

/// Continues the deliveries of a disabled webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct EnableWebhook {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// Whether the missed events are skipped.
    pub skip_missed: bool,
}

impl Decide for EnableWebhook {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        if registration.status == WebhookStatus::Enabled {
            return Err(WebhookRejection::AlreadyEnabled);
        }
        let skip_missed = self.skip_missed;
        Ok(WebhookEvent::Enabled { skip_missed }.into())
    }
}

/// Delivers the stored events of a range once more.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct ReplayDeliveries {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
    /// The position of the first event.
    pub from: u64,
    /// The position of the last event.
    pub to: u64,
}

impl Decide for ReplayDeliveries {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        if registration.status != WebhookStatus::Enabled {
            return Err(WebhookRejection::Disabled);
        }
        let (from, to) = (self.from, self.to);
        if from == 0 || from > to {
            return Err(WebhookRejection::Range { from, to });
        }
        Ok(WebhookEvent::ReplayRequested { from, to }.into())
    }
}

/// Deletes a webhook.
#[derive(Command, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[command(on = Webhook)]
pub struct DeleteWebhook {
    /// The id of the webhook.
    #[id]
    pub webhook: WebhookId,
    /// The tenant of the caller.
    pub tenant: TenantId,
}

impl Decide for DeleteWebhook {
    type Error = WebhookRejection;

    fn decide(&self, webhook: &Webhook) -> Result<Events<WebhookEvent>, WebhookRejection> {
        let registration = find(webhook, &self.tenant)?;
        let tenant = registration.tenant.clone();
        Ok(WebhookEvent::Deleted { tenant }.into())
    }
}

/// Returns the state of the webhook. What belongs to another tenant does not exist for the caller.
fn find<'w>(webhook: &'w Webhook, tenant: &TenantId) -> Result<&'w Registration, WebhookRejection> {
    webhook
        .registration()
        .filter(|found| found.tenant == *tenant && found.status != WebhookStatus::Deleted)
        .ok_or(WebhookRejection::NotFound)
}

fn checked(settings: &WebhookSettings) -> Result<WebhookSettings, WebhookRejection> {
    settings.filter.check(&SpecEvent::names())?;
    let description = settings.description.as_deref().unwrap_or_default().trim();
    check_length("description", description)?;
    Ok(WebhookSettings {
        description: (!description.is_empty()).then(|| description.to_owned()),
        ..settings.clone()
    })
}

fn check_length(field: &'static str, text: &str) -> Result<(), WebhookRejection> {
    let actual = text.chars().count();
    let limit = MAX_TEXT;
    match actual > limit {
        false => Ok(()),
        true => Err(WebhookRejection::TooLong {
            field,
            limit,
            actual,
        }),
    }
}
