//! The rules of webhooks, independent of tokio, SQL and HTTP.

mod command;
mod filter;
mod rejection;
mod target;
mod webhook;

pub use command::{
    ChangeWebhook, CreateWebhook, DeleteWebhook, DisableWebhook, EnableWebhook, ReplayDeliveries,
    RotateSecret,
};
pub use filter::{InvalidFilter, WebhookFilter};
pub use rejection::WebhookRejection;
pub use target::{InvalidTargetUrl, TargetUrl};
pub use webhook::{
    MAX_OVERLAP_SECONDS, MAX_WEBHOOKS, Registration, TenantWebhooks, Webhook, WebhookEvent,
    WebhookId, WebhookSettings, WebhookStatus,
};
